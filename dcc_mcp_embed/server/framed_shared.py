"""What all framed connections of one server share, whatever they ask for. Loop thread only.

Who it is and how it proves that; what it serves; and the receipts, by which no call runs twice.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..clock import Clock
from ..net.loop import Loop
from ..net.timers import Timer
from ..rpc.hello import Facts, ServerHello, place
from ..rpc.once import OnceServer
from ..rpc.receipts import Limits as Keeping
from ..rpc.receipts import Receipts
from ..wire.messages import Notify, Request

__all__ = ["FramedShared"]

#: Takes (connection, request); returns its result, None if it answers by itself. Raises BadParams.
Method = Callable[[Any, Request], Optional[Dict[str, Any]]]


class FramedShared:
    """Greet peers for one server, and keep what came of their calls.

    ``key``: with which both ends prove that they know the user's secret. ``epoch``: of this start
    of the server. ``open_to_all``: a peer may leave out the hello.
    """

    #: What is served, by name.
    methods: Dict[str, Method]

    def __init__(
        self,
        clock: Clock,
        key: bytes,
        port: int,
        instance_id: str,
        epoch: str,
        open_to_all: bool,
        log: Callable[[str, str], None],
        keeping: Keeping,
    ) -> None:
        self.clock = clock
        self.open_to_all = open_to_all
        self.log = log
        self._key = key
        self._place = place(("127.0.0.1", port))
        self._facts = Facts(instance_id, epoch, keeping.entries)
        self._receipts = Receipts(keeping)
        self._sweeper: Optional[Timer] = None

    def notified(self, notify: Notify) -> None:
        """Take a notification that is none of the wire's own."""

    def hello(self) -> ServerHello:
        """Return the server's end of a new hello."""
        return ServerHello(self._key, self._place, self._facts, self.clock)

    def once(self, connection: Any) -> OnceServer:
        """Return what sees to it that no request of a new connection runs twice."""
        return OnceServer(self._receipts, self._facts.epoch, connection, self.clock)

    def tidy(self, loop: Loop) -> None:
        """See that what is kept goes when its time is over, also if nobody calls any more."""
        if self._sweeper is None:
            when = self._receipts.next_sweep()
            if when is not None:
                self._sweeper = loop.call_at(when, self._sweep, loop)

    def _sweep(self, loop: Loop) -> None:
        self._sweeper = None
        self._receipts.sweep(self.clock.monotonic())
        self.tidy(loop)
