"""Transforms of Maya objects in the terms of the contract: degrees about X, Y, Z, in order.

Maya's channels are in the units of its user interface, its matrices always in centimetres and as
rows that vectors are multiplied from the left. Between the channels and the parent may stand
another rotation order, pivots, a joint's orientation, shear and an offset matrix: where they do,
the matrix tells, and channels are worked out from it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ...errors import InvalidArgument
from ...records import NamedTuple
from ...tools import matrix as m
from .naming import dag_path, listed
from .session import api, cmds

__all__ = ["place", "transform_of"]

AXES = ("X", "Y", "Z")
PARTS = ("translate", "rotate", "scale")
#: Maya's rotation orders by number, as the axes that are turned about first to last.
ORDERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2), (2, 1, 0))
#: The turns of permuted axes go the other way round in the odd ones.
SIGNS = (1.0, 1.0, 1.0, -1.0, -1.0, -1.0)
#: Channels whose matrix differs from Maya's by less than this part are all that there is.
SAME = 1e-9

Triple = Sequence[float]


class _Units(NamedTuple):
    """What one unit of the user interface is, in centimetres and in degrees."""

    linear: float
    angular: float


def transform_of(path: str, space: str) -> Dict[str, Any]:
    """Return where an object is, in ``space`` ("local" or "world")."""
    units = _units()
    whole = _whole(path, space, units)
    parts = _channels(path, units)
    if not _agree(m.compose(*parts), whole):
        parts = m.decompose(whole)
    return m.described(parts, whole)


def place(
    path: str,
    translate: Optional[Triple],
    rotate: Optional[Triple],
    scale: Optional[Triple],
    space: str,
) -> None:
    """Set parts of a transform; see SceneBackend.set_transform.

    Raises InvalidArgument below a flattened parent, and for locked or driven channels.
    """
    units = _units()
    above = _above(path, space, units)
    now = _channels(path, units)
    given = (translate, rotate, scale)
    turned = rotate is not None or scale is not None
    back = m.inverse(above)
    if back is None:
        raise InvalidArgument(
            "The parent of '{}' flattens space; world values cannot be met below it.".format(path),
            hint="Pass space='local', or give the parent a scale without zeros.",
        )
    seen = transform_of(path, space)
    current = m.Parts(*(tuple(seen[part]) for part in PARTS))
    wanted = m.multiply(back, m.compose(*m.overlay(current, given)))
    if above == m.IDENTITY and _agree(m.compose(*now), _matrix(path + ".matrix", units)):
        # Nothing shows between the channels and the space; what a turn brings out is seen after.
        plain = m.overlay(now, given)
        if rotate is None or not cmds().getAttr(path + ".rotateOrder"):
            _write(path, now, plain, units)
            if _agree(m.compose(*plain), _matrix(path + ".matrix", units)):
                return
            now = _channels(path, units)
    if turned:
        parts = m.decompose(wanted)
        new = now._replace(rotate=_rotation(path, parts.rotate, units), scale=parts.scale)
        _write(path, now, new, units)
    # What the translation must be to end there shows when the rest is set: pivots shift it.
    found = _matrix(path + ".matrix", units)
    now = _channels(path, units)
    size = max(1.0, *(abs(row[3]) for row in wanted[:3]), *(abs(x) for x in now.translate))
    shift = [wanted[axis][3] - found[axis][3] for axis in range(3)]
    moved = [old if abs(by) <= SAME * size else old + by for old, by in zip(now.translate, shift)]
    _write(path, now, now._replace(translate=(moved[0], moved[1], moved[2])), units)


# -- reading ----------------------------------------------------------------------------------


def _units() -> _Units:
    om = api()
    angle = str(cmds().currentUnit(query=True, angle=True))
    return _Units(
        float(om.MDistance(1.0, om.MDistance.uiUnit()).asCentimeters()),
        57.29577951308232 if angle.startswith("rad") else 1.0,
    )


def _channels(path: str, units: _Units) -> m.Parts:
    read = cmds().getAttr

    def part(name: str, factor: float) -> m.Vector:
        x, y, z = (float(read("{}.{}{}".format(path, name, axis))) for axis in AXES)
        return (x * factor, y * factor, z * factor)

    return m.Parts(part("translate", 1.0), part("rotate", units.angular), part("scale", 1.0))


def _matrix(plug: str, units: _Units) -> m.Matrix:
    """Return one of Maya's matrices, turned over and with lengths in the scene's unit."""
    values = listed(cmds().getAttr(plug))
    if len(values) != 16:
        return m.IDENTITY  # an unset matrix attribute
    flat = [float(value) for value in values]
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = (
        [flat[4 * c + r] for c in range(3)] for r in range(3)
    )
    tx, ty, tz = (value / units.linear for value in flat[12:15])
    return ((ax, bx, cx, tx), (ay, by, cy, ty), (az, bz, cz, tz), m.IDENTITY[3])


def _whole(path: str, space: str, units: _Units) -> m.Matrix:
    if space == "world":
        number = dag_path(path).instanceNumber()
        return _matrix("{}.worldMatrix[{}]".format(path, number), units)
    local = _matrix(path + ".matrix", units)
    offset = _matrix(path + ".offsetParentMatrix", units)
    return local if offset == m.IDENTITY else m.multiply(offset, local)


def _above(path: str, space: str, units: _Units) -> m.Matrix:
    """Return what stands between the channels and the space that is asked for."""
    offset = _matrix(path + ".offsetParentMatrix", units)
    if space != "world" or not cmds().getAttr(path + ".inheritsTransform"):
        return offset
    number = dag_path(path).instanceNumber()
    parent = _matrix("{}.parentMatrix[{}]".format(path, number), units)
    return m.multiply(parent, offset)


def _agree(one: m.Matrix, other: m.Matrix) -> bool:
    return m.deviation(one, other, range(4)) < SAME


# -- rotations --------------------------------------------------------------------------------


def _rotation(path: str, degrees: Triple, units: _Units) -> m.Vector:
    """Return the rotation channels, in degrees, by which an object is turned by ``degrees``."""
    turn = m.compose((0, 0, 0), degrees, (1, 1, 1))
    # Maya turns by the axis first, then by the channels, then by the joint's orientation.
    axis, orient = _turn(path, "rotateAxis", units), _turn(path, "jointOrient", units)
    if orient is not None:
        turn = m.multiply(_transposed(orient), turn)
    if axis is not None:
        turn = m.multiply(turn, _transposed(axis))
    return _in_order(turn, int(cmds().getAttr(path + ".rotateOrder")))


def _turn(path: str, name: str, units: _Units) -> Optional[m.Matrix]:
    """Return the rotation that three further channels hold; None if none, or no such channels."""
    if not cmds().attributeQuery(name, node=path, exists=True):
        return None
    read = cmds().getAttr
    angles = [float(read("{}.{}{}".format(path, name, axis))) * units.angular for axis in AXES]
    return m.compose((0, 0, 0), angles, (1, 1, 1)) if any(angles) else None


def _transposed(turn: m.Matrix) -> m.Matrix:
    """Return the inverse of a rotation."""
    (a, b, c, _), (d, e, f, _), (g, h, i, _), last = turn
    return ((a, d, g, 0.0), (b, e, h, 0.0), (c, f, i, 0.0), last)


def _in_order(turn: m.Matrix, order: int) -> m.Vector:
    """Return the angles about X, Y and Z that make ``turn`` in one of Maya's orders."""
    if order == 0:
        return m.decompose(turn).rotate
    axes = ORDERS[order]
    rows: List[Tuple[float, ...]] = [tuple(turn[a][b] for b in axes) + (0.0,) for a in axes]
    permuted: Any = (rows[0], rows[1], rows[2], m.IDENTITY[3])
    angles = [0.0, 0.0, 0.0]
    for axis, angle in zip(axes, m.decompose(permuted).rotate):
        angles[axis] = SIGNS[order] * angle
    return (angles[0], angles[1], angles[2])


# -- writing ----------------------------------------------------------------------------------


def _write(path: str, now: m.Parts, new: m.Parts, units: _Units) -> None:
    """Set the channels that change; all of them are looked at before the first is set."""
    changes = [
        ("{}.{}{}".format(path, part, axis), after / (units.angular if part == "rotate" else 1.0))
        for part, olds, news in zip(PARTS, now, new)
        for axis, before, after in zip(AXES, olds, news)
        if before != after
    ]
    for plug, _ in changes:
        check_settable(plug)
    for plug, value in changes:
        cmds().setAttr(plug, value)


def check_settable(plug: str) -> None:
    """Raise InvalidArgument where a value cannot be set, saying why."""
    if cmds().getAttr(plug, settable=True):
        return
    drivers = listed(cmds().listConnections(plug, source=True, destination=False, plugs=True))
    if cmds().getAttr(plug, lock=True) or not drivers:
        raise InvalidArgument(
            "'{}' is locked; nothing was changed.".format(plug),
            hint="Ask the user to unlock it in the channel box, or leave it out.",
        )
    raise InvalidArgument(
        "'{}' is driven by '{}'; nothing was changed.".format(plug, drivers[0]),
        hint="Change what drives it, or break the connection first.",
    )
