"""Transforms of nodes in the terms of the contract: degrees about X, Y, Z, in order.

A node of 3ds Max tells and takes its place in the world, as a matrix of row vectors; what it is
below its parent follows from both. (``in coordsys``, by which MAXScript asks for that, does not
exist in pymxs.) Its numbers are of single precision.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

from ...errors import HostError, InvalidArgument
from ...tools import matrix as m

__all__ = ["local_of", "place_local", "place_world", "world_of"]


def world_of(node: Any) -> Dict[str, Any]:
    """Return where ``node`` is in the world."""
    return _described(_matrix(node))


def local_of(node: Any) -> Dict[str, Any]:
    """Return where ``node`` is in the space of its parent. Raises HostError below a flat one."""
    return _described(_local(node))


def place_local(
    rt: Any,
    node: Any,
    translate: Optional[Sequence[float]],
    rotate: Optional[Sequence[float]],
    scale: Optional[Sequence[float]],
) -> None:
    """Set parts of the transform in the space of the parent."""
    above = m.IDENTITY if node.parent is None else _matrix(node.parent)
    if rotate is None and scale is None:
        if translate is not None:
            shift = m.multiply(above, m.compose(translate, (0, 0, 0), (1, 1, 1)))
            _move(rt, node, [row[3] for row in shift[:3]])
        return
    wanted = m.overlay(m.decompose(_local(node)), (translate, rotate, scale))
    node.transform = _matrix3(rt, m.multiply(above, m.compose(*wanted)))


def place_world(
    rt: Any,
    node: Any,
    translate: Optional[Sequence[float]],
    rotate: Optional[Sequence[float]],
    scale: Optional[Sequence[float]],
) -> None:
    """Set parts of the transform in the world. Raises InvalidArgument below a flat parent."""
    if node.parent is not None and _inward(node.parent) is None:
        raise InvalidArgument(
            "The parent of '{}' flattens space; world values cannot be met below it.".format(
                node.name
            ),
            hint="Give the parent a scale without zeros.",
        )
    if rotate is None and scale is None:
        # Rotation and scale stay as they are, to the bit.
        if translate is not None:
            _move(rt, node, translate)
        return
    wanted = m.overlay(m.decompose(_matrix(node)), (translate, rotate, scale))
    node.transform = _matrix3(rt, m.compose(*wanted))


def _move(rt: Any, node: Any, place: Sequence[float]) -> None:
    node.pos = rt.Point3(*[float(x) for x in place])


def _matrix(node: Any) -> m.Matrix:
    """Return a node's place in the world as a matrix for column vectors."""
    found = node.transform
    x, y, z, t = [
        (float(row.x), float(row.y), float(row.z))
        for row in (found.row1, found.row2, found.row3, found.row4)
    ]
    return (
        (x[0], y[0], z[0], t[0]),
        (x[1], y[1], z[1], t[1]),
        (x[2], y[2], z[2], t[2]),
        m.IDENTITY[3],
    )


def _matrix3(rt: Any, matrix: m.Matrix) -> Any:
    """Return the matrix as 3ds Max has it: its rows are the columns."""
    return rt.Matrix3(*[rt.Point3(*[row[column] for row in matrix[:3]]) for column in range(4)])


def _local(node: Any) -> m.Matrix:
    if node.parent is None:
        return _matrix(node)
    inward = _inward(node.parent)
    if inward is None:
        raise HostError(
            "The parent of '{}' flattens space; 3ds Max tells only its place in the world.".format(
                node.name
            ),
            hint="Pass space='world'.",
        )
    return m.multiply(inward, _matrix(node))


def _inward(parent: Any) -> Optional[m.Matrix]:
    """Return the way from the world into a parent's space, None if that is flat, or nearly."""
    above = _matrix(parent)
    return None if m.is_flat(above) else m.inverse(above)


def _described(matrix: m.Matrix) -> Dict[str, Any]:
    return m.described(m.decompose(matrix), matrix)
