"""Transforms of Houdini's objects in the terms of the contract. Main thread.

Houdini multiplies row vectors: an object's point goes through its parameters, then its
pre-transform, then its parent. Here matrices are transposed on the way in and out, so that they
multiply column vectors: ``world = above * pre * parm``. With the transform order "srt" and the
rotate order "xyz" (Houdini's defaults) the parameters are the contract's own parts, but for a pivot
and the uniform scale, which are taken into account here. Other orders are left to Houdini.
"""

from __future__ import annotations

from typing import Any, Dict

from ...errors import InvalidArgument, TypeMismatch
from ...tools import matrix as m
from .parms import check_writable, numbers, put, token, tuple_of

__all__ = ["CHANNELS", "column", "local_of", "place_local", "place_world", "world_of"]

#: Part of a transform -> the parameter tuple.
CHANNELS = {"translate": "t", "rotate": "r", "scale": "s"}

#: Two matrices that differ by less, relative to their largest number, are one.
SAME = 1e-9


def column(matrix: Any) -> m.Matrix:
    """Return one of Houdini's matrices in our convention."""
    rows = matrix.asTupleOfTuples()
    return (
        (rows[0][0], rows[1][0], rows[2][0], rows[3][0]),
        (rows[0][1], rows[1][1], rows[2][1], rows[3][1]),
        (rows[0][2], rows[1][2], rows[2][2], rows[3][2]),
        m.IDENTITY[3],
    )


def world_of(node: Any) -> Dict[str, Any]:
    """Return where ``node`` is in the world."""
    return _split(node, column(node.worldTransform()))


def local_of(node: Any) -> Dict[str, Any]:
    """Return where ``node`` is in the space of its parent."""
    return _split(node, column(node.localTransform()))


def place_local(hou: Any, node: Any, given: m.Given) -> None:
    """Set parts of the transform in the space of the parent; the others stay."""
    local = column(node.localTransform())
    if _is_plain(node):
        put(node, {name: v for name, v in zip(CHANNELS.values(), given) if v is not None})
        return
    _place(hou, node, m.compose(*m.overlay(_parts(node, local), given)))


def place_world(hou: Any, node: Any, given: m.Given) -> None:
    """Set parts of the transform in the world. Raises InvalidArgument below a flattened parent."""
    above = column(node.parentAndSubnetTransform())
    back = m.inverse(above)
    if back is None:
        raise InvalidArgument(
            "'{}' stands below a scale of zero, where no world value can be met.".format(
                node.path()
            ),
            hint="Give the parent a scale other than zero, or pass space='local'.",
        )
    translate, rotate, scale = given
    now = _parts(node, column(node.worldTransform()))
    whole = m.compose(*m.overlay(now, given))
    found = m.decompose(m.multiply(back, whole))
    turned = rotate is not None or scale is not None
    place_local(
        hou,
        node,
        (
            found.translate if translate is not None else None,
            found.rotate if turned else None,
            found.scale if turned else None,
        ),
    )


# -- inside -----------------------------------------------------------------------------------


def _split(node: Any, matrix: m.Matrix) -> Dict[str, Any]:
    return m.described(_parts(node, matrix), matrix)


def _parts(node: Any, matrix: m.Matrix) -> m.Parts:
    """Return the parts of a matrix: the object's own parameters where these make it up.

    They alone tell 370 degrees from 10, and what an artist typed from what is equal to it.
    """
    t, r, s = (numbers(node, name, ()) for name in CHANNELS.values())
    if len(t) == len(r) == len(s) == 3:
        own = m.compose(t, r, s)
        if m.deviation(own, matrix, (0, 1, 2, 3)) < SAME:
            return m.Parts((t[0], t[1], t[2]), (r[0], r[1], r[2]), (s[0], s[1], s[2]))
    return m.decompose(matrix)


def _has_our_order(node: Any) -> bool:
    """Return whether the parameters are put together as the contract's parts are."""
    return (
        token(node, "xOrd", "srt") == "srt"
        and token(node, "rOrd", "xyz") == "xyz"
        and not any(numbers(node, "pr", (0.0,)))
    )


def _is_plain(node: Any) -> bool:
    """Return whether the parameters are the local transform: nothing stands beside them."""
    return (
        _has_our_order(node)
        and not any(numbers(node, "p", (0.0,)))
        and numbers(node, "scale", (1.0,)) == (1.0,)
        and column(node.preTransform()) == m.IDENTITY
    )


def _place(hou: Any, node: Any, local: m.Matrix) -> None:
    """Set the parameters so that the local transform is ``local``, as nearly as they can."""
    back = m.inverse(column(node.preTransform()))
    if back is None:
        raise TypeMismatch(
            "The pre-transform of '{}' flattens space.".format(node.path()),
            hint="Reset it first: hou.ObjNode.setPreTransform().",
            state="not_started",
        )
    wanted = m.multiply(back, local)
    if not _has_our_order(node):
        for name in CHANNELS.values():
            for parm in tuple_of(node, name):
                check_writable(parm)
        node.setParmTransform(hou.Matrix4(tuple(zip(*wanted))))
        return
    uniform = numbers(node, "scale", (1.0,))[0]
    if uniform == 0.0:
        raise TypeMismatch(
            "The uniform scale of '{}' is zero.".format(node.path()),
            hint="Set its parameter 'scale' first.",
            state="not_started",
        )
    parts = m.decompose(wanted)
    # Scale and rotation turn about the pivot: it stays where it is, and the rest is translation.
    pivot = numbers(node, "p", (0.0, 0.0, 0.0))
    moved = m.compose((0, 0, 0), parts.rotate, parts.scale)
    shift = [
        parts.translate[axis] - pivot[axis] + sum(moved[axis][k] * pivot[k] for k in range(3))
        for axis in range(3)
    ]
    put(node, {"t": shift, "r": parts.rotate, "s": [value / uniform for value in parts.scale]})
