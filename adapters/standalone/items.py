"""What the standalone scene holds, and what a caller may put into it."""

from __future__ import annotations

import math
from typing import Any, Dict, Optional, Sequence, Tuple

from ...errors import InvalidArgument
from ...records import NamedTuple
from ...tools import matrix as m

__all__ = ["Item", "Seen", "checked_name", "vector"]

MAX_NAME = 200


class Item(NamedTuple):
    """One object. ``parent`` and ``children`` are keys; nothing in it is changed in place."""

    name: str
    kind: str
    parent: Optional[str]
    children: Tuple[str, ...] = ()
    local: m.Parts = m.Parts((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    visible: bool = True
    params: Dict[str, Any] = {}
    materials: Tuple[str, ...] = ()


class Seen(NamedTuple):
    """One object on a walk through the scene, with what it has from those above it."""

    key: str
    path: str
    item: Item
    shown: bool
    world: m.Matrix


def checked_name(name: str) -> str:
    """Return what an object may be called, without blanks around it. Raises InvalidArgument."""
    text = name.strip() if isinstance(name, str) else ""
    if not text or "/" in text or len(text) > MAX_NAME or not text.isprintable():
        raise InvalidArgument(
            "{!r} cannot be a name.".format(name),
            hint="Use 1 to {} printable characters without '/'.".format(MAX_NAME),
        )
    return text


def vector(values: Optional[Sequence[float]]) -> Optional[m.Vector]:
    """Return three finite numbers, None for none. Raises InvalidArgument."""
    if values is None:
        return None
    x, y, z = (float(value) for value in values)
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise InvalidArgument("A transform takes finite numbers, not {!r}.".format(list(values)))
    return (x, y, z)
