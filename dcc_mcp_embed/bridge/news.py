"""Word of changes: hosts are listened to, and clients told what they want to hear of.

One request to each host that runs is under way all the time, ``subscriptions/listen``; when more is
to be heard of, another one takes its place before it is ended; what both hear of is told twice.
What may have been missed in between two hosts, or two connections, is looked at anew, and told as
if it had changed. What all clients together watch of one host is bounded by what hosts take in one
such request.
"""

from __future__ import annotations

from typing import Any, Callable, Collection, Dict, FrozenSet, Iterable, List, Optional, Set

from ..clock import Clock
from ..errors import InvalidArgument, ToolError
from ..wire import jsonrpc
from . import dialect
from .client import Client, Listener, Watched
from .desk import Desk, Moments
from .ended import Ended
from .errand import Errand
from .fleet import FIRST_S, Fleet
from .hosts import Host
from .lists import ShelfLists, ToolLists
from .relay import Relay
from .shelf import Shelf

__all__ = ["MOST_WATCHED", "News"]

#: Resources that can be watched, and characters of their uris together, with the id of the request:
#: more of them hosts refuse.
MOST_WATCHED = 256
_CHARACTERS = 32 * 1024
_ID = 32

#: Seconds after which a host is listened to again that did not go on talking.
_AGAIN_S = 5.0
#: What a host of an earlier version answers.
_NOT_SERVED = (jsonrpc.INVALID_REQUEST, jsonrpc.METHOD_NOT_FOUND)


class _Ear:
    """One request to be told of changes."""

    def __init__(self, label: str, host: Host, uris: FrozenSet[str]) -> None:
        self.label = label
        self.host = host
        self.uris = uris
        self.heard = False
        self.errand: Errand
        #: The one that it takes the place of.
        self.before: Optional[_Ear] = None


