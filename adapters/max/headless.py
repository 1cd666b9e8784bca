"""Whether this 3ds Max has a user interface."""

from __future__ import annotations

import ntpath
import sys
from typing import Any

__all__ = ["is_headless"]

#: The program without one begins with this.
_BATCH = "3dsmaxbatch"


def is_headless(rt: Any) -> bool:
    """Return whether nobody can see or touch this 3ds Max: it has another program, or no window."""
    if ntpath.basename(sys.executable or "").lower().startswith(_BATCH):
        return True
    return bool(rt.maxOps.isInNonInteractiveMode()) or not rt.windows.getMAXHWND()
