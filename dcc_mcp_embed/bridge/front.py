"""The bridge itself: its parts put together for one client, from the first line to the last.

One thread, which waits for no host.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ..clock import Clock
from ..wire.mcp.machine import McpMachine
from .cache import ToolCache
from .catalog import Catalog
from .client import Client
from .desk import Desk, Moments
from .fleet import Fleet
from .flights import Flights
from .hosts import Host, Watch
from .lists import ShelfLists, ToolLists
from .reception import Reception
from .relay import Relay
from .replies import Replies
from .shelf import Shelf
from .stdio import LineReader, LineWriter
from .vigil import Vigil

__all__ = ["Bridge"]

#: Seconds that calls under way get once the client has closed its end.
_GRACE_S = 0.5
#: Seconds for the last answers to be read.
_FLUSH_S = 1.0
#: Seconds between two looks at connections that nobody needs any more.
_TIDY_S = 60.0

MakeReader = Callable[[Callable[[Any], None], Callable[[], None]], LineReader]
MakeWriter = Callable[[Callable[[], None]], LineWriter]
MakeWatch = Callable[[Callable[[List[Host], int], None]], Watch]


class Bridge:
    """One client's bridge: ``start``, then ``run``, which returns when the client has gone.

    ``machine`` must list what ``catalog`` and ``shelf`` list; ``server`` is what it calls itself.
    """

    def __init__(
        self,
        machine: McpMachine,
        server: Dict[str, Any],
        catalog: Catalog,
        shelf: Shelf,
        cache: ToolCache,
        relay: Relay,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> None:
        self._machine = machine
        self._server = server
        self._catalog = catalog
        self._relay = relay
        self._log = log
        self._desk = Desk(clock, log)
        self._fleet = Fleet(self._desk, catalog, shelf, log)
        self._flights = Flights(
            self._desk, self._fleet, catalog, shelf, relay, Replies(machine), clock
        )
        self._tools = ToolLists(
            self._desk, self._fleet, catalog, cache, relay, clock, log, self._tools_changed
        )
        self._shelves = ShelfLists(self._desk, self._fleet, shelf, relay, clock, log)
        self._end = _End(self._desk, self._flights, clock)
        self._fleet.changed = [lambda hosts: self._let_go(), self._tools.hosts_changed]
        for moments in (
            self._tools,
            _Tidying(self._tidy, clock),
            Vigil(self._desk, self._flights, relay, clock),
            self._end,
        ):
            self._desk.add(moments)
        self._reader: LineReader
        self._writer: LineWriter
        self._watch: Watch
        self._client: Client
        self._reception: Reception

    def start(self, reader: MakeReader, writer: MakeWriter, watch: MakeWatch) -> None:
        """Begin to read, to write and to look.

        ``reader(deliver, ended)``, ``writer(broken)`` and ``watch(deliver)`` make what does that;
        what they call back may come on any thread.
        """
        post = self._desk.post
        self._writer = writer(lambda: post(self._end.now))
        self._reader = reader(lambda line: post(self._line, line), self._eof)
        self._watch = watch(lambda hosts, asks: post(self._fleet.look, hosts, asks))
        self._fleet.begin(self._watch)
        self._client = Client(self._writer)
        self._reception = Reception(
            self._client,
            self._machine,
            self._server,
            self._catalog,
            self._tools,
            self._shelves,
            self._flights,
            self._log,
        )
        self._writer.start()
        self._watch.start()
        self._reader.start()

    def run(self) -> None:
        """Serve until the client has gone."""
        try:
            while not self._end.over:
                self.turn()
        finally:
            self._watch.stop()
            self._relay.stop()
            self._writer.flush(_FLUSH_S)
            self._writer.stop()

    def turn(self) -> None:
        """Wait for one event, deal with it, and with what its time has come for."""
        self._desk.turn()

    def _line(self, line: Any) -> None:
        try:
            self._reception.line(line)
        finally:
            self._reader.done(len(line))

    def _eof(self) -> None:
        # On the reader's thread: whoever waits for room must not wait any more.
        self._writer.hurry()
        self._desk.post(self._end.soon)

    def _tools_changed(self) -> None:
        self._client.tell_of(self._catalog.listing())

    def _tidy(self) -> None:
        self._relay.tidy()
        self._let_go()

    def _let_go(self) -> None:
        """Let go of what serves instances that neither run nor owe an answer.

        What waits in line for one that has gone comes to its turn, and finds that it is not there.
        """
        self._relay.keep({*self._fleet.instances(), *self._flights.oldest()})


class _Tidying(Moments):
    """Calls ``tidy`` now and then."""

    def __init__(self, tidy: Callable[[], None], clock: Clock) -> None:
        self._tidy = tidy
        self._at = clock.monotonic() + _TIDY_S

    def next(self) -> Optional[float]:
        return self._at

    def due(self, now: float) -> None:
        if self._at <= now:
            self._at = now + _TIDY_S
            self._tidy()


class _End(Moments):
    """When it is over: once the client has gone and what it asked for is answered, or at once."""

    def __init__(self, desk: Desk, flights: Flights, clock: Clock) -> None:
        self._desk = desk
        self._flights = flights
        self._clock = clock
        self._at: Optional[float] = None
        self.over = False

    def now(self) -> None:
        """Nobody reads any more."""
        self.over = True

    def soon(self) -> None:
        """Nothing more is asked."""
        self._at = self._clock.monotonic() + _GRACE_S

    def next(self) -> Optional[float]:
        return self._at

    def due(self, now: float) -> None:
        if self._at is not None:
            owing = self._desk.waiting or self._flights.under_way
            self.over = self.over or self._at <= now or not owing
