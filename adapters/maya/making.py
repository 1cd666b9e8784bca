"""The objects that can be made, by Maya's own commands: so undo, shading and lights are right."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

from ...errors import InvalidArgument
from ...tools.backend import COMMON_KINDS, check_params
from .naming import leaf, listed, shapes_of
from .session import cmds

__all__ = ["KINDS", "make"]

KINDS: Tuple[str, ...] = tuple(COMMON_KINDS)
#: What a light may be, with the names of other hosts -> Maya's type.
LIGHTS = {
    "point": "pointLight",
    "directional": "directionalLight",
    "sun": "directionalLight",
    "spot": "spotLight",
    "area": "areaLight",
    "ambient": "ambientLight",
}
UP = {"y": (0, 1, 0), "z": (0, 0, 1)}

Values = Dict[str, Any]


def make(kind: str, name: Optional[str], parent: Optional[str], params: Values) -> str:
    """Make one object below ``parent`` and return its path. ``name`` is a usable one.

    The selection stays as it was, though Maya's commands select what they make.
    """
    values = check_params(kind, params, COMMON_KINDS[kind])
    _check(kind, values)
    selected = listed(cmds().ls(selection=True, long=True))
    path = _path(_MAKERS[kind](values))
    if parent is not None:
        # Relative: the channels stay, and with them the place in the parent's space.
        path = parent + "|" + leaf(cmds().parent(path, parent, relative=True)[0])
    if name is not None:
        path = path.rpartition("|")[0] + "|" + leaf(cmds().rename(path, name))
    if selected != listed(cmds().ls(selection=True, long=True)):
        if selected:
            cmds().select(selected, replace=True, noExpand=True)
        else:
            cmds().select(clear=True)
    return path


def _check(kind: str, values: Values) -> None:
    if kind == "light" and values["type"].lower() not in LIGHTS:
        raise InvalidArgument(
            "A light cannot be {!r}. It can be: {}.".format(values["type"], ", ".join(LIGHTS))
        )


def _path(name: str) -> str:
    """Return the full path of the object that a command has named; a shape stands for it."""
    path = str(cmds().ls(name, long=True)[0])
    if not cmds().ls(path, long=True, type="transform"):
        path = path.rpartition("|")[0]
    return path


def _up() -> Tuple[int, int, int]:
    return UP[str(cmds().upAxis(query=True, axis=True)).lower()]


def _locator(values: Values) -> str:
    return str(cmds().spaceLocator()[0])


def _group(values: Values) -> str:
    return str(cmds().createNode("transform", name="group1", skipSelect=True))


def _cube(values: Values) -> str:
    size = values["size"]
    return str(cmds().polyCube(width=size, height=size, depth=size)[0])


def _plane(values: Values) -> str:
    size = values["size"]
    made = cmds().polyPlane(width=size, height=size, axis=_up(), subdivisionsX=1, subdivisionsY=1)
    return str(made[0])


def _sphere(values: Values) -> str:
    return str(cmds().polySphere(radius=values["radius"], axis=_up())[0])


def _cylinder(values: Values) -> str:
    made = cmds().polyCylinder(radius=values["radius"], height=values["height"], axis=_up())
    return str(made[0])


def _cone(values: Values) -> str:
    made = cmds().polyCone(radius=values["radius"], height=values["height"], axis=_up())
    return str(made[0])


def _torus(values: Values) -> str:
    made = cmds().polyTorus(
        radius=values["radius"], sectionRadius=values["minor_radius"], axis=_up()
    )
    return str(made[0])


def _camera(values: Values) -> str:
    return str(cmds().camera(focalLength=values["focal_length"])[0])


def _light(values: Values) -> str:
    kind = LIGHTS[values["type"].lower()]
    # Not createNode: this one also links the light to what it lights.
    path = _path(cmds().shadingNode(kind, asLight=True, skipSelect=True))
    shape = shapes_of(path)[0]
    cmds().setAttr(shape + ".intensity", values["intensity"])
    cmds().setAttr(shape + ".color", *values["color"], type="double3")
    return path


_MAKERS: Dict[str, Callable[[Values], str]] = {
    "empty": _locator,
    "group": _group,
    "cube": _cube,
    "plane": _plane,
    "sphere": _sphere,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
    "camera": _camera,
    "light": _light,
}
