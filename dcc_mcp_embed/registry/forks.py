"""What a forked child has to let go of, and the moment in which no fork may happen.

A lock of the kind used here belongs to the open file, which a forked child shares: as long as the
child has the descriptor open, the lock is held, though the process it speaks for is dead. So the
child closes its copies, without unlocking, before anything else.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager
from typing import Any, Iterator, Optional

__all__ = ["in_child", "undisturbed"]

#: Seconds that a fork waits for one who is opening a file, which takes microseconds.
_PATIENCE = 1.0

# Lets the same thread in again: a signal handler or a finaliser may open a file in the very moment
# in which another is opened, or fork.
_lock: Any = threading.RLock()
#: Whose turn is among the first, in the order of their coming.
_objects: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
_hooked = False


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no fork happen while a descriptor is opened, locked and written down.

    Otherwise the child could inherit one that nobody knows of yet.
    """
    with _lock:
        yield


def in_child(thing: Any, first: bool = False) -> None:
    """Have ``thing.disown()`` called in every forked child, more than once perhaps.

    Those that are ``first`` before all others, each kind in the order in which it came.
    """
    global _hooked
    with _lock:
        if not _hooked and hasattr(os, "register_at_fork"):
            _hooked = True
            os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_child)
        _objects[thing] = first


def _before() -> None:
    _lock.acquire(timeout=_PATIENCE)


def _after() -> None:
    # Several threads may fork, and not each of them has waited long enough.
    if _lock._is_owned():
        _lock.release()


def _child() -> None:
    global _lock
    _lock = threading.RLock()
    failure: Optional[Exception] = None
    for thing, _ in sorted(_objects.items(), key=lambda item: not item[1]):
        try:
            thing.disown()
        except Exception as error:
            # Its descriptor was closed by somebody else. The others have theirs.
            failure = failure or error
    if failure is not None:
        raise failure  # to be shown by the interpreter, which stops nothing for it
