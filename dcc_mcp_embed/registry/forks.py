"""What a forked child has to let go of, and the moment in which no fork may happen.

A lock of the kind used here belongs to the open file, which a forked child shares: as long as the
child has the descriptor open, the lock is held, though the process it speaks for is dead. So the
child closes its copies, without unlocking, before anything else.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

__all__ = ["in_child", "undisturbed"]

#: Held while a descriptor is opened, locked and written down. A fork waits for it (microseconds);
#: otherwise the child could inherit a descriptor that nobody knows of yet.
undisturbed = threading.Lock()

_objects: weakref.WeakSet[Any] = weakref.WeakSet()
_hooked = False


def in_child(thing: Any) -> None:
    """Have ``thing.disown()`` called in every forked child, more than once perhaps."""
    global _hooked
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(
            before=lambda: undisturbed.acquire(),
            after_in_parent=lambda: undisturbed.release(),
            after_in_child=_child,
        )
    _objects.add(thing)


def _child() -> None:
    undisturbed.release()
    for thing in list(_objects):
        thing.disown()
