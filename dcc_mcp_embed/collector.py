"""Keep the cyclic garbage collector off our threads where a host's objects live.

A host with Qt holds cyclic objects whose finalisers belong to its main thread; one collected on
another thread takes the process down. Automatic collection runs on whichever thread happens to
cross the allocation threshold, so two things are done.

* It is off while one of our threads works, and the host's own setting is back while that thread
  blocks (:func:`pause`, :func:`resume`). What was allocated meanwhile counts: the collection it
  makes due runs at the host's next allocation.
* The moment between a blocking call and our first line is not covered by that: the kernel's answer
  is a list, and its allocation may be the one. A collection that starts on one of our threads all
  the same finds nothing to collect, because :func:`guard`, with which each :class:`Thread` of
  ours begins, has every object set aside for its duration. They end up in the oldest generation, to
  be looked at later, by the host.

Both are process-wide: a host that switches collection off while we work finds its wish undone when
we block, and objects that it has frozen (``gc.freeze``) may be thawed. Either costs time; the crash
costs the scene.

In a plain script there are no such objects, and maybe nobody but our threads to collect anything:
there the collector runs as it always does (:func:`held`).
"""

from __future__ import annotations

import functools
import gc
import operator
import os
import sys
import threading
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Set, Tuple

__all__ = [
    "Thread",
    "blocking",
    "catch_up",
    "due",
    "guard",
    "held",
    "hold",
    "pause",
    "resume",
    "unguard",
]

#: Whoever has one of these modules may have objects that belong to its main thread.
_BINDINGS = ("PySide6", "PySide2", "PySide", "PyQt6", "PyQt5", "PyQt4", "shiboken6", "shiboken2")
_HOSTS = (
    *("bpy", "maya", "hou", "nuke", "hiero", "pymxs", "MaxPlus", "c4d", "unreal", "mari", "rv"),
    *("substance_painter", "sd", "pyfbsdk", "Katana", "FreeCAD", "mset", "lx", "fusionscript"),
)
_NAMES = (*_BINDINGS, *_HOSTS)
#: So many collections that found nothing make one of everything due: each is of hundreds of
#: objects, which the interpreter does not count among those that it has yet to look through.
_MANY_VETOED = 8

_held = False
#: How many modules there were when none of them was in the table.
_looked_at = -1
_vetoed = 0
#: Whether the collection that runs now is kept from finding anything.
_vetoing = False

# A signal handler may parse something at any line below: it ends its own pause before those go on
# that it has interrupted. (If it waits for another thread's, that one waits for the lock.)
_lock = threading.RLock()
_pausing = 0
#: Whether it is us who have switched collection off. Never where nobody pauses, but for a moment.
_switched_off = False

# Another lock: a signal handler that starts a thread of ours waits until that is guarded.
_guarding = threading.Lock()
_guards = 0
_hooked = False
_ours: Set[int] = set()

# Called in the moment between a blocking call and our own work, where an allocation of a container
# could start the very collection that is to be kept away: plain calls, no ``with``, no tuples.
_acquire = _lock.acquire
_release = _lock.release


def hold() -> None:
    """Take this process for a host's from now on, whatever modules it has. Any thread."""
    global _held
    _held = True


def held() -> bool:
    """Return whether collections are kept off our threads: once a host, always one. Any thread."""
    global _held, _looked_at
    # No comprehension, no ``any``: see below, and it is asked for each slice of work.
    count = len(sys.modules)
    if not _held and count != _looked_at:
        for name in _NAMES:
            if name in sys.modules:
                _held = True
        _looked_at = count
    return _held


def pause(anyway: bool = False) -> None:
    """Begin to work: the first of all our threads to do so switches collection off. Nests.

    Where it is not held it stays on, unless ``anyway``: then it is off until all are at rest.
    """
    global _pausing, _switched_off
    _acquire()
    _pausing += 1
    if _switched_off:
        # Again: whoever noted it may be interrupted just before its own line.
        gc.disable()
    elif (anyway or (_pausing == 1 and held())) and gc.isenabled():
        # Noted before it is done: a child that is forked between the two lines has to undo it.
        _switched_off = True
        gc.disable()
    _release()


