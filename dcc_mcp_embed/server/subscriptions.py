"""Who wants to be told of changes, and telling them: lists that grew, resources that are new.

Two ways to it: a session's standing stream (handshake era: every list, and the resources it has
subscribed to), and ``subscriptions/listen`` (stateless era: a stream that says what it is for).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, Collection, Dict, Iterable, List, Optional, Set

from ..errors import NotFound
from ..net.loop import Loop
from ..tools.table import ToolTable
from ..tools.uri import MAX_URI
from ..wire import jsonrpc, sse
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import Listen, McpMachine, Reply, Subscribe
from ..wire.mcp.revisions import META_SUBSCRIPTION, RESOURCE_NOT_FOUND
from .exchange import EVENT_STREAM, Exchange, takes
from .sessions import Sessions
from .sinks import Sink

__all__ = ["Subscriptions", "Way"]

#: Changes within this time are told once, seconds: whoever adds one tool adds more.
_TOGETHER = 0.02
#: Resources that one client may watch.
_MAX_WATCHED = 256
#: Characters of their uris together, and of the id under which it wants to be told.
_MAX_CHARACTERS = 32 * 1024
_TOO_MANY = "At most {} resources can be watched, their uris of {} characters together".format(
    _MAX_WATCHED, _MAX_CHARACTERS
)
#: What is new when the scene is.
_SCENE = "scene://"
#: List -> the member of a subscription that asks for its changes.
_WISHES = {
    "tools": "toolsListChanged",
    "prompts": "promptsListChanged",
    "resources": "resourcesListChanged",
}


class Way(ABC):
    """A way to one that listens."""

    @property
    @abstractmethod
    def congested(self) -> bool:
        """Whether the peer is far behind in reading."""

    @abstractmethod
    def tell(self, message: Dict[str, Any]) -> None:
        """Send a notification."""

    @abstractmethod
    def end(self, last: Optional[Dict[str, Any]]) -> None:
        """Send the answer, if there is one, and nothing after it."""


class _Streamed(Way):
    """The answer to an HTTP request, which has become a stream."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        exchange.begin_stream(EVENT_STREAM)

    @property
    def congested(self) -> bool:
        return self._exchange.congested

    def tell(self, message: Dict[str, Any]) -> None:
        self._exchange.send(_event(message))

    def end(self, last: Optional[Dict[str, Any]]) -> None:
        self._exchange.end_stream(b"" if last is None else _event(last))


class _Listener:
    """One that has sent ``subscriptions/listen``. ``wishes`` is what was agreed on."""

    __slots__ = ("ident", "way", "wishes")

    def __init__(self, way: Way, ident: Any, wishes: Dict[str, Any]) -> None:
        self.way = way
        self.ident = ident
        self.wishes = wishes


