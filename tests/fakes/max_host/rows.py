"""Arithmetic of 3ds Max's matrices: four rows of three, and row vectors from the left.

Autodesk's MAXScript Help, "Matrix3 Values": the fourth row is the translation, and ``a * b`` is
first ``a``, then ``b``. Written apart from the product's own arithmetic, which is tested with it.
"""

from __future__ import annotations

import math
from typing import List, Sequence, Tuple

__all__ = ["IDENTITY", "Rows", "apply", "box_of", "inverse", "multiply", "rotation"]

Vector = Tuple[float, float, float]
Rows = Tuple[Vector, Vector, Vector, Vector]

IDENTITY: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0))


def turned(v: Sequence[float], m: Rows) -> Vector:
    """Return a direction times a matrix."""
    x, y, z = (sum(v[i] * m[i][k] for i in range(3)) for k in range(3))
    return (x, y, z)


def apply(v: Sequence[float], m: Rows) -> Vector:
    """Return a point times a matrix."""
    x, y, z = turned(v, m)
    return (x + m[3][0], y + m[3][1], z + m[3][2])


def multiply(a: Rows, b: Rows) -> Rows:
    return (turned(a[0], b), turned(a[1], b), turned(a[2], b), apply(a[3], b))


def _cross(a: Sequence[float], b: Sequence[float]) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def determinant(m: Rows) -> float:
    return sum(m[0][k] * _cross(m[1], m[2])[k] for k in range(3))


def inverse(m: Rows) -> Rows:
    """Return the inverse; ZeroDivisionError for a matrix that flattens space."""
    whole = determinant(m)
    columns = (_cross(m[1], m[2]), _cross(m[2], m[0]), _cross(m[0], m[1]))
    rows = [tuple(columns[k][i] / whole for k in range(3)) for i in range(3)]
    back: Rows = (rows[0], rows[1], rows[2], IDENTITY[3])  # type: ignore[assignment]
    x, y, z = turned(m[3], back)
    return (back[0], back[1], back[2], (-x, -y, -z))


def rotation(axis: int, degrees: float) -> Rows:
    """Return a turn about an axis, counter-clockwise seen from its tip."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rows: List[List[float]] = [list(row) for row in IDENTITY]
    a, b = (axis + 1) % 3, (axis + 2) % 3
    rows[a][a], rows[a][b], rows[b][a], rows[b][b] = cosine, sine, -sine, cosine
    return tuple(tuple(row) for row in rows)  # type: ignore[return-value]


def box_of(low: Sequence[float], high: Sequence[float], m: Rows) -> Tuple[Vector, Vector]:
    """Return the box around a box that a matrix has moved."""
    corners = [
        apply((x, y, z), m)
        for x in (low[0], high[0])
        for y in (low[1], high[1])
        for z in (low[2], high[2])
    ]
    lows = tuple(min(c[k] for c in corners) for k in range(3))
    highs = tuple(max(c[k] for c in corners) for k in range(3))
    return lows, highs  # type: ignore[return-value]
