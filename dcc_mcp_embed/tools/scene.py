"""What the hosts share: all scene tools, resources and prompts, as one module for a table."""

from __future__ import annotations

from .scene_prompts import (
    debug_scene,
    explore_scene,
    look_dev,
    model_from_reference,
    prepare_export,
)
from .scene_read import get_object, get_scene_info, get_selection, list_objects
from .scene_resources import (
    scene_errors,
    scene_info,
    scene_object,
    scene_selection,
    scene_tree,
)
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
    "debug_scene",
    "delete_objects",
    "explore_scene",
    "get_object",
    "get_scene_info",
    "get_selection",
    "list_objects",
    "look_dev",
    "model_from_reference",
    "prepare_export",
    "redo",
    "rename_object",
    "scene_errors",
    "scene_info",
    "scene_object",
    "scene_selection",
    "scene_tree",
    "set_selection",
    "set_transform",
    "undo",
]
