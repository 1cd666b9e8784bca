"""One HTTP connection: bytes to exchanges, one at a time, with deadlines. Loop thread only.

Requests of one connection are served in their order, the next one when the previous is answered
(pipelining costs nothing and needs no re-ordering). What a peer sends ahead is bounded by not
reading on.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Optional, Tuple, Union

from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from ..wire import http1
from .admission import Admitted, Refused
from .exchange import JSON, Carrier, Exchange, Headers, problem

if TYPE_CHECKING:
    from .front import Front

__all__ = ["AHEAD", "Connection"]

#: Past this much sent ahead of an unanswered request a peer is not read any more, bytes.
AHEAD = 64 * 1024


class Connection(Protocol, Carrier):
    """Drive the parser, ask admission, hand exchanges to the front, mind the deadlines."""

    def __init__(self, front: Front, sock: socket.socket, peer: Tuple[str, int]) -> None:
        self._front = front
        limits = front.limits
        self._parser = http1.RequestParser(limits.head_bytes, limits.body_bytes)
        self.peer: Tuple[str, int] = peer
        self.authenticated = False
        self.opened: float = front.loop.clock.monotonic()
        self._exchange: Optional[Exchange] = None
        self._head: Any = None
        self._path = ""
        self._refused: Optional[Refused] = None
        self._judged: Any = None
        self._verdict: Union[Admitted, Refused, None] = None
        self._in_body = False
        # Of a chunked body: what came of it. Of any: what the front has counted of it.
        self._came = 0
        self._room = 0
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
            if self._in_body and not self._ending and self._head.body_length is None:
                self._came += len(data)
                self._make_room(self._came)
        elif self._parser.buffered > AHEAD:
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
        self._free_room()
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
        self._came = 0
        if not self._make_room(head.body_length or 0):
            return
        if head.expects_continue and not self._parser.buffered:
            self.stream.write(http1.CONTINUE)

    def _make_room(self, size: int) -> bool:
        """Have ``size`` bytes of the body counted; else refuse the request and return False."""
        more = size - AHEAD - self._room
        if more > 0:
            refused = self._front.make_room(more)
            if refused is not None:
                self.refuse(refused)
                return False
            self._room += more
        return True

    def _free_room(self) -> None:
        if self._room:
            self._front.free_room(self._room)
            self._room = 0

    def _authenticate(self) -> None:
        if not self.authenticated:
            self.authenticated = True
            self._front.authenticated(self)

    def _on_body(self, body: bytes) -> None:
        self._deadline = None
        self._timed = None
        self._in_body = False
        self._free_room()
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
        limits = self._front.limits
        # What came of a request that is not served is not kept while the peer reads the answer.
        self._parser = http1.RequestParser(limits.head_bytes, limits.body_bytes)
        self._free_room()
        if self._eof:
            self.stream.close()
            return
        self._arm(limits.linger)
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
        elif self._ending or self.blocked:
            # A peer that does not read would not read a farewell either, and until it did, all it
            # goes on sending would be read and dropped.
            self.stream.abort()
        elif self._timed in ("head", "body"):
            self.refuse(Refused(408, "The request did not come to its end in time."))
        else:
            self.end_politely()
