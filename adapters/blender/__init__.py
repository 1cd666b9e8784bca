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
    """Call ``start`` in the first round of Blender's loop; return whether there will be one.

    Main thread. While Blender runs start-up files it keeps its data from them. Without a window
    there is no loop: a farm's Blender serves nobody.
    """
    bpy = sys.modules["bpy"]
    if bpy.app.background:
        return False
    # Opening a file, also the one that Blender is started with, drops all other timers.
    bpy.app.timers.register(start, first_interval=0.0, persistent=True)
    return True
