"""After a reconnect: which calls to send again, which to wait for, which nobody knows about.

Messages in, decisions out: the client's end, and the words of both; the server's is in
``resume_server``. On the framed wire it is an ordinary request, the first
after each hello, by a client whose server has told a ``receipt_horizon`` above 0:

    client  request   resume  {"epoch": text|null, "line": hex|null, "below": id|null, "ids": [id]}
    server  response          {"epoch": text, "line": hex, "states": {id: state}}
    client  notify    acknowledge  {"line": hex, "below": id, "ids": [id]}

All JSON; an ``id`` is a request id in the usual text form of a UUID, a line 16 hexadecimal digits.
The first time epoch, line and below are null and ids is empty. ``below``: every call of the line
under this id is settled. The states:

    new      never seen: the client sends the request again, under the same id
    running  its answer will come on this connection
    done     its answer comes on this connection, right after this response
    dropped  it has run, and its result was too large to be kept
    unknown  it may have run: the client settles it as ``unknown_outcome``

Answers that follow are ordinary responses with the id of their request. A line other than the one
asked for means that the old one is forgotten; the calls after it are numbered in the new one. When
the epoch has changed the server is another one, and the client settles without asking. Calls that
may be repeated have no number in a line: their client simply sends them again. A notification may
be lost; the next ``below`` makes up for it.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import List, Optional

from ..clock import Clock
from ..errors import EmbedError, LocalProtocolError, RemoteProtocolError, UnknownOutcome
from ..records import NamedTuple
from ..wire.messages import id_text
from .content import new_line, packed, read_line, read_object
from .hello import Facts
from .outbound import DeliveryReceipt, OutboundTracker, PendingOutboundRecord, RouteKey
from .receipts import DROPPED, FIRST_NUMBER, JOIN, REPLAY, RUN, UNKNOWN, split

__all__ = [
    "ACKNOWLEDGE",
    "ACK_EVERY",
    "LOOK_FIRST",
    "RESUME",
    "SEND",
    "SETTLE",
    "STATES",
    "WAIT",
    "Decision",
    "Reconnected",
    "ResumeClient",
    "lost_outcome",
]

#: The request's method, the notification's topic.
RESUME = "resume"
ACKNOWLEDGE = "acknowledge"
#: So many answers are acknowledged together.
ACK_EVERY = 32

#: What a client does with a call in flight: send its request (again), under the same id;
SEND = "send"
#: wait for its answer, which will come on this connection without being asked for;
WAIT = "wait"
#: end it with the decision's error.
SETTLE = "settle"

#: A verdict as the response says it.
STATES = {RUN: "new", JOIN: "running", REPLAY: "done", DROPPED: "dropped", UNKNOWN: "unknown"}
_ACTIONS = {"new": SEND, "running": WAIT, "done": WAIT, "dropped": SETTLE, "unknown": SETTLE}

_RESTARTED = "the server was started anew while the call was under way; whether it ran is not known"
_FORGOTTEN = "the server remembers nothing of the call any more; whether it ran is not known"
_NO_RECEIPTS = "the connection broke during the call; this server cannot tell whether it ran"
_EXPIRED = "the call was no longer tracked when the connection came back; it may have run"
_TOO_LARGE = "the call has run, but its result came to nothing: it was too large to be kept"
#: What to do about an unknown outcome.
LOOK_FIRST = "Look at what it should have changed before you call again."


def lost_outcome(action: str) -> UnknownOutcome:
    """Return the error of a call that was judged DROPPED (its ``state`` is finished) or UNKNOWN.

    Both ends use it: the server answers with it a request that it does not run for this reason.
    """
    if action == DROPPED:
        return UnknownOutcome(_TOO_LARGE, LOOK_FIRST, state="finished")
    return UnknownOutcome(_FORGOTTEN, LOOK_FIRST)


class Decision(NamedTuple):
    """What becomes of one call in flight. ``error`` comes with SETTLE only."""

    id: bytes
    action: str
    error: Optional[UnknownOutcome] = None


class Reconnected(NamedTuple):
    """``params`` of the resume request to send, if any, and what is decided before its answer."""

    params: Optional[bytes]
    decisions: List[Decision]


class ResumeClient:
    """The client's end of a line: numbers calls, and decides about them after each hello.

    Not thread-safe: its shell has a lock. What is under way is pending in ``tracker`` under the
    request id as text, carried by ``driver_id``; once settled, its receipt is found there as
    ``<epoch>/<request id>``. The tracker's time has to be longer than any call's: what has expired
    there is settled as unknown at the next reconnect.
    """

    def __init__(
        self, tracker: OutboundTracker, route: RouteKey, driver_id: str, clock: Clock
    ) -> None:
        self._tracker = tracker
        self._route = route
        self._driver = driver_id
        self._clock = clock
        self._numbers = itertools.count(FIRST_NUMBER)
        self._next = next(self._numbers)
        self._epoch: Optional[str] = None
        self._line: Optional[bytes] = None
        #: Whether the server of this epoch keeps receipts in our line.
        self._kept = False
        #: Asked about and not answered yet; None: no question is under way.
        self._asked: Optional[List[bytes]] = None
        self._ready = False
        #: In the order in which they began.
        self._in_flight: OrderedDict[bytes, Optional[PendingOutboundRecord]] = OrderedDict()
        self._unacknowledged: List[bytes] = []

    # -- calls --------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether calls may begin: between a resume and the loss of its connection."""
        return self._ready

    @property
    def in_flight(self) -> List[bytes]:
        """The calls that have begun and are not settled, the oldest first."""
        return list(self._in_flight)

    def reserve(self) -> bytes:
        """Return the id of a new call, of which nothing is known yet. Raises LocalProtocolError.

        So a shell can note it before :meth:`begin`, and forget it whatever comes between.
        """
        if not self._ready or self._line is None:
            raise LocalProtocolError("no call can begin before the connection has been resumed")
        request_id = self._line + self._next.to_bytes(8, "big")
        self._next = next(self._numbers)
        return request_id

    def begin(self, request_id: Optional[bytes] = None) -> bytes:
        """Have a call in flight from now on, and return its id; send its request next.

        ``request_id``: the one that was reserved for it. Raises TrackerFull, and LocalProtocolError
        while not ready.
        """
        request_id = request_id or self.reserve()
        self._in_flight[request_id] = None
        extra = {"epoch": self._epoch}
        try:
            self._in_flight[request_id] = self._tracker.begin_tracking(
                id_text(request_id), self._route, self._driver, extra
            )
        except EmbedError:
            del self._in_flight[request_id]
            raise
        return request_id

    def settle(self, request_id: bytes, status: str, error: Optional[str] = None) -> bool:
        """Note how a call ended, also if by our own deadline; False: it was not in flight.

        ``status`` is the receipt's, such as ``done``, ``failed``, ``timeout``. May be said again
        after an interrupt.
        """
        if request_id not in self._in_flight:
            return False
        record = self._in_flight[request_id]
        if record is None:
            # Interrupted before it was tracked, or just after.
            name, epoch = id_text(request_id), self._epoch
        else:
            name, epoch = record.internal_message_id, record.metadata["epoch"]
        external = "{}/{}".format(epoch, name)
        self._tracker.finish_tracking(DeliveryReceipt(name, status, self._driver, external, error))
        if self._kept and split(request_id)[0] == self._line:
            self._unacknowledged.append(request_id)
        # Last: until then it is looked for.
        self._in_flight.pop(request_id, None)
        return True

    # -- acknowledgement ----------------------------------------------------------------------

    @property
    def ack_due(self) -> bool:
        """Whether :meth:`ack` is worth a message; before a long silence it is sooner."""
        return len(self._unacknowledged) >= ACK_EVERY

    def ack(self) -> Optional[bytes]:
        """Return the data of an ``acknowledge`` notification; None: there is nothing to say."""
        if not self._ready or not self._unacknowledged or self._line is None:
            return None
        below = self._below(self._line)
        # The ids have one line and one length: their order is that of their numbers.
        ids = [id_text(one) for one in self._unacknowledged if one >= below]
        self._unacknowledged = []
        return packed({"line": self._line.hex(), "below": id_text(below), "ids": ids})

    def _below(self, line: bytes) -> bytes:
        for request_id in self._in_flight:
            if request_id.startswith(line):
                return request_id
        return line + self._next.to_bytes(8, "big")

    # -- connections --------------------------------------------------------------------------

    def lost(self) -> None:
        """The connection is gone; what is in flight stays so."""
        self._ready = False
        self._asked = None

    def connected(self, facts: Facts) -> Reconnected:
        """A hello is done: say what to ask, and decide what needs no answer.

        Every call in flight is decided once, here or by :meth:`answered`. What is settled here has
        its receipt; the shell only has to tell who waits.
        """
        self._ready = False
        self._asked = None
        same = facts.epoch == self._epoch
        keeps = facts.receipt_horizon > 0
        decisions: List[Decision] = []
        asked: List[bytes] = []
        reason = _NO_RECEIPTS if same else _RESTARTED
        for request_id in self.in_flight:
            if self._tracker.get_pending(id_text(request_id), self._driver) is None:
                decisions.append(self._give_up(request_id, _EXPIRED))
            elif same and keeps and self._kept:
                asked.append(request_id)
            else:
                decisions.append(self._give_up(request_id, reason))
        if not (same and keeps == self._kept):
            self._line = None
            self._unacknowledged = []
        self._epoch = facts.epoch
        self._kept = keeps
        if not keeps:
            # Nobody looks at the line; the ids only have to differ.
            self._line = self._line or new_line(self._clock)
            self._ready = True
            return Reconnected(None, decisions)
        self._asked = asked
        line = self._line
        question = {
            "epoch": None if line is None else self._epoch,
            "line": None if line is None else line.hex(),
            "below": None if line is None else id_text(self._below(line)),
            "ids": [id_text(one) for one in asked],
        }
        return Reconnected(packed(question), decisions)

    def answered(self, payload: bytes) -> List[Decision]:
        """Take the server's answer. Raises RemoteProtocolError; nothing is decided then."""
        if self._asked is None:
            raise LocalProtocolError("no resume request is under way")
        answer = read_object(payload, "the answer to resume")
        line = read_line(answer.get("line"))
        if line is None or answer.get("epoch") != self._epoch:
            raise RemoteProtocolError("the answer to resume names another epoch, or no line")
        states = answer.get("states")
        if not isinstance(states, dict):
            raise RemoteProtocolError("the answer to resume has no states")
        told = [(one, states.get(id_text(one))) for one in self._asked]
        for request_id, state in told:
            if not isinstance(state, str) or state not in _ACTIONS:
                raise RemoteProtocolError(
                    "the answer to resume says {!r:.80} of {}".format(state, id_text(request_id))
                )
        if line != self._line:
            self._unacknowledged = []
        self._line = line
        self._asked = None
        self._ready = True
        # What was settled since the question, such as by a deadline, is not decided again.
        return [self._decide(one, str(state)) for one, state in told if one in self._in_flight]

    def _decide(self, request_id: bytes, state: str) -> Decision:
        if _ACTIONS[state] != SETTLE:
            return Decision(request_id, _ACTIONS[state])
        return self._end(request_id, lost_outcome(state))

    def _give_up(self, request_id: bytes, reason: str) -> Decision:
        return self._end(request_id, UnknownOutcome(reason, LOOK_FIRST))

    def _end(self, request_id: bytes, error: UnknownOutcome) -> Decision:
        self.settle(request_id, error.code, error.message)
        return Decision(request_id, SETTLE, error)
