"""Transforms of Blender objects in the terms of the contract: degrees about X, Y, Z, in order.

Blender keeps location, rotation and scale in single precision, a rotation in one of nine ways,
and may put a fixed matrix, deltas or constraints between them and the parent. Where nothing stands
between, the channels are read and written as they are; elsewhere the matrix is.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Sequence

from ...errors import InvalidArgument

__all__ = ["local_of", "place_local", "place_world", "shape", "world_of"]


def shape(translate: Any, rotate: Any, scale: Any, matrix: Any) -> Dict[str, Any]:
    """Return a transform of the contract."""
    return {
        "translate": [float(x) for x in translate],
        "rotate": [math.degrees(x) for x in rotate],
        "scale": [float(x) for x in scale],
        "matrix": [[float(x) for x in row] for row in matrix],
    }


def world_of(item: Any) -> Dict[str, Any]:
    """Return where ``item`` is in the world, as evaluated."""
    return _split(item.matrix_world)


def local_of(item: Any) -> Dict[str, Any]:
    """Return where ``item`` is in the space of its parent."""
    if not _is_direct(item):
        return _split(item.matrix_local)
    rotate = _rotation(item)
    return shape(item.location, rotate, item.scale, item.matrix_basis)


def place_local(
    item: Any,
    translate: Optional[Sequence[float]],
    rotate: Optional[Sequence[float]],
    scale: Optional[Sequence[float]],
) -> None:
    """Set parts of the transform in the space of the parent."""
    if _is_direct(item):
        if translate is not None:
            item.location = translate
        if rotate is not None:
            _set_rotation(item, rotate)
        if scale is not None:
            item.scale = scale
        return
    item.matrix_local = _join(_split(item.matrix_local), translate, rotate, scale)


def place_world(
    item: Any,
    translate: Optional[Sequence[float]],
    rotate: Optional[Sequence[float]],
    scale: Optional[Sequence[float]],
) -> None:
    """Set parts of the transform in the world. Raises InvalidArgument below a flattened parent."""
    import mathutils

    above = mathutils.Matrix.Identity(4)
    if item.parent is not None:
        above = item.matrix_world @ item.matrix_basis.inverted_safe()
        if abs(above.to_3x3().determinant()) < 1e-12:
            raise InvalidArgument(
                "The parent of {!r} flattens space; world values cannot be met below it.".format(
                    item.name
                ),
                hint="Pass space='local', or give the parent a scale without zeros.",
            )
    if rotate is None and scale is None:
        # Rotation and scale stay as they are, to the bit.
        if translate is not None:
            place = above.inverted() @ mathutils.Vector(translate)
            item.location = place - mathutils.Vector(item.delta_location)
        return
    item.matrix_world = _join(_split(item.matrix_world), translate, rotate, scale)


def _is_direct(item: Any) -> bool:
    """Return whether the channels are the local transform: nothing stands between them."""
    import mathutils

    identity = mathutils.Matrix.Identity(4)
    return (
        (item.parent is None or item.matrix_parent_inverse == identity)
        and item.parent_type == "OBJECT"
        and not item.constraints
        and not any(item.delta_location)
        and not any(item.delta_rotation_euler)
        and all(x == 1.0 for x in item.delta_scale)
        and tuple(item.delta_rotation_quaternion) == (1.0, 0.0, 0.0, 0.0)
    )


def _rotation(item: Any) -> List[float]:
    if item.rotation_mode == "XYZ":
        return list(item.rotation_euler)
    if item.rotation_mode == "QUATERNION":
        return list(item.rotation_quaternion.to_euler("XYZ"))
    return list(item.matrix_basis.to_euler("XYZ"))


def _set_rotation(item: Any, degrees: Sequence[float]) -> None:
    import mathutils

    euler = mathutils.Euler([math.radians(x) for x in degrees], "XYZ")
    mode = item.rotation_mode
    if mode == "XYZ":
        item.rotation_euler = euler
    elif mode == "QUATERNION":
        item.rotation_quaternion = euler.to_quaternion()
    elif mode == "AXIS_ANGLE":
        axis, angle = euler.to_quaternion().to_axis_angle()
        item.rotation_axis_angle = (angle, *axis)
    else:
        item.rotation_euler = euler.to_matrix().to_euler(mode)


def _split(matrix: Any) -> Dict[str, Any]:
    translate, turn, scale = matrix.decompose()
    return shape(translate, turn.to_euler("XYZ"), scale, matrix)


def _join(
    now: Dict[str, Any],
    translate: Optional[Sequence[float]],
    rotate: Optional[Sequence[float]],
    scale: Optional[Sequence[float]],
) -> Any:
    import mathutils

    place = now["translate"] if translate is None else translate
    turn = now["rotate"] if rotate is None else rotate
    size = now["scale"] if scale is None else scale
    matrix = mathutils.Euler([math.radians(x) for x in turn], "XYZ").to_matrix().to_4x4()
    for column, factor in enumerate(size):
        for row in range(3):
            matrix[row][column] *= factor
    matrix.translation = place
    return matrix
