"""The data of new objects, made without operators: those need a context that timers lack."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Tuple

from ...errors import InvalidArgument
from ...tools.backend import COMMON_KINDS, check_params

__all__ = ["KINDS", "make_data"]

KINDS: Tuple[str, ...] = tuple(COMMON_KINDS)
_SEGMENTS = 32
_RINGS = 16
_TUBE = 12
#: Blender's own names; intensity is in watts for these, and for a sun in watts per square metre.
_LIGHTS = ("point", "sun", "spot", "area")


def make_data(kind: str, name: str, params: Dict[str, Any]) -> Any:
    """Return the datablock for an object of ``kind``, None for empties. Raises InvalidArgument."""
    values = check_params(kind, params, COMMON_KINDS[kind])
    if kind in ("empty", "group"):
        return None
    if kind == "camera":
        return _camera(name, values)
    if kind == "light":
        return _light(name, values)
    return _mesh(name, _MESHES[kind], values)


def _camera(name: str, values: Dict[str, Any]) -> Any:
    import bpy

    camera = bpy.data.cameras.new(name)
    camera.lens = values["focal_length"]
    return camera


def _light(name: str, values: Dict[str, Any]) -> Any:
    import bpy

    kind = values["type"].lower()
    if kind not in _LIGHTS:
        raise InvalidArgument(
            "A light cannot be {!r}. It can be: {}.".format(values["type"], ", ".join(_LIGHTS))
        )
    light = bpy.data.lights.new(name, kind.upper())
    light.energy = values["intensity"]
    light.color = values["color"]
    return light


def _mesh(name: str, build: Callable[[Any, Dict[str, Any]], None], values: Dict[str, Any]) -> Any:
    import bmesh
    import bpy

    mesh = bpy.data.meshes.new(name)
    shape = bmesh.new()
    try:
        build(shape, values)
        shape.to_mesh(mesh)
    finally:
        shape.free()
    return mesh


def _cube(shape: Any, values: Dict[str, Any]) -> None:
    import bmesh

    bmesh.ops.create_cube(shape, size=values["size"])


def _plane(shape: Any, values: Dict[str, Any]) -> None:
    half = values["size"] / 2
    corners = ((-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0))
    shape.faces.new([shape.verts.new(corner) for corner in corners])


def _sphere(shape: Any, values: Dict[str, Any]) -> None:
    _revolve(
        shape,
        [
            (
                values["radius"] * math.sin(math.pi * ring / _RINGS),
                values["radius"] * math.cos(math.pi * ring / _RINGS),
            )
            for ring in range(_RINGS + 1)
        ],
    )


def _cylinder(shape: Any, values: Dict[str, Any]) -> None:
    radius, half = values["radius"], values["height"] / 2
    _revolve(shape, [(0.0, half), (radius, half), (radius, -half), (0.0, -half)])


def _cone(shape: Any, values: Dict[str, Any]) -> None:
    half = values["height"] / 2
    _revolve(shape, [(0.0, half), (values["radius"], -half), (0.0, -half)])


def _torus(shape: Any, values: Dict[str, Any]) -> None:
    major, minor = values["radius"], values["minor_radius"]
    angles = [2 * math.pi * step / _TUBE for step in range(_TUBE)]
    profile = [(major + minor * math.cos(a), -minor * math.sin(a)) for a in angles]
    _revolve(shape, profile, closed=True)


def _revolve(shape: Any, profile: List[Tuple[float, float]], closed: bool = False) -> None:
    """Turn (distance from the axis, height) points about Z and skin them.

    ``bmesh`` has such makers too, but their parameters changed their meaning in Blender 3.0.
    """
    rings = []
    for distance, height in profile:
        if distance < 1e-9:
            rings.append([shape.verts.new((0.0, 0.0, height))])
            continue
        ring = []
        for step in range(_SEGMENTS):
            angle = 2 * math.pi * step / _SEGMENTS
            place = (distance * math.cos(angle), distance * math.sin(angle), height)
            ring.append(shape.verts.new(place))
        rings.append(ring)
    pairs = list(zip(rings, rings[1:] + (rings[:1] if closed else [])))
    for upper, lower in pairs:
        for step in range(_SEGMENTS):
            after = (step + 1) % _SEGMENTS
            # A pole has one vertex: its faces are triangles.
            corners = [upper[step % len(upper)], lower[step % len(lower)]]
            if len(lower) > 1:
                corners.append(lower[after])
            if len(upper) > 1:
                corners.append(upper[after])
            if len(corners) > 2:
                shape.faces.new(corners)


_MESHES: Dict[str, Callable[[Any, Dict[str, Any]], None]] = {
    "cube": _cube,
    "plane": _plane,
    "sphere": _sphere,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
}
