"""The geometry of the standalone scene: kinds, their params, and exact bounding boxes.

A solid is known by its support function: how far it reaches in a direction, in its own space. An
affine matrix M moves the reach of direction d to the reach of ``transpose(M) * d``, so the box of
a turned, scaled or sheared solid is exact, with no mesh at all.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ...tools.backend import COMMON_KINDS
from ...tools.matrix import Matrix

__all__ = ["KINDS", "bounds", "union"]

Box = Tuple[Tuple[float, float, float], Tuple[float, float, float]]

#: Kind -> the params it takes and their defaults. Y is up.
KINDS: Dict[str, Dict[str, Any]] = COMMON_KINDS


def _cube(p: Dict[str, Any], x: float, y: float, z: float) -> float:
    return float(p["size"]) / 2 * (abs(x) + abs(y) + abs(z))


def _sphere(p: Dict[str, Any], x: float, y: float, z: float) -> float:
    return float(p["radius"]) * math.sqrt(x * x + y * y + z * z)


def _plane(p: Dict[str, Any], x: float, y: float, z: float) -> float:
    return float(p["size"]) / 2 * (abs(x) + abs(z))


def _cylinder(p: Dict[str, Any], x: float, y: float, z: float) -> float:
    return float(p["height"]) / 2 * abs(y) + float(p["radius"]) * math.hypot(x, z)


def _cone(p: Dict[str, Any], x: float, y: float, z: float) -> float:
    half = float(p["height"]) / 2 * y
    return max(half, float(p["radius"]) * math.hypot(x, z) - half)


def _torus(p: Dict[str, Any], x: float, y: float, z: float) -> float:
    around = float(p["radius"]) * math.hypot(x, z)
    return around + float(p["minor_radius"]) * math.sqrt(x * x + y * y + z * z)


#: Kind -> how far it reaches in a direction (x, y, z); a kind without geometry is not here.
SUPPORT: Dict[str, Callable[[Dict[str, Any], float, float, float], float]] = {
    "cube": _cube,
    "sphere": _sphere,
    "plane": _plane,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
}


def bounds(kind: str, params: Dict[str, Any], world: Matrix) -> Optional[Box]:
    """Return the world box of one object, None if its kind has no geometry."""
    reach = SUPPORT.get(kind)
    if reach is None:
        return None
    low: List[float] = []
    high: List[float] = []
    for x, y, z, shift in world[:3]:
        low.append(shift - reach(params, -x, -y, -z))
        high.append(shift + reach(params, x, y, z))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def union(boxes: Sequence[Box]) -> Optional[Box]:
    """Return the box around all ``boxes``, None around nothing."""
    if not boxes:
        return None
    lows, highs = [box[0] for box in boxes], [box[1] for box in boxes]
    low = tuple(min(axis) for axis in zip(*lows))
    high = tuple(max(axis) for axis in zip(*highs))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