def resume() -> None:
    """End or interrupt the work: the last of all our threads restores the host's setting."""
    global _pausing, _switched_off
    _acquire()
    _pausing -= 1
    if not _pausing and _switched_off:
        gc.enable()
        _switched_off = False
    _release()


def guard() -> None:
    """Take the calling thread for one of ours: no collection on it shall find anything."""
    global _guards, _hooked
    with _guarding:
        if not _hooked and hasattr(os, "register_at_fork"):
            _hooked = True
            os.register_at_fork(after_in_child=_disown)
        _ours.add(threading.get_ident())
        _guards += 1
        if _guards == 1:
            gc.callbacks.append(_veto)


def unguard() -> None:
    """End that; the last one takes our callback out of the collector again."""
    global _guards
    with _guarding:
        _ours.discard(threading.get_ident())
        _guards -= 1
        if not _guards:
            gc.callbacks.remove(_veto)


class Thread(threading.Thread):
    """A daemon thread of ours, guarded from its first line to its last.

    :class:`threading.Thread` has lines of its own before and after what is to be run.
    """

    def __init__(self, target: Callable[..., Any], name: str, args: Tuple[Any, ...] = ()) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)

    def _bootstrap(self) -> None:
        guard()
        try:
            super()._bootstrap()  # type: ignore[misc]
        finally:
            unguard()


@contextmanager
def blocking() -> Iterator[None]:
    """Interrupt the calling thread's work, if it is one of ours, while it waits for the system."""
    ours = threading.get_ident() in _ours
    if ours:
        resume()
    try:
        yield
    finally:
        if ours:
            pause()


def due() -> bool:
    """Return whether a collection is due that no thread of the host has run yet. Any thread."""
    limit = gc.get_threshold()[0]
    return held() and (0 < limit < gc.get_count()[0] or _vetoed >= _MANY_VETOED)


def catch_up() -> None:
    """Collect for a host that allocates nothing itself. Host's main thread, or a user's own.

    What is young; everything once enough was set aside.
    """
    global _vetoed
    everything = _vetoed >= _MANY_VETOED
    if everything:
        _vetoed = 0
    gc.collect(2 if everything else 0)


def _disown() -> None:
    """Give the collector back to the host in a forked child, whose other threads do not exist.

    The child's only thread may be one of ours: a tool on the worker has forked.
    """
    global _lock, _acquire, _release, _guarding, _pausing, _switched_off, _guards
    _lock = threading.RLock()
    _acquire, _release = _lock.acquire, _lock.release
    _guarding = threading.Lock()
    this = threading.get_ident()
    ours = this in _ours
    _ours.intersection_update((this,))
    if _switched_off and not ours:
        gc.enable()
        _switched_off = False
    _pausing = min(_pausing, int(ours))
    if not ours and _veto in gc.callbacks:
        gc.callbacks.remove(_veto)
    _guards = int(ours)


class _Aside:
    """Calls ``gc.freeze`` when its attribute ``start`` is asked for."""

    start = property(operator.methodcaller("freeze"))
    freeze = gc.freeze


#: The last callback before a collection, called with "start" and a dict. No line of Python runs in
#: it: after each one another thread may get its turn, and what that makes and drops between the
#: setting aside and the collection would be found.
_set_aside = functools.partial(getattr, _Aside())


def _veto(phase: str, info: Dict[str, Any]) -> None:
    global _vetoed, _vetoing
    if phase == "start":
        _vetoing = threading.get_ident() in _ours and held()
        if _vetoing:
            _vetoed += 1
            # The interpreter comes to it when this has returned. Twice: it counts the callbacks
            # that it has called, and one that another thread takes out just now moves the rest up.
            gc.callbacks.append(_set_aside)
            gc.callbacks.append(_set_aside)
    elif _vetoing:
        _vetoing = False
        gc.unfreeze()
        gc.callbacks.remove(_set_aside)
        gc.callbacks.remove(_set_aside)
