"""Transforms of Blender objects in the terms of the contract: degrees about X, Y, Z, in order.

Blender keeps location, rotation and scale in single precision, a rotation in one of nine ways,
and may put a fixed matrix, deltas or constraints between them and the parent. Where nothing stands
between, the channels are read and written as they are; elsewhere the matrix is.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Sequence

from ...errors import InvalidArgument
from ...tools import matrix as m

__all__ = ["local_of", "place_local", "place_world", "world_of"]


def world_of(item: Any) -> Dict[str, Any]:
    """Return where ``item`` is in the world, as evaluated."""
    return _described(item.matrix_world)


def local_of(item: Any) -> Dict[str, Any]:
    """Return where ``item`` is in the space of its parent."""
    if not _is_direct(item):
        return _described(item.matrix_local)
    x, y, z = (math.degrees(angle) for angle in _rotation(item))
    parts = m.Parts(tuple(item.location), (x, y, z), tuple(item.scale))
    return m.described(parts, _rows(item.matrix_basis))


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
    item.matrix_local = _joined(item.matrix_local, (translate, rotate, scale))


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
        above = _above(item)
        if m.is_flat(_rows(above)):
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
    wanted = _joined(item.matrix_world, (translate, rotate, scale))
    if _has_deltas(item):
        item.matrix_world = wanted
        return
    # Not through matrix_world: Blender loses the rotation of an object with a scale of zero.
    parts = m.decompose(_rows(above.inverted() @ wanted))
    item.location = parts.translate
    _set_rotation(item, parts.rotate)
    item.scale = parts.scale


def _above(item: Any) -> Any:
    """Return the matrix of the space that the channels of a parented object are in."""
    if item.parent_type == "OBJECT":
        return item.parent.matrix_world @ item.matrix_parent_inverse
    # Below a bone or vertices only the result tells; it does not where the object itself is flat.
    return item.matrix_world @ item.matrix_basis.inverted_safe()


def _is_direct(item: Any) -> bool:
    """Return whether the channels are the local transform: nothing stands between them."""
    import mathutils

    identity = mathutils.Matrix.Identity(4)
    return (
        (item.parent is None or item.matrix_parent_inverse == identity)
        and item.parent_type == "OBJECT"
        and not item.constraints
        and not _has_deltas(item)
    )


def _has_deltas(item: Any) -> bool:
    return (
        any(item.delta_location)
        or any(item.delta_rotation_euler)
        or any(x != 1.0 for x in item.delta_scale)
        or tuple(item.delta_rotation_quaternion) != (1.0, 0.0, 0.0, 0.0)
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


def _rows(matrix: Any) -> Any:
    return tuple(tuple(float(x) for x in row) for row in matrix)


def _described(matrix: Any) -> Dict[str, Any]:
    rows = _rows(matrix)
    return m.described(m.decompose(rows), rows)


def _joined(matrix: Any, given: m.Given) -> Any:
    """Return the matrix with the parts that are given in their places."""
    import mathutils

    return mathutils.Matrix(m.compose(*m.overlay(m.decompose(_rows(matrix)), given)))
