"""Attributes: what ``node.attribute`` names, its value in the units that the user has set."""

from __future__ import annotations

import math
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import matrices
from .node_types import Attribute, attributes, is_a, own
from .scene import Path, Scene

__all__ = [
    "CENTIMETRES",
    "FPS",
    "Plug",
    "local_matrix",
    "named_plug",
    "parent_matrix",
    "read",
    "settle",
    "transform_values",
    "world_matrix",
    "write",
]

#: What one unit of ``currentUnit(linear=)`` is in Maya's internal unit.
CENTIMETRES = {
    "mm": 0.1,
    "cm": 1.0,
    "m": 100.0,
    "km": 100000.0,
    "in": 2.54,
    "ft": 30.48,
    "yd": 91.44,
}
#: What ``currentUnit(time=)`` names.
FPS = {
    "game": 15.0,
    "film": 24.0,
    "pal": 25.0,
    "ntsc": 30.0,
    "show": 48.0,
    "palf": 50.0,
    "ntscf": 60.0,
}

#: Worked out, never stored. Those of the world have an index: the instance.
_MATRICES = {
    "matrix": "m",
    "worldMatrix": "wm",
    "parentMatrix": "pm",
    "inverseMatrix": "im",
    "worldInverseMatrix": "wim",
    "parentInverseMatrix": "pim",
}
_AXES = {"x": 0, "y": 1, "z": 2}


class Plug(NamedTuple):
    path: Path
    attribute: Attribute
    #: Of a compound's part, else None; of a multi's element, for the matrices.
    part: Optional[int]
    #: Its long name, without the node.
    name: str


def named_plug(scene: Scene, text: str) -> Plug:
    """Return what ``text`` names; raises ValueError as Maya does."""
    name, dot, rest = text.partition(".")
    path = scene.named(name) if dot else ()
    found = _attribute(scene, path, rest.rpartition(".")[2]) if dot and rest else None
    if found is None:
        raise ValueError("No object matches name: {}".format(text))
    attribute, part = found
    long = attribute.name
    if part is not None and attribute.parts:
        long = attribute.parts[part]
    return Plug(path, attribute, part, long)


def _attribute(scene: Scene, path: Path, text: str) -> Optional[Tuple[Attribute, Optional[int]]]:
    node = scene.node(path)
    match = re.match(r"(\w+)(?:\[(\d+)\])?\Z", text)
    if match is None:
        return None
    name, index = match.groups()
    if is_a(node["type"], "dagNode"):
        for long, short in _MATRICES.items():
            if name in (long, short):
                return Attribute(long, short, "matrix", None), int(index or 0)
    table = dict(attributes(node["type"]))
    table.update({one: Attribute(*value) for one, value in node["extra"].items()})
    if name in table:
        return table[name], None
    for attribute in table.values():
        if name in attribute.parts:
            return attribute, attribute.parts.index(name)
        if attribute.parts and name[:-1] == attribute.short and name[-1] in _AXES:
            return attribute, _AXES[name[-1]]
    return None


def _unit(scene: Scene, kind: str) -> float:
    """Return what a stored value is divided by to be in the user's unit."""
    if kind.startswith("doubleLinear"):
        return CENTIMETRES[scene.state["linear"]]
    if kind.startswith("doubleAngle") and scene.state["angle"] == "rad":
        return 180.0 / math.pi
    return 1.0


def stored(scene: Scene, path: Path, attribute: Attribute) -> Any:
    """Return the value as Maya holds it: centimetres, degrees here; what drives it comes first."""
    ident = path[-1]
    for source, out, target, into in scene.state["connections"]:
        if target == ident and into == attribute.name and source in scene.nodes:
            driver = _attribute(scene, (source,), out)
            if driver is not None:
                return stored(scene, (source,), driver[0])
    return scene.nodes[ident]["attrs"][attribute.name]


def read(scene: Scene, plug: Plug) -> Any:
    """Return what ``getAttr`` does: a list with one tuple for a compound, 16 numbers, a value."""
    if plug.attribute.name in _MATRICES:
        return _matrix(scene, plug)
    value = stored(scene, plug.path, plug.attribute)
    unit = _unit(scene, plug.attribute.kind)
    if plug.attribute.kind == "matrix":
        return list(value)
    if plug.attribute.parts:
        values = [one / unit for one in value]
        return [tuple(values)] if plug.part is None else values[plug.part]
    return value / unit if unit != 1.0 else value


