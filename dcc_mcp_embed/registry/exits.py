"""What has to be closed at the end of the process."""

from __future__ import annotations

import atexit
import weakref
from contextlib import ExitStack
from typing import Any

__all__ = ["close_at_exit"]

_objects: weakref.WeakSet[Any] = weakref.WeakSet()
_hooked = False


def close_at_exit(thing: Any) -> None:
    """Have ``thing.close()`` called when the interpreter ends, if it is still there; any thread."""
    global _hooked
    if not _hooked:
        _hooked = True
        atexit.register(_close_all)
    _objects.add(thing)


def _close_all() -> None:
    # Each of them, whatever another raises.
    with ExitStack() as closing:
        for thing in list(_objects):
            closing.callback(thing.close)
