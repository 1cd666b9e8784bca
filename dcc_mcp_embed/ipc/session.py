"""One client's connection to its server, and what becomes of it: a machine, no socket, no thread.

Events go in, with the time they happen at; what is to be done about them comes out of :meth:`take`,
what is to be sent out of :meth:`data_to_send`, and :meth:`next_timer` says when to call
:meth:`tick`. The states:

    IDLE      no connection, and nobody wants one
    DIALING   the shell is asked for a connected socket
    GREETING  both ends prove that they know the secret
    RESUMING  the server is asked what became of the requests in flight
    READY     requests are sent
    WAITING   the pause before the next attempt

A request is *held* until it can be sent, then *in flight* until it is answered or its time is over.
What is in flight when a connection breaks, also if only a part of its bytes or none may have left,
is decided by ``rpc.resume`` on the next connection: it is sent again under its id, waited for, or
settled as an unknown outcome. So nothing runs twice.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from ..clock import Clock
from ..errors import EmbedError, RemoteProtocolError, UnknownOutcome
from ..net.timers import Timer, Timers
from ..rpc.hello import HELLO_TIMEOUT, NOT_OURS, ClientHello, HelloRefused
from ..rpc.outbound import OutboundTracker, RouteKey
from ..rpc.peer import Ended, Event, Greeted, Peer, Quotas
from ..rpc.pending import Call, Probe
from ..rpc.resume import ACKNOWLEDGE, LOOK_FIRST, RESUME, SEND, SETTLE, Decision, ResumeClient
from ..transport_errors import (
    CallTimeout,
    ConnectionClosed,
    FrameTooLarge,
    Serialization,
    TransportError,
)
from ..wire.messages import Message, Notify, Request, Response
from .answers import NotConnected, NotSent, failure
from .utils import BackoffStrategy

__all__ = [
    "Action",
    "Answered",
    "Close",
    "Connected",
    "Dial",
    "Disconnected",
    "Errand",
    "Finished",
    "Options",
    "Pushed",
    "Session",
]

IDLE, DIALING, GREETING, RESUMING, READY, WAITING = range(6)

#: Requests in flight at once; the others are held.
_WINDOW = 1000
#: Bytes that wait for the server to read, from which on requests are held. More than the stream's:
#: it says when less than that are left.
_HIGH_WATER = 2 * 1024 * 1024
#: Seconds for the answer to ``resume``.
_RESUME_TIMEOUT = 5.0
#: Seconds after which answers are acknowledged if no more of them come.
_ACK_DELAY = 1.0
#: The part of an interval in which a heartbeat has to be answered.
_BEAT_PART = 0.75
#: Delays between attempts grow like this, and chance takes off up to a quarter.
_FIRST_DELAY, _GROWTH, _JITTER = 0.5, 1.5, 0.25
#: Receipts of settled requests that are remembered; requests in flight have to fit in as well.
_RECEIPTS = 1024
_SAID = 200
#: Here a secret may have been given.
_WRONG_SECRET = (
    "whoever answers does not know the secret (the `secret=` that was given, or this user's own)"
)


class Options(NamedTuple):
    """What a client was asked for; seconds. ``heartbeat_interval`` 0: none are sent."""

    account_id: str = ""
    auto_reconnect: bool = True
    reconnect_interval: float = 3.0
    #: 0: for ever.
    max_reconnect_attempts: int = 0
    heartbeat_interval: float = 30.0


class Errand:
    """One request from its beginning to its end.

    ``deadline``: monotonic seconds, None for ever. Once ``done`` it has a ``response`` or an
    ``error``; neither if it was abandoned. ``waiter`` is the shell's.
    """

    __slots__ = (
        "call",
        "deadline",
        "done",
        "error",
        "frame",
        "id",
        "name",
        "params",
        "response",
        "timeout_ms",
        "timer",
        "waiter",
    )

    def __init__(
        self,
        name: str,
        params: bytes,
        deadline: Optional[float] = None,
        timeout_ms: int = 0,
        waiter: Any = None,
    ) -> None:
        self.name = name
        self.params = params
        self.deadline = deadline
        self.timeout_ms = timeout_ms
        self.waiter = waiter
        self.done = False
        self.response: Optional[Response] = None
        self.error: Optional[EmbedError] = None
        #: In flight: its id, its request's bytes, and its call on the connection of the moment.
        self.id: Optional[bytes] = None
        self.frame = b""
        self.call: Optional[Call] = None
        self.timer: Optional[Timer] = None


class Dial(NamedTuple):
    """Connect a socket; then call ``dialed`` or ``dial_failed`` with the number."""

    number: int


class Close(NamedTuple):
    """Close the socket; ``politely``: after what is to be sent."""

    politely: bool


class Connected(NamedTuple):
    """Requests are sent from now on."""


class Disconnected(NamedTuple):
    """The connection is gone."""

    reason: str


class Pushed(NamedTuple):
    """The server has pushed something; ``data`` is JSON."""

    topic: str
    data: bytes


class Answered(NamedTuple):
    """A ``connect``, ``disconnect`` or ``check`` has come to its end."""

    waiter: Any
    well: bool


class Finished(NamedTuple):
    """Nothing more will happen before the next ``connect``."""


Action = Union[Answered, Close, Connected, Dial, Disconnected, Errand, Finished, Pushed]


class _Hello(ClientHello):
    """Remembers why it was refused: whoever refuses now will refuse again."""

    refused: Optional[str] = None

    def receive(self, message: Message) -> Optional[Request]:
        try:
            return super().receive(message)
        except HelloRefused as refusal:
            self.refused = refusal.reason
            raise


class _Waiting:
    """A ``connect`` that waits; ``left``: attempts that may still fail."""

    def __init__(self, waiter: Any, left: int) -> None:
        self.waiter = waiter
        self.left = left


class Session:
    """See the module. One thread at a time; only numbers and texts may be read from others.

    ``unsent``: bytes that the socket did not take yet; the shell sets it before each event.
    """

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        driver = "ipc-client-" + clock.uuid()
        # Kept until they are settled, however long that takes; the receipts crowd each other out.
        tracker = OutboundTracker(math.inf, clock=clock, max_records=_RECEIPTS)
        route = RouteKey("ipc", None, options.account_id or None)
        self._resume = ResumeClient(tracker, route, driver, clock)
        longest = max(options.reconnect_interval, 0.001)
        self._backoff = BackoffStrategy(
            min(_FIRST_DELAY, longest), longest, _GROWTH, _JITTER, clock=clock
        )
        self._timers = Timers()
        self._actions: List[Action] = []
        self._out: List[bytes] = []
        self._out_size = 0
        self.unsent = 0
        self._state = IDLE
        #: Which attempt it is; what comes of an earlier one is not wanted any more.
        self._number = 0
        #: Attempts that failed in a row.
        self._failures = 0
        #: Whether there has been a connection since the state was IDLE.
        self._been_ready = False
        self._connects: List[_Waiting] = []
        self._peer: Optional[Peer] = None
        self._hello: Optional[_Hello] = None
        self._question: Optional[Call] = None
        self._step: Optional[Timer] = None
        self._beat_timer: Optional[Timer] = None
        self._ack_timer: Optional[Timer] = None
        self._held: OrderedDict[Errand, None] = OrderedDict()
        self._in_flight: Dict[bytes, Errand] = {}
        #: Health checks: who waits, and until when.
        self._checks: Dict[Probe, Tuple[Any, Optional[Timer]]] = {}
        self._heard = 0.0
        # What get_stats tells.
        self.requests = self.responses = self.errors = self.timeouts = 0
        self.resent = self.joined = self.unknown_outcomes = 0
        self.pushes = self.heartbeats = self.reconnects = 0
        self.last_error: Optional[str] = None
        self.last_latency: Optional[float] = None
        self.connected_since: Optional[float] = None

    # -- state --------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether requests are sent at once."""
        return self._state == READY

    @property
    def idle(self) -> bool:
        """Whether there is no connection and none is wanted."""
        return self._state == IDLE

    @property
    def state(self) -> str:
        """``disconnected``, ``connecting``, ``connected`` or ``reconnecting``."""
        if self._state == IDLE:
            return "disconnected"
        if self._state == READY:
            return "connected"
        return "reconnecting" if self._been_ready else "connecting"

    @property
    def in_flight(self) -> int:
        """Requests that were sent and are not settled."""
        return len(self._in_flight)

    @property
    def held(self) -> int:
        """Requests that wait to be sent."""
        return len(self._held)

    def not_connected(self) -> NotConnected:
        """Return the error for who asks while the state is IDLE. Any thread."""
        return NotConnected(
            "not connected ({}): call connect() first".format(self.last_error or "it never was")
        )

    def refuse(self) -> NotConnected:
        """Count a request that nobody takes, and return its error. One thread at a time."""
        self.requests += 1
        self.errors += 1
        return self.not_connected()

    def take(self) -> List[Action]:
        """Return what is to be done, in order, and forget it; an Errand is settled."""
        actions, self._actions = self._actions, []
        return actions

    def data_to_send(self) -> bytes:
        """Return what is to be sent now, and forget it."""
        peer = self._peer
        if peer is not None and peer.has_data:
            self._out.append(peer.data_to_send())
        out = self._out
        if not out:
            return b""
        self._out, self._out_size = [], 0
        return out[0] if len(out) == 1 else b"".join(out)

    def next_timer(self, now: float) -> Optional[float]:
        """Return in how many seconds to call :meth:`tick`; None: not before something happens."""
        return self._timers.timeout(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for timer in self._timers.due(now):
            # One that is due together with it may have cancelled it.
            if timer.callback is not None:
                timer.callback(now, *timer.args)

    # -- what the user wants ------------------------------------------------------------------

    def connect(self, now: float, retries: int, waiter: Any) -> None:
        """Connect, unless there is a connection; ``retries`` attempts may fail and one more."""
        if self._state == READY:
            self._actions.append(Answered(waiter, True))
            return
        self._connects.append(_Waiting(waiter, retries))
        if self._state in (IDLE, WAITING):
            self._attempt(now)

    def withdraw(self, now: float, waiter: Any) -> None:
        """A ``connect`` is not waited for any longer; nobody else wants one: no more attempts."""
        self._connects = [one for one in self._connects if one.waiter is not waiter]
        if self._state in (IDLE, READY) or self._connects or self._been_ready:
            return
        if self._peer is not None:
            self._actions.append(Close(False))
            self._unplug()
        self._stop("connect() was cancelled")

    def disconnect(self, now: float, waiter: Any) -> None:
        """End the connection and everything that depends on it."""
        if self._state == IDLE:
            self._actions += [Finished(), Answered(waiter, True)]
            return
        reason = "disconnect() was called"
        was_ready = self._state == READY
        if was_ready and self._peer is not None:
            self._acknowledge(now)
            self._peer.shutdown("the client disconnects")
            self._actions.append(Close(True))
            self._actions.append(Disconnected(reason))
        elif self._peer is not None:
            self._actions.append(Close(False))
        self._unplug(keep_output=was_ready)
        self._stop(reason)
        self._actions.append(Answered(waiter, True))

    def ask(self, now: float, errand: Errand) -> None:
        """Send a request, now or as soon as it can be."""
        self.requests += 1
        if self._state == IDLE:
            self._settle(errand, None, self.not_connected())
            return
        if errand.deadline is not None:
            errand.timer = self._timers.add(errand.deadline, self._overdue, errand)
        self._held[errand] = None
        self._send_held()

    def abandon(self, now: float, errand: Errand) -> None:
        """Wait for an answer no longer; a request that was sent may run all the same."""
        if not errand.done:
            self._take_back(errand, "cancelled")
            self._end(errand, None, None)
            self._send_held()

    def check(self, now: float, timeout: float, waiter: Any) -> None:
        """Ask the server for a sign of life."""
        if self._state != READY or self._peer is None:
            self._actions.append(Answered(waiter, False))
            return
        probe = self._peer.ping()
        timer = None
        if timeout < math.inf:
            timer = self._timers.add(now + timeout, self._check_overdue, probe)
        self._checks[probe] = waiter, timer

    # -- what happens to the socket -----------------------------------------------------------

    def dialed(self, now: float, number: int, place: str, key: bytes) -> bool:
        """A socket is connected; False: it is not wanted any more."""
        if number != self._number or self._state != DIALING:
            return False
        self._hello = _Hello(key, place, self._clock, client=self._options.account_id)
        quotas = Quotas(in_flight=1 << 20)
        self._peer = Peer(self._clock, hello=self._hello, quotas=quotas)
        self._state = GREETING
        self._heard = now
        self._step = self._timers.add(
            now + HELLO_TIMEOUT, self._too_slow, "no hello within {:g} s".format(HELLO_TIMEOUT)
        )
        return True

    def dial_failed(self, now: float, number: int, reason: str, final: bool = False) -> None:
        """No socket could be connected; ``final``: the next attempt would not do better."""
        if number == self._number and self._state == DIALING:
            self._attempt_failed(now, reason, final)

    def receive_data(self, now: float, data: bytes) -> None:
        """Take what the server sent."""
        peer = self._peer
        if peer is None:
            return
        self._heard = now
        peer.unsent = self.unsent
        for event in peer.receive_data(data):
            if self._peer is not peer:
                return
            self._on_event(now, event)
        self._send_held()

    def receive_eof(self, now: float) -> None:
        """The server sends no more."""
        if self._peer is not None:
            self._lost(now, "the server closed the connection")

    def lost(self, now: float, error: Optional[Exception]) -> None:
        """The socket is gone."""
        if self._peer is not None:
            reason = "the server closed the connection" if error is None else str(error)
            self._lost(now, reason, close=False)

    def sent(self, unsent: int) -> None:
        """What was to be sent has been, or is among the ``unsent`` bytes."""
        self.unsent = unsent
        self._send_held()

    def writable_again(self, now: float) -> None:
        """The server has read most of what it was sent."""
        self._send_held()

    # -- attempts -----------------------------------------------------------------------------

    def _attempt(self, now: float) -> None:
        self._cancel_step()
        self._number += 1
        self._state = DIALING
        self._actions.append(Dial(self._number))

    def _attempt_failed(self, now: float, reason: str, final: bool = False) -> None:
        self.last_error = reason
        self._failures += 1
        self._cancel_step()
        waiting = []
        for one in self._connects:
            one.left -= 1
            if final or one.left < 0:
                self._actions.append(Answered(one.waiter, False))
            else:
                waiting.append(one)
        self._connects = waiting
        # Who has been let in before tries on also after a refusal: it may be somebody else who
        # has the place for the moment.
        if waiting or self._reconnects():
            self._wait(now)
        else:
            self._stop(reason)

    def _reconnects(self) -> bool:
        most = self._options.max_reconnect_attempts
        return (
            self._been_ready
            and self._options.auto_reconnect
            and (most == 0 or self._failures < most)
        )

    def _wait(self, now: float) -> None:
        self._state = WAITING
        self._step = self._timers.add(now + self._backoff.get_delay(), self._attempt)

    def _too_slow(self, now: float, reason: str) -> None:
        self._lost(now, reason)

    def _cancel_step(self) -> None:
        if self._step is not None:
            self._step.cancel()
            self._step = None

    def _lost(self, now: float, reason: str, close: bool = True, final: bool = False) -> None:
        """There is no connection any more, or none came about."""
        if close:
            self._actions.append(Close(False))
        was_ready = self._state == READY
        self._unplug()
        if not was_ready:
            self._attempt_failed(now, reason, final)
            return
        self.last_error = reason
        self._actions.append(Disconnected(reason))
        if self._options.auto_reconnect:
            self._wait(now)
        else:
            self._stop(reason)

    def _unplug(self, keep_output: bool = False) -> None:
        """Forget the connection; what is in flight stays so."""
        self._cancel_step()
        for timer in (self._beat_timer, self._ack_timer):
            if timer is not None:
                timer.cancel()
        self._beat_timer = self._ack_timer = None
        peer, self._peer = self._peer, None
        self._hello = self._question = None
        self.connected_since = None
        self.unsent = 0
        if not keep_output:
            self._out, self._out_size = [], 0
        elif peer is not None and peer.has_data:
            self._out.append(peer.data_to_send())
        if peer is not None:
            peer.end(ConnectionClosed())
        self._resume.lost()
        for probe in list(self._checks):
            self._checked(probe, False)

    def _stop(self, reason: str) -> None:
        """No connection is wanted any more: everybody who waits gets an answer."""
        self._cancel_step()
        self._state = IDLE
        self._been_ready = False
        self._failures = 0
        self._backoff.reset()
        self.last_error = reason
        self._actions += [Answered(one.waiter, False) for one in self._connects]
        self._connects = []
        for errand in list(self._in_flight.values()):
            error = UnknownOutcome(
                "the connection ended during the call ({}); whether it ran is not known".format(
                    reason
                ),
                LOOK_FIRST,
            )
            self._take_back(errand, error.code)
            self._settle(errand, None, error)
        for errand in list(self._held):
            self._take_back(errand, "")
            self._settle(errand, None, self.not_connected())
        self._actions.append(Finished())

    # -- from the peer ------------------------------------------------------------------------

    def _on_event(self, now: float, event: Event) -> None:
        if type(event) is Call:
            self._on_call(now, event)
        elif type(event) is Notify:
            self.pushes += 1
            self._actions.append(Pushed(event.topic, event.data))
        elif type(event) is Probe:
            self._on_probe(event)
        elif type(event) is Greeted:
            self._greeted(now, event)
        elif type(event) is Ended:
            self._ended(now, event)
        # A server asks nothing, and an answer to what was not asked means nothing.

    def _on_call(self, now: float, call: Call) -> None:
        response = call.response
        if response is None:
            return  # it ended with the connection
        if call is self._question:
            self._answered(now, response)
            return
        errand = self._in_flight.get(call.id)
        if errand is not None:
            error = None if response.success else failure(errand.name, response)
            status = "done" if error is None else getattr(error, "code", None) or "failed"
            self._take_back(errand, status, None if error is None else str(error))
            self._settle(errand, response if error is None else None, error)
            self._acknowledge_soon(now)

    def _on_probe(self, probe: Probe) -> None:
        if probe.error is not None:
            return
        self.last_latency = probe.round_trip
        self._checked(probe, True)

    def _checked(self, probe: Probe, well: bool) -> None:
        """End a health check, if it is one."""
        waiter, timer = self._checks.pop(probe, (None, None))
        if timer is not None:
            timer.cancel()
        if waiter is not None:
            self._actions.append(Answered(waiter, well))

    def _ended(self, now: float, event: Ended) -> None:
        error, hello = event.error, self._hello
        if self._state == GREETING and hello is not None and hello.refused is not None:
            # Told before the socket is closed, if there is something to tell.
            reason = _WRONG_SECRET if hello.refused == NOT_OURS else hello.refused
            self._lost(now, reason, final=True)
        elif self._state == GREETING and isinstance(error, (FrameTooLarge, Serialization)):
            self._lost(now, "whoever answers there is no SocketServer ({})".format(error))
        elif isinstance(error, ConnectionClosed):
            said = "" if event.reason is None else ": " + event.reason[:_SAID]
            self._lost(now, "the server closed the connection" + said)
        else:
            self._lost(now, str(error))

    def _greeted(self, now: float, event: Greeted) -> None:
        self._cancel_step()
        self._hello = None
        self._state = RESUMING
        peer = self._peer
        assert peer is not None
        reconnected = self._resume.connected(event.facts)
        # Before the question: answers may come right after the answer to it.
        decided = {one.id for one in reconnected.decisions if one.action == SETTLE}
        for errand in self._in_flight.values():
            if errand.id not in decided:
                self._begin(peer, errand)
        self._carry_out(reconnected.decisions)
        if reconnected.params is None:
            self._ready(now)
            return
        self._question = peer.call(RESUME, reconnected.params)
        self._step = self._timers.add(
            now + _RESUME_TIMEOUT,
            self._too_slow,
            "the server did not answer to resume within {:g} s".format(_RESUME_TIMEOUT),
        )

    def _answered(self, now: float, response: Response) -> None:
        self._question = None
        try:
            if not response.success:
                raise RemoteProtocolError(
                    "the server refused to resume: {:.200}".format(response.error or "no reason")
                )
            decisions = self._resume.answered(response.payload)
        except RemoteProtocolError as error:
            self._lost(now, str(error))
            return
        self._carry_out(decisions)
        self._ready(now)

    def _carry_out(self, decisions: List[Decision]) -> None:
        for request_id, action, error in decisions:
            errand = self._in_flight.get(request_id)
            if errand is None:
                continue
            if action == SETTLE:
                # It has its receipt already.
                self._take_back(errand, "")
                self._settle(errand, None, error)
            elif action == SEND:
                self.resent += 1
                self._say(errand.frame)
            else:
                self.joined += 1

    def _ready(self, now: float) -> None:
        self._cancel_step()
        self._state = READY
        if self._been_ready:
            self.reconnects += 1
        self._been_ready = True
        self._failures = 0
        self._backoff.reset()
        self.connected_since = now
        self._actions.append(Connected())
        self._actions += [Answered(one.waiter, True) for one in self._connects]
        self._connects = []
        if self._options.heartbeat_interval > 0:
            self._beat_timer = self._timers.add(now + self._options.heartbeat_interval, self._beat)
        self._send_held()

    # -- requests -----------------------------------------------------------------------------

    def _send_held(self) -> None:
        while (
            self._held
            and self._state == READY
            and len(self._in_flight) < _WINDOW
            and self.unsent + self._out_size < _HIGH_WATER
        ):
            errand, _ = self._held.popitem(last=False)
            self._send(errand)

    def _send(self, errand: Errand) -> None:
        peer = self._peer
        assert peer is not None
        errand.id = self._resume.begin()
        self._in_flight[errand.id] = errand
        call, errand.frame = peer.compose(
            errand.name, errand.params, None, errand.timeout_ms, errand.id
        )
        errand.params = b""
        errand.call = call
        peer.begin(call)
        self._say(errand.frame)

    def _begin(self, peer: Peer, errand: Errand) -> None:
        assert errand.id is not None
        errand.call = Call(errand.id, errand.name, None, errand.timeout_ms)
        peer.begin(errand.call)

    def _say(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data)

    def _take_back(self, errand: Errand, status: str, error: Optional[str] = None) -> None:
        """Let nothing wait for a request any more; ``status`` is for its receipt."""
        if errand.id is None:
            self._held.pop(errand, None)
            return
        del self._in_flight[errand.id]
        self._resume.settle(errand.id, status, error)
        if self._peer is not None and errand.call is not None:
            self._peer.abandon(errand.call)

    def _settle(
        self, errand: Errand, response: Optional[Response], error: Optional[EmbedError]
    ) -> None:
        if response is not None:
            self.responses += 1
        elif isinstance(error, UnknownOutcome):
            self.unknown_outcomes += 1
        elif isinstance(error, CallTimeout):
            self.timeouts += 1
        else:
            self.errors += 1
        self._end(errand, response, error)

    def _end(
        self, errand: Errand, response: Optional[Response], error: Optional[EmbedError]
    ) -> None:
        errand.done = True
        errand.response = response
        errand.error = error
        errand.frame = errand.params = b""
        errand.call = None
        if errand.timer is not None:
            errand.timer.cancel()
            errand.timer = None
        self._actions.append(errand)

    def _overdue(self, now: float, errand: Errand) -> None:
        if errand.done:
            return
        error: TransportError
        if errand.id is None:
            error = NotSent(errand.name, errand.timeout_ms, self._why_held())
        else:
            error = CallTimeout(errand.name, errand.timeout_ms)
        self._take_back(errand, "timeout", str(error))
        self._settle(errand, None, error)
        self._acknowledge_soon(now)
        self._send_held()

    def _why_held(self) -> str:
        if self._state != READY:
            return "not connected ({})".format(self.last_error or "the first attempt goes on")
        if len(self._in_flight) >= _WINDOW:
            return "{} requests are under way already".format(_WINDOW)
        return "the server does not read what it is sent"

    # -- acknowledgements ---------------------------------------------------------------------

    def _acknowledge_soon(self, now: float) -> None:
        if self._resume.ack_due:
            self._acknowledge(now)
        elif self._ack_timer is None and self._state == READY:
            self._ack_timer = self._timers.add(now + _ACK_DELAY, self._acknowledge)

    def _acknowledge(self, now: float) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        data = self._resume.ack()
        if data is not None and self._peer is not None:
            self._say(self._peer.notification(ACKNOWLEDGE, data))

    # -- signs of life ------------------------------------------------------------------------

    def _beat(self, now: float) -> None:
        peer = self._peer
        if self._state != READY or peer is None:
            return
        interval = self._options.heartbeat_interval
        self.heartbeats += 1
        probe = peer.ping()
        self._timers.add(now + interval * _BEAT_PART, self._beat_overdue, probe, now, self.unsent)
        self._beat_timer = self._timers.add(now + interval, self._beat)

    def _beat_overdue(self, now: float, probe: Probe, sent_at: float, unsent: int) -> None:
        peer = self._peer
        if probe.done or peer is None:
            return
        if self._heard > sent_at or self.unsent < unsent:
            # It says something else, or reads something else first.
            peer.abandon(probe)
            return
        self._lost(
            now,
            "no answer to a heartbeat within {:g} s".format(
                self._options.heartbeat_interval * _BEAT_PART
            ),
        )

    def _check_overdue(self, now: float, probe: Probe) -> None:
        if self._peer is not None:
            self._peer.abandon(probe)
        self._checked(probe, False)
