"""The transport of 2024-11-05, HTTP+SSE, for clients that know no other. Loop thread.

``GET /sse`` opens a stream, whose first event ``endpoint`` says where the client is to post its
messages; each answer comes as an event of that stream, as does all that the server says by itself.
The stream is the session: with its end, whoever posts to it gets a 404. Nothing is kept for a
client that comes back. What a message means is the same as at ``/mcp``, but for the stateless
revisions, which cannot be spoken here.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

from ..wire import jsonrpc, sse
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import Opened, Reply
from ..wire.mcp.revisions import BATCHES, HANDSHAKE
from .channel import STANDING, Channel, Stream
from .exchange import JSON, Exchange, problem, takes
from .mcp_endpoint import MAX_BATCH, McpEndpoint, is_json
from .sessions import Session
from .sinks import Sink

__all__ = ["MESSAGES", "SSE", "LegacySse"]

SSE = "/sse"
MESSAGES = "/messages"
_PARAMETER = "sessionId="


class LegacySse(McpEndpoint):
    """Serve ``/sse`` and ``/messages``."""

    def handle(self, exchange: Exchange) -> None:
        """Open a session, or take a message of one."""
        path, wanted = exchange.path, "GET" if exchange.path == SSE else "POST"
        if exchange.head.method != wanted:
            exchange.reply(
                405,
                (*JSON, ("Allow", wanted)),
                problem("{} is served at {}; newer clients use /mcp.".format(wanted, path)),
            )
        elif path == SSE:
            self._listen(exchange)
        else:
            self._take(exchange)

    def _listen(self, exchange: Exchange) -> None:
        if not takes(exchange.head.headers, "text/event-stream") or not exchange.can_stream:
            exchange.reply(406, JSON, problem("The answer is text/event-stream, over HTTP/1.1."))
            return
        ident = self._clock.token_bytes(16).hex()
        session = self._sessions.open(ident, HANDSHAKE[0], "", None, exchange.guest)
        channel = session.streams()
        channel.standing = _Line(channel, lambda: self._sessions.end(ident))
        # Of that revision it begins with nothing of its own.
        channel.listen(exchange, None)
        # Beside the address that the client has come to: that may begin with its token.
        place = exchange.head.target.partition("?")[0].rstrip("/")[: -len(SSE)]
        where = "{}{}?{}{}".format(place, MESSAGES, _PARAMETER, ident)
        exchange.send(sse.encode(where, event="endpoint"))

    def _take(self, exchange: Exchange) -> None:
        if not is_json(exchange):
            return
        session = self._session(exchange)
        line = session.channel.standing if session is not None and session.channel else None
        if session is None or type(line) is not _Line:
            exchange.reply(404, JSON, problem("There is no such session; GET /sse opens one."))
            return
        if line.congested:
            exchange.reply(
                503,
                (*JSON, ("Retry-After", "1")),
                problem("Answers are waiting to be read from the stream of this session."),
            )
            return
        try:
            value = jsonrpc.decode(exchange.body)
        except Fault as fault:
            self._send(exchange, self._machine.refuse(fault))
            return
        values: List[Any] = [value]
        if type(value) is list and session.version == BATCHES and 0 < len(value) <= MAX_BATCH:
            values = value
        for one in values:
            posted: Any = _Posted(exchange, session)
            self._single(posted, one, _Sink(line, session))
        exchange.reply(202, (), b"")

    def _session(self, exchange: Exchange) -> Optional[Session]:
        for pair in exchange.head.target.partition("?")[2].split("&"):
            if pair.startswith(_PARAMETER):
                return self._sessions.get(pair[len(_PARAMETER) :])
        return None

    def _open(self, exchange: Exchange, outcome: Opened, sink: Sink) -> None:
        session = sink.session
        assert session is not None
        session.version, session.client = outcome.version, outcome.client
        session.capabilities = outcome.capabilities
        sink.reply(Reply(outcome.status, outcome.message))


class _Line(Stream):
    """The one stream of a session, which ends with it. ``ended()`` is called then, once."""

    __slots__ = ("_ended",)

    def __init__(self, channel: Channel, ended: Callable[[], Any]) -> None:
        super().__init__(channel, STANDING)
        self._ended = ended

    def let_go(self) -> None:
        attached = self.attached
        super().let_go()
        if attached:
            self._ended()

    def _event(self, channel: Channel, message: str) -> bytes:
        return sse.encode(message, event="message")


class _Sink(Sink):
    """Where what comes of a message goes: onto the stream of its session."""

    opens_sessions = False

    def __init__(self, line: Stream, session: Session) -> None:
        self._line = line
        self.session = session

    def nothing(self) -> None:
        self.over = True

    def reply(self, reply: Reply) -> None:
        self.over = True
        self._tell(reply.message)

    def event(self, message: Dict[str, Any]) -> None:
        if not self.over and not self._line.congested:
            self._tell(message)

    def ask(self, message: Dict[str, Any]) -> bool:
        if self.over or not self._line.attached:
            return False
        self._tell(message)
        return True

    def _tell(self, message: Dict[str, Any]) -> None:
        self._line.send(jsonrpc.encode(message).decode("ascii"))


class _Posted:
    """A message, as far as the work on it looks at how it came; see ``exchange.Exchange``."""

    has_headers = False
    can_stream = False

    def __init__(self, exchange: Exchange, session: Session) -> None:
        self.head = SimpleNamespace(
            headers=_Headers(session.session_id, exchange.head.headers.get("user-agent"))
        )
        self.origin = exchange.origin
        self.guest = exchange.guest
        self.gone: Optional[Callable[[], None]] = None


class _Headers:
    """What this transport has of the headers of the later one."""

    def __init__(self, ident: str, agent: Optional[str]) -> None:
        self._found = {"mcp-session-id": ident, "user-agent": agent}

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return one header; names in small letters."""
        return self._found.get(name) or default

    def get_all(self, name: str) -> List[str]:
        """Return a header of the stateless revisions: there is none."""
        return []
