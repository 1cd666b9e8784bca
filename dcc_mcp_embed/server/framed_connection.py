"""One peer on the framed wire: drive its machine, answer its requests, mind the deadlines.

Loop thread only.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, Optional, Set, Tuple

from ..errors import EmbedError, HostBusy, RemoteProtocolError
from ..net.stream import Stream
from ..rpc.hello import HelloRefused, ServerHello
from ..rpc.peer import Ended, Event, Greeted, Peer, Quotas
from ..transport_errors import ConnectionClosed, FrameTooLarge
from ..wire import jsonrpc
from ..wire.messages import Notify, Request
from .admission import Refused
from .connection import Connection
from .framed_shared import FramedShared

if TYPE_CHECKING:
    from .hall import Hall

__all__ = ["BadParams", "FramedConnection"]

#: Answers that are ready are sent together up to this size, bytes.
_BATCH = 64 * 1024
#: Requests that one read can hold must not count as too many at once: its bytes over the smallest.
_PER_READ = 4096


Begin = Callable[[Callable[[Dict[str, Any]], None], Optional[HostBusy]], None]
#: Success, payload, error: what a response says.
_Outcome = Tuple[bool, bytes, Optional[str]]

_UNSENDABLE = "the answer cannot be sent: {}"


class BadParams(EmbedError):
    """A method was given something else than it takes."""


class FramedConnection(Connection):
    """Drive the peer machine, answer its requests, mind the deadlines."""

    def __init__(
        self,
        endpoint: FramedShared,
        front: Hall,
        stream: Stream,
        peer: Tuple[str, int],
        opened: float,
    ) -> None:
        super().__init__(front, stream, peer, opened)
        self._endpoint = endpoint
        limits = front.limits
        #: What the peer calls itself, for the person at the host; it proves nothing.
        self.client = ""
        #: Called when the peer leaves: they end what would go on for as long as it is there.
        self.leaving: Set[Callable[[], None]] = set()
        self._hello: Optional[ServerHello] = endpoint.hello()
        self._peer = Peer(
            endpoint.clock,
            hello=None if endpoint.open_to_all else self._hello,
            quotas=Quotas(
                requests=_PER_READ, refuse=True, frame=limits.body_bytes, unsent=limits.high_water
            ),
        )
        self._once = endpoint.once(self)
        # Understood, and not served yet because the peer does not read its answers.
        self._events: Deque[Event] = deque()
        self._running = 0
        # Bytes of the frame that is still arriving, and whether its deadline runs.
        self._came = 0
        self._timed: Optional[str] = None
        self._answers: List[bytes] = []
        self._size = 0
        self._advancing = False
        if endpoint.open_to_all:
            self.authenticate()
        else:
            self._timed = "hello"
            self.arm(limits.hello_timeout)

    # -- from the stream ----------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        if self._ending:
            return
        peer = self._peer
        peer.unsent = self.stream.unsent
        events = peer.receive_data(data)
        if events:
            # At most this read is of the frame that is arriving now.
            self._came = 0
            self._events.extend(events)
            if self._timed == "body":
                self._timed = None
        self._came += len(data)
        self._advance()
        if self._came and not self._ending:
            refused = self.make_room(self._came)
            if refused is not None:
                self.refuse(refused)

    def receive_eof(self) -> None:
        """The peer sends no more; it may have closed its sending side only."""
        self._eof = True
        self._end_listening()
        self._close_if_done()

    def writable_again(self) -> None:
        self._advance()

    def drop_input(self) -> None:
        self._events.clear()

    def lost(self) -> None:
        # Calls run to their end, as those of an HTTP client that has left do.
        self._events.clear()
        self._end_listening()
        self._once.closed()
        self._endpoint.tidy(self._front.loop)

    def _end_listening(self) -> None:
        for leave in tuple(self.leaving):
            leave()

    # -- requests -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Serve what was understood, as long as the peer reads what it is answered.

        While it does not, the stream reads nothing more of it.
        """
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._events and not self._ending and not self.blocked:
                self._take(self._events.popleft())
        finally:
            self._advancing = False
        if self._ending:
            return
        self._flush()
        if not self._events and not self._peer.mid_frame:
            self._came = 0
            self.free_room()
        self._close_if_done()
        self._set_deadline()

    def _take(self, event: Event) -> None:
        if type(event) is Request:
            self._serve(event)
        elif type(event) is Greeted:
            self._greeted()
        elif type(event) is Ended:
            self._ended(event)
        elif type(event) is Notify:
            self._notified(event)
        # Nothing of ours waits for an answer.

    def _notified(self, notify: Notify) -> None:
        try:
            if not self._once.notified(notify):
                self._endpoint.notified(notify)
        except RemoteProtocolError as error:
            self.refuse(Refused(400, str(error)))

    def _serve(self, request: Request) -> None:
        endpoint = self._endpoint
        method = endpoint.methods.get(request.method)
        try:
            if method is not None:
                result = method(self, request)
                if result is not None:
                    self.tell(request.id, *_outcome(result))
            elif request.method == "hello" and self._hello is not None and endpoint.open_to_all:
                self._greet(self._hello, request)
            else:
                self._fail(
                    request.id,
                    "there is no method {!r} here; there are {}".format(
                        request.method[:100], ", ".join(endpoint.methods)
                    ),
                )
        except BadParams as error:
            self._fail(request.id, str(error))
        except Exception as error:
            # A defect of ours, whatever it is, must not leave the client waiting.
            self._fail(request.id, self._defect(request, error))

    def resume(self, request: Request) -> None:
        """Tell what has become of the calls of a connection that was lost."""
        for answer in self._once.judge(request).answers:
            self.tell(*answer)

    @property
    def identity(self) -> Tuple[Any, ...]:
        """What tells this connection from every other one, also from later ones."""
        # A name is a claim. The connection is not.
        return (self.peer, self.opened)

    def run(self, request: Request, repeatable: bool, begin: Begin) -> None:
        """Have a request done and answered, now or later; never twice, unless it may be.

        ``begin(answer, refusal)`` does it and calls ``answer(result)`` once; with a ``refusal`` it
        only says so in its own way.
        """
        judgement = self._once.judge(request, repeatable)
        for answer in judgement.answers:
            self.tell(*answer)
        if not judgement.run:
            return
        kept, over = judgement.kept, False

        def settle(outcome: _Outcome) -> None:
            nonlocal over
            if not over:
                over = True
                self._running -= 1
                self._finished(request.id, outcome, kept)

        self._running += 1
        try:
            begin(lambda result: settle(_outcome(result)), self._too_many())
        except Exception as error:
            # Nor may it stay under way for ever, here and for whoever asks for it later.
            settle((False, b"", self._defect(request, error)))

    def _defect(self, request: Request, error: Exception) -> str:
        """Log it; return what the client is told."""
        self._endpoint.log("error", "{}: {!r}".format(request.method[:100], error))
        return "the server failed on this request; see its log"

    def push(self, topic: str, data: bytes) -> None:
        """Send a notification, unless the peer is behind in reading."""
        if self._ending or self.blocked:
            return
        self._say(self._peer.notification(topic, data))
        if not self._advancing:
            self._flush()

    @property
    def _busy(self) -> bool:
        """Whether something runs that the peer is to be told of, also if it began elsewhere."""
        return self._running > 0 or self._once.waiting > 0

    def _too_many(self) -> Optional[HostBusy]:
        """Return why another call has to wait, None if it need not."""
        most = self._front.limits.framed_calls
        if self._running <= most:
            return None
        return HostBusy(
            "{} calls of this connection are under way already.".format(most),
            hint="Wait for some of their answers.",
            retry_after_ms=1000,
        )

    def _finished(self, request_id: bytes, outcome: _Outcome, kept: bool) -> None:
        """Tell whoever waits for it: this connection, if it is there still, or a later one."""
        waiters: List[Any] = [self]
        if kept:
            waiters = self._once.finish(request_id, *outcome)
        for waiter in waiters:
            waiter.tell(request_id, *outcome)
            if not waiter._advancing:
                waiter._advance()
        if kept:
            self._endpoint.tidy(self._front.loop)

    # -- hello --------------------------------------------------------------------------------

    def _greeted(self) -> None:
        # The end of the hello leaves before any answer to what was sent right after it.
        self._flush()
        self._timed = None
        self._end_hello()
        self.disarm()
        self.authenticate()

    def _greet(self, hello: ServerHello, request: Request) -> None:
        """Prove ourselves to a peer that need not prove itself, and does."""
        try:
            answer = hello.receive(request)
        except HelloRefused as refusal:
            self._fail(request.id, refusal.reason)
            return
        if answer is not None:
            self._say(self._peer.answer(request.id, True, answer.payload))
        if hello.facts is not None:
            self._end_hello()

    def _end_hello(self) -> None:
        if self._hello is not None:
            self.client = self._hello.client
            # The key goes with it.
            self._hello = None

    # -- answers ------------------------------------------------------------------------------

    def tell(self, request_id: bytes, success: bool, payload: bytes, error: Optional[str]) -> None:
        """Say the answer to a request, or why it cannot be sent."""
        try:
            data = self._peer.answer(request_id, success, payload, error)
        except FrameTooLarge as failure:
            self._fail(request_id, _UNSENDABLE.format(failure))
        else:
            self._say(data)

    def _fail(self, request_id: bytes, error: str) -> None:
        self._say(self._peer.answer(request_id, False, b"", _text(error)))

    def _say(self, data: bytes) -> None:
        if self._ending:
            return
        self._answers.append(data)
        self._size += len(data)
        if self._size >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        """Send what is to be said: the answers, then what the machine has to say itself."""
        own = self._peer.data_to_send()
        if own:
            self._answers.append(own)
        if self._answers:
            data = self._answers[0] if len(self._answers) == 1 else b"".join(self._answers)
            self._answers.clear()
            self._size = 0
            self.stream.write(data)

    # -- the end ------------------------------------------------------------------------------

    def _ended(self, event: Ended) -> None:
        if isinstance(event.error, ConnectionClosed):
            # It said so itself, and reads no more.
            self._flush()
            self._ending = True
            self.stream.close()
        elif self.authenticated:
            self.refuse(Refused(400, str(event.error)))
        else:
            # What is to be told to a stranger, the machine has said.
            self._flush()
            self.end_politely()

    def refuse(self, refused: Refused) -> None:
        self._peer.shutdown(refused.message)
        self._flush()
        self.end_politely()

    def _close_if_done(self) -> None:
        if self._eof and not self._events and not self._busy and not self._ending:
            self._ending = True
            self.stream.close()

    # -- deadlines ----------------------------------------------------------------------------

    def _set_deadline(self) -> None:
        if self._ending or self._timed == "hello":
            return
        limits = self._front.limits
        if self.blocked:
            part, delay = "idle", self.patience()
        elif self._peer.mid_frame:
            # A slow peer does not get a new deadline with each byte.
            part, delay = "body", limits.body_timeout
        elif self._busy:
            self._timed = None
            self.disarm()
            return
        else:
            part, delay = "idle", self.patience()
        if part != self._timed or part == "idle":
            self._timed = part
            self.arm(delay)

    def overdue(self) -> None:
        if self._timed == "hello":
            self.end_politely()
        elif self._timed == "body":
            self.refuse(Refused(408, "the request did not come to its end in time"))
        else:
            self.refuse(Refused(408, "nothing came for a long time"))


def _outcome(result: Dict[str, Any]) -> _Outcome:
    """Return how a response says a result."""
    try:
        return True, jsonrpc.encode(result), None
    except (TypeError, ValueError) as error:
        return False, b"", _text(_UNSENDABLE.format(error))


def _text(error: str) -> str:
    # A name that is no text (a lone surrogate) can be in it.
    return error.encode("utf-8", "backslashreplace").decode("utf-8")
