"""The classes of 3ds Max: what their objects take, and where their geometry is.

Boxes, cylinders and cones stand on their pivot; spheres, tori and planes are about it (Autodesk's
help on each primitive: the height is measured from the base, at which the pivot is).
"""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

__all__ = ["CLASSES", "MaxClass"]

Params = Dict[str, Any]
Box = Tuple[Tuple[float, float, float], Tuple[float, float, float]]


class MaxClass(NamedTuple):
    """One class, whose name has its own case and is found in any."""

    name: str
    superclass: str
    params: Params
    bounds: Optional[Callable[[Params], Box]] = None


def _box(p: Params) -> Box:
    x, y, z = p["width"] / 2, p["length"] / 2, p["height"]
    return ((-x, -y, min(z, 0.0)), (x, y, max(z, 0.0)))


def _ball(p: Params) -> Box:
    r = p["radius"]
    return ((-r, -r, -r), (r, r, r))


def _plane(p: Params) -> Box:
    return ((-p["width"] / 2, -p["length"] / 2, 0.0), (p["width"] / 2, p["length"] / 2, 0.0))


def _round(p: Params) -> Box:
    r = p["radius"] if "radius" in p else max(p["radius1"], p["radius2"])
    return ((-r, -r, min(p["height"], 0.0)), (r, r, max(p["height"], 0.0)))


def _torus(p: Params) -> Box:
    r, around = p["radius1"] + p["radius2"], p["radius2"]
    return ((-r, -r, -around), (r, r, around))


_ROUND = {"height": 25.0, "heightsegs": 1, "capsegs": 1, "sides": 24, "smooth": True}
_LIGHT = {"multiplier": 1.0, "rgb": (255.0, 255.0, 255.0), "enabled": True, "castshadows": False}

_ALL = (
    MaxClass(
        "Box",
        "GeometryClass",
        {
            "length": 25.0,
            "width": 25.0,
            "height": 25.0,
            "lengthsegs": 1,
            "widthsegs": 1,
            "heightsegs": 1,
            "mapcoords": True,
        },
        _box,
    ),
    MaxClass(
        "Sphere",
        "GeometryClass",
        {"radius": 25.0, "segs": 32, "smooth": True, "slice": False},
        _ball,
    ),
    MaxClass(
        "Plane",
        "GeometryClass",
        {"length": 25.0, "width": 25.0, "lengthsegs": 4, "widthsegs": 4},
        _plane,
    ),
    MaxClass("Cylinder", "GeometryClass", dict(_ROUND, radius=25.0), _round),
    MaxClass("Cone", "GeometryClass", dict(_ROUND, radius1=15.0, radius2=0.0), _round),
    MaxClass(
        "Torus",
        "GeometryClass",
        {"radius1": 25.0, "radius2": 10.0, "segs": 24, "sides": 12},
        _torus,
    ),
    # What a camera looks at: geometry only by its class.
    MaxClass("Targetobject", "GeometryClass", {}),
    MaxClass("Point", "helper", {"size": 20.0, "cross": True, "box": False}),
    MaxClass("Dummy", "helper", {"boxsize": (10.0, 10.0, 10.0)}),
    MaxClass("Freecamera", "camera", {"fov": 45.0, "targetdistance": 160.0}),
    MaxClass("Omnilight", "light", _LIGHT),
    MaxClass("Directionallight", "light", dict(_LIGHT, hotspot=100.0, falloff=102.0)),
    MaxClass("freeSpot", "light", dict(_LIGHT, hotspot=43.0, falloff=45.0)),
    MaxClass("Standardmaterial", "material", {"opacity": 100.0, "diffusemap": None}),
    MaxClass("Bitmaptexture", "textureMap", {"filename": ""}),
    MaxClass("Bend", "modifier", {"bendangle": 0.0}),
)

#: Lower-case name -> class.
CLASSES: Dict[str, MaxClass] = {one.name.lower(): one for one in _ALL}
