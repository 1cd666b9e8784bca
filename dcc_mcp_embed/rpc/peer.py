"""One end of a framed connection: bytes in, events and bytes out. No socket, no thread.

It matches answers to calls, answers pings, measures its own, gives an answer the form of its
request, keeps the quotas, runs the hello, and says once that the connection is over. Both kinds of
shell drive it: a channel under its lock, a server on its loop.

    events = peer.receive_data(data)      what the socket gave
    sock.send(peer.data_to_send())        whenever something was received or said

Events: a ``Request``, ``Notify`` or ``Response`` of the peer's own accord, a settled ``Call`` or
``Probe`` (each once), ``Greeted`` when the hello is done, and ``Ended``, the last.
"""

from __future__ import annotations

import itertools
from typing import Callable, Dict, List, Optional, Tuple, Type, Union

from ..clock import Clock
from ..records import NamedTuple
from ..transport_errors import (
    ConnectionClosed,
    FrameTooLarge,
    Internal,
    Serialization,
    TransportError,
)
from ..wire.frames import MAX_FRAME, FrameReader, frame
from ..wire.messages import (
    OURS,
    REFERENCE,
    Form,
    Message,
    Notify,
    Ping,
    Pong,
    Request,
    Response,
    Shutdown,
    decode,
    encode,
    request_frame,
    response_frame,
)
from .hello import HELLO_LIMIT, Facts, Hello, HelloRefused
from .pending import Call, Greeting, Probe, fresh

__all__ = ["Ended", "Event", "Greeted", "Peer", "Quotas"]


class Quotas(NamedTuple):
    """What one connection may take up."""

    #: Calls and pings of ours that wait for an answer.
    in_flight: int = 1024
    #: Requests of the peer's that wait for ours.
    requests: int = 1024
    #: Whether a request over that is refused. If not, the oldest is no longer kept in mind: its
    #: answer, should there ever be one, has the usual form. (Raw channels: nobody has to answer.)
    refuse: bool = False
    #: Bytes of payload in one frame, after the hello.
    frame: int = MAX_FRAME
    #: Bytes that the shell holds for a peer that does not read, from which on pings and requests
    #: over the quota get no answer any more.
    unsent: int = 64 * 1024


class Greeted(NamedTuple):
    """The hello is done."""

    facts: Facts


class Ended(NamedTuple):
    """The connection is over; everything pending has been settled with a copy of ``error``."""

    error: TransportError
    #: What the peer said, if it ended the connection in order.
    reason: Optional[str] = None


Event = Union[Request, Response, Notify, Call, Probe, Greeted, Ended]

#: A stranger's text gets that far into our errors.
_QUOTED = 200
#: So many calls whose time was over are remembered, to tell a late answer from an unasked one.
_ABANDONED = 1024


