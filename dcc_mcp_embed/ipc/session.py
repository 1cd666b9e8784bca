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

Which state it is in is decided here; the rest has a part of its own: when to try again
(``attempts``), the bytes of one connection (``link``), its signs of life (``pulse``), and the
requests, which outlive it (``errands``). What the parts want done is in one ``agenda``.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Type

from ..clock import Clock
from ..errors import RemoteProtocolError
from ..net.timers import Timer
from ..rpc.hello import HELLO_TIMEOUT
from ..rpc.peer import Ended, Greeted
from ..rpc.pending import Call, Probe
from ..rpc.resume import RESUME
from ..wire.messages import Notify, Response
from .actions import (
    Action,
    Answered,
    Close,
    Connected,
    Dial,
    Disconnected,
    Errand,
    Finished,
    Options,
    Pushed,
)
from .agenda import Agenda
from .answers import NotConnected, not_connected
from .attempts import Attempts
from .early import Early
from .errands import Errands
from .link import Link
from .pulse import Pulse
from .tally import ClientTally

__all__ = ["Session"]

IDLE, DIALING, GREETING, RESUMING, READY, WAITING = range(6)

#: Seconds for the answer to ``resume``.
_RESUME_TIMEOUT = 5.0


class Session:
    """See the module. One thread at a time; only numbers and texts may be read from others."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        #: What ``get_stats`` tells.
        self.tally = ClientTally()
        self._agenda = Agenda()
        self._attempts = Attempts(options, clock)
        self._errands = Errands(options.account_id, self._agenda, self.tally, clock)
        self._state = IDLE
        #: From a connected socket to its end, and while it is READY.
        self._link: Optional[Link] = None
        self._pulse: Optional[Pulse] = None
        #: The ``resume`` that waits for its answer.
        self._question: Optional[Call] = None
        self._early = Early()
        #: The time of the state's next step.
        self._step: Optional[Timer] = None
        #: Of a connection that is ended in order.
        self._last_words = b""

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
        return "reconnecting" if self._attempts.been_ready else "connecting"

    @property
    def in_flight(self) -> int:
        """Requests that were sent and are not settled."""
        return self._errands.in_flight

    @property
    def held(self) -> int:
        """Requests that wait to be sent."""
        return self._errands.held

    def not_connected(self) -> NotConnected:
        """Return the error for who asks while the state is IDLE. Any thread."""
        return not_connected(self.tally.last_error)

    def refuse(self) -> NotConnected:
        """Count a request that nobody takes, and return its error. One thread at a time."""
        self.tally.requests += 1
        self.tally.errors += 1
        return self.not_connected()

    # -- what is to be done -------------------------------------------------------------------

    def take(self) -> List[Action]:
        """Return what is to be done, in order, and forget it; an Errand is settled."""
        return self._agenda.take()

    def data_to_send(self) -> bytes:
        """Return what is to be sent now, and forget it."""
        if self._link is not None:
            return self._link.data_to_send()
        words, self._last_words = self._last_words, b""
        return words

    def next_timer(self, now: float) -> Optional[float]:
        """Return in how many seconds to call :meth:`tick`; None: not before something happens."""
        return self._agenda.next_timer(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._agenda.tick(now)

    # -- what the user wants ------------------------------------------------------------------

    def connect(self, now: float, retries: int, waiter: Any) -> None:
        """Connect, unless there is a connection; ``retries`` attempts may fail and one more."""
        if self._state == READY:
            self._agenda.add(Answered(waiter, True))
            return
        self._attempts.want(waiter, retries)
        if self._state in (IDLE, WAITING):
            self._attempt(now)

    def withdraw(self, now: float, waiter: Any) -> None:
        """A ``connect`` is not waited for any longer; nobody else wants one: no more attempts."""
        self._attempts.withdraw(waiter)
        if self._state in (IDLE, READY) or self._attempts.wanted:
            return
        if self._link is not None:
            self._agenda.add(Close(False))
            self._unplug()
        self._stop("connect() was cancelled")

    def disconnect(self, now: float, waiter: Any) -> None:
        """End the connection and everything that depends on it."""
        if self._state == IDLE:
            self._agenda.add(Finished(), Answered(waiter, True))
            return
        reason = "disconnect() was called"
        if self._link is not None:
            if self._state == READY:
                self._errands.acknowledge(now)
                self._link.peer.shutdown("the client disconnects")
                self._last_words = self._link.data_to_send()
                self._agenda.add(Close(True), Disconnected(reason))
            else:
                self._agenda.add(Close(False))
        self._unplug()
        self._stop(reason)
        self._agenda.add(Answered(waiter, True))

    def ask(self, now: float, errand: Errand) -> None:
        """Send a request, now or as soon as it can be."""
        self.tally.requests += 1
        if self._state == IDLE:
            self._errands.refuse(errand)
        else:
            self._errands.ask(errand)

    def abandon(self, now: float, errand: Errand) -> None:
        """Wait for an answer no longer; a request that was sent may run all the same."""
        self._errands.abandon(errand)

    def check(self, now: float, timeout: float, waiter: Any) -> None:
        """Ask the server for a sign of life."""
        if self._pulse is None:
            self._agenda.add(Answered(waiter, False))
        else:
            self._pulse.check(now, timeout, waiter)

    # -- what happens to the socket -----------------------------------------------------------

    def dialed(self, now: float, number: int, place: str, key: bytes) -> bool:
        """A socket is connected; False: it is not wanted any more."""
        if not self._dials(number):
            return False
        self._link = Link(now, place, key, self._options.account_id, self._clock)
        self._state = GREETING
        self._allow(now, HELLO_TIMEOUT, "no hello within {:g} s")
        return True

    def dial_failed(self, now: float, number: int, reason: str, final: bool = False) -> None:
        """No socket could be connected; ``final``: the next attempt would not do better."""
        if self._dials(number):
            self._attempt_failed(now, reason, final)

    def note_unsent(self, size: int) -> None:
        """Note how many bytes the socket has not taken yet; before each event."""
        if self._link is not None:
            self._link.unsent = size

    def receive_data(self, now: float, data: bytes) -> None:
        """Take what the server sent."""
        link = self._link
        if link is None:
            return
        link.heard = now
        for event in link.peer.receive_data(data):
            if self._link is not link:
                return
            take = _TAKE.get(type(event))
            if take is not None:
                take(self, now, event)
        self._errands.send_held()

    def receive_eof(self, now: float) -> None:
        """The server sends no more."""
        if self._link is not None:
            self._lost(now, "the server closed the connection")

    def lost(self, now: float, error: Optional[Exception]) -> None:
        """The socket is gone."""
        if self._link is not None:
            reason = "the server closed the connection" if error is None else str(error)
            self._lost(now, reason, close=False)

    def sent(self, unsent: int) -> None:
        """What was to be sent has been, or is among the ``unsent`` bytes."""
        self.note_unsent(unsent)
        self._errands.send_held()

    def writable_again(self, now: float) -> None:
        """The server has read most of what it was sent."""
        self._errands.send_held()

    # -- attempts -----------------------------------------------------------------------------

    def _dials(self, number: int) -> bool:
        return self._state == DIALING and number == self._attempts.number

    def _attempt(self, now: float) -> None:
        self._cancel_step()
        self._state = DIALING
        self._agenda.add(Dial(self._attempts.begin()))

    def _attempt_failed(self, now: float, reason: str, final: bool = False) -> None:
        self.tally.last_error = reason
        self._cancel_step()
        self._answer(self._attempts.failed(final), False)
        if self._attempts.go_on:
            self._wait(now)
        else:
            self._stop(reason)

    def _wait(self, now: float) -> None:
        self._state = WAITING
        self._step = self._agenda.at(now + self._attempts.delay(), self._attempt)

    def _allow(self, now: float, seconds: float, too_slow: str) -> None:
        """Have the connection end if the next step does not come in time."""
        self._step = self._agenda.at(now + seconds, self._lost, too_slow.format(seconds))

    def _cancel_step(self) -> None:
        if self._step is not None:
            self._step.cancel()
            self._step = None

    def _answer(self, waiters: List[Any], well: bool) -> None:
        self._agenda.add(*[Answered(waiter, well) for waiter in waiters])

    # -- the end ------------------------------------------------------------------------------

    def _lost(self, now: float, reason: str, close: bool = True, final: bool = False) -> None:
        """There is no connection any more, or none came about."""
        if close:
            self._agenda.add(Close(False))
        was_ready = self._state == READY
        self._unplug()
        if not was_ready:
            self._attempt_failed(now, reason, final)
            return
        self.tally.last_error = reason
        self._agenda.add(Disconnected(reason))
        if self._options.auto_reconnect:
            self._wait(now)
        else:
            self._stop(reason)

    def _unplug(self) -> None:
        """Forget the connection; what is in flight stays so."""
        self._cancel_step()
        self._question = self._link = None
        self._early.take()
        self.tally.connected_since = None
        self._errands.lost()
        pulse, self._pulse = self._pulse, None
        if pulse is not None:
            pulse.stop()

    def _stop(self, reason: str) -> None:
        """No connection is wanted any more: everybody who waits gets an answer."""
        self._cancel_step()
        self._state = IDLE
        self.tally.last_error = reason
        self._answer(self._attempts.give_up(), False)
        self._errands.give_up(reason)
        self._agenda.add(Finished())

    # -- from the peer ------------------------------------------------------------------------

    def _greeted(self, now: float, event: Greeted) -> None:
        link = self._link
        assert link is not None
        self._cancel_step()
        link.greeted()
        self._state = RESUMING
        params = self._errands.greeted(link, event.facts)
        if params is None:
            self._ready(now, link)
            return
        self._question = link.peer.call(RESUME, params)
        self._allow(now, _RESUME_TIMEOUT, "the server did not answer to resume within {:g} s")

    def _called(self, now: float, call: Call) -> None:
        response = call.response
        if response is None:
            return  # it ended with the connection
        if call is self._question:
            self._resumed(now, response)
        else:
            self._errands.answered(now, call, response)

    def _resumed(self, now: float, response: Response) -> None:
        link, self._question = self._link, None
        assert link is not None
        try:
            if not response.success:
                raise RemoteProtocolError(
                    "the server refused to resume: {:.200}".format(response.error or "no reason")
                )
            self._errands.resumed(response.payload)
        except RemoteProtocolError as error:
            self._lost(now, str(error))
            return
        self._ready(now, link)

    def _ready(self, now: float, link: Link) -> None:
        self._cancel_step()
        self._state = READY
        if self._attempts.been_ready:
            self.tally.reconnects += 1
        self.tally.connected_since = now
        self._agenda.add(Connected())
        self._answer(self._attempts.succeeded(), True)
        self._agenda.add(*self._early.take())
        interval = self._options.heartbeat_interval
        self._pulse = Pulse(now, link, interval, self._agenda, self.tally, self._lost)
        self._errands.send_held()

    def _pushed(self, now: float, event: Notify) -> None:
        self.tally.pushes += 1
        pushed = Pushed(event.topic, event.data)
        if self._state == READY:
            self._agenda.add(pushed)
        elif not self._early.add(pushed):
            self._lost(now, "the server pushes and does not answer to resume")

    def _probed(self, now: float, probe: Probe) -> None:
        if probe.error is None and self._pulse is not None:
            self._pulse.answered(probe)

    def _ended(self, now: float, event: Ended) -> None:
        assert self._link is not None
        reason, final = self._link.reason(event)
        self._lost(now, reason, final=final)


#: A server asks nothing, and an answer to what was not asked means nothing.
_TAKE: Dict[Type[Any], Callable[[Session, float, Any], None]] = {
    Call: Session._called,
    Notify: Session._pushed,
    Probe: Session._probed,
    Greeted: Session._greeted,
    Ended: Session._ended,
}