class News(Moments):
    """Listens to the hosts that run. The desk's thread. ``clients()``: those that there are."""

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        shelf: Shelf,
        tools: ToolLists,
        shelves: ShelfLists,
        relay: Relay,
        clock: Clock,
        log: Callable[[str, str], None],
        clients: Callable[[], Iterable[Client]],
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._shelf = shelf
        self._tools = tools
        self._shelves = shelves
        self._relay = relay
        self._clock = clock
        self._log = log
        self._clients = clients
        #: Label -> who listens to it.
        self._ears: Dict[str, _Ear] = {}
        #: Instances that cannot be listened to.
        self._mute: Set[str] = set()
        #: Instance -> what it would not tell of; then it is listened to for its lists alone.
        self._refused: Dict[str, FrozenSet[str]] = {}
        #: Label -> when to listen again.
        self._again: Dict[str, float] = {}

    # -- what clients want --------------------------------------------------------------------

    def watch(self, client: Client, uri: str, done: Callable[[], None]) -> None:
        """Have a client told of a resource's changes; ``done()`` once they are listened for.

        Raises NoHost, Ambiguous, InvalidArgument.
        """
        route = self._shelf.route("resources", uri)
        self._check_room(route.label, [route.tool])
        client.watched[uri] = Watched(route.label, route.tool)
        self._then([route.label], done)

    def unwatch(self, client: Client, uri: str) -> None:
        """Tell it of that no more."""
        watched = client.watched.pop(uri, None)
        if watched is not None:
            self._listen(watched.label)

    def listen(self, client: Client, listener: Listener) -> None:
        """Have a client told of what it listens for, having said that it is heard.

        Raises InvalidArgument.
        """
        meant = {uri: self._meant(uri) for uri in listener.wishes.get("resourceSubscriptions", ())}
        watched = [one for one in meant.values() if one is not None]
        labels = sorted({one.label for one in watched})
        for label in labels:
            self._check_room(label, [one.uri for one in watched if one.label == label])
        client.listeners[listener.ident] = listener
        for member, wish in dialect.WISHES.items():
            if listener.wishes.get(wish):
                self._expect(client, member)
        listener.watched = meant

        def begin() -> None:
            listener.open = True
            listener.tell(dialect.acknowledged(listener.wishes))

        self._then(labels, begin)

    def unlisten(self, client: Client, listener: Listener) -> None:
        """Tell it of that no more."""
        if client.listeners.get(listener.ident) is listener:
            del client.listeners[listener.ident]
        self._listen_all()

    def gone(self) -> None:
        """Note that a client has gone, with all that it wanted."""
        self._listen_all()

    def _expect(self, client: Client, member: str) -> None:
        lists: Any = self._tools if member == "tools" else self._shelves
        client.expects(member, lists.listing(member))

    def _meant(self, uri: str) -> Optional[Watched]:
        try:
            route = self._shelf.route("resources", uri)
        except ToolError:
            return None
        return Watched(route.label, route.tool)

    def _check_room(self, label: str, uris: Iterable[str]) -> None:
        """Raise InvalidArgument if these cannot be watched as well."""
        if _too_many(self._watched(label).union(uris)):
            raise InvalidArgument(
                "At most {} resources of {} can be watched, their uris of {} characters together; "
                "all clients share them".format(MOST_WATCHED, label, _CHARACTERS)
            )

    def _then(self, labels: List[str], done: Callable[[], None]) -> None:
        for label in labels:
            self._listen(label)

        def ready() -> bool:
            return all(self._settled(label) for label in labels)

        if ready():
            done()
        else:
            self._desk.when(ready, FIRST_S, done)

    def _settled(self, label: str) -> bool:
        """Return whether a host is listened to for all that is wanted, or not at all for now."""
        ear = self._ears.get(label)
        return ear is None or (ear.heard and ear.uris == self._wanted(label))

    def _wanted(self, label: str) -> FrozenSet[str]:
        """Return what a host is to be listened to for, beside its lists."""
        uris, host = self._watched(label), self._fleet.running.get(label)
        refused = host is not None and self._refused.get(host.instance_id) == uris
        return frozenset() if refused else uris

    def _watched(self, label: str) -> FrozenSet[str]:
        return frozenset(uri for client in self._clients() for uri in client.watches(label))

    # -- hosts --------------------------------------------------------------------------------

    def hosts_changed(self, hosts: List[Host]) -> None:
        """Listen to those that run now."""
        running = self._fleet.running
        present = {host.instance_id for host in hosts}
        self._mute &= present
        self._refused = {one: uris for one, uris in self._refused.items() if one in present}
        for label, ear in list(self._ears.items()):
            if label not in running or running[label].instance_id != ear.host.instance_id:
                del self._ears[label]
        for client in self._clients():
            for listener in client.listeners.values():
                self._find(listener)
        self._listen_all()
        self._shelves.stale("prompts")
        self._shelves.stale("resources")

    def _find(self, listener: Listener) -> None:
        """Watch what nobody had before and somebody has now, as much of it as there is room for."""
        for uri in [one for one, meant in listener.watched.items() if meant is None]:
            meant = self._meant(uri)
            if meant is None:
                continue
            try:
                self._check_room(meant.label, [meant.uri])
            except InvalidArgument as error:
                self._log("warning", error.message)
            else:
                listener.watched[uri] = meant

    def next(self) -> Optional[float]:
        return min(self._again.values()) if self._again else None

    def due(self, now: float) -> None:
        for label in [one for one, when in self._again.items() if when <= now]:
            del self._again[label]
            self._listen(label)

    def _listen_all(self) -> None:
        for label in list(self._fleet.running):
            self._listen(label)

    def _listen(self, label: str) -> None:
        """Listen to a host for all that is wanted of it now, if it runs."""
        host = self._fleet.running.get(label)
        if host is None or host.instance_id in self._mute:
            return
        uris, before = self._wanted(label), self._ears.get(label)
        if before is not None and (before.uris == uris or not before.heard):
            # One that has only begun is waited for first.
            return
        ear = _Ear(label, host, uris)
        ear.before = before
        wishes: Dict[str, Any] = dict.fromkeys(dialect.WISHES.values(), True)
        if uris:
            wishes["resourceSubscriptions"] = sorted(uris)
        ear.errand = Errand(
            dialect.LISTEN,
            {"notifications": wishes},
            self._clock,
            heard=lambda data: self._desk.post(self._heard, ear, data),
        )
        self._again.pop(label, None)
        self._ears[label] = ear
        self._relay.listen(host, ear.errand, lambda ended: self._desk.post(self._ended, ear, ended))

    def _heard(self, ear: _Ear, data: bytes) -> None:
        lost = ear.errand.passed_on()
        if self._fleet.label_of(ear.host.instance_id) != ear.label:
            return
        heard = dialect.news(data)
        if heard.begins:
            # Twice if its connection has been made anew meanwhile. Or nobody listened until now:
            # what this host was asked for when it came may be older.
            lost = lost or ear.heard or ear.before is None
            ear.heard = True
            self._stop(ear)
            self._listen(ear.label)
        if heard.kind is not None:
            self._changed(ear, heard.kind)
        elif heard.uri is not None:
            self._updated(ear, heard.uri)
        if lost:
            self._missed(ear)

    def _stop(self, ear: _Ear) -> None:
        """End the one whose place it takes."""
        before, ear.before = ear.before, None
        if before is not None:
            self._relay.cancel(before.host, before.errand, lambda: None)

    def _missed(self, ear: _Ear) -> None:
        for kind in ("tools", "prompts", "resources"):
            self._changed(ear, kind)
        for uri in sorted(ear.uris):
            self._updated(ear, uri)

    def _changed(self, ear: _Ear, kind: str) -> None:
        if kind == "tools":
            self._tools.stale(ear.host)
        else:
            self._shelves.stale(kind)

    def _updated(self, ear: _Ear, uri: str) -> None:
        for client in self._clients():
            client.updated(Watched(ear.label, uri))

    def _ended(self, ear: _Ear, ended: Ended) -> None:
        latest = self._ears.get(ear.label)
        if latest is not ear:
            if latest is not None and latest.before is ear:
                # It ended before the other took its place: nobody has listened in between.
                latest.before = None
            return
        del self._ears[ear.label]
        self._stop(ear)
        if ended.fault is not None and ended.fault.code in _NOT_SERVED:
            self._mute.add(ear.host.instance_id)
            self._log("info", "{} tells of no changes".format(ear.label))
        elif ended.fault is not None and ear.uris:
            self._refused[ear.host.instance_id] = ear.uris
            text = "{} does not tell of the resources that are watched: {}"
            self._log("warning", text.format(ear.label, ended.fault.message))
            self._listen(ear.label)
        else:
            self._again[ear.label] = self._clock.monotonic() + _AGAIN_S


def _too_many(uris: Collection[str]) -> bool:
    return len(uris) > MOST_WATCHED or sum(map(len, uris)) + _ID > _CHARACTERS