def write(scene: Scene, plug: Plug, values: List[Any]) -> None:
    node = scene.node(plug.path)
    unit = _unit(scene, plug.attribute.kind)
    name = plug.attribute.name
    if plug.attribute.kind in ("string", "matrix"):
        node["attrs"][name] = values[0] if plug.attribute.kind == "string" else list(values)
    elif plug.attribute.parts and plug.part is None:
        node["attrs"][name] = [float(one) * unit for one in values]
    elif plug.attribute.parts:
        assert plug.part is not None
        node["attrs"][name][plug.part] = float(values[0]) * unit
    elif plug.attribute.kind in ("bool", "enum", "long", "byte"):
        node["attrs"][name] = type(plug.attribute.default)(values[0])
    else:
        node["attrs"][name] = float(values[0]) * unit


def local_matrix(scene: Scene, path: Path) -> matrices.Matrix:
    """Return a node's own matrix, in centimetres; a shape has none."""
    node = scene.node(path)
    if not is_a(node["type"], "transform"):
        return matrices.identity()
    value = transform_values(scene, path)
    parts = (value[name] for name in ("translate", "rotate", "scale", "shear"))
    return matrices.compose(*parts, **_fixed(value))  # type: ignore[arg-type]


def transform_values(scene: Scene, path: Path) -> Dict[str, Any]:
    """Return what a transform's attributes hold: centimetres and degrees."""
    node = scene.node(path)
    return {one.name: stored(scene, path, one) for one in own(node["type"])}


def _fixed(value: Dict[str, Any]) -> Dict[str, Any]:
    """Return what setting a place leaves as it is."""
    return {
        "order": matrices.ORDERS[value["rotateOrder"]],
        "pivots": (value["scalePivot"], value["rotatePivot"]),
        "turns": (value["rotateAxis"], value.get("jointOrient", [0.0] * 3)),
    }


def settle(scene: Scene, path: Path, local: matrices.Matrix) -> None:
    """Give a transform the values with which its own matrix is ``local``."""
    fixed = _fixed(transform_values(scene, path))
    _, turned, scale, shear = matrices.decompose(local, "xyz")
    before, after = (matrices.inverse(matrices.rotation(one, "xyz")) for one in fixed["turns"])
    assert before is not None and after is not None
    rows = matrices.product(before, matrices.rotation(turned, "xyz"), after)
    rotate = matrices.euler(rows, fixed["order"])
    unmoved = matrices.compose([0.0] * 3, rotate, scale, shear, **fixed)
    translate = [local[3][k] - unmoved[3][k] for k in range(3)]
    scene.node(path)["attrs"].update(translate=translate, rotate=rotate, scale=scale, shear=shear)


def offset(scene: Scene, path: Path) -> matrices.Matrix:
    numbers = scene.node(path)["attrs"].get("offsetParentMatrix")
    if numbers is None:
        return matrices.identity()
    return [list(numbers[n : n + 4]) for n in range(0, 16, 4)]


def parent_matrix(scene: Scene, path: Path) -> matrices.Matrix:
    """Return what stands above a path, without its own offset."""
    node = scene.node(path)
    if len(path) > 1 and node["attrs"].get("inheritsTransform", True):
        return world_matrix(scene, path[:-1])
    return matrices.identity()


def world_matrix(scene: Scene, path: Path) -> matrices.Matrix:
    """worldMatrix = matrix * offsetParentMatrix * parentMatrix (Maya 2020 and later)."""
    own = matrices.multiply(local_matrix(scene, path), offset(scene, path))
    return matrices.multiply(own, parent_matrix(scene, path))


def _matrix(scene: Scene, plug: Plug) -> List[float]:
    name = plug.attribute.name
    paths = scene.paths(plug.path[-1])
    number = plug.part or 0
    path = paths[number] if number < len(paths) else paths[0]
    kinds: Dict[str, Any] = {"matrix": local_matrix, "world": world_matrix, "parent": parent_matrix}
    for start, work in kinds.items():
        if name.lower().startswith(start) or (start == "matrix" and name == "inverseMatrix"):
            matrix = work(scene, path)
            break
    if "nverse" in name:
        matrix = matrices.inverse(matrix) or matrices.identity()
    return [value for row in matrix for value in row]
