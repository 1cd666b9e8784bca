"""The arithmetic of transforms, in the one convention that every backend reports.

A matrix is four rows that multiply column vectors: the translation stands in the last column, and
``multiply(parent, child)`` is the child seen from the parent's space. Rotations are degrees about
X, then Y, then Z of the fixed axes, so the matrix is ``T * Rz * Ry * Rx * S``.

Pure functions; vectors are sequences of three floats, results are tuples.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Optional, Sequence, Tuple

from ..records import NamedTuple

__all__ = [
    "Given",
    "IDENTITY",
    "Matrix",
    "Parts",
    "Vector",
    "compose",
    "decompose",
    "described",
    "deviation",
    "inverse",
    "is_flat",
    "multiply",
    "overlay",
    "turn",
]

Vector = Tuple[float, float, float]
Row4 = Tuple[float, float, float, float]
Matrix = Tuple[Row4, Row4, Row4, Row4]
#: Translation, rotation and scale to be set; None: stays as it is.
Given = Tuple[Optional[Sequence[float]], Optional[Sequence[float]], Optional[Sequence[float]]]

IDENTITY: Matrix = (
    (1.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0),
    (0.0, 0.0, 1.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
)

#: Volume of a matrix's axes, as part of a box of their lengths, below which it flattens space for
#: hosts that keep numbers in single precision.
FLAT = 1e-6

#: Sine and cosine of the right angles, which ``math`` returns with a rounding error.
RIGHT_ANGLES = {0.0: (0.0, 1.0), 90.0: (1.0, 0.0), 180.0: (0.0, -1.0), 270.0: (-1.0, 0.0)}


class Parts(NamedTuple):
    """What a matrix is made of; shear has no place in it."""

    translate: Vector
    rotate: Vector
    scale: Vector


def _sine_cosine(degrees: float) -> Tuple[float, float]:
    exact = RIGHT_ANGLES.get(degrees % 360.0)
    if exact is not None:
        return exact
    angle = math.radians(math.fmod(degrees, 360.0))
    return math.sin(angle), math.cos(angle)


def compose(translate: Sequence[float], rotate: Sequence[float], scale: Sequence[float]) -> Matrix:
    """Return the matrix of a translation, a rotation in degrees and a scale."""
    sx, cx = _sine_cosine(rotate[0])
    sy, cy = _sine_cosine(rotate[1])
    sz, cz = _sine_cosine(rotate[2])
    kx, ky, kz = scale
    tx, ty, tz = translate
    return (
        (cz * cy * kx, (cz * sy * sx - sz * cx) * ky, (cz * sy * cx + sz * sx) * kz, float(tx)),
        (sz * cy * kx, (sz * sy * sx + cz * cx) * ky, (sz * sy * cx - cz * sx) * kz, float(ty)),
        (-sy * kx, cy * sx * ky, cy * cx * kz, float(tz)),
        (0.0, 0.0, 0.0, 1.0),
    )


def multiply(left: Matrix, right: Matrix) -> Matrix:
    """Return ``left * right`` of two affine matrices."""
    c0, c1, c2, c3 = zip(*right)

    def row(a: Row4) -> Row4:
        x, y, z, t = a
        return (
            x * c0[0] + y * c0[1] + z * c0[2],
            x * c1[0] + y * c1[1] + z * c1[2],
            x * c2[0] + y * c2[1] + z * c2[2],
            x * c3[0] + y * c3[1] + z * c3[2] + t,
        )

    return (row(left[0]), row(left[1]), row(left[2]), IDENTITY[3])


def determinant(matrix: Matrix) -> float:
    """Return the determinant of the upper left three by three."""
    (a, b, c, _), (d, e, f, _), (g, h, i, _), _ = matrix
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def inverse(matrix: Matrix) -> Optional[Matrix]:
    """Return the inverse of an affine matrix, None if it flattens space (a scale of zero)."""
    whole = determinant(matrix)
    if whole == 0.0 or not math.isfinite(whole) or not math.isfinite(1.0 / whole):
        return None
    (a, b, c, tx), (d, e, f, ty), (g, h, i, tz), _ = matrix
    rows = (
        ((e * i - f * h) / whole, (c * h - b * i) / whole, (b * f - c * e) / whole),
        ((f * g - d * i) / whole, (a * i - c * g) / whole, (c * d - a * f) / whole),
        ((d * h - e * g) / whole, (b * g - a * h) / whole, (a * e - b * d) / whole),
    )

    def with_shift(r: Vector) -> Row4:
        return (r[0], r[1], r[2], -(r[0] * tx + r[1] * ty + r[2] * tz))

    return (with_shift(rows[0]), with_shift(rows[1]), with_shift(rows[2]), IDENTITY[3])


def is_flat(matrix: Matrix) -> bool:
    """Return whether a matrix flattens space, or nearly, whatever its scale."""
    x, y, z, _ = zip(*matrix[:3])
    volume = _length(x) * _length(y) * _length(z)
    return volume == 0.0 or abs(determinant(matrix)) < FLAT * volume


def decompose(matrix: Matrix) -> Parts:
    """Return the parts of a matrix.

    Exact when the matrix holds no shear. Otherwise the X axis keeps its direction, Y turns square
    to it, and each scale is the length of its column. A mirrored matrix gets three negative
    scales. An axis of length zero has no direction; it gets one that completes the frame.
    """
    x, y, z, shift = zip(*matrix)
    lengths = (_length(x), _length(y), _length(z))
    sign = -1.0 if determinant(matrix) < 0.0 else 1.0
    return Parts(
        (shift[0], shift[1], shift[2]),
        _euler(*_frame(x[:3], y[:3], z[:3], sign)),
        (sign * lengths[0], sign * lengths[1], sign * lengths[2]),
    )


def overlay(parts: Parts, given: Given) -> Parts:
    """Return ``parts`` with what is given in its place."""
    return Parts(*[old if new is None else _three(new) for old, new in zip(parts, given)])


def described(parts: Parts, matrix: Matrix) -> Dict[str, Any]:
    """Return a transform as backends report it: see ``tools.backend``."""
    return {
        "translate": list(parts.translate),
        "rotate": list(parts.rotate),
        "scale": list(parts.scale),
        "matrix": [list(row) for row in matrix],
    }


def turn(rotate: Sequence[float], by: Sequence[float], own_axes: bool) -> Vector:
    """Return the rotation ``rotate`` turned by the rotation ``by``, all in degrees.

    About the axes of the space, or about the object's own. Angles themselves cannot be added:
    (0, 100, 0) and (180, 80, 180) are one rotation.
    """
    current = compose((0, 0, 0), rotate, (1, 1, 1))
    step = compose((0, 0, 0), by, (1, 1, 1))
    return decompose(multiply(current, step) if own_axes else multiply(step, current)).rotate


def deviation(wanted: Matrix, found: Sequence[Sequence[float]], columns: Sequence[int]) -> float:
    """Return how far two matrices differ in some columns, relative to their largest number."""
    pairs = [(wanted[row][column], found[row][column]) for row in range(3) for column in columns]
    size = max(max(abs(a), abs(b)) for a, b in pairs)
    return max(abs(a - b) for a, b in pairs) / max(size, 1.0)


def _three(values: Sequence[float]) -> Vector:
    x, y, z = values
    return (x, y, z)


def _length(v: Sequence[float]) -> float:
    return math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


def _unit(v: Sequence[float]) -> Optional[Vector]:
    # Scaled by the largest number first, so that tiny and huge vectors keep their direction.
    largest = max(abs(v[0]), abs(v[1]), abs(v[2]))
    if largest == 0.0:
        return None
    v = (v[0] / largest, v[1] / largest, v[2] / largest)
    length = _length(v)
    return (v[0] / length, v[1] / length, v[2] / length)


def _cross(a: Sequence[float], b: Sequence[float]) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _square(v: Optional[Vector], to: Vector) -> Optional[Vector]:
    if v is None:
        return None
    along = v[0] * to[0] + v[1] * to[1] + v[2] * to[2]
    rest = (v[0] - along * to[0], v[1] - along * to[1], v[2] - along * to[2])
    return None if _length(rest) < 1e-12 else _unit(rest)


def _perpendicular(v: Vector) -> Vector:
    # The axis least aligned with v gives the best conditioned product.
    least = min(range(3), key=lambda axis: abs(v[axis]))
    helper = (float(least == 0), float(least == 1), float(least == 2))
    found = _unit(_cross(helper, v))
    assert found is not None
    return found


def _flip(v: Optional[Vector], sign: float) -> Optional[Vector]:
    return None if v is None else (sign * v[0], sign * v[1], sign * v[2])


def _frame(
    x: Sequence[float], y: Sequence[float], z: Sequence[float], sign: float
) -> Tuple[Vector, Vector, Vector]:
    """Return three square unit axes, right-handed, as close to the columns as they allow."""
    ux, uy, uz = (_flip(_unit(v), sign) for v in (x, y, z))
    if ux is None and uy is None and uz is None:
        return (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    if ux is None:
        uy = uy if uy is not None else _perpendicular(uz if uz is not None else (0.0, 0.0, 1.0))
        uz = _square(uz, uy) or _perpendicular(uy)
        return _cross(uy, uz), uy, uz
    square_y = _square(uy, ux)
    if square_y is None:
        square_z = _square(uz, ux) or _perpendicular(ux)
        return ux, _cross(square_z, ux), square_z
    return ux, square_y, _cross(ux, square_y)


def _euler(x: Vector, y: Vector, z: Vector) -> Vector:
    # X first, and the others measured with X's turn taken out: this stays exact where Y is at a
    # right angle and X and Z turn about the same axis.
    ax = math.atan2(y[2], z[2])
    s, c = math.sin(ax), math.cos(ax)
    ay = math.atan2(-x[2], y[2] * s + z[2] * c)
    az = math.atan2(z[0] * s - y[0] * c, y[1] * c - z[1] * s)
    return (math.degrees(ax), math.degrees(ay), math.degrees(az))