class Subscriptions:
    """Tell the clients of one server what has changed."""

    def __init__(
        self, loop: Loop, machine: McpMachine, table: ToolTable, sessions: Sessions
    ) -> None:
        self._loop = loop
        self._machine = machine
        self._table = table
        self._sessions = sessions
        self._listeners: List[_Listener] = []
        # Lists and uris that have changed and are not told of yet; a uri may be a beginning.
        self._lists: Set[str] = set()
        self._uris: Set[str] = set()
        self._prefixes: Set[str] = set()
        self._due = False
        # Whether anybody has ever watched a resource: until then nothing is done for it.
        self._watched = False

    def __len__(self) -> int:
        return len(self._listeners)

    # -- any thread ---------------------------------------------------------------------------

    def lists_changed(self, lists: Iterable[str]) -> None:
        """Note that "tools", "resources" or "prompts" have come or gone."""
        self._loop.call_soon(self._note, self._lists, tuple(lists))

    def updated(self, uri: str) -> None:
        """Note that the resource ``uri`` reads differently now."""
        if self._watched:
            self._loop.call_soon(self._note, self._uris, (uri,))

    def scene_changed(self) -> None:
        """Note that the open scene is another one, or a changed one."""
        if self._watched:
            self._loop.call_soon(self._note, self._prefixes, (_SCENE,))

    # -- loop thread --------------------------------------------------------------------------

    def subscribe(self, exchange: Exchange, outcome: Subscribe, sink: Sink) -> None:
        """Begin or end to watch a resource for a session."""
        session, uri = sink.session, outcome.uri
        if session is None:
            text = "Watching a resource needs a session; initialize one"
            sink.reply(Reply(200, jsonrpc.error(outcome.id, jsonrpc.INVALID_REQUEST, text)))
        elif not outcome.begins:
            session.subscriptions.discard(uri)
            sink.reply(Reply(200, jsonrpc.result(outcome.id, {})))
        elif _too_many(session.subscriptions | {uri}):
            sink.reply(Reply(200, jsonrpc.error(outcome.id, jsonrpc.INVALID_PARAMS, _TOO_MANY)))
        else:
            try:
                self._table.resource(uri)
            except NotFound as error:
                data = {"uri": uri}
                fault = jsonrpc.error(outcome.id, RESOURCE_NOT_FOUND, error.message, data)
                sink.reply(Reply(200, fault))
                return
            self._watched = True
            session.subscriptions.add(uri)
            sink.reply(Reply(200, jsonrpc.result(outcome.id, {})))

    def listen(self, exchange: Exchange, outcome: Listen, sink: Sink) -> None:
        """Make the answer a stream of the changes that were asked for."""
        if not exchange.can_stream or not takes(exchange.head.headers, "text/event-stream"):
            text = "subscriptions/listen is answered by text/event-stream; accept that"
            sink.reply(self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, text, outcome.id)))
            return
        try:
            wishes = self._agreed(outcome)
        except Fault as fault:
            sink.reply(self._machine.refuse(fault))
            return
        leave = self._watch(_Streamed(exchange), outcome.id, wishes)
        if exchange.can_stream:
            exchange.gone = leave
        else:
            # Whoever has too much to read is dropped by the first thing it is sent.
            leave()

    def watch(self, outcome: Listen, way: Way) -> Callable[[], None]:
        """Tell of the changes that were asked for by another way; return what ends that.

        Raises Fault.
        """
        return self._watch(way, outcome.id, self._agreed(outcome))

    def _agreed(self, outcome: Listen) -> Dict[str, Any]:
        wishes = {
            key: wish
            for key, wish in outcome.wishes.items()
            if wish and (key == "resourceSubscriptions" or key in _WISHES.values())
        }
        uris = wishes.get("resourceSubscriptions", ())
        if _too_many(uris, len(str(outcome.id))):
            raise Fault(jsonrpc.INVALID_PARAMS, _TOO_MANY, outcome.id)
        return wishes

    def _watch(self, way: Way, ident: Any, wishes: Dict[str, Any]) -> Callable[[], None]:
        self._watched = self._watched or bool(wishes.get("resourceSubscriptions"))
        listener = _Listener(way, ident, wishes)
        self._listeners.append(listener)
        self._tell(listener, "notifications/subscriptions/acknowledged", {"notifications": wishes})
        return lambda: self._end(listener, None)

    def close(self) -> None:
        """End every stream properly: the server stops."""
        for listener in list(self._listeners):
            self._end(listener, self._machine.listened(listener.ident))
        for session in self._sessions.all():
            if session.channel is not None:
                session.channel.standing.let_go()

    # -- inside -------------------------------------------------------------------------------

    def _note(self, changes: Set[str], new: Iterable[str]) -> None:
        changes.update(new)
        if not self._due:
            self._due = True
            self._loop.call_later(_TOGETHER, self._flush)

    def _flush(self) -> None:
        self._due = False
        lists, uris, prefixes = set(self._lists), set(self._uris), tuple(self._prefixes)
        for changes in (self._lists, self._uris, self._prefixes):
            changes.clear()
        for session in self._sessions.all():
            channel = session.channel
            if channel is None:
                continue
            for one in sorted(lists):
                channel.tell(_text(_list_changed(one), {}))
            for uri in sorted(session.subscriptions):
                if uri in uris or uri.startswith(prefixes):
                    channel.tell(_text(_UPDATED, {"uri": uri}))
        for listener in list(self._listeners):
            for one in sorted(lists):
                if listener.wishes.get(_WISHES[one]):
                    self._tell(listener, _list_changed(one), {})
            for uri in listener.wishes.get("resourceSubscriptions", ()):
                if uri in uris or uri.startswith(prefixes):
                    self._tell(listener, _UPDATED, {"uri": uri})

    def _tell(self, listener: _Listener, method: str, params: Dict[str, Any]) -> None:
        if listener.way.congested:
            # It has not read for long; it finds out by itself what is new when it comes back.
            self._end(listener, None)
            return
        tagged = dict(params, _meta={META_SUBSCRIPTION: listener.ident})
        listener.way.tell(jsonrpc.notification(method, tagged))

    def _end(self, listener: _Listener, last: Optional[Dict[str, Any]]) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
            listener.way.end(last)


def _too_many(uris: Collection[str], more: int = 0) -> bool:
    """Return whether one client may not watch all these, with ``more`` characters beside them."""
    sizes = [len(uri) for uri in uris]
    return (
        len(sizes) > _MAX_WATCHED
        or sum(sizes) + more > _MAX_CHARACTERS
        or max(sizes, default=0) > MAX_URI
    )


_UPDATED = "notifications/resources/updated"


def _list_changed(member: str) -> str:
    return "notifications/{}/list_changed".format(member)


def _text(method: str, params: Dict[str, Any]) -> str:
    return jsonrpc.encode(jsonrpc.notification(method, params)).decode("ascii")


def _event(message: Dict[str, Any]) -> bytes:
    return sse.encode(jsonrpc.encode(message).decode("ascii"), event="message")
