"""All scene tools that the hosts share, as one module to add to a table."""

from __future__ import annotations

from .scene_read import get_object, get_scene_info, get_selection, list_objects
from .scene_undo import redo, undo
from .scene_write import (
    create_object,
    delete_objects,
    rename_object,
    set_selection,
    set_transform,
)

__all__ = [
    "create_object",
    "delete_objects",
    "get_object",
    "get_scene_info",
    "get_selection",
    "list_objects",
    "redo",
    "rename_object",
    "set_selection",
    "set_transform",
    "undo",
]
