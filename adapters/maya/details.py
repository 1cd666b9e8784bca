"""What one object is like beyond its place: box, attributes, materials, history. Main thread."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional

from .naming import listed, shapes_of
from .session import cmds

__all__ = ["attributes_of", "box_of", "history_of", "materials_of"]

#: More attributes are not shown: some rigs have thousands.
MOST = 500
#: A box of nothing comes back inside out, with the largest numbers that there are.
NOTHING = 1e19
#: A longer array is told by its length: some attributes hold a value for each point of a mesh.
LONGEST = 100


def box_of(path: str) -> Optional[Dict[str, List[float]]]:
    """Return the world box of all geometry at and below an object, None without any."""
    # Cameras, lights and locators are no geometry, but they have boxes of their icons.
    shapes = cmds().ls(path, dag=True, long=True, type="deformableShape", noIntermediate=True)
    if not shapes:
        return None
    box = [float(value) for value in cmds().exactWorldBoundingBox(*shapes)]
    if any(abs(value) > NOTHING for value in box):
        return None
    return {"min": box[:3], "max": box[3:]}


def attributes_of(path: str) -> Dict[str, Any]:
    """Return the attributes that can be keyed or were added, of an object and its first shape."""
    shown: Dict[str, Any] = {"rotateOrder": cmds().getAttr(path + ".rotateOrder", asString=True)}
    shapes = shapes_of(path)[:1]
    for node in [path, *shapes]:
        names = listed(cmds().listAttr(node, keyable=True))
        for name in names + listed(cmds().listAttr(node, userDefined=True)):
            if name not in shown and len(shown) < MOST:
                _show(shown, node, name)
    for shape in shapes:
        if cmds().nodeType(shape) == "mesh":
            shown["vertices"] = int(cmds().polyEvaluate(shape, vertex=True))
            shown["faces"] = int(cmds().polyEvaluate(shape, face=True))
    return shown


def _show(shown: Dict[str, Any], node: str, name: str) -> None:
    try:
        value = cmds().getAttr("{}.{}".format(node, name))
    except (RuntimeError, ValueError):
        return  # a message, or a compound that has no value of its own
    shown[name] = _plain(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON; a vector comes as a list of one tuple."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        parts = value[0] if len(value) == 1 and isinstance(value[0], tuple) else value
        if len(parts) > LONGEST:
            return "{} values".format(len(parts))
        return [_plain(part) for part in parts]
    return str(value)


def materials_of(path: str) -> List[str]:
    """Return the materials of an object's shapes, by name."""
    found: Dict[str, None] = {}
    for shape in shapes_of(path):
        for group in listed(cmds().listConnections(shape, type="shadingEngine")):
            plug = group + ".surfaceShader"
            for material in listed(cmds().listConnections(plug, source=True, destination=False)):
                found[str(material)] = None
    return list(found)


def history_of(path: str) -> List[Dict[str, str]]:
    """Return the construction history of an object's shapes, the newest first."""
    found: Dict[str, str] = {}
    for shape in shapes_of(path):
        # Level 1 leaves out what Maya itself thinks is of no interest to the user.
        names = cmds().listHistory(shape, pruneDagObjects=True, interestLevel=1)
        for name in listed(names):
            found.setdefault(str(name), str(cmds().nodeType(name)))
    return [{"name": name, "type": kind} for name, kind in found.items()]
