"""``hou.Vector2``, ``Vector3``, ``Matrix4``, ``BoundingBox``, and what ``hou.hmath`` builds.

Vectors are rows here: a point is multiplied by a matrix from the left, translations stand in the
last row (docstring of hou.ObjNode: "(object's transform) * (pretransform) * (parent transform)").
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from .errors import OperationFailed
from .strict import hom

__all__ = ["BoundingBox", "Matrix4", "Vector2", "Vector3", "hmath"]

_AXES = "xyz"
_ORDERS = ("srt", "str", "rst", "rts", "tsr", "trs")


class _Vector:
    _size = 3

    def __init__(self, *values: Any) -> None:
        if len(values) == 1:
            values = tuple(values[0])
        self._v = [float(one) for one in values] or [0.0] * self._size
        if len(self._v) != self._size:
            raise TypeError("{} numbers".format(self._size))

    def __getitem__(self, index: int) -> float:
        return self._v[index]

    def __setitem__(self, index: int, value: float) -> None:
        self._v[index] = float(value)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[float]:
        return iter(self._v)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Vector) and self._v == other._v

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple(self._v))

    def __add__(self, other: Any) -> Any:
        return type(self)([a + b for a, b in zip(self._v, other)])

    def __sub__(self, other: Any) -> Any:
        return type(self)([a - b for a, b in zip(self._v, other)])

    def __neg__(self) -> Any:
        return type(self)([-a for a in self._v])

    def __rmul__(self, scalar: float) -> Any:
        return type(self)([scalar * a for a in self._v])

    def __repr__(self) -> str:
        return "<hou.{} {}>".format(type(self).__name__, self._v)

    def x(self) -> float:
        return self._v[0]

    def y(self) -> float:
        return self._v[1]

    def length(self) -> float:
        return math.sqrt(sum(a * a for a in self._v))


@hom("Vector2")
class Vector2(_Vector):
    _size = 2


@hom("Vector3")
class Vector3(_Vector):
    def z(self) -> float:
        return self._v[2]

    def dot(self, vector3: Any) -> float:
        return sum(a * b for a, b in zip(self._v, vector3))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Matrix4):
            row = self._v + [1.0]
            found = [sum(row[k] * other.at(k, c) for k in range(4)) for c in range(4)]
            return Vector3([one / found[3] for one in found[:3]])
        return Vector3([a * other for a in self._v])


@hom("Matrix4")
class Matrix4:
    def __init__(self, values: Any = 0) -> None:
        if isinstance(values, Matrix4):
            self._m = [list(row) for row in values._m]
        elif isinstance(values, (int, float)):
            self._m = [[float(values) if r == c else 0.0 for c in range(4)] for r in range(4)]
        else:
            flat = [
                float(v) for part in values for v in (part if hasattr(part, "__len__") else [part])
            ]
            if len(flat) != 16:
                raise TypeError("16 numbers")
            self._m = [flat[4 * r : 4 * r + 4] for r in range(4)]

    def at(self, row: int, col: int) -> float:
        return self._m[row][col]

    def setAt(self, row: int, col: int, value: float) -> None:
        self._m[row][col] = float(value)

    def asTuple(self) -> Tuple[float, ...]:
        return tuple(one for row in self._m for one in row)

    def asTupleOfTuples(self) -> Tuple[Tuple[float, ...], ...]:
        return tuple(tuple(row) for row in self._m)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matrix4) and self._m == other._m

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.asTuple())

    def isAlmostEqual(self, matrix4: Matrix4, tolerance: float = 1e-05) -> bool:
        return all(abs(a - b) <= tolerance for a, b in zip(self.asTuple(), matrix4.asTuple()))

    def __mul__(self, other: Any) -> Matrix4:
        if not isinstance(other, Matrix4):
            return Matrix4([one * other for one in self.asTuple()])
        a, b = self._m, other._m
        return Matrix4(
            [[sum(a[r][k] * b[k][c] for k in range(4)) for c in range(4)] for r in range(4)]
        )

    def preMult(self, matrix4: Matrix4) -> Matrix4:
        return matrix4 * self

    def transposed(self) -> Matrix4:
        return Matrix4([list(column) for column in zip(*self._m)])

    def determinant(self) -> float:
        m = [list(row) for row in self._m]
        found = 1.0
        for c in range(4):
            pivot = max(range(c, 4), key=lambda r: abs(m[r][c]))
            if m[pivot][c] == 0.0:
                return 0.0
            if pivot != c:
                m[c], m[pivot] = m[pivot], m[c]
                found = -found
            found *= m[c][c]
            for r in range(c + 1, 4):
                factor = m[r][c] / m[c][c]
                m[r] = [x - factor * y for x, y in zip(m[r], m[c])]
        return found

    def inverted(self) -> Matrix4:
        """ "Raises hou.OperationFailed if the matrix is not invertible" (its docstring)."""
        m = [list(row) + [float(r == c) for c in range(4)] for r, row in enumerate(self._m)]
        for c in range(4):
            pivot = max(range(c, 4), key=lambda r: abs(m[r][c]))
            if abs(m[pivot][c]) < 1e-14:
                raise OperationFailed("The matrix is not invertible")
            m[c], m[pivot] = m[pivot], m[c]
            m[c] = [x / m[c][c] for x in m[c]]
            for r in range(4):
                if r != c and m[r][c]:
                    factor = m[r][c]
                    m[r] = [x - factor * y for x, y in zip(m[r], m[c])]
        return Matrix4([row[4:] for row in m])

    def explode(
        self,
        transform_order: str = "srt",
        rotate_order: str = "xyz",
        pivot: Optional[Any] = None,
        pivot_rotate: Optional[Any] = None,
    ) -> Dict[str, Vector3]:
        return explode(self, transform_order, rotate_order, pivot or Vector3(), pivot_rotate)

    def extractTranslates(
        self, transform_order: str = "srt", pivot: Any = None, pivot_rotate: Any = None
    ) -> Vector3:
        return self.explode(transform_order, "xyz", pivot, pivot_rotate)["translate"]

    def extractRotates(
        self,
        transform_order: str = "srt",
        rotate_order: str = "xyz",
        pivot: Any = None,
        pivot_rotate: Any = None,
    ) -> Vector3:
        return self.explode(transform_order, rotate_order, pivot, pivot_rotate)["rotate"]

    def extractScales(
        self, transform_order: str = "srt", pivot: Any = None, pivot_rotate: Any = None
    ) -> Vector3:
        return self.explode(transform_order, "xyz", pivot, pivot_rotate)["scale"]

    def extractShears(
        self, transform_order: str = "srt", pivot: Any = None, pivot_rotate: Any = None
    ) -> Vector3:
        return self.explode(transform_order, "xyz", pivot, pivot_rotate)["shear"]


def translation(values: Sequence[float]) -> Matrix4:
    found = Matrix4(1)
    for c in range(3):
        found.setAt(3, c, values[c])
    return found


def scaling(values: Sequence[float]) -> Matrix4:
    found = Matrix4(1)
    for c in range(3):
        found.setAt(c, c, values[c])
    return found


def shearing(values: Sequence[float]) -> Matrix4:
    """Return a shear of x by y, x by z and y by z."""
    found = Matrix4(1)
    for (row, column), value in zip(((1, 0), (2, 0), (2, 1)), values):
        found.setAt(row, column, value)
    return found


def rotation(degrees: Sequence[float], order: str = "xyz") -> Matrix4:
    found = Matrix4(1)
    for letter in order:
        axis = _AXES.index(letter)
        angle = math.radians(degrees[axis])
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = Matrix4(1)
        turn.setAt(first, first, math.cos(angle))
        turn.setAt(first, second, math.sin(angle))
        turn.setAt(second, first, -math.sin(angle))
        turn.setAt(second, second, math.cos(angle))
        found = found * turn
    return found


def build(
    values: Dict[str, Any], transform_order: str = "srt", rotate_order: str = "xyz"
) -> Matrix4:
    """As the docstring of hou.hmath.buildTransform writes it out."""
    parts = _parts(values, rotate_order)
    found = Matrix4(1)
    for letter in transform_order:
        found = found * parts[letter]
    around = _pivot(values.get("pivot"), values.get("pivot_rotate"))
    return around.inverted() * found * around


def _parts(values: Dict[str, Any], rotate_order: str) -> Dict[str, Matrix4]:
    return {
        "t": translation(values.get("translate", (0, 0, 0))),
        "r": rotation(values.get("rotate", (0, 0, 0)), rotate_order),
        "s": scaling(values.get("scale", (1, 1, 1))) * shearing(values.get("shear", (0, 0, 0))),
    }


def _pivot(place: Any, turned: Any) -> Matrix4:
    """As the docstring of hou.ObjNode.parmTransform has it."""
    return rotation(turned or (0, 0, 0)) * translation(place or (0, 0, 0))


def explode(
    matrix: Matrix4, transform_order: str, rotate_order: str, pivot: Any, pivot_rotate: Any
) -> Dict[str, Vector3]:
    if transform_order not in _ORDERS or sorted(rotate_order) != list(_AXES):
        raise OperationFailed("no such order")
    around = _pivot(pivot, pivot_rotate)
    moved = around * matrix * around.inverted()
    rows = [[moved.at(r, c) for c in range(3)] for r in range(3)]
    scaled_first = transform_order.index("s") < transform_order.index("r")
    scale, shear, axes = _rotated_last(rows) if scaled_first else _rotated_first(rows)
    if Matrix4(_full(axes)).determinant() < 0:
        scale = [-one for one in scale]
        axes = [[-one for one in row] for row in axes]
    found: Dict[str, Any] = {
        "rotate": _angles(axes, rotate_order),
        "scale": scale,
        "shear": shear,
    }
    parts = _parts(found, rotate_order)
    after = Matrix4(1)
    for letter in transform_order[transform_order.index("t") + 1 :]:
        after = after * parts[letter]
    last = Vector3([moved.at(3, c) for c in range(3)])
    found["translate"] = list(last * after.inverted())
    return {name: Vector3(value) for name, value in found.items()}


def _full(rows: List[List[float]]) -> List[List[float]]:
    return [row + [0.0] for row in rows] + [[0.0, 0.0, 0.0, 1.0]]


_Linear = Tuple[List[float], List[float], List[List[float]]]


def _orthogonal(rows: List[List[float]]) -> Tuple[Dict[Tuple[int, int], float], List[List[float]]]:
    """Return how much of each axis is in each row, and the axes, from the first row on."""

    def dot(a: List[float], b: List[float]) -> float:
        return sum(x * y for x, y in zip(a, b))

    axes: List[List[float]] = []
    leans: Dict[Tuple[int, int], float] = {}
    for number, row in enumerate(rows):
        rest = list(row)
        for before, axis in enumerate(axes):
            leans[number, before] = dot(row, axis)
            rest = [x - leans[number, before] * y for x, y in zip(rest, axis)]
        leans[number, number] = math.sqrt(dot(rest, rest))
        if leans[number, number] < 1e-12:
            raise OperationFailed("The matrix is singular")
        axes.append([x / leans[number, number] for x in rest])
    return leans, axes


def _rotated_last(rows: List[List[float]]) -> _Linear:
    """Take scale * shear * rotation apart."""
    leans, axes = _orthogonal(rows)
    scale = [leans[n, n] for n in range(3)]
    return scale, [leans[r, c] / scale[r] for r, c in ((1, 0), (2, 0), (2, 1))], axes


def _rotated_first(rows: List[List[float]]) -> _Linear:
    """Take rotation * scale * shear apart: its columns, from the last one on."""
    leans, columns = _orthogonal([list(one) for one in zip(*rows)][::-1])
    low = {(2 - before, 2 - number): value for (number, before), value in leans.items()}
    scale = [low[n, n] for n in range(3)]
    axes = [list(one) for one in zip(*columns[::-1])]
    return scale, [low[r, c] / scale[r] for r, c in ((1, 0), (2, 0), (2, 1))], axes


def _angles(axes: List[List[float]], order: str) -> List[float]:
    """Return degrees about x, y and z for turns one after the other in ``order``."""
    i, j, k = (_AXES.index(letter) for letter in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    sine = max(-1.0, min(1.0, -sign * axes[i][k]))
    found = [0.0, 0.0, 0.0]
    found[j] = math.asin(sine)
    if abs(sine) > 1 - 1e-9:
        # Gimbal lock: the first axis takes all of it.
        found[i] = math.atan2(-sign * axes[k][j], axes[j][j])
    else:
        found[i] = math.atan2(sign * axes[j][k], axes[k][k])
        found[k] = math.atan2(sign * axes[i][j], axes[i][i])
    return [math.degrees(one) for one in found]


def nearest_angles(
    wanted: Sequence[float], before: Sequence[float], order: str = "xyz"
) -> List[float]:
    """Return those angles of the same rotation that are the least way from ``before``."""

    def near(angle: float, old: float) -> float:
        return angle + 360.0 * round((old - angle) / 360.0)

    other = [one + 180.0 for one in wanted]
    middle = _AXES.index(order[1])
    other[middle] = 180.0 - wanted[middle]
    choices = [[near(a, b) for a, b in zip(one, before)] for one in (list(wanted), other)]
    return min(choices, key=lambda c: sum(abs(a - b) for a, b in zip(c, before)))


@hom("hmath")
class hmath:
    """Functions of ``hou.hmath``."""

    def identityTransform(self) -> Matrix4:
        return Matrix4(1)

    def buildTransform(
        self, values_dict: Any, transform_order: str = "srt", rotate_order: str = "xyz"
    ) -> Matrix4:
        return build(values_dict, transform_order, rotate_order)

    def buildTranslate(self, tx: Any, ty: float = 0.0, tz: float = 0.0) -> Matrix4:
        return translation(tx if hasattr(tx, "__len__") else (tx, ty, tz))

    def buildScale(self, sx: Any, sy: float = 1.0, sz: float = 1.0) -> Matrix4:
        return scaling(sx if hasattr(sx, "__len__") else (sx, sy, sz))

    def buildRotate(self, rx: Any, ry: float = 0.0, rz: float = 0.0, order: str = "xyz") -> Matrix4:
        return rotation(rx if hasattr(rx, "__len__") else (rx, ry, rz), order)


@hom("BoundingBox")
class BoundingBox:
    """A box; made of nothing it is not valid."""

    def __init__(self, *values: Any) -> None:
        if len(values) == 1:
            values = values[0]._v
        self._v: List[float] = [float(one) for one in values]

    def isValid(self) -> bool:
        return bool(self._v)

    def minvec(self) -> Vector3:
        return Vector3(self._v[:3])

    def maxvec(self) -> Vector3:
        return Vector3(self._v[3:])

    def sizevec(self) -> Vector3:
        return self.maxvec() - self.minvec()

    def center(self) -> Vector3:
        return 0.5 * (self.minvec() + self.maxvec())

    def __mul__(self, matrix4: Matrix4) -> BoundingBox:
        found = BoundingBox()
        low, high = self.minvec(), self.maxvec()
        for number in range(8):
            corner = Vector3([(high if number >> axis & 1 else low)[axis] for axis in range(3)])
            found._grow(list(corner * matrix4))
        return found

    def enlargeToContain(self, point_or_bbox: Any) -> None:
        points = [point_or_bbox]
        if isinstance(point_or_bbox, BoundingBox):
            points = [point_or_bbox._v[:3], point_or_bbox._v[3:]] if point_or_bbox._v else []
        for point in points:
            self._grow(list(point))

    def _grow(self, point: List[float]) -> None:
        if not self._v:
            self._v = point + point
            return
        self._v = [min(a, b) for a, b in zip(self._v, point)] + [
            max(a, b) for a, b in zip(self._v[3:], point)
        ]
