"""Houdini: with its user interface, and without one (``hython``)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter

__all__ = ["create", "detect"]


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
