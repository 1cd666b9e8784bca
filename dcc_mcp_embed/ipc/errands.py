"""What becomes of a client's requests, whatever becomes of its connections. Pure.

A request is *held* until it can be sent, then *in flight* until it is answered or its time is over.
What is in flight when a connection breaks, also if only a part of its bytes or none may have left,
is decided by ``rpc.resume`` on the next connection: it is sent again under its id, waited for, or
settled as an unknown outcome. So nothing runs twice.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Dict, List, Optional

from ..clock import Clock
from ..errors import EmbedError, UnknownOutcome
from ..net.timers import Timer
from ..rpc.hello import Facts
from ..rpc.outbound import OutboundTracker, RouteKey
from ..rpc.pending import Call
from ..rpc.resume import ACKNOWLEDGE, LOOK_FIRST, SEND, SETTLE, Decision, ResumeClient
from ..transport_errors import CallTimeout, TransportError
from ..wire.messages import Response
from .actions import Errand
from .agenda import Agenda
from .answers import NotSent, failure, not_connected
from .limits import MAX_UNDER_WAY
from .link import Link
from .tally import ClientTally

__all__ = ["Errands"]

#: Requests in flight at once; the others are held.
_WINDOW = 1000
#: Seconds after which answers are acknowledged if no more of them come.
_ACK_DELAY = 1.0
#: Receipts of settled requests that are remembered; requests in flight have to fit in as well.
_RECEIPTS = 1024


class Errands:
    """All requests of one session. Those that are settled are actions of the ``agenda``.

    For each connection ``greeted`` and, if it has something to ask, ``resumed``; then
    ``send_held``; in the end ``lost``.
    """

    def __init__(self, account_id: str, agenda: Agenda, tally: ClientTally, clock: Clock) -> None:
        self._agenda = agenda
        self._tally = tally
        driver = "ipc-client-" + clock.uuid()
        # Kept until they are settled, however long that takes; the receipts crowd each other out.
        tracker = OutboundTracker(math.inf, clock=clock, max_records=_RECEIPTS)
        route = RouteKey("ipc", None, account_id or None)
        self._resume = ResumeClient(tracker, route, driver, clock)
        #: From the end of its hello on.
        self._link: Optional[Link] = None
        self._held: OrderedDict[Errand, None] = OrderedDict()
        self._in_flight: Dict[bytes, Errand] = {}
        #: Bytes of their data.
        self._size = 0
        self._ack_timer: Optional[Timer] = None

    @property
    def in_flight(self) -> int:
        """How many were sent and are not settled."""
        return len(self._in_flight)

    @property
    def held(self) -> int:
        """How many wait to be sent."""
        return len(self._held)

    # -- what the user wants ------------------------------------------------------------------

    def ask(self, errand: Errand) -> None:
        """Send a request, now or as soon as it can be."""
        if errand.deadline is not None:
            errand.timer = self._agenda.at(errand.deadline, self._overdue, errand)
        self._held[errand] = None
        self.send_held()

    def refuse(self, errand: Errand) -> None:
        """Settle a request that nobody takes: no connection is wanted."""
        self._settle(errand, None, not_connected(self._tally.last_error))

    def abandon(self, errand: Errand) -> None:
        """Wait for an answer no longer; a request that was sent may run all the same."""
        if not errand.done:
            self._take_back(errand, "cancelled")
            self._end(errand, None, None)
            self.send_held()

    # -- connections --------------------------------------------------------------------------

    def greeted(self, link: Link, facts: Facts) -> Optional[bytes]:
        """A hello is done: return the params of the ``resume`` request; None: all is decided."""
        self._link = link
        reconnected = self._resume.connected(facts)
        # Before the question: answers may come right after the answer to it.
        decided = {one.id for one in reconnected.decisions if one.action == SETTLE}
        for errand in self._in_flight.values():
            if errand.id is not None and errand.id not in decided:
                errand.call = Call(errand.id, errand.name, None, errand.timeout_ms)
                link.peer.begin(errand.call)
        self._carry_out(reconnected.decisions)
        return reconnected.params

    def resumed(self, payload: bytes) -> None:
        """Take the answer to ``resume``. Raises RemoteProtocolError; nothing is decided then."""
        self._carry_out(self._resume.answered(payload))

    def lost(self) -> None:
        """The connection is gone; what is in flight stays so."""
        self._cancel_ack()
        self._link = None
        self._resume.lost()

    def give_up(self, reason: str) -> None:
        """No connection is wanted any more: settle everything."""
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
            self.refuse(errand)

    def _carry_out(self, decisions: List[Decision]) -> None:
        link = self._link
        assert link is not None
        for request_id, action, error in decisions:
            errand = self._in_flight.get(request_id)
            if errand is None:
                continue
            if action == SETTLE:
                # It has its receipt already.
                self._take_back(errand, "")
                self._settle(errand, None, error)
            elif action == SEND:
                self._tally.resent += 1
                link.say(errand.frame)
            else:
                self._tally.joined += 1

    # -- the life of a request ----------------------------------------------------------------

    def send_held(self) -> None:
        """Send what is held, as far as the server takes it."""
        link = self._link
        while (
            self._held
            and link is not None
            and self._resume.ready
            and len(self._in_flight) < _WINDOW
            and self._next_fits()
            and not link.full
        ):
            errand, _ = self._held.popitem(last=False)
            self._send(link, errand)

    def _next_fits(self) -> bool:
        return self._size + next(iter(self._held)).size <= MAX_UNDER_WAY

    def _send(self, link: Link, errand: Errand) -> None:
        errand.id = self._resume.begin()
        self._in_flight[errand.id] = errand
        self._size += errand.size
        call, errand.frame = link.peer.compose(
            errand.name, errand.params, None, errand.timeout_ms, errand.id
        )
        errand.params = b""
        errand.call = call
        link.peer.begin(call)
        link.say(errand.frame)

    def answered(self, now: float, call: Call, response: Response) -> None:
        """Take the answer to a request."""
        errand = self._in_flight.get(call.id)
        if errand is None:
            return
        error = None if response.success else failure(errand.name, response)
        status = "done" if error is None else getattr(error, "code", None) or "failed"
        self._take_back(errand, status, None if error is None else str(error))
        self._settle(errand, response if error is None else None, error)
        self._acknowledge_soon(now)

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
        self.send_held()

    def _why_held(self) -> str:
        if not self._resume.ready:
            return "not connected ({})".format(
                self._tally.last_error or "the first attempt goes on"
            )
        if len(self._in_flight) >= _WINDOW:
            return "{} requests are under way already".format(_WINDOW)
        if not self._next_fits():
            return "the requests under way have {} bytes, of {} at most".format(
                self._size, MAX_UNDER_WAY
            )
        return "the server does not read what it is sent"

    def _take_back(self, errand: Errand, status: str, error: Optional[str] = None) -> None:
        """Let nothing wait for a request any more; ``status`` is for its receipt."""
        if errand.id is None:
            self._held.pop(errand, None)
            return
        del self._in_flight[errand.id]
        self._size -= errand.size
        self._resume.settle(errand.id, status, error)
        if self._link is not None and errand.call is not None:
            self._link.peer.abandon(errand.call)

    def _settle(
        self, errand: Errand, response: Optional[Response], error: Optional[EmbedError]
    ) -> None:
        tally = self._tally
        if response is not None:
            tally.responses += 1
        elif isinstance(error, UnknownOutcome):
            tally.unknown_outcomes += 1
        elif isinstance(error, CallTimeout):
            tally.timeouts += 1
        else:
            tally.errors += 1
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
        self._agenda.add(errand)

    # -- acknowledgements ---------------------------------------------------------------------

    def acknowledge(self, now: float) -> None:
        """Tell the server which answers have arrived, so that it need not keep them."""
        self._cancel_ack()
        data = self._resume.ack()
        if data is not None and self._link is not None:
            self._link.say(self._link.peer.notification(ACKNOWLEDGE, data))

    def _acknowledge_soon(self, now: float) -> None:
        if self._resume.ack_due:
            self.acknowledge(now)
        elif self._ack_timer is None and self._resume.ready:
            self._ack_timer = self._agenda.at(now + _ACK_DELAY, self.acknowledge)

    def _cancel_ack(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
