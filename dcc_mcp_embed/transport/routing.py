"""Which instance a caller gets who did not name one. Pure: rows, counters and chance passed in.

Strategies, scores and error texts are the reference's (dcc-mcp-core 0.12); what it left to the
order of a hash map is the order of registration here, and load is measured.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..records import NamedTuple
from ..registry.entry import ServiceEntry
from ..registry.status import ServiceStatus

__all__ = ["Facts", "RoutingStrategy", "best", "choose", "described", "ranked"]

Rows = Sequence[ServiceEntry]


class RoutingStrategy(Enum):
    """How to choose; ``str()`` gives the bare name, ``int()`` the position, as in the reference."""

    #: The available instance that registered first.
    FIRST_AVAILABLE = 0
    #: The available instances in turn.
    ROUND_ROBIN = 1
    #: The available instance, else the busy one, with the fewest callers of this manager.
    LEAST_BUSY = 2
    #: The instance whose id is the hint, whatever its status, or begins with it.
    SPECIFIC = 3
    #: The first available instance whose scene contains the hint, in any case.
    SCENE_MATCH = 4
    #: Any available instance.
    RANDOM = 5

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return "RoutingStrategy." + self.name

    def __int__(self) -> int:
        return int(self.value)


class Facts(NamedTuple):
    """What a strategy may look at besides the rows."""

    hint: Optional[str] = None
    #: Counts up from choice to choice.
    turn: int = 0
    #: Instance id -> how many callers it has.
    in_flight: Mapping[str, int] = {}
    #: From 0 to 1, without 1.
    chance: float = 0.0


def choose(strategy: RoutingStrategy, rows: Rows, facts: Facts) -> Optional[ServiceEntry]:
    """Return the row that ``strategy`` picks, None if none of ``rows`` will do."""
    return _STRATEGIES[strategy](sorted(rows, key=_seniority), facts)


def described(strategy: RoutingStrategy, hint: Optional[str]) -> str:
    """Return what stands for the instance id when nothing was found."""
    shown = "None" if hint is None else "Some({})".format(json.dumps(hint, ensure_ascii=False))
    return "strategy={}, hint={}".format(strategy.name.lower(), shown)


def ranked(rows: Rows) -> List[ServiceEntry]:
    """Return the rows that can be called, the nearest and least busy first."""
    usable = [row for row in rows if row.status in (ServiceStatus.AVAILABLE, ServiceStatus.BUSY)]
    return sorted(sorted(usable, key=_seniority), key=_score)


def best(rows: Rows, turn: int) -> Optional[ServiceEntry]:
    """Return one of the rows that rank equally high, in turn; None if none can be called."""
    order = ranked(rows)
    equal = [row for row in order if _score(row) == _score(order[0])]
    return equal[turn % len(equal)] if equal else None


def _seniority(row: ServiceEntry) -> Tuple[float, str]:
    return row.registered_at or 0.0, row.instance_id


def _score(row: ServiceEntry) -> int:
    near = 0 if row.is_ipc else 2 if row.effective_address().is_local else 4
    return near + (row.status is ServiceStatus.BUSY)


def _with(status: ServiceStatus, rows: Rows) -> List[ServiceEntry]:
    return [row for row in rows if row.status is status]


def _at(rows: Rows, position: int) -> Optional[ServiceEntry]:
    return rows[position % len(rows)] if rows else None


def _first_available(rows: Rows, facts: Facts) -> Optional[ServiceEntry]:
    return _at(_with(ServiceStatus.AVAILABLE, rows), 0)


def _round_robin(rows: Rows, facts: Facts) -> Optional[ServiceEntry]:
    return _at(_with(ServiceStatus.AVAILABLE, rows), facts.turn)


def _least_busy(rows: Rows, facts: Facts) -> Optional[ServiceEntry]:
    some = _with(ServiceStatus.AVAILABLE, rows) or _with(ServiceStatus.BUSY, rows)
    return _at(sorted(some, key=lambda row: facts.in_flight.get(row.instance_id, 0)), 0)


def _specific(rows: Rows, facts: Facts) -> Optional[ServiceEntry]:
    wanted = (facts.hint or "").lower()
    if not wanted:
        return None
    exact = [row for row in rows if row.instance_id == wanted]
    # A whole id was meant as it stands; a prefix is not worth a connection that cannot be made.
    return _at(exact or [row for row in ranked(rows) if row.instance_id.startswith(wanted)], 0)


def _scene_match(rows: Rows, facts: Facts) -> Optional[ServiceEntry]:
    wanted = (facts.hint or "").lower()
    if not wanted:
        return None
    open_here = [
        row
        for row in _with(ServiceStatus.AVAILABLE, rows)
        if row.scene and wanted in row.scene.lower()
    ]
    return _at(open_here, 0)


def _random(rows: Rows, facts: Facts) -> Optional[ServiceEntry]:
    some = _with(ServiceStatus.AVAILABLE, rows)
    return _at(some, int(facts.chance * len(some)))


_STRATEGIES: Dict[RoutingStrategy, Callable[[Rows, Facts], Optional[ServiceEntry]]] = {
    RoutingStrategy.FIRST_AVAILABLE: _first_available,
    RoutingStrategy.ROUND_ROBIN: _round_robin,
    RoutingStrategy.LEAST_BUSY: _least_busy,
    RoutingStrategy.SPECIFIC: _specific,
    RoutingStrategy.SCENE_MATCH: _scene_match,
    RoutingStrategy.RANDOM: _random,
}
