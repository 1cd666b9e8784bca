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
from typing import Any, Iterator

__all__ = ["in_child", "undisturbed"]

#: Seconds that a fork waits for one who is opening a file. It would be microseconds, if not for a
#: signal handler that forks in the very middle, and would wait for itself.
_PATIENCE = 1.0

_lock = threading.Lock()
_waited = False
_objects: weakref.WeakSet[Any] = weakref.WeakSet()
_hooked = False


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no fork happen while a descriptor is opened, locked and written down.

    Otherwise the child could inherit one that nobody knows of yet.
    """
    with _lock:
        yield


def in_child(thing: Any) -> None:
    """Have ``thing.disown()`` called in every forked child, more than once perhaps."""
    global _hooked
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_child)
    _objects.add(thing)


def _before() -> None:
    global _waited
    _waited = _lock.acquire(timeout=_PATIENCE)


def _after() -> None:
    if _waited:
        _lock.release()


def _child() -> None:
    global _lock
    _lock = threading.Lock()
    for thing in list(_objects):
        thing.disown()
