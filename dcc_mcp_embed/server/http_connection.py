"""One HTTP connection: bytes to exchanges, one at a time, with deadlines. Loop thread only.

Requests of one connection are served in their order, the next one when the previous is answered
(pipelining costs nothing and needs no re-ordering). What a peer sends ahead is bounded by not
reading on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Tuple, Union

from ..net.stream import Stream
from ..wire import http1
from .admission import Admitted, Refused
from .connection import AHEAD, Connection
from .exchange import JSON, Carrier, Exchange, Headers, problem
from .gateway import MAX_BODY

if TYPE_CHECKING:
    from .hall import Hall

__all__ = ["HttpConnection"]

#: A comment in a stream of server-sent events.
_KEEP_ALIVE = http1.chunk(b":\n\n")


class HttpConnection(Connection, Carrier):
    """Drive the parser, ask admission, hand exchanges to the front, mind the deadlines."""

    def __init__(self, front: Hall, stream: Stream, peer: Tuple[str, int], opened: float) -> None:
        super().__init__(front, stream, peer, opened)
        self._parser = http1.RequestParser(front.limits.head_bytes, front.limits.body_bytes)
        self._exchange: Optional[Exchange] = None
        self._head: Any = None
        self._path = ""
        self._guest = False
        self._refused: Optional[Refused] = None
        self._judged: Any = None
        self._verdict: Union[Admitted, Refused, None] = None
        self._in_body = False
        # What came of a chunked body.
        self._came = 0
        # Which part of a message the running deadline is for; a slow peer does not get a new one
        # with each byte.
        self._timed: Optional[str] = None
        self._advancing = False
        self._keep_alive = True

    # -- from the stream ----------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        self._parser.receive_data(data)
        if self._exchange is None:
            self._advance()
            if self._in_body and not self._ending and self._head.body_length is None:
                self._came += len(data)
                self._claim_room(self._came)
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

    def lost(self) -> None:
        self._front.streaming.pop(self, None)
        exchange, self._exchange = self._exchange, None
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
        self._sent()

    def begin_stream(self, headers: Headers) -> None:
        """Send the beginning of an answer that comes in pieces."""
        self._front.streaming[self] = self.keep_alive
        self._front.keep_alive_later()
        self.stream.write(http1.stream_head(200, headers))

    def send_piece(self, piece: bytes) -> None:
        """Send a piece of a streamed answer."""
        self.stream.write(http1.chunk(piece))
        if self.blocked:
            self._front.relieve()

    def finish_stream(self, piece: bytes) -> None:
        """Send the end of a streamed answer."""
        self._front.streaming.pop(self, None)
        self.stream.write(http1.chunk(piece) + http1.LAST_CHUNK)
        self._sent()

    def keep_alive(self) -> None:
        """Send what nobody reads, so that whatever stands between does not end the stream."""
        if not self.blocked:
            self.stream.write(_KEEP_ALIVE)

    def _sent(self) -> None:
        if self.blocked:
            self._front.relieve()
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
        self._path, self._guest = verdict
        allowed = front.public.get(verdict.path)
        if allowed is None:
            full = self.authenticate(self._guest)
            if full is not None:
                self.refuse(full)
                return
        elif head.body_length is None or head.body_length > allowed:
            # Strangers come here: they may not send much.
            self.refuse(Refused(413, _too_much(verdict.path, allowed)))
            return
        self._came = 0
        if not self._claim_room(head.body_length or 0):
            return
        if head.expects_continue and not self._parser.buffered:
            self.stream.write(http1.CONTINUE)

    def _claim_room(self, size: int) -> bool:
        """Have ``size`` bytes of the body counted; else refuse the request and return False."""
        if self._guest and size > MAX_BODY:
            refused: Optional[Refused] = Refused(413, _too_much(self._path, MAX_BODY))
        else:
            refused = self.make_room(size)
        if refused is not None:
            self.refuse(refused)
        return refused is None

    def _on_body(self, body: bytes) -> None:
        self.disarm()
        self._timed = None
        self._in_body = False
        self.free_room()
        exchange = Exchange(self, self._head, self._path, body, self._guest)
        self._exchange = exchange
        refused = self._refused
        if refused is not None:
            exchange.reply(refused.status, JSON + refused.headers, problem(refused.message))
            return
        try:
            self._front.handle(exchange)
        except Exception as error:
            # A defect of ours, whatever it is, must not leave the client waiting.
            exchange.fail(error, self._front.log)

    def refuse(self, refused: Refused) -> None:
        """Answer a request that is not served and end the connection, its body unread."""
        headers = JSON + refused.headers
        self.stream.write(http1.response(refused.status, headers, problem(refused.message), False))
        self.end_politely()

    def drop_input(self) -> None:
        limits = self._front.limits
        self._parser = http1.RequestParser(limits.head_bytes, limits.body_bytes)

    # -- deadlines ----------------------------------------------------------------------------

    def _set_deadline(self) -> None:
        if self._ending or self._exchange is not None:
            return
        limits = self._front.limits
        if self.blocked:
            # It is the peer's turn to read, so it cannot be late with a request.
            part, delay = "idle", self.patience()
        elif self._in_body:
            part, delay = "body", self._body_time()
        elif self._parser.mid_message:
            part, delay = "head", limits.head_timeout
        else:
            part, delay = "idle", self.patience()
        if part != self._timed or part == "idle":
            self._timed = part
            self.arm(delay)

    def _body_time(self) -> float:
        limits = self._front.limits
        return limits.body_timeout if self.authenticated else limits.head_timeout

    def overdue(self) -> None:
        if self._timed in ("head", "body"):
            self.refuse(Refused(408, "The request did not come to its end in time."))
        else:
            self.end_politely()


def _too_much(path: str, allowed: int) -> str:
    if not allowed:
        return "No body is taken at {!r}.".format(path)
    return "At {!r} a body of at most {} bytes is taken, with its Content-Length.".format(
        path, allowed
    )
