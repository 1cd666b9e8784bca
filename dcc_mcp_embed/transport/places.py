"""What the pool is made of: room for connections, whoever wants it, and what there is to do."""

from __future__ import annotations

from typing import Any, Callable, Deque, Optional, Tuple

from ..records import NamedTuple
from ..transport_errors import TransportError

__all__ = ["CONNECTING", "GONE", "IDLE", "LEASED", "Place", "Todo", "Waiter"]

CONNECTING, LEASED, IDLE, GONE = "connecting", "leased", "idle", "gone"

_Lost = Optional[Callable[[], TransportError]]


class Waiter:
    """A borrower, from the line to the end of its lease.

    ``holder``: the thread that reserves; None: whoever borrows ends the lease by itself. ``wake``
    is called once it has moved. ``lost`` makes what to raise if its wait was ended.
    """

    __slots__ = ("dcc_type", "holder", "instance_id", "lost", "place", "wake")

    def __init__(
        self, dcc_type: str, instance_id: str, holder: object, wake: Callable[[], Any]
    ) -> None:
        self.dcc_type = dcc_type
        self.instance_id = instance_id
        self.holder = holder
        self.wake = wake
        self.place: Optional[Place] = None
        self.lost: _Lost = None


class Place:
    """Room for one connection. ``handle`` is the connection itself, and opaque here.

    ``waiter``: who has it. ``lost`` makes what to raise for whoever works on it after it was taken
    away.
    """

    __slots__ = (
        "connection_id",
        "created",
        "dcc_type",
        "handle",
        "instance_id",
        "last_used",
        "leased_at",
        "lost",
        "state",
        "waiter",
    )

    def __init__(self, connection_id: str, waiter: Waiter) -> None:
        self.connection_id = connection_id
        self.dcc_type = waiter.dcc_type
        self.instance_id = waiter.instance_id
        self.waiter: Optional[Waiter] = waiter
        self.state = CONNECTING
        self.handle: Any = None
        self.created = self.last_used = 0.0
        #: Counts up from lease to lease: the order in which a thread gives back.
        self.leased_at = 0
        self.lost: _Lost = None


class Todo(NamedTuple):
    """What changes have left to do: handles to close and why, waiters to wake."""

    close: Deque[Tuple[Any, _Lost]]
    wake: Deque[Waiter]
