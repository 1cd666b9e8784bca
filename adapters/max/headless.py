"""Whether this 3ds Max has a user interface."""

from __future__ import annotations

import ntpath
import sys
from typing import Any

__all__ = ["is_batch", "is_headless", "is_unattended"]

#: The program without one begins with this.
_BATCH = "3dsmaxbatch"


def is_batch() -> bool:
    """Return whether this is the program that loads no user interface at all."""
    return ntpath.basename(sys.executable or "").lower().startswith(_BATCH)


def is_unattended() -> bool:
    """Return whether this is that program, or one that renders for a network. Main thread.

    Not whether there is a window: while 3ds Max starts there is none yet.
    """
    pymxs: Any = sys.modules.get("pymxs")
    rendering = pymxs is not None and pymxs.runtime.maxOps.isInNonInteractiveMode()
    return is_batch() or bool(rendering)


def is_headless(rt: Any) -> bool:
    """Return whether nobody can see or touch this 3ds Max: it has another program, or no window."""
    if is_batch():
        return True
    return bool(rt.maxOps.isInNonInteractiveMode()) or not rt.windows.getMAXHWND()
