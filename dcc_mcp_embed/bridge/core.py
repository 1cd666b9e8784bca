"""What serves every client of one bridge, put together: hosts, lists, calls, word of changes."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional

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
from .news import News
from .questions import Questions
from .relay import Relay
from .replies import Replies
from .service import Service
from .shelf import Shelf
from .vigil import Vigil

__all__ = ["Core", "MakeWatch"]

#: Seconds between two looks at connections that nobody needs any more.
_TIDY_S = 60.0

MakeWatch = Callable[[Callable[[List[Host], int], None]], Watch]


class Core:
    """A ``desk`` and what is done there. ``machine`` must list what ``catalog``, ``shelf`` list.

    The desk's thread.
    """

    def __init__(
        self,
        machine: McpMachine,
        catalog: Catalog,
        shelf: Shelf,
        cache: ToolCache,
        relay: Relay,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> None:
        self._catalog = catalog
        self._shelf = shelf
        self._relay = relay
        self._clients: Dict[Client, None] = {}
        self._watch: Watch
        desk = self.desk = Desk(clock, log)
        fleet = self._fleet = Fleet(desk, catalog, shelf, log)
        questions, replies = Questions(desk), Replies(machine)
        flights = self._flights = Flights(
            desk, fleet, catalog, shelf, relay, replies, questions, clock
        )
        tools = ToolLists(
            desk, fleet, catalog, cache, relay, clock, log, lambda: self._changed("tools")
        )
        shelves = ShelfLists(desk, fleet, shelf, relay, clock, log, self._awaited, self._changed)
        news = News(desk, fleet, shelf, tools, shelves, relay, clock, log, lambda: self._clients)
        self.service = Service(machine, catalog, tools, shelves, flights, news, log)
        fleet.changed = [
            flights.hosts_changed,
            lambda hosts: self._let_go(),
            tools.hosts_changed,
            news.hosts_changed,
        ]
        tidying = _Tidying(self._tidy, clock)
        for moments in (tools, tidying, Vigil(desk, flights, relay, clock), news):
            desk.add(moments)

    def start(self, watch: MakeWatch) -> None:
        """Begin to look; ``watch(deliver)`` makes what does that."""
        self._watch = watch(lambda hosts, asks: self.desk.post(self._fleet.look, hosts, asks))
        self._fleet.begin(self._watch)
        self._watch.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._watch.stop()
        self._relay.stop()

    @property
    def owing(self) -> bool:
        """Whether a client waits for anything."""
        return self.desk.waiting or self._flights.under_way

    def enter(self, client: Client) -> None:
        """Serve one more client."""
        self._clients[client] = None

    def leave(self, client: Client) -> None:
        """A client has gone."""
        if client in self._clients:
            del self._clients[client]
            self.service.leave(client)

    def _awaited(self, member: str) -> bool:
        return any(client.knows(member) for client in self._clients)

    def _changed(self, member: str) -> None:
        entries = self._catalog.listing() if member == "tools" else self._shelf.listing(member)
        for client in list(self._clients):
            client.tell_of(member, entries)

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
        self._clock = clock
        self._at = clock.monotonic() + _TIDY_S

    def next(self) -> Optional[float]:
        return self._at

    def due(self, now: float) -> None:
        if self._at <= now:
            self._at = now + _TIDY_S
            self._tidy()
