"""MCP over streamable HTTP: one exchange to messages, outcomes to one answer. Loop thread."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ..clock import Clock
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import (
    Accepted,
    LevelSet,
    Listen,
    McpMachine,
    Opened,
    Reply,
    Subscribe,
    version_of,
)
from ..wire.mcp.revisions import BATCHES, HANDSHAKE
from .exchange import JSON, Exchange, problem, takes
from .mcp_works import Works
from .sessions import Session, Sessions
from .sinks import Gathered, Member, Single, Sink
from .subscriptions import Subscriptions

__all__ = ["MAX_BATCH", "McpEndpoint", "is_json"]

_METHODS_ALLOWED = (("Allow", "GET, POST, DELETE"),)
_SESSION = "Mcp-Session-Id"
#: Messages in one batch. They are taken in one turn of the loop, and their answers, each larger
#: than its request, are kept until the last is there.
MAX_BATCH = 100
_NOT_BEGUN = "It was not begun: the answers to this batch are too large already; send it by itself"
#: Told to whoever comes back for the stream of a session of which nothing is known any more.
_FORGOTTEN = jsonrpc.notification(
    "notifications/message",
    {
        "level": "warning",
        "logger": "dcc_mcp_embed",
        "data": "Nothing is known of this session any more (the host was restarted, or there were "
        "too many). It goes on, but what it had subscribed to is to be subscribed to again, and "
        "nothing is asked of it before it is initialized anew.",
    },
)


class McpEndpoint:
    """Serve ``/mcp``. ``works`` and ``subscriptions`` do what a ready answer does not.

    ``always_stream``: answer with a stream of events also where one JSON message would do.
    """

    def __init__(
        self,
        machine: McpMachine,
        works: Works,
        subscriptions: Subscriptions,
        sessions: Sessions,
        clock: Clock,
        always_stream: bool = False,
    ) -> None:
        self._machine = machine
        self._sessions = sessions
        self._clock = clock
        self._always = always_stream
        # Kind of outcome -> (exchange, outcome, sink) -> None.
        self._doers: Dict[Any, Callable[[Exchange, Any, Sink], None]] = {
            Accepted: lambda exchange, outcome, sink: sink.nothing(),
            Opened: self._open,
            LevelSet: self._set_level,
            Subscribe: subscriptions.subscribe,
            Listen: subscriptions.listen,
            Reply: lambda exchange, outcome, sink: sink.reply(outcome),
        }
        self._doers.update(works.doers)

    def handle(self, exchange: Exchange) -> None:
        """Answer one request to the endpoint, now or when its tools are done."""
        method = exchange.head.method
        if method == "POST":
            self._post(exchange)
        elif method == "DELETE":
            self._delete(exchange)
        elif method == "GET":
            self._get(exchange)
        else:
            self._refuse(exchange, "{} is not served here.".format(method))

    def _refuse(self, exchange: Exchange, message: str) -> None:
        exchange.reply(405, JSON + _METHODS_ALLOWED, problem(message))

    def _delete(self, exchange: Exchange) -> None:
        ident = exchange.head.headers.get("mcp-session-id")
        if _is_sessionless(exchange.head.headers):
            self._refuse(exchange, "There are no sessions in this revision.")
        elif ident is None or not self._sessions.end(ident):
            exchange.reply(404, JSON, problem("There is no such session."))
        else:
            exchange.reply(200, JSON, b"{}")

    def _get(self, exchange: Exchange) -> None:
        headers = exchange.head.headers
        ident = headers.get("mcp-session-id")
        if ident is None or _is_sessionless(headers):
            # Every client tried takes this 405 well: there is no stream for it.
            self._refuse(exchange, "A stream belongs to a session; POST without one.")
        elif self._sessions.ended(ident):
            exchange.reply(404, JSON, problem("This session was ended; initialize a new one."))
        elif not takes(headers, "text/event-stream") or not exchange.can_stream:
            exchange.reply(406, JSON, problem("The answer is text/event-stream, over HTTP/1.1."))
        else:
            session = self._sessions.known(ident, version_of(headers, None), exchange.guest)
            if session is None:
                self._refuse(exchange, "That is no session id.")
                return
            forgotten = not session.introduced and session.channel is None
            channel = session.streams()
            channel.listen(exchange, headers.get("last-event-id"))
            if forgotten:
                channel.tell(jsonrpc.encode(_FORGOTTEN).decode("ascii"))

    def _post(self, exchange: Exchange) -> None:
        headers = exchange.head.headers
        if not is_json(exchange):
            return
        if not takes(headers, "application/json"):
            exchange.reply(406, JSON, problem("The answer is application/json; accept that too."))
            return
        ident = None if _is_sessionless(headers) else headers.get("mcp-session-id")
        if ident is not None and self._sessions.ended(ident):
            exchange.reply(404, JSON, problem("This session was ended; initialize a new one."))
            return
        session = None
        if ident is not None:
            session = self._sessions.known(ident, version_of(headers, None), exchange.guest)
        try:
            value = jsonrpc.decode(exchange.body)
        except Fault as fault:
            self._send(exchange, self._machine.refuse(fault))
            return
        if type(value) is list:
            self._batch(exchange, value, session)
        else:
            self._single(exchange, value, Single(exchange, session, self._always))

    def _single(self, exchange: Exchange, value: Any, sink: Sink) -> None:
        session = sink.session
        client, version = ("", None) if session is None else (session.client, session.version)
        outcome = self._machine.receive(value, exchange.head.headers, client, version)
        self._doers[type(outcome)](exchange, outcome, sink)

    def _open(self, exchange: Exchange, outcome: Opened, sink: Sink) -> None:
        if not sink.opens_sessions:
            # 2025-03-26, lifecycle: initialize is no part of a batch.
            fault = Fault(jsonrpc.INVALID_REQUEST, "initialize stands alone", outcome.message["id"])
            sink.reply(self._machine.refuse(fault))
            return
        ident = self._clock.token_bytes(16).hex()
        self._sessions.open(
            ident, outcome.version, outcome.client, outcome.capabilities, exchange.guest
        )
        sink.headers = ((_SESSION, ident),)
        sink.reply(Reply(outcome.status, outcome.message))

    def _set_level(self, exchange: Exchange, outcome: LevelSet, sink: Sink) -> None:
        if sink.session is not None:
            sink.session.level = outcome.level
        sink.reply(Reply(outcome.status, outcome.message))

    def _batch(self, exchange: Exchange, values: List[Any], session: Optional[Session]) -> None:
        version = version_of(
            exchange.head.headers, session.version if session is not None else None
        )
        refusal = None
        if version != BATCHES:
            refusal = "Batches are part of {} only; send one message per request".format(BATCHES)
        elif not values:
            refusal = "An empty batch has no answer"
        elif len(values) > MAX_BATCH:
            refusal = "A batch holds at most {} messages; this one has {}".format(
                MAX_BATCH, len(values)
            )
        if refusal is not None:
            self._send(exchange, self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, refusal)))
            return
        gathered = Gathered(exchange, len(values), self._always)
        for value in values:
            member = Member(gathered, session)
            if gathered.full and type(value) is dict and type(value.get("id")) in (str, int):
                fault = Fault(jsonrpc.INTERNAL_ERROR, _NOT_BEGUN, value["id"])
                member.reply(self._machine.refuse(fault))
            else:
                self._single(exchange, value, member)

    def _send(self, exchange: Exchange, reply: Reply) -> None:
        exchange.reply(reply.status, JSON, jsonrpc.encode(reply.message))


def _is_sessionless(headers: Any) -> bool:
    """Return whether the header names a revision that knows no sessions, or one unknown here."""
    version = headers.get("mcp-protocol-version")
    return version is not None and version not in HANDSHAKE


def is_json(exchange: Exchange) -> bool:
    """Return whether the body is JSON, by its own account; refuse it if not."""
    kind = exchange.head.headers.get("content-type", "")
    if kind != "application/json" and kind.partition(";")[0].strip().lower() != "application/json":
        # Also what keeps a page from sending a "simple request" past the browser's checks.
        exchange.reply(415, JSON, problem("The Content-Type is application/json."))
        return False
    return True
