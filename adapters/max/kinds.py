"""New nodes of every kind that the tool has."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from ...errors import InvalidArgument
from ...tools.backend import COMMON_KINDS, check_params

__all__ = ["KINDS", "make"]

KINDS: Tuple[str, ...] = tuple(COMMON_KINDS)

Values = Dict[str, Any]

#: What a light can be -> its class.
_LIGHTS = {"point": "OmniLight", "sun": "DirectionalLight", "spot": "FreeSpot"}


def make(rt: Any, kind: str, params: Values, named: Dict[str, str]) -> Any:
    """Return a new node at the origin. Raises InvalidArgument before anything is made.

    ``named`` goes to its constructor; where it has no name 3ds Max gives one.
    """
    values = check_params(kind, params, COMMON_KINDS[kind])
    return _MAKERS[kind](rt, values, named)


def _empty(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    return rt.Point(**named)


def _group(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    # Not one of its own groups: those are made of what they hold, and a click on a member selects
    # the whole of them.
    return rt.Dummy(**named)


def _cube(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    size = values["size"]
    return _centred(rt, rt.Box(width=size, length=size, height=size, **named), size)


def _sphere(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    return rt.Sphere(radius=values["radius"], **named)


def _plane(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    return rt.Plane(width=values["size"], length=values["size"], **named)


def _cylinder(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    height = values["height"]
    return _centred(rt, rt.Cylinder(radius=values["radius"], height=height, **named), height)


def _cone(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    height = values["height"]
    node = rt.Cone(radius1=values["radius"], radius2=0.0, height=height, **named)
    return _centred(rt, node, height)


def _torus(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    return rt.Torus(radius1=values["radius"], radius2=values["minor_radius"], **named)


def _camera(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    return rt.FreeCamera(fov=rt.cameraFOV.MMtoFOV(values["focal_length"]), **named)


def _light(rt: Any, values: Values, named: Dict[str, str]) -> Any:
    kind = _LIGHTS.get(values["type"].lower())
    if kind is None:
        raise InvalidArgument(
            "A light cannot be {!r}. It can be: {}.".format(values["type"], ", ".join(_LIGHTS))
        )
    color = rt.Color(*[part * 255.0 for part in values["color"]])
    return getattr(rt, kind)(multiplier=values["intensity"], rgb=color, **named)


def _centred(rt: Any, node: Any, height: float) -> Any:
    """Put the middle of a solid that stands on its base to where the node is."""
    node.objectOffsetPos = rt.Point3(0.0, 0.0, -height / 2)
    return node


_MAKERS: Dict[str, Callable[[Any, Values, Dict[str, str]], Any]] = {
    "empty": _empty,
    "group": _group,
    "cube": _cube,
    "sphere": _sphere,
    "plane": _plane,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
    "camera": _camera,
    "light": _light,
}