class Peer:
    """One end of a connection. Not thread-safe: its shell has a lock, or is a loop.

    Emits byte fields in the reference's form; after a ``hello`` as ``bin``. ``late_answers``: those
    of calls whose time was over are events too (the reference).
    """

    def __init__(
        self,
        clock: Clock,
        hello: Optional[Hello] = None,
        quotas: Quotas = Quotas(),
        late_answers: bool = False,
    ) -> None:
        self._clock = clock
        self._form = REFERENCE
        self._hello = hello
        self._quotas = quotas
        self._late_answers = late_answers
        self._reader = FrameReader(quotas.frame if hello is None else HELLO_LIMIT)
        self._out: List[bytes] = []
        # Ids are UUIDs of version 4 to look at: a random half, and a random start to count from.
        chance = bytearray(clock.token_bytes(16))
        chance[6] = chance[6] & 0x0F | 0x40
        self._id_prefix = bytes(chance[:8])
        self._id_numbers = itertools.count(int.from_bytes(chance[9:], "big") >> 1 | 1 << 63)
        self._pending: Dict[bytes, Union[Call, Probe]] = {}
        self._abandoned: Dict[bytes, None] = {}
        self._requests: Dict[bytes, Form] = {}
        #: Bytes that the shell could not send yet; the shell keeps it up to date.
        self.unsent = 0
        #: Settled when the hello is; the shell may wait for it.
        self.greeting = Greeting()
        #: What the other end said of itself in its hello.
        self.facts: Optional[Facts] = None
        #: Set once the connection is over.
        self.ended: Optional[Ended] = None
        first = None if hello is None else hello.start()
        if first is not None:
            self._say(first, REFERENCE)

    # -- state --------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """How many calls and pings of ours wait for an answer."""
        return len(self._pending)

    @property
    def mid_frame(self) -> bool:
        """Whether a frame has begun to arrive."""
        return self._reader.mid_frame

    # -- what we say --------------------------------------------------------------------------

    @property
    def has_data(self) -> bool:
        """Whether :meth:`data_to_send` has something."""
        return bool(self._out)

    def data_to_send(self) -> bytes:
        """Return what is to be sent now, and forget it."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def new_id(self) -> bytes:
        """Return an id that this end has not used yet. Any thread."""
        return self._id_prefix + next(self._id_numbers).to_bytes(8, "big")

    def compose(
        self,
        method: str,
        params: bytes,
        deadline: Optional[float] = None,
        timeout_ms: int = 0,
        ident: Optional[bytes] = None,
    ) -> Tuple[Call, bytes]:
        """Return a call and its frame; nothing is under way before :meth:`begin`. Any thread.

        ``ident``: the id it has already, one that this end has not used on this connection. Raises
        Serialization, FrameTooLarge.
        """
        ident = ident or self.new_id()
        data = request_frame(ident, method, params, self._form)
        return Call(ident, method, deadline, timeout_ms), data

    def begin(self, pending: Union[Call, Probe]) -> None:
        """Wait for the answer to what the shell sends itself. Raises Internal, or what ended it."""
        if self.ended is not None:
            raise fresh(self.ended.error)
        if len(self._pending) >= self._quotas.in_flight:
            raise Internal("too many calls in flight (max: {})".format(self._quotas.in_flight))
        self._pending[pending.id] = pending

    def call(self, method: str, params: bytes) -> Call:
        """Say a request and wait for its answer. Raises Serialization, FrameTooLarge, Internal."""
        call, data = self.compose(method, params)
        self.begin(call)
        self._out.append(data)
        return call

    def ping(self, deadline: Optional[float] = None, timeout_ms: int = 0) -> Probe:
        """Say a ping and measure how long its answer takes. Raises Internal."""
        probe = Probe(self.new_id(), self._clock.monotonic(), deadline, timeout_ms)
        self.begin(probe)
        self._say(Ping(probe.id, self._wall_ms()), self._form)
        return probe

    def request(self, method: str, params: bytes) -> Tuple[bytes, bytes]:
        """Return a request's id and frame; its answer will be an event. Any thread. Raises as call.

        The shell sends the frame itself, as with :meth:`notification` and :meth:`answer`: a channel
        has to know when it is out.
        """
        ident = self.new_id()
        return ident, request_frame(ident, method, params, self._form)

    def notification(self, topic: str, data: bytes) -> bytes:
        """Return a notification's frame. Any thread. Raises Serialization, FrameTooLarge."""
        return frame(encode(Notify(None, topic, data), self._form))

    def answer(
        self, request_id: bytes, success: bool, payload: bytes = b"", error: Optional[str] = None
    ) -> bytes:
        """Return the frame that answers a request, in that request's form. Raises as above."""
        form = self._requests.get(request_id, self._form)
        data = response_frame(request_id, success, payload, error, form)
        self._requests.pop(request_id, None)
        return data

    def shutdown(self, reason: Optional[str] = None) -> None:
        """Say that the connection is over; the shell sends it and closes."""
        self._say(Shutdown(reason), self._form)

    # -- what we hear -------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> List[Event]:
        """Take what the peer sent and return what it means. Never raises for the peer's sake."""
        events: List[Event] = []
        if self.ended is not None:
            return events
        reader = self._reader
        try:
            payload = reader.first_frame(data)
            while payload is not None:
                message, form = decode(payload)
                if self._hello is None:
                    _HEARD[type(message)](self, message, form, events)
                else:
                    self._greet(self._hello, message, form, events)
                payload = None if self.ended is not None else reader.next_frame()
        except (FrameTooLarge, Serialization) as error:
            events += self.end(error)
        return events

    def receive_eof(self) -> List[Event]:
        """The peer will send nothing more: the connection is over, also inside a frame."""
        return self.end(ConnectionClosed())

    def end(self, error: TransportError, reason: Optional[str] = None) -> List[Event]:
        """End the connection, settle everything pending with ``error``; return the last events."""
        if self.ended is not None:
            return []
        # Kept with the frames that it came through, it would keep the whole connection.
        self.ended = Ended(fresh(error), reason)
        events: List[Event] = []
        for pending in self._pending.values():
            pending.fail(fresh(error))
            events.append(pending)
        self._pending.clear()
        self._requests.clear()
        if not self.greeting.done:
            self.greeting.fail(fresh(error))
        events.append(self.ended)
        return events

    def abandon(self, pending: Union[Call, Probe]) -> None:
        """Wait for this no longer: settle it with the error for the end of its time."""
        if self._pending.pop(pending.id, None) is None:
            return
        pending.fail(pending.timeout())
        if isinstance(pending, Call):
            if len(self._abandoned) >= _ABANDONED:
                del self._abandoned[next(iter(self._abandoned))]
            self._abandoned[pending.id] = None

    # -- inside -------------------------------------------------------------------------------

    def _say(self, message: Message, form: Form) -> None:
        self._out.append(frame(encode(message, form)))

    def _wall_ms(self) -> int:
        return int(self._clock.wall() * 1000)

    def _greet(self, hello: Hello, message: Message, form: Form, events: List[Event]) -> None:
        if isinstance(message, Shutdown):
            # Such as: it has too many connections already.
            said = (message.reason or "no reason given")[:_QUOTED]
            events += self.end(Internal("the peer ended the connection: " + said), message.reason)
            return
        try:
            answer = hello.receive(message)
        except HelloRefused as refusal:
            if refusal.answer is not None:
                self._say(refusal.answer, form)
            events += self.end(Internal(refusal.reason))
            return
        if answer is not None:
            self._say(answer, form)
        if hello.facts is not None:
            # The key goes with it.
            self._hello = None
            self._form = OURS
            self._reader.limit = self._quotas.frame
            self.facts = hello.facts
            self.greeting.done = True
            events.append(Greeted(hello.facts))

    def _on_request(self, message: Request, form: Form, events: List[Event]) -> None:
        requests = self._requests
        if len(requests) >= self._quotas.requests:
            if self._quotas.refuse:
                self._refuse(message, form)
                return
            del requests[next(iter(requests))]
        requests[message.id] = form
        events.append(message)

    def _refuse(self, message: Request, form: Form) -> None:
        if self.unsent < self._quotas.unsent:
            error = "too many requests at once (max: {})".format(self._quotas.requests)
            self._say(Response(message.id, False, b"", error), form)

    def _on_response(self, message: Response, form: Form, events: List[Event]) -> None:
        pending = self._pending.get(message.id)
        if isinstance(pending, Call):
            del self._pending[message.id]
            pending.response = message
            pending.done = True
            events.append(pending)
        elif message.id not in self._abandoned:
            events.append(message)
        else:
            del self._abandoned[message.id]
            if self._late_answers:
                events.append(message)

    def _on_notify(self, message: Notify, form: Form, events: List[Event]) -> None:
        events.append(message)

    def _on_ping(self, message: Ping, form: Form, events: List[Event]) -> None:
        # Whoever pings and does not read cannot want to know.
        if self.unsent < self._quotas.unsent:
            self._say(Pong(message.id, self._wall_ms()), form)

    def _on_pong(self, message: Pong, form: Form, events: List[Event]) -> None:
        pending = self._pending.get(message.id)
        # A late one is of no use to anybody.
        if isinstance(pending, Probe):
            del self._pending[message.id]
            pending.round_trip = self._clock.monotonic() - pending.sent_at
            pending.done = True
            events.append(pending)

    def _on_shutdown(self, message: Shutdown, form: Form, events: List[Event]) -> None:
        events += self.end(ConnectionClosed(), message.reason)


_Heard = Callable[[Peer, Message, Form, List[Event]], None]
# Functions, not bound methods: a peer that held its own would be a cycle.
_HEARD: Dict[Type[Message], _Heard] = {
    Request: Peer._on_request,  # type: ignore[dict-item]
    Response: Peer._on_response,  # type: ignore[dict-item]
    Notify: Peer._on_notify,  # type: ignore[dict-item]
    Ping: Peer._on_ping,  # type: ignore[dict-item]
    Pong: Peer._on_pong,  # type: ignore[dict-item]
    Shutdown: Peer._on_shutdown,  # type: ignore[dict-item]
}
