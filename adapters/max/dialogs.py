"""Which of the dialogs of 3ds Max are open, that Qt knows nothing of."""

from __future__ import annotations

import ctypes
from typing import Any, Optional

__all__ = ["is_disabled", "user32"]


def user32() -> Optional[Any]:
    """Return Windows' library of windows, None on other systems."""
    windows = getattr(ctypes, "windll", None)
    return None if windows is None else windows.user32


def is_disabled(handle: int, library: Optional[Any]) -> bool:
    """Return whether the window takes no input: so it is while a modal dialog of it is open."""
    if library is None:
        return False
    window = ctypes.c_void_p(handle)
    return bool(library.IsWindow(window)) and not library.IsWindowEnabled(window)
