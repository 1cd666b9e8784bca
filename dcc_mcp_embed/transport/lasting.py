"""Calls to one instance that survive the loss of the connection that they began on.

Each call that must not run twice has its id from ``rpc.resume``. When the connection is lost, the
thread that makes a new one (see :mod:`.mending`) asks over it what became of all calls under way.
Then each goes on with its own: sends its request again, waits for an answer that is on its way, or
is told that nobody knows. A call's own time limits all of that.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional, Tuple

from ..clock import Clock
from ..errors import EmbedError, RemoteProtocolError, UnknownOutcome
from ..rpc.content import unknown_outcome
from ..rpc.pending import Call, fresh
from ..rpc.resume import ACKNOWLEDGE, LOOK_FIRST, RESUME, SEND, SETTLE, Decision, ResumeClient
from ..transport_errors import (
    CallFailed,
    CallTimeout,
    ConnectionClosed,
    ConnectionTimeout,
    Serialization,
    TransportError,
)
from ..wire.messages import OURS, Response, request_frame
from .carrier import Carrier
from .flights import Flight, Leg, status_of
from .link import Link
from .mending import MendingCarrier
from .reentry import alone

__all__ = ["LastingCarrier"]

#: The methods of our servers (server/framed.py) that are simply sent again: they only read.
_REPEATABLE = frozenset(("ping", "status", "tools/list"))
#: Seconds that the answer to a resume may take; it is ready when the server's loop is.
_RESUME_S = 5.0
#: Bytes of answers after which they are acknowledged, however few: the server keeps them until
#: then, an eighth of what it may keep for all its clients.
_ACK_BYTES = 1024 * 1024

_STILL_BROKEN = (
    "the connection broke during the call and could not be made anew in its time ({}); whether it "
    "ran is not known"
)


class LastingCarrier(MendingCarrier):
    """Calls over whatever connection there is. Any thread.

    ``first``, ``redial`` and ``attempt`` are a :class:`MendingCarrier`'s. Messages that are no
    calls go over the connection of the moment, and are lost with it.
    """

    def __init__(
        self,
        first: Carrier,
        redial: Callable[[float], Carrier],
        attempt: float,
        resume: ResumeClient,
        clock: Clock,
    ) -> None:
        super().__init__(first, redial, attempt, clock)
        self._resume = resume
        self._flights: Dict[bytes, Flight] = {}
        #: Requests whose answers are received as messages.
        self._posted: Dict[bytes, None] = {}
        #: Bytes of answers that have come since the server was last told of it.
        self._unacknowledged = 0

    def begin(self, deadline: float) -> None:
        """Tell the server of the first connection who we are; before anything else."""
        self._introduce(Carrier(self.link, self.peer), deadline)

    # -- calls --------------------------------------------------------------------------------

    def call(self, method: str, params: bytes, deadline: float, timeout_ms: int) -> Response:
        """Send a request and return its answer, over several connections if it must be.

        Raises UnknownOutcome when nobody can tell whether it ran; what connecting raises, when it
        never was sent; otherwise as :meth:`Link.call`.
        """
        if method in _REPEATABLE:
            return self._repeat(method, params, deadline, timeout_ms)
        flight = Flight(method, deadline, timeout_ms)
        try:
            try:
                response = self._fly(flight, params)
            except BaseException as error:
                flight.status, flight.text = status_of(error), str(error)
                raise
            else:
                flight.status, flight.size = "done", len(response.payload)
                return response
            finally:
                self._land(flight)
        finally:
            # Ctrl-C may have come before that, or in the middle of it.
            self._land(flight)

    def _fly(self, flight: Flight, params: bytes) -> Response:
        self._depart(flight)
        assert flight.id is not None
        return self._carry(flight, request_frame(flight.id, flight.method, params, OURS))

    def _land(self, flight: Flight) -> None:
        """Note the end of a call; twice is fine."""
        if flight.id is not None and not flight.landed:
            self._settle(flight.id, flight.status, flight.text, flight.size)
            flight.landed = True

    def request(self, method: str, params: bytes) -> Tuple[bytes, bytes]:
        ident: Optional[bytes] = None
        try:
            with alone(self._lock, self.link.is_entered):
                if not self._resume.ready or self.link.failure is not None:
                    raise ConnectionClosed()
                ident = self._resume.reserve()
                self._posted[ident] = None
                self._resume.begin(request_id=ident)
            return ident, request_frame(ident, method, params, OURS)
        except BaseException as error:
            if ident is not None:
                self._settle(ident, "broken", str(error), 0)
            raise

    def received(self, response: Response) -> None:
        status = "done" if response.success else "failed"
        self._settle(response.id, status, response.error, len(response.payload))

    def _depart(self, flight: Flight) -> None:
        """Have a call under way, on a connection that is there, or is made anew."""
        while True:
            with alone(self._lock, self.link.is_entered):
                link = self.link
                if self._resume.ready and link.failure is None and self._over is None:
                    self._enter(flight, link)
                    return
            self._recover(link, flight.deadline)

    def _enter(self, flight: Flight, link: Link) -> None:
        # In the order in which it is looked for when it has to be forgotten.
        flight.id = self._resume.reserve()
        self._flights[flight.id] = flight
        self._resume.begin(request_id=flight.id)
        flight.leg = Leg(link, flight.call(), True, False)

    def _carry(self, flight: Flight, frame: bytes) -> Response:
        while True:
            if flight.error is not None:
                raise _fresh_unknown(flight.error)
            link, call, send, expected = flight.leg
            try:
                return link.carry(call, frame if send else b"", expected)
            except CallFailed as error:
                raise _said(call, error) from None
            except CallTimeout:
                raise
            except TransportError:
                if link.failure is None or self._closed:
                    raise
            try:
                self._recover(link, flight.deadline)
            except EmbedError as error:
                reason = str(error)
            else:
                continue
            raise UnknownOutcome(_STILL_BROKEN.format(reason), LOOK_FIRST)

    def _repeat(self, method: str, params: bytes, deadline: float, timeout_ms: int) -> Response:
        while True:
            link = self.link
            try:
                return link.call(method, params, deadline, timeout_ms)
            except (CallFailed, CallTimeout):
                raise
            except TransportError:
                if link.failure is None or self._closed:
                    raise
            self._recover(link, deadline)

    def _settle(self, ident: bytes, status: str, error: Optional[str], size: int) -> None:
        with alone(self._lock, self.link.is_entered):
            self._forget(ident, status, error)
            self._unacknowledged += size
            if self._resume.ack_due or self._unacknowledged >= _ACK_BYTES:
                self._acknowledge()

    def _forget(self, ident: bytes, status: str, error: Optional[str]) -> None:
        self._flights.pop(ident, None)
        self._posted.pop(ident, None)
        self._resume.settle(ident, status, error)

    def _acknowledge(self) -> None:
        self._unacknowledged = 0
        data = self._resume.ack()
        if data is not None:
            self.link.post(self.peer.notification(ACKNOWLEDGE, data))

    # -- a new connection ---------------------------------------------------------------------

    def _introduce(self, carrier: Carrier, deadline: float) -> None:
        """Learn over a new connection what became of the calls, and use it. Raises TransportError.

        It is closed again if that fails.
        """
        link = carrier.link
        try:
            with alone(self._lock, self.link.is_entered):
                params, asked = self._ask(carrier)
            answer = None if params is None else self._question(link, params, deadline)
            with alone(self._lock, self.link.is_entered):
                self._adopt(carrier, asked, answer)
        except BaseException as error:
            link.close(ConnectionClosed(), farewell=False)
            if isinstance(error, RemoteProtocolError):
                raise Serialization(str(error)) from None
            raise

    def _question(self, link: Link, params: bytes, deadline: float) -> Response:
        now = self._clock.monotonic()
        until = min(deadline, now + _RESUME_S)
        timeout_ms = max(0, int((until - now) * 1000))
        try:
            return link.call(RESUME, params, until, timeout_ms)
        except CallTimeout:
            # Nobody's call: nothing has been sent of those.
            raise ConnectionTimeout(timeout_ms) from None

    def _ask(self, carrier: Carrier) -> Tuple[Optional[bytes], List[Tuple[Flight, Call]]]:
        """Return what to ask, and the calls whose answers may come right after that of it."""
        facts = carrier.peer.facts
        assert facts is not None
        reconnected = self._resume.connected(facts)
        self._decide(reconnected.decisions)
        if reconnected.params is None:
            return None, []
        asked = []
        for ident in self._resume.in_flight:
            flight = self._flights.get(ident)
            if flight is not None:
                call = flight.call()
                carrier.link.expect(call)
                asked.append((flight, call))
            else:
                # Of a call that was interrupted before it could say so.
                self._resume.settle(ident, "broken")
        return reconnected.params, asked

    def _adopt(
        self, carrier: Carrier, asked: List[Tuple[Flight, Call]], answer: Optional[Response]
    ) -> None:
        if self._over is not None:
            raise fresh(self._over)
        link = carrier.link
        decisions = [] if answer is None else self._resume.answered(answer.payload)
        self._decide(decisions)
        actions = {decision.id: decision.action for decision in decisions}
        for flight, call in asked:
            assert flight.id is not None
            action = actions.get(flight.id, SETTLE)
            if action == SETTLE:
                # Or its time was over meanwhile.
                link.drop(call)
            else:
                flight.leg = Leg(link, call, action == SEND, True)
        link.listener = self.listener
        self.link, self.peer = link, carrier.peer
        self._changed.notify_all()

    def _decide(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            flight = self._flights.get(decision.id)
            if flight is not None:
                flight.error = decision.error

    # -- the end ------------------------------------------------------------------------------

    def _lost(self) -> None:
        self._resume.lost()
        self._drop_posted("the connection was lost")

    def _ended(self) -> None:
        # Nobody receives anything here any more.
        self._drop_posted("the channel was closed")

    def close(self, error: TransportError, farewell: bool) -> None:
        with alone(self._lock, self.link.is_entered):
            self._closed = True
            link = self._end(error)
            # So that the server need not keep what has arrived.
            self._acknowledge()
        link.close(error, farewell)

    def _drop_posted(self, why: str) -> None:
        for ident in list(self._posted):
            self._forget(ident, "broken", why)


# Errors that are kept are raised as copies: see ``rpc.pending.fresh``.


def _fresh_unknown(error: UnknownOutcome) -> UnknownOutcome:
    return UnknownOutcome(error.message, error.hint, state=error.state)


def _said(call: Call, error: CallFailed) -> EmbedError:
    """Return what a failed answer says: nobody knows, or the peer's words."""
    unknown = None if call.response is None else unknown_outcome(call.response.payload)
    return fresh(error) if unknown is None else unknown
