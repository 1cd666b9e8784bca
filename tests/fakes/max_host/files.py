"""Scene files: JSON in this 3ds Max, so that a scene that was saved can be opened."""

from __future__ import annotations

import json
import os
from typing import Any

from .scene import SELECTION

__all__ = ["folder_of", "load", "name_of", "reset", "save"]


def folder_of(path: str) -> str:
    """Return the folder with its separator at the end, "" for none."""
    return path[: len(path) - len(name_of(path))]


def name_of(path: str) -> str:
    return os.path.basename(path)


def reset(host: Any) -> None:
    host.events.fire("systemPreReset")
    host.scene.reset()
    host.events.fire("systemPostReset")


def save(host: Any, path: str, clear: bool, take_name: bool) -> bool:
    host.events.fire("filePreSave")
    nodes = {str(key): value for key, value in host.hold.table.items() if key != SELECTION}
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"settings": host.scene.settings, "nodes": nodes}, file)
    except OSError:
        return False
    if take_name:
        host.scene.file = path
    if clear:
        host.hold.dirty = False
    host.events.fire("filePostSave")
    return True


def load(host: Any, path: str) -> bool:
    """Open a file; its objects are new ones, with handles of their own."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return False
    host.events.fire("filePreOpen")
    scene = host.scene
    scene.reset()
    scene.settings = found["settings"]
    keys = {int(old): scene.new_key() for old in sorted(found["nodes"], key=int)}
    table = {SELECTION: ()}
    for old, data in found["nodes"].items():
        data["parent"] = keys.get(data["parent"])
        data["material"] = keys.get(data["material"])
        data["modifiers"] = tuple(keys[one] for one in data["modifiers"])
        data["local"] = tuple(map(tuple, data["local"]))
        data["offset"] = tuple(data["offset"])
        data["params"] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data["params"].items()
        }
        table[keys[int(old)]] = data
    host.hold.replace(table)
    scene.file = path
    host.events.fire("filePostOpen")
    return True
