"""One HTTP connection: bytes to exchanges, one at a time, with deadlines. Loop thread only.

Requests of one connection are served in their order, the next one when the previous is answered
(pipelining costs nothing and needs no re-ordering). What a peer sends ahead is bounded by not
reading on.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, Optional, Tuple, Union

from ..config import Limits
from ..net.loop import Loop
from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from ..wire import http1, jsonrpc
from .admission import Admission, Admitted, Refused

__all__ = ["EVENT_STREAM", "JSON", "Connection", "Exchange", "Front", "Headers", "problem"]

Headers = Tuple[Tuple[str, str], ...]

JSON = (("Content-Type", "application/json"),)
#: Server-sent events must reach the client as they happen, through whatever stands between.
EVENT_STREAM = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
)
# Past this much sent ahead of an unanswered request a peer is not read any more.
_AHEAD = 64 * 1024


class Exchange:
    """One request and its one answer. Loop thread.

    ``gone`` is called once if the peer ends its side before the answer.
    """

    __slots__ = ("_connection", "_streaming", "body", "gone", "head", "path")

    def __init__(self, connection: Connection, head: Any, path: str, body: bytes) -> None:
        self._connection: Optional[Connection] = connection
        self._streaming = False
        self.head = head
        self.path = path
        self.body = body
        self.gone: Optional[Callable[[], None]] = None

    @property
    def streaming(self) -> bool:
        return self._streaming

    @property
    def peer(self) -> Tuple[str, int]:
        """Return the address at the other end; ("", 0) when it is gone."""
        return self._connection.peer if self._connection is not None else ("", 0)

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with one complete response; the first answer counts."""
        connection, self._connection = self._connection, None
        self.gone = None
        if connection is not None:
            connection.finish(self, status, headers, body)

    def begin_stream(self, headers: Headers = EVENT_STREAM) -> None:
        """Start an answer that comes in pieces, if the peer can take one (:attr:`can_stream`)."""
        if self._connection is not None and not self._streaming:
            self._streaming = True
            self._connection.stream.write(http1.stream_head(200, headers))

    @property
    def can_stream(self) -> bool:
        return self._connection is not None and self.head.version >= 1

    @property
    def congested(self) -> bool:
        """Return whether the peer is so far behind in reading that only the result is worth it."""
        return self._connection is not None and self._connection.blocked

    def send(self, piece: bytes) -> None:
        """Send one piece of a started stream."""
        if self._connection is not None:
            self._connection.stream.write(http1.chunk(piece))

    def end_stream(self, piece: bytes) -> None:
        """Send the last piece and end the stream."""
        connection, self._connection = self._connection, None
        self.gone = None
        if connection is not None:
            connection.finish_stream(piece)

    def peer_left(self) -> None:
        """Tell whoever works on the answer that nobody may be waiting for it."""
        gone, self.gone = self.gone, None
        if gone is not None:
            gone()

    def lose(self) -> None:
        """Tell it that nothing can be answered any more."""
        self._connection = None
        self.peer_left()


