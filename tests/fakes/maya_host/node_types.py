"""The node types of the fake: what they inherit, their attributes, what bounds a shape.

Names and defaults are those of Autodesk's "Nodes" reference (the pages of transform, camera,
pointLight, polyCube and so on).
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

__all__ = ["TYPES", "Attribute", "attributes", "bounds", "inherited", "is_a", "own"]


class Attribute(NamedTuple):
    name: str
    short: str
    #: As ``getAttr(type=True)`` says it.
    kind: str
    default: Any
    keyable: bool = False
    #: The short and long names of the parts of a compound.
    parts: Tuple[str, ...] = ()


class NodeType(NamedTuple):
    parent: Optional[str]
    attributes: Tuple[Attribute, ...] = ()


def _lengths(*pairs: Tuple[str, str, float]) -> Tuple[Attribute, ...]:
    return tuple(
        Attribute(name, short, "doubleLinear", value, True) for name, short, value in pairs
    )


def _xyz(name: str, short: str, kind: str, default: float, keyable: bool = True) -> Attribute:
    parts = tuple(name + one for one in "XYZ")
    return Attribute(name, short, kind + "3", [default] * 3, keyable, parts)


def _rgb(name: str, short: str, value: float) -> Attribute:
    return Attribute(name, short, "float3", [value] * 3, True, tuple(name + one for one in "RGB"))


def _numbers(*pairs: Tuple[str, str, float]) -> Tuple[Attribute, ...]:
    return tuple(Attribute(name, short, "double", value, True) for name, short, value in pairs)


def _switch(name: str, short: str, value: bool, keyable: bool = False) -> Attribute:
    return Attribute(name, short, "bool", value, keyable)


_LIGHT = (_rgb("color", "cl", 1.0), *_numbers(("intensity", "in", 1.0)))

TYPES: Dict[str, NodeType] = {
    "node": NodeType(
        None,
        (
            Attribute("caching", "cch", "bool", False),
            Attribute("nodeState", "nds", "enum", 0),
            Attribute("isHistoricallyInteresting", "ihi", "byte", 2),
        ),
    ),
    "dagNode": NodeType(
        "node",
        (
            _switch("visibility", "v", True, keyable=True),
            _switch("intermediateObject", "io", False),
            _switch("lodVisibility", "lodv", True),
            _switch("overrideEnabled", "ove", False),
            _switch("overrideVisibility", "ovv", True),
            _switch("template", "tmp", False),
        ),
    ),
    "transform": NodeType(
        "dagNode",
        (
            _xyz("translate", "t", "doubleLinear", 0.0),
            _xyz("rotate", "r", "doubleAngle", 0.0),
            _xyz("scale", "s", "double", 1.0),
            Attribute(
                "shear", "sh", "double3", [0.0] * 3, False, ("shearXY", "shearXZ", "shearYZ")
            ),
            Attribute("rotateOrder", "ro", "enum", 0),
            _xyz("rotateAxis", "ra", "doubleAngle", 0.0, keyable=False),
            _xyz("rotatePivot", "rp", "doubleLinear", 0.0, keyable=False),
            _xyz("scalePivot", "sp", "doubleLinear", 0.0, keyable=False),
            _switch("inheritsTransform", "it", True),
            Attribute(
                "offsetParentMatrix", "opm", "matrix", [float(n % 5 == 0) for n in range(16)]
            ),
        ),
    ),
    "joint": NodeType("transform", (_xyz("jointOrient", "jo", "doubleAngle", 0.0, False),)),
    "shape": NodeType("dagNode"),
    "geometryShape": NodeType("shape"),
    "deformableShape": NodeType("geometryShape"),
    "controlPoint": NodeType("deformableShape"),
    "mesh": NodeType("controlPoint"),
    "nurbsCurve": NodeType("controlPoint"),
    "imagePlane": NodeType("shape", (Attribute("imageName", "imn", "string", ""),)),
    "locator": NodeType(
        "geometryShape",
        (
            _xyz("localPosition", "lp", "doubleLinear", 0.0),
            _xyz("localScale", "los", "double", 1.0),
        ),
    ),
    "camera": NodeType(
        "shape",
        (
            *_numbers(("focalLength", "fl", 35.0), ("nearClipPlane", "ncp", 0.1)),
            *_numbers(("farClipPlane", "fcp", 10000.0), ("horizontalFilmAperture", "hfa", 1.4173)),
            _switch("renderable", "rnd", True),
            _switch("orthographic", "o", False),
        ),
    ),
    "light": NodeType("shape", _LIGHT),
    "pointLight": NodeType("light"),
    "directionalLight": NodeType("light"),
    "areaLight": NodeType("light"),
    "ambientLight": NodeType("light"),
    "spotLight": NodeType(
        "light", _numbers(("coneAngle", "ca", 40.0), ("penumbraAngle", "pa", 0.0))
    ),
    "polyPrimitive": NodeType("node", (_xyz("axis", "ax", "double", 0.0, keyable=False),)),
    "polyCube": NodeType(
        "polyPrimitive", _lengths(("width", "w", 1), ("height", "h", 1), ("depth", "d", 1))
    ),
    "polySphere": NodeType("polyPrimitive", _lengths(("radius", "r", 1))),
    "polyPlane": NodeType("polyPrimitive", _lengths(("width", "w", 1), ("height", "h", 1))),
    "polyCylinder": NodeType("polyPrimitive", _lengths(("radius", "r", 1), ("height", "h", 2))),
    "polyCone": NodeType("polyPrimitive", _lengths(("radius", "r", 1), ("height", "h", 2))),
    "polyTorus": NodeType(
        "polyPrimitive", _lengths(("radius", "r", 1), ("sectionRadius", "sr", 0.5))
    ),
    "lambert": NodeType("node", (_rgb("color", "c", 0.5), _rgb("transparency", "it", 0.0))),
    "standardSurface": NodeType("node", (_rgb("baseColor", "bc", 0.8),)),
    "entity": NodeType("node"),
    "objectSet": NodeType("entity"),
    "shadingEngine": NodeType("objectSet"),
    "file": NodeType("node", (Attribute("fileTextureName", "ftn", "string", ""),)),
    "reference": NodeType("node"),
    "unknown": NodeType("node"),
    "audio": NodeType("node", (Attribute("filename", "f", "string", ""),)),
    "cacheFile": NodeType(
        "node",
        (Attribute("cachePath", "cp", "string", ""), Attribute("cacheName", "cn", "string", "")),
    ),
    "displayLayer": NodeType("node", (_switch("visibility", "v", True),)),
    "animCurve": NodeType("node"),
    "animCurveTL": NodeType("animCurve"),
    "animCurveTA": NodeType("animCurve"),
    "animCurveTU": NodeType("animCurve"),
    "time": NodeType("node", _numbers(("outTime", "o", 1.0))),
    "renderGlobals": NodeType(
        "node", (Attribute("currentRenderer", "ren", "string", "mayaSoftware"),)
    ),
    "resolution": NodeType(
        "node", (Attribute("width", "w", "long", 960), Attribute("height", "h", "long", 540))
    ),
}

_found: Dict[str, Dict[str, Attribute]] = {}


def inherited(kind: str) -> List[str]:
    """Return the chain of a type, the most general first, itself last."""
    chain: List[str] = []
    at: Optional[str] = kind
    while at is not None:
        chain.insert(0, at)
        at = TYPES[at].parent
    return chain


def is_a(kind: str, other: str) -> bool:
    return other in inherited(kind)


def attributes(kind: str) -> Dict[str, Attribute]:
    """Return the attributes of a type by their long and their short names."""
    if kind not in _found:
        table: Dict[str, Attribute] = {}
        for one in (a for name in inherited(kind) for a in TYPES[name].attributes):
            table[one.name] = table[one.short] = one
        _found[kind] = table
    return _found[kind]


def own(kind: str) -> List[Attribute]:
    """Return the attributes of a type, each once."""
    return [one for name, one in attributes(kind).items() if name == one.name]


def _box(x: float, y: float, z: float) -> Tuple[List[float], List[float]]:
    return [-x, -y, -z], [x, y, z]


#: What a shape of a polygon primitive is bounded by; they stand along their axis, Y here.
_PRIMITIVES: Dict[str, Callable[[Dict[str, Any]], Tuple[List[float], List[float]]]] = {
    "polyCube": lambda a: _box(a["width"] / 2, a["height"] / 2, a["depth"] / 2),
    "polySphere": lambda a: _box(a["radius"], a["radius"], a["radius"]),
    "polyPlane": lambda a: _box(a["width"] / 2, 0.0, a["height"] / 2),
    "polyCylinder": lambda a: _box(a["radius"], a["height"] / 2, a["radius"]),
    "polyCone": lambda a: _box(a["radius"], a["height"] / 2, a["radius"]),
    "polyTorus": lambda a: _box(
        a["radius"] + a["sectionRadius"], a["sectionRadius"], a["radius"] + a["sectionRadius"]
    ),
}


def bounds(kind: str, values: Dict[str, Any]) -> Tuple[List[float], List[float]]:
    """Return the corners of what a shape draws, in its own space; of ``kind`` or what made it."""
    if kind in _PRIMITIVES:
        low, high = _PRIMITIVES[kind](values)
        if values.get("axis") == [0.0, 0.0, 1.0]:
            low, high = ([v[0], v[2], v[1]] for v in (low, high))
        elif values.get("axis") == [1.0, 0.0, 0.0]:
            low, high = ([v[1], v[0], v[2]] for v in (low, high))
        return low, high
    # What a locator, a light or a camera draws of itself also counts for Maya's boxes.
    return _box(1.0, 1.0, 1.0)
