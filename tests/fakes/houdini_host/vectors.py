"""``hou.Vector2``, ``Vector3`` and ``Matrix4``.

Vectors are rows here: a point is multiplied by a matrix from the left, translations stand in the
last row (docstring of hou.ObjNode: "(object's transform) * (pretransform) * (parent transform)").
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterator, Optional, Tuple

from .errors import OperationFailed
from .strict import hom

__all__ = ["Matrix4", "Vector2", "Vector3"]


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
        from .transforms import explode

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
