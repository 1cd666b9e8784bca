"""Houdini: with its user interface, and without one (``hython``)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter

__all__ = ["create", "detect", "when_ready"]


def detect() -> bool:
    """Return whether this interpreter is Houdini's (not one with stubs, or a stand-in, of ``hou``).

    Stubs and most stand-ins lack what only the running application knows.
    """
    hou = sys.modules.get("hou")
    try:
        version = hou.applicationVersionString()  # type: ignore[union-attr]
    except Exception:  # a stand-in may raise anything
        return False
    return isinstance(version, str) and hasattr(hou, "hipFile") and hasattr(hou, "undos")


def create() -> HostAdapter:
    """Return the adapter. On Houdini's main thread."""
    from .adapter import HoudiniAdapter

    return HoudiniAdapter()


def when_ready(start: Callable[[], None]) -> bool:
    """Have ``start`` called if there is a user interface; return whether: hython serves nobody.

    Main thread, from ``uiready.py``, which Houdini runs when its interface is complete. In the
    first turn of its event loop then: nobody waits for a server to see Houdini's window.
    """
    hou: Any = sys.modules["hou"]
    if not hou.isUIAvailable():
        return False
    hou.ui.postEventCallback(start)
    return True
