"""Tools that tests bring along into Blender: they look at ``bpy`` itself, not through our scene."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Dict, List, Optional

import bpy

from dcc_mcp_embed import tool

#: Set by the script that starts the server: ends it soon, on Blender's main thread.
end: Optional[Callable[[], None]] = None

#: (whether it was the process's first thread, names of all objects) at each change of the scene,
#: noted by Blender's own callback.
changes: List[Any] = []


def on_main_thread() -> bool:
    """Return whether this is the thread that the process began with, by the kernel's word."""
    return threading.get_native_id() == os.getpid()


def note_change(*_: Any) -> None:
    changes.append((on_main_thread(), sorted(bpy.data.objects.keys())))


@tool(read_only=True)
def bpy_facts() -> Dict[str, Any]:
    """Tell what Blender's own data hold, and on which thread that is asked."""
    return {
        "positions": {
            thing.name: list(thing.matrix_world.translation) for thing in bpy.data.objects
        },
        "types": {thing.name: thing.type for thing in bpy.data.objects},
        "on_main_thread": on_main_thread(),
        "on_python_main_thread": threading.current_thread() is threading.main_thread(),
        "background": bpy.app.background,
        "windows": len(bpy.context.window_manager.windows),
        "version": bpy.app.version_string,
    }


@tool(read_only=True)
def end_of_test() -> Dict[str, Any]:
    """Stop the server soon after this has been answered."""
    assert end is not None
    end()
    return {"when": "soon"}
