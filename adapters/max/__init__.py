"""3ds Max 2021 and later: with its window, and as ``3dsmaxbatch``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter

__all__ = ["create", "detect", "when_ready"]


def detect() -> bool:
    """Return whether this interpreter is that of 3ds Max (not one with a stub called ``pymxs``)."""
    from ..qt import on_main_thread

    pymxs = sys.modules.get("pymxs")
    if not hasattr(pymxs, "run_undo"):
        return False
    # What is asked of the runtime is a call. On another thread the adapter refuses and says why.
    runtime = getattr(pymxs, "runtime", None)
    return not on_main_thread() or callable(getattr(runtime, "maxVersion", None))


def create() -> HostAdapter:
    """Return the adapter. On the main thread of 3ds Max."""
    from .adapter import MaxAdapter

    return MaxAdapter()


def when_ready(start: Callable[[], None]) -> bool:
    """Call ``start`` in the first round of Qt's loop; return whether it will: batch serves nobody.

    Nor does one that renders for a network, which is 3dsmax.exe as well. Main thread, from a
    start-up script or a dropped file. 3ds Max runs start-up scripts before its window is complete.
    """
    from ..qt import application, binding
    from .headless import is_unattended

    qt = None if is_unattended() else binding()
    if qt is None or application() is None:
        return False
    qt.QtCore.QTimer.singleShot(0, start)
    return True
