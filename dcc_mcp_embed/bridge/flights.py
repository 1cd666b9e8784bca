"""Requests of clients that hosts do: sent to where their names lead, answered once.

A call that could not be sent is routed once more by a fresh look; one that may have been sent never
is. One whose host asks goes on there with what its client has answered. The desk's thread.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ..clock import Clock
from ..errors import Cancelled, NoHost, ToolError, UnknownOutcome
from ..rpc.resume import LOOK_FIRST
from ..wire.mcp.machine import Reply
from ..wire.mcp.work import ToolCall, Work
from . import dialect
from .catalog import OWN, Catalog
from .client import Client
from .demand import Demand
from .desk import Desk
from .ended import Ended, silent
from .errand import Errand
from .fleet import Fleet
from .hosts import Host
from .questions import Answers, Inquiry, Questions, refusal
from .relay import Relay
from .replies import Replies, readable
from .shelf import Shelf, asked, request
from .voice import Voice

__all__ = ["MOST_ASKED", "Flight", "Flights"]

#: How often in a row a client is asked the same. A host asks again when it gets what is no answer.
MOST_ASKED = 10
#: The params with which a call goes on.
_MORE = ("inputResponses", "requestState")


class Flight:
    """A request under way."""

    __slots__ = (
        "asked",
        "began",
        "client",
        "errand",
        "error",
        "host",
        "inquiry",
        "looked",
        "marked",
        "more",
        "name",
        "progress",
        "rounds",
        "sent",
        "tried",
        "voice",
        "wanted",
        "work",
    )

    def __init__(self, client: Client, work: Work, voice: Voice, now: float) -> None:
        self.client = client
        self.work = work
        self.voice = voice
        self.began = now
        self.host: Optional[Host] = None
        #: Its name there, and what it goes on with once its client has been asked.
        self.name = ""
        self.more: Dict[str, Any] = {}
        if work.stateless:
            given = work.params
            self.more = {key: given[key] for key in _MORE if key in given}
        #: What its client has been asked and has not answered.
        self.inquiry: Optional[Inquiry] = None
        #: What its client was asked last, and how often in a row.
        self.asked: Dict[str, Any] = {}
        self.rounds = 0
        #: How far it was said to be; what comes later is more.
        self.progress: Optional[float] = None
        #: What was given to the relay last.
        self.errand: Optional[Errand] = None
        #: Perhaps it has been sent to the host.
        self.sent = False
        #: Instances that it could not be sent to.
        self.tried: List[str] = []
        #: Why not, the last time.
        self.error: Optional[ToolError] = None
        #: It is routed by a look that was taken for it.
        self.looked = False
        self.wanted = True
        #: The label that the uris in its result begin with.
        self.marked = ""

    def starts(self) -> bool:
        """Return whether to send it now. On a worker.

        Marked before it is asked: whoever wants it no longer, and then finds it not marked, may be
        sure that it is never sent.
        """
        self.sent = True
        return self.wanted


class Flights:
    """All requests under way."""

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        catalog: Catalog,
        shelf: Shelf,
        relay: Relay,
        replies: Replies,
        questions: Questions,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._catalog = catalog
        self._shelf = shelf
        self._relay = relay
        self._replies = replies
        self._questions = questions
        self._clock = clock
        #: All of them, in their order.
        self._flights: Dict[Flight, None] = {}
        #: Client and id -> the one that this id cancels.
        self._known: Dict[Any, Flight] = {}
        #: Hosts that are still to be told that a call was cancelled.
        self._words = 0

    @property
    def under_way(self) -> bool:
        """Whether anything is to be waited for."""
        return bool(self._flights or self._words)

    def begin(self, client: Client, work: Work, voice: Voice) -> None:
        """Have work done; ``voice`` is given its one answer, also if it is cancelled."""
        flight = Flight(client, work, voice, self._clock.monotonic())
        # Of two calls with one id the later one can be cancelled; both are answered.
        self._flights[flight] = None
        self._known[client, work.id] = flight
        self._route(flight)

    def cancel(self, client: Client, ident: Any) -> None:
        """End a client's request of this id, and tell the host, which ends what it can."""
        flight = self._known.get((client, ident))
        if flight is not None:
            self._cancel(flight)

    def _cancel(self, flight: Flight) -> None:
        # Before it is looked at: what is not marked as sent then is never sent.
        self._forget(flight)
        error = Cancelled(
            "The call was cancelled.", state="running" if flight.sent else "not_started"
        )
        if flight.inquiry is not None:
            # First: nothing is said on the stream of an answer behind it.
            self._break_off(flight)
        elif flight.sent and flight.host is not None and flight.errand is not None:
            self._words += 1
            self._relay.cancel(flight.host, flight.errand, lambda: self._desk.post(self._said))
        flight.voice.cancelled(self._replies.failed(flight.work, error, flight.host).message)

    def leave(self, client: Client) -> None:
        """Cancel all of a client's."""
        for flight in [one for one in self._flights if one.client is client]:
            self._cancel(flight)

    def _forget(self, flight: Flight) -> None:
        flight.wanted = False
        del self._flights[flight]
        key = (flight.client, flight.work.id)
        if self._known.get(key) is flight:
            del self._known[key]

    def _said(self) -> None:
        self._words -= 1

    def hosts_changed(self, hosts: List[Host]) -> None:
        """Answer those whose client need not answer any more: their hosts have gone."""
        running = {host.instance_id for host in hosts}
        for host, flight in list(self._sent()):
            if flight.inquiry is not None and host.instance_id not in running:
                self._end(flight, self._replies.failed(flight.work, _half(host), host))

    # -- for those who watch over hosts -------------------------------------------------------

    def oldest(self) -> Dict[str, float]:
        """Return instance -> when its oldest call under way began."""
        found: Dict[str, float] = {}
        for host, flight in self._sent():
            instance = host.instance_id
            found[instance] = min(flight.began, found.get(instance, flight.began))
        return found

    def host(self, instance: str) -> Host:
        """Return the host of an instance that owes an answer."""
        return next(host for host, _ in self._sent() if host.instance_id == instance)

    def give_up(self, instance: str, lost: Callable[[float], bool]) -> None:
        """Answer those calls to a silent host that are ``lost(when they began)``."""
        now = self._clock.monotonic()
        for host, flight in list(self._sent()):
            if host.instance_id == instance and lost(flight.began):
                flight.wanted = False
                error = silent(host, now - flight.began, flight.sent)
                self._end(flight, self._replies.failed(flight.work, error, host))

    def _sent(self) -> Iterable[Tuple[Host, Flight]]:
        for flight in self._flights:
            if flight.host is not None:
                yield flight.host, flight

    # -- there --------------------------------------------------------------------------------

    def _route(self, flight: Flight) -> None:
        if not flight.wanted:
            return
        work = flight.work
        if isinstance(work, ToolCall) and work.name == OWN["name"]:
            data = {"items": self._fleet.describe()}
            self._end(flight, self._replies.own(work, data))
            return
        try:
            label, name = self._destination(flight)
        except NoHost as error:
            if flight.looked:
                self._end(flight, self._replies.failed(work, error))
            else:
                # It may have come since the last look.
                self._look_again(flight)
            return
        except ToolError as error:
            self._end(flight, self._replies.failed(work, error))
            return
        host = self._fleet.running[label]
        if host.instance_id in flight.tried:
            # The same one still.
            ended = Ended(error=flight.error)
            self._end(flight, self._replies.ended(work, ended, host, flight.marked))
            return
        flight.host, flight.name = host, name
        self._send(flight, host)

    def _destination(self, flight: Flight) -> Tuple[str, str]:
        """Return label and name. Raises NoHost, Ambiguous, NotFound."""
        work = flight.work
        if isinstance(work, ToolCall):
            route = self._catalog.route(work.name)
            flight.marked = route.label if self._shelf.several else ""
        else:
            member, name = asked(work)
            route = self._shelf.route(member, name)
            flight.marked = route.label if route.tool != name else ""
        return route.label, route.tool

    def _look_again(self, flight: Flight) -> None:
        """Route a call once more after a fresh look at who runs."""
        flight.looked = True
        self._fleet.after_look(lambda: self._route(flight))

    def _send(self, flight: Flight, host: Host) -> None:
        errand = self._errand(
            flight, lambda data: self._desk.post(self._heard, flight, errand, data)
        )
        flight.errand = errand
        self._relay.call(
            host,
            errand,
            flight.starts,
            lambda ended: self._desk.post(self._land, flight, ended),
        )

    def _errand(self, flight: Flight, heard: Callable[[bytes], None]) -> Errand:
        method, params = request(flight.work, flight.name)
        params.update(flight.more)
        return Errand(method, params, self._clock, flight.client.wishes(flight.work), heard)

    # -- and back -----------------------------------------------------------------------------

    def _heard(self, flight: Flight, errand: Errand, data: bytes) -> None:
        """Pass a host's notification on, if it is about what is still wanted, and there is room."""
        errand.passed_on()
        if not flight.wanted or flight.errand is not errand:
            return
        message = dialect.heard(data, errand.id, flight.work.token)
        if message is None:
            return
        step = message["params"].get("progress")
        if type(step) in (int, float):
            if flight.progress is not None and step <= flight.progress:
                # It counts anew since it asked.
                return
            flight.progress = step
        flight.voice.offer(message)

    def _land(self, flight: Flight, ended: Ended) -> None:
        if not flight.wanted:
            return
        host = flight.host
        assert host is not None
        error = _stranded(flight, ended, host)
        if error is not None:
            self._end(flight, self._replies.failed(flight.work, error, host))
        elif ended.unreached and host.instance_id not in flight.tried:
            # It may have been started anew, and nobody has looked since.
            flight.tried.append(host.instance_id)
            flight.error = ended.error
            self._look_again(flight)
        elif ended.demand is not None and not flight.work.stateless:
            self._ask(flight, ended.demand)
        else:
            self._end(flight, self._replies.ended(flight.work, ended, host, flight.marked))

    def _end(self, flight: Flight, reply: Reply) -> None:
        self._forget(flight)
        if flight.inquiry is not None:
            self._questions.withdraw(flight.inquiry)
            flight.inquiry = None
        flight.voice.reply(readable(flight.work, reply.message, flight.client.version))

    # -- what hosts ask -----------------------------------------------------------------------

    def _ask(self, flight: Flight, demand: Demand) -> None:
        """Ask the client of the handshake era; its answers go to the host that asked."""
        flight.more = {"requestState": demand.state}
        same = all(flight.asked.get(key) == one for key, one in demand.requests.items())
        flight.rounds = flight.rounds + 1 if same else 1
        flight.asked = demand.requests
        if flight.rounds > MOST_ASKED:
            # A program answers so, no person: it would go on for as long as the host waits.
            none = refusal("Its answer does not fit what it is asked")
            self._go_on(flight, dict.fromkeys(demand.requests, none))
            return
        inquiry = self._questions.ask(
            demand, flight.client, flight.voice, lambda answers: self._go_on(flight, answers)
        )
        if not inquiry.over:
            flight.inquiry = inquiry

    def _go_on(self, flight: Flight, answers: Answers) -> None:
        flight.inquiry = None
        if flight.wanted:
            assert flight.host is not None
            flight.more["inputResponses"] = answers
            self._send(flight, flight.host)

    def _break_off(self, flight: Flight) -> None:
        """Let the host know that there will be no answers; what then becomes of it, nobody asks."""
        inquiry, flight.inquiry = flight.inquiry, None
        assert inquiry is not None and flight.host is not None
        self._questions.withdraw(inquiry)
        none = refusal("The call was cancelled")
        flight.more["inputResponses"] = dict.fromkeys(inquiry.demand.requests, none)
        self._words += 1
        self._relay.call(
            flight.host,
            self._errand(flight, lambda data: None),
            lambda: True,
            lambda ended: self._desk.post(self._said),
        )


def _stranded(flight: Flight, ended: Ended, host: Host) -> Optional[ToolError]:
    """Return what became of a call that has begun and could not be told what it waits for."""
    if not flight.more:
        return None
    if ended.unreached:
        # It was suspended there, and nowhere else.
        return _half(host)
    # A client of the stateless era may say the same once more; another is never asked again.
    if flight.work.stateless or ended.error is None or ended.error.state != "not_started":
        return None
    return UnknownOutcome(
        "The answer of the client did not get to the call that waits for it at {}: {} What it had "
        "done by then is not known.".format(host.name, ended.error.message),
        LOOK_FIRST,
    )


def _half(host: Host) -> ToolError:
    return UnknownOutcome(
        "{} ended while the call waited for an answer of its client; what it had done by then "
        "is not known.".format(host.name),
        LOOK_FIRST,
    )
