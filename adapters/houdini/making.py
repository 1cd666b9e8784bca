"""New objects: an object node each, with one SOP inside where it is a solid. Main thread."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from ...errors import InvalidArgument
from ...tools.backend import COMMON_KINDS, check_params
from .nodes import ROOT
from .parms import assign, tuple_of

__all__ = ["KINDS", "checked_name", "make"]

KINDS: Tuple[str, ...] = tuple(COMMON_KINDS)

_NAME = re.compile(r"[A-Za-z0-9_.\-]+\Z")
#: Kind -> the type of object; a solid is a "geo".
_OBJECTS = {"empty": "null", "group": "subnet", "camera": "cam", "light": "hlight"}
#: The contract's names of lights, and Houdini's own -> token of ``light_type``, cone or not.
_LIGHTS = {
    "point": ("point", False),
    "spot": ("point", True),
    "sun": ("distant", False),
    "distant": ("distant", False),
    "area": ("grid", False),
    "grid": ("grid", False),
    "disk": ("disk", False),
    "sphere": ("sphere", False),
}

Values = Dict[str, Any]
#: A SOP's type and its parameters: what must be there, and what only makes it nicer.
Solid = Tuple[str, Dict[str, Sequence[Any]], Dict[str, Sequence[Any]]]

_SOLIDS: Dict[str, Callable[[Values], Solid]] = {
    "cube": lambda v: ("box", {"size": [v["size"]] * 3}, {}),
    # An odd number of rows has one at the equator, so that the box around it is exact.
    "sphere": lambda v: (
        "sphere",
        {"rad": [v["radius"]] * 3},
        {"type": ["polymesh"], "rows": [25], "cols": [48]},
    ),
    "plane": lambda v: ("grid", {"size": [v["size"]] * 2}, {"rows": [2], "cols": [2]}),
    # The first radius is the top.
    "cylinder": lambda v: (
        "tube",
        {"rad": [v["radius"]] * 2, "height": [v["height"]]},
        {"type": ["polymesh"], "cap": [1], "cols": [32]},
    ),
    "cone": lambda v: (
        "tube",
        {"rad": [0.0, v["radius"]], "height": [v["height"]]},
        {"type": ["polymesh"], "cap": [1], "cols": [32]},
    ),
    "torus": lambda v: (
        "torus",
        {"rad": [v["radius"], v["minor_radius"]]},
        {"rows": [24], "cols": [48]},
    ),
}


def make(hou: Any, kind: str, name: Optional[str], above: Any, params: Dict[str, Any]) -> Any:
    """Make an object of ``kind`` and return its node; ``above`` is its parent's node or None.

    In a subnetwork it is made inside; below anything else beside it, and wired to it.
    """
    values = check_params(kind, params, COMMON_KINDS[kind])
    light = _light(values) if kind == "light" else None
    wanted = kind + "1" if name is None else checked_name(name)
    inside = above is not None and above.type().name() == "subnet"
    network = hou.node(ROOT) if above is None else above if inside else above.parent()
    node = network.createNode(_OBJECTS.get(kind, "geo"), wanted)
    if above is not None and not inside:
        node.setInput(0, above)
        # "Keep position when parenting" may be on by the user's own defaults.
        node.setPreTransform(hou.Matrix4(1))
    if kind in _SOLIDS:
        _fill(node, kind, _SOLIDS[kind](values))
    elif kind == "camera":
        assign(tuple_of(node, "focal"), [values["focal_length"]])
    elif light is not None:
        _set_light(node, light, values)
    node.moveToGoodPosition(move_inputs=False, move_outputs=False, move_unconnected=False)
    return node


def checked_name(name: str) -> str:
    """Return a name that Houdini takes for a node. Raises InvalidArgument."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidArgument(
            "{!r} cannot be a node's name.".format(name),
            hint="Use letters, digits, '_', '-' and '.' only.",
        )
    return name


def _fill(node: Any, kind: str, solid: Solid) -> None:
    # Houdini before 18 puts a file node into each new one.
    for child in node.children():
        child.destroy()
    type_name, must, may = solid
    sop = node.createNode(type_name, kind + "1")
    for name, value in must.items():
        assign(tuple_of(sop, name), value)
    for name, value in may.items():
        found = sop.parmTuple(name)
        if found is not None:
            assign(found, value)
    sop.setDisplayFlag(True)
    sop.setRenderFlag(True)


def _light(values: Values) -> Tuple[str, bool]:
    light = _LIGHTS.get(values["type"].lower())
    if light is None:
        raise InvalidArgument(
            "A light cannot be {!r}. It can be: {}.".format(values["type"], ", ".join(_LIGHTS))
        )
    return light


def _set_light(node: Any, light: Tuple[str, bool], values: Values) -> None:
    shape, cone = light
    assign(tuple_of(node, "light_type"), [shape])
    assign(tuple_of(node, "light_intensity"), [values["intensity"]])
    assign(tuple_of(node, "light_color"), values["color"])
    if cone:
        assign(tuple_of(node, "coneenable"), [1])
