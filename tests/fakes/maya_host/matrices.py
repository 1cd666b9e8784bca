"""The arithmetic of Maya's transform nodes.

Autodesk's page of the node ``transform``: "matrices are post-multiplied in Maya", p' = p * wm, so a
point is a row and the translation is the last row; matrix = SP * S * SH * SP * ST * RP * RA * R *
RP * RT * T, R in the order that rotateOrder names; of a joint R is followed by its jointOrient.
RA and the orientation of a joint turn about X, then Y, then Z.
"""

from __future__ import annotations

import math
from typing import Any, List, Optional, Sequence, Tuple

__all__ = [
    "ORDERS",
    "compose",
    "decompose",
    "euler",
    "identity",
    "inverse",
    "multiply",
    "point",
    "product",
    "rotation",
]

Matrix = List[List[float]]

#: What ``rotateOrder`` is: the enum's order, and the axes as they are applied.
ORDERS = ("xyz", "yzx", "zxy", "xzy", "yxz", "zyx")


def identity() -> Matrix:
    return [[1.0 if row == column else 0.0 for column in range(4)] for row in range(4)]


def multiply(a: Matrix, b: Matrix) -> Matrix:
    return [[sum(a[i][k] * b[k][j] for k in range(4)) for j in range(4)] for i in range(4)]


def point(matrix: Matrix, at: Sequence[float]) -> Tuple[float, ...]:
    x, y, z = at
    return tuple(
        x * matrix[0][j] + y * matrix[1][j] + z * matrix[2][j] + matrix[3][j] for j in range(3)
    )


def axis(name: str, degrees: float) -> Matrix:
    turned = identity()
    # Exact where a right angle is meant, as a host's own double arithmetic nearly is.
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[name]
    turned[i][i] = turned[j][j] = c
    turned[i][j], turned[j][i] = s, -s
    return turned


def rotation(rotate: Sequence[float], order: str) -> Matrix:
    turned = identity()
    for name in order:
        turned = multiply(turned, axis(name, rotate["xyz".index(name)]))
    return turned


def moved(by: Sequence[float]) -> Matrix:
    matrix = identity()
    matrix[3][:3] = [float(value) for value in by]
    return matrix


def product(*factors: Matrix) -> Matrix:
    matrix = identity()
    for one in factors:
        matrix = multiply(matrix, one)
    return matrix


def negative(values: Sequence[float]) -> List[float]:
    return [-one for one in values]


def compose(
    translate: Sequence[float],
    rotate: Sequence[float],
    scale: Sequence[float],
    shear: Sequence[float],
    order: str,
    pivots: Sequence[Sequence[float]] = ((0.0,) * 3,) * 2,
    turns: Sequence[Sequence[float]] = ((0.0,) * 3,) * 2,
) -> Matrix:
    """Return the matrix; ``pivots`` of scale and rotation, ``turns`` before and after R."""
    scaled, sheared = identity(), identity()
    for k in range(3):
        scaled[k][k] = scale[k]
    # SH = | 1; shxy 1; shxz shyz 1 |
    sheared[1][0], sheared[2][0], sheared[2][1] = shear
    sp, rp = pivots
    return product(
        moved(negative(sp)),
        scaled,
        sheared,
        moved(sp),
        moved(negative(rp)),
        rotation(turns[0], "xyz"),
        rotation(rotate, order),
        rotation(turns[1], "xyz"),
        moved(rp),
        moved(translate),
    )


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b))


def _less(a: Sequence[float], b: Sequence[float], factor: float) -> List[float]:
    return [x - factor * y for x, y in zip(a, b)]


def decompose(matrix: Matrix, order: str) -> Tuple[Any, Any, Any, Any]:
    """Return (translate, rotate, scale, shear) that compose to ``matrix``."""
    x, y, z = ([float(value) for value in matrix[k][:3]] for k in range(3))
    sx = math.sqrt(_dot(x, x)) or 1e-12
    x = [value / sx for value in x]
    shxy = _dot(x, y)
    y = _less(y, x, shxy)
    sy = math.sqrt(_dot(y, y)) or 1e-12
    y = [value / sy for value in y]
    shxz = _dot(x, z)
    z = _less(z, x, shxz)
    shyz = _dot(y, z)
    z = _less(z, y, shyz)
    sz = math.sqrt(_dot(z, z)) or 1e-12
    z = [value / sz for value in z]
    shear = [shxy / sy, shxz / sz, shyz / sz]
    cross = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]]
    if _dot(cross, z) < 0:
        # A mirror: Maya puts it into the scale of all three.
        x, y, z = ([-value for value in one] for one in (x, y, z))
        sx, sy, sz = -sx, -sy, -sz
    return list(matrix[3][:3]), euler([x, y, z], order), [sx, sy, sz], shear


def euler(rows: Sequence[Sequence[float]], order: str) -> List[float]:
    """Return the angles, in degrees about X, Y and Z, of a pure rotation in this order."""
    i, j, k = ("xyz".index(name) for name in order)
    # +1 for the cyclic orders, -1 for the others.
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    angles = [0.0, 0.0, 0.0]
    sine = max(-1.0, min(1.0, -sign * rows[i][k]))
    angles[j] = math.asin(sine)
    if abs(sine) < 1.0 - 1e-9:
        angles[i] = math.atan2(sign * rows[j][k], rows[k][k])
        angles[k] = math.atan2(sign * rows[i][j], rows[i][i])
    else:
        # Two of the axes fall together: the last one stays at nought.
        angles[i] = math.atan2(-sign * rows[k][j], rows[j][j])
    return [math.degrees(value) for value in angles]


def inverse(matrix: Matrix) -> Optional[Matrix]:
    """Return the inverse by elimination, None if there is none."""
    size = 4
    rows = [list(matrix[r]) + identity()[r] for r in range(size)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda r: abs(rows[r][column]))
        if abs(rows[pivot][column]) < 1e-14:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        factor = rows[column][column]
        rows[column] = [value / factor for value in rows[column]]
        for r in range(size):
            if r != column:
                rows[r] = _less(rows[r], rows[column], rows[r][column])
    return [row[size:] for row in rows]
