"""Matrices put together and taken apart in each order, and ``hou.hmath``, which does that."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Sequence, Tuple

from .errors import OperationFailed
from .strict import hom
from .vectors import Matrix4, Vector3

__all__ = ["build", "explode", "hmath", "nearest_angles", "rotation", "scaling", "translation"]

_AXES = "xyz"
_ORDERS = ("srt", "str", "rst", "rts", "tsr", "trs")


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