class Connection(Protocol):
    """Drive the parser, ask admission, hand exchanges to the front, mind the deadlines."""

    def __init__(self, front: Front, sock: socket.socket, peer: Tuple[str, int]) -> None:
        self._front = front
        limits = front.limits
        self._parser = http1.RequestParser(limits.head_bytes, limits.body_bytes)
        self.peer: Tuple[str, int] = peer
        self.authenticated = False
        self.opened = front.loop.clock.monotonic()
        self._exchange: Optional[Exchange] = None
        self._head: Any = None
        self._path = ""
        self._refused: Optional[Refused] = None
        self._judged: Any = None
        self._verdict: Union[Admitted, Refused, None] = None
        self._in_body = False
        # Which part of a message the running deadline is for; a slow peer does not get a new one
        # with each byte.
        self._timed: Optional[str] = None
        self._advancing = False
        self._ending = False
        self._eof = False
        self._keep_alive = True
        self._timer: Optional[Timer] = None
        self._deadline: Optional[float] = None
        self.stream: Stream = Stream(front.loop, sock, self, limits.high_water)
        self._arm(limits.head_timeout)

    @property
    def blocked(self) -> bool:
        """Return whether the peer has to read before it gets more."""
        return self.stream.unsent > self._front.limits.high_water

    # -- from the stream ----------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        self._parser.receive_data(data)
        if self._exchange is None:
            self._advance()
        elif self._parser.buffered > _AHEAD:
            self.stream.pause_reading()

    def receive_eof(self) -> None:
        """The peer sends no more: whatever it waits for is no longer wanted."""
        self._eof = True
        self._parser.receive_eof()
        if self._exchange is None:
            self._advance()
            if self._exchange is None and not self._ending:
                self.stream.close()
            return
        # It may only have closed its sending side, so the answer is still tried.
        self._keep_alive = False
        self._exchange.peer_left()

    def writable_again(self) -> None:
        if self._exchange is None and not self._ending:
            self._advance()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._ending = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        exchange, self._exchange = self._exchange, None
        self._front.forget(self)
        if exchange is not None:
            exchange.lose()

    # -- from the exchange --------------------------------------------------------------------

    def finish(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Send the answer to the current exchange and go on with what the peer sent meanwhile."""
        head = exchange.head
        self.stream.write(
            http1.response(
                status, headers, body, self._keep_alive, head.method == "HEAD", head.version
            )
        )
        self._next()

    def finish_stream(self, piece: bytes) -> None:
        """Send the end of a streamed answer."""
        self.stream.write(http1.chunk(piece) + http1.LAST_CHUNK)
        self._next()

    def _next(self) -> None:
        self._exchange = None
        if self._ending:
            return
        if not self._keep_alive:
            self.end_politely()
            return
        self.stream.resume_reading()
        if not self._advancing:
            self._advance()

    # -- inside -------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take events from the parser until it has none or an exchange is under way."""
        if self._ending or self.stream.closed:
            return
        self._advancing = True
        try:
            while self._exchange is None and not self._ending:
                if self.blocked:
                    break
                event = self._parser.next_event()
                if event is None or event is http1.CLOSED:
                    break
                if isinstance(event, http1.RequestHead):
                    self._on_head(event)
                elif isinstance(event, http1.RequestBody):
                    self._on_body(event.data)
                elif isinstance(event, http1.Refusal):
                    self.refuse(Refused(event.status, event.reason))
        finally:
            self._advancing = False
        self._set_deadline()

    def _on_head(self, head: Any) -> None:
        front = self._front
        self._head = head
        self._in_body = True
        self._keep_alive = head.keep_alive and not self._eof
        if head is not self._judged:
            # The parser hands out the same object for a head that came before, byte for byte.
            self._judged, self._verdict = head, front.admission.judge(head)
        verdict = self._verdict
        assert verdict is not None
        if isinstance(verdict, Refused):
            if head.body_length == 0:
                # Nothing more to come: the connection can live, only the request is refused.
                self._refused = verdict
                return
            self.refuse(verdict)
            return
        self._refused = None
        self._path = verdict.path
        if front.admission_needed(verdict.path):
            self._authenticate()
        elif head.body_length != 0:
            # Strangers come here: what they may send ends with the head.
            self.refuse(Refused(413, "No body is taken at {!r}.".format(verdict.path)))
            return
        if head.expects_continue and not self._parser.buffered:
            self.stream.write(http1.CONTINUE)

    def _authenticate(self) -> None:
        if not self.authenticated:
            self.authenticated = True
            self._front.authenticated(self)

    def _on_body(self, body: bytes) -> None:
        self._deadline = None
        self._timed = None
        self._in_body = False
        exchange = Exchange(self, self._head, self._path, body)
        self._exchange = exchange
        refused = self._refused
        if refused is not None:
            exchange.reply(refused.status, JSON + refused.headers, problem(refused.message))
            return
        try:
            self._front.handle(exchange)
        except Exception as error:
            # A defect of ours must not leave the client waiting.
            self._front.log(
                "error", "{} {}: {!r}".format(exchange.head.method, exchange.path, error)
            )
            exchange.reply(500, JSON, problem("The server failed on this request; see its log."))

    def refuse(self, refused: Refused) -> None:
        """Answer a request that is not served and end the connection, its body unread."""
        headers = JSON + refused.headers
        self.stream.write(http1.response(refused.status, headers, problem(refused.message), False))
        self.end_politely()

    def end_politely(self) -> None:
        """End our side; give the peer a moment to read the answer and stop sending."""
        if self._ending:
            return
        self._ending = True
        if self._eof:
            self.stream.close()
            return
        self._arm(self._front.limits.linger)
        self.stream.close_politely()

    # -- deadlines ----------------------------------------------------------------------------

    def _set_deadline(self) -> None:
        if self._ending or self._exchange is not None:
            return
        limits = self._front.limits
        if self.blocked:
            # It is the peer's turn to read, so it cannot be late with a request.
            part, delay = "idle", self._patience()
        elif self._in_body:
            part, delay = "body", limits.body_timeout
        elif self._parser.mid_message:
            part, delay = "head", limits.head_timeout
        else:
            part, delay = "idle", self._patience()
        if part != self._timed or part == "idle":
            self._timed = part
            self._arm(delay)

    def _patience(self) -> float:
        limits = self._front.limits
        return limits.idle_timeout if self.authenticated else limits.head_timeout

    def _arm(self, delay: float) -> None:
        loop = self._front.loop
        when = loop.clock.monotonic() + delay
        self._deadline = when
        timer = self._timer
        # Mostly the deadline moves away from us: then the timer that is set finds out by itself.
        if timer is None or timer.when > when:
            if timer is not None:
                timer.cancel()
            self._timer = loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        now = self._front.loop.clock.monotonic()
        if now < self._deadline:
            self._timer = self._front.loop.call_at(self._deadline, self._tick)
        elif self._ending:
            self.stream.abort()
        elif self._timed in ("head", "body"):
            self.refuse(Refused(408, "The request did not come to its end in time."))
        else:
            self.end_politely()


class Front:
    """All connections of one server: quotas, admission, and the handler. Loop thread."""

    def __init__(
        self,
        loop: Loop,
        limits: Limits,
        admission: Admission,
        handlers: Dict[str, Callable[[Exchange], None]],
        public: Tuple[str, ...],
        log: Callable[[str, str], None],
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.admission = admission
        self.log = log
        self._handlers = handlers
        self._public = frozenset(public)
        self._connections: Dict[Connection, None] = {}
        # In order of age: the first one is the first to go.
        self._strangers: Dict[Connection, None] = {}
        self._refused: Dict[Connection, None] = {}
        self._done: Optional[Callable[[], None]] = None

    def __len__(self) -> int:
        return len(self._connections)

    def admission_needed(self, path: str) -> bool:
        return path not in self._public

    def accept(self, sock: socket.socket, peer: Tuple[str, int]) -> None:
        """Take a new connection, or refuse it if there are too many."""
        full = len(self._connections) >= self.limits.connections
        crowded = len(self._strangers) >= self.limits.unauthenticated
        if (full or crowded) and self._evict_stranger():
            full = False
        if full and len(self._refused) >= self.limits.unauthenticated:
            self._turn_away(sock)
            return
        connection = Connection(self, sock, peer)
        if full:
            self._refused[connection] = None
            connection.refuse(self._too_many())
            return
        self._connections[connection] = None
        self._strangers[connection] = None

    def _too_many(self) -> Refused:
        return Refused(
            503,
            "{} connections are open already; close some.".format(self.limits.connections),
            (("Retry-After", "1"),),
        )

    def _turn_away(self, sock: socket.socket) -> None:
        """Refuse in words without keeping anything of a connection; best effort."""
        refused = self._too_many()
        try:
            sock.setblocking(False)
            sock.send(
                http1.response(
                    refused.status, JSON + refused.headers, problem(refused.message), False
                )
            )
            sock.shutdown(socket.SHUT_WR)
            # Closing with a request unread resets the connection, and the words may be lost.
            sock.recv(_AHEAD)
        except OSError:
            pass
        finally:
            sock.close()

    def _evict_stranger(self) -> bool:
        """Drop the oldest connection without a token, unless even that one is merely new."""
        for connection in self._strangers:
            if self.loop.clock.monotonic() - connection.opened < self.limits.connect_grace:
                return False
            self.log("warning", "a connection without a token made room for another")
            connection.stream.abort()
            return True
        return False

    def authenticated(self, connection: Connection) -> None:
        self._strangers.pop(connection, None)

    def forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._strangers.pop(connection, None)
        self._refused.pop(connection, None)
        self._check_done()

    def handle(self, exchange: Exchange) -> None:
        self._handlers[exchange.path](exchange)

    def close(self, done: Callable[[], None]) -> None:
        """End every connection, answers that are under way first; then call ``done`` once."""
        self._done = done
        for connection in list(self._connections) + list(self._refused):
            connection.stream.close()
        self._check_done()

    def _check_done(self) -> None:
        done = self._done
        if done is not None and not self._connections and not self._refused:
            self._done = None
            done()

    def abort(self) -> None:
        """End every connection now."""
        for connection in list(self._connections) + list(self._refused):
            connection.stream.abort()

    def disown(self) -> None:
        """Close this process's copies of the connections after a fork; they live on elsewhere."""
        for connection in list(self._connections) + list(self._refused):
            connection.stream.disown()


def problem(message: str) -> bytes:
    """Return the JSON body of an answer that is not MCP's own."""
    return jsonrpc.encode({"error": message})
