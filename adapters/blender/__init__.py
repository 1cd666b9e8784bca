"""Blender: with a window, in background mode (``-b``), and as the ``bpy`` module from PyPI."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter

__all__ = ["create", "detect", "when_ready"]


def detect() -> bool:
    """Return whether this interpreter is Blender's (not one with a stub called ``bpy``)."""
    app = getattr(sys.modules.get("bpy"), "app", None)
    return hasattr(app, "version_string") and hasattr(app, "timers")


def create() -> HostAdapter:
    """Return the adapter. On Blender's main thread."""
    from .adapter import BlenderAdapter

    return BlenderAdapter()


def when_ready(start: Callable[[], None]) -> bool:
    """Call ``start`` now if there is a window, and return whether: a farm's Blender serves nobody.

    On Blender's main thread, from a start-up file, when Blender has started.
    """
    bpy = sys.modules["bpy"]
    if bpy.app.background:
        return False
    start()
    return True
