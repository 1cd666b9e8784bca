"""The bridge itself: messages of one client in, answers out. One thread; it waits for no host.

Everything that happens (a line, a look at the registry, the end of a call) is put into one queue by
the thread it happens on, and dealt with here, one after another.
"""

from __future__ import annotations

import queue
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from ..clock import Clock
from ..errors import HostError, NoHost, NotFound, ToolError, Unsupported
from ..net.readiness import SLICE_S
from ..tools.results import failure, success
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import (
    Accepted,
    Cancel,
    LevelSet,
    McpMachine,
    Opened,
    Reply,
    Subscribe,
    ToolCall,
)
from ..wire.mcp.revisions import (
    BATCHES,
    LOG_LEVELS,
    META_LOG_LEVEL,
    META_SERVER,
    MISSING_CAPABILITY,
)
from ..wire.mcp.work import Completion, PromptGet, ResourceRead, Work
from . import dialect
from .cache import ToolCache
from .catalog import OWN, Catalog
from .dialect import Implied, Listening
from .errand import Errand, Wishes
from .hosts import Host, Roster, Watch
from .pulse import ASK_S, Pulses
from .relay import Ended, Relay, silent
from .shelf import SHELVES, Shelf, asked, marked, request
from .stdio import LineReader, LineWriter, TooLong

__all__ = ["Bridge"]

#: Seconds that is waited for a look at who runs, and for a host that never listed its tools.
_FIRST_S = 3.0
#: Seconds that a list waits for hosts to say what they have, when it is known what they had.
_REFRESH_S = 0.5
#: Seconds after which a host that did not list its tools is asked again.
_AGAIN_S = 5.0
#: Seconds that calls under way get once the client has closed its end.
_GRACE_S = 0.5
#: Seconds for the last answers to be read.
_FLUSH_S = 1.0
#: Seconds between two looks at connections that nobody needs any more.
_TIDY_S = 60.0
#: Messages in one batch.
_BATCH = 100
#: From which level on a client is told what is logged, until it names one; as hosts have it.
_LEVEL = "info"
#: What marks a result of the stateless era.
_ERA = ("resultType", "ttlMs", "cacheScope")
#: What an error of JSON-RPC says that a tool call is answered with; others are the host's.
_FAULTS = {jsonrpc.INVALID_PARAMS: NotFound, MISSING_CAPABILITY: Unsupported}

Send = Callable[[Dict[str, Any]], None]
MakeReader = Callable[[Callable[[Any], None], Callable[[], None]], LineReader]
MakeWriter = Callable[[Callable[[], None]], LineWriter]
MakeWatch = Callable[[Callable[[List[Host], int], None]], Watch]


class _Flight:
    """A call under way."""

    __slots__ = (
        "began",
        "errand",
        "error",
        "host",
        "looked",
        "marked",
        "send",
        "sent",
        "tried",
        "wanted",
        "work",
    )

    def __init__(self, work: Work, send: Send, now: float) -> None:
        self.work = work
        self.send = send
        self.began = now
        self.host: Optional[Host] = None
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


class _Waiting(NamedTuple):
    """Something to be done after a look (its number) or at a time, whichever comes first."""

    until: float
    act: Callable[[], None]
    look: int = 0


class _Gathering:
    """A list that waits for hosts to say what they have. ``missing``: instances."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act
        self.until = 0.0
        self.missing: Set[str] = set()


class Bridge:
    """One client's bridge: ``start``, then ``run``, which returns when the client has gone.

    ``machine`` must list what ``catalog`` and ``shelf`` list; ``server`` is what it calls itself.
    """

    def __init__(
        self,
        machine: McpMachine,
        server: Dict[str, Any],
        catalog: Catalog,
        shelf: Shelf,
        cache: ToolCache,
        relay: Relay,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> None:
        self._machine = machine
        self._server = server
        self._catalog = catalog
        self._shelf = shelf
        self._cache = cache
        self._relay = relay
        self._clock = clock
        self._log = log
        self._roster = Roster()
        self._events: Any = queue.SimpleQueue()
        self._reader: LineReader
        self._writer: LineWriter
        self._watch: Watch
        # What the client has said.
        self._client = ""
        self._version: Optional[str] = None
        self._initialized = False
        self._level = _LEVEL
        self._listeners: Dict[Any, Listening] = {}
        #: The list that it was told of last, in words or by a notification.
        self._shown: Optional[List[Dict[str, Any]]] = None
        # What is under way.
        self._flights: Dict[Any, _Flight] = {}
        #: Hosts that are still to be told that a call was cancelled.
        self._words = 0
        #: Instances that have been asked for their tools.
        self._asked: Set[str] = set()
        #: Instance -> when to ask it again.
        self._again: Dict[str, float] = {}
        self._pulses = Pulses()
        #: What waits for a look, and what waits for tools that were asked for.
        self._looks: List[_Waiting] = []
        self._lists: List[_Waiting] = []
        self._gatherings: List[_Gathering] = []
        self._tidy_at = clock.monotonic() + _TIDY_S
        # The end.
        self._closing: Optional[float] = None
        self._over = False

    def start(self, reader: MakeReader, writer: MakeWriter, watch: MakeWatch) -> None:
        """Begin to read, to write and to look.

        ``reader(deliver, ended)``, ``writer(broken)`` and ``watch(deliver)`` make what does that;
        what they call back may come on any thread.
        """
        self._writer = writer(lambda: self._post(self._cut))
        self._reader = reader(lambda line: self._post(self._line, line), self._eof)
        self._watch = watch(lambda hosts, asks: self._post(self._look, hosts, asks))
        self._writer.start()
        self._watch.start()
        self._reader.start()

    def run(self) -> None:
        """Serve until the client has gone."""
        try:
            while not self._over:
                self.turn()
        finally:
            self._watch.stop()
            self._relay.stop()
            self._writer.flush(_FLUSH_S)
            self._writer.stop()

    # -- the loop -----------------------------------------------------------------------------

    def _post(self, act: Callable[..., None], *args: Any) -> None:
        self._events.put((act, args))

    def turn(self) -> None:
        """Wait for one event, deal with it, and with what its time has come for."""
        now = self._clock.monotonic()
        waiting: List[Any] = [*self._looks, *self._lists, *self._gatherings]
        moments = [one.until for one in waiting]
        moments.append(self._tidy_at)
        moments.extend(self._again.values())
        pulse = self._pulses.next(self._oldest())
        if pulse is not None:
            moments.append(pulse)
        if self._closing is not None:
            moments.append(self._closing)
        timeout = max(0.0, min(moments) - now)
        if SLICE_S is not None:
            timeout = min(timeout, SLICE_S)
        try:
            act, args = self._events.get(True, timeout)
        except queue.Empty:
            pass
        else:
            self._safely(act, *args)
        self._safely(self._due)

    def _safely(self, act: Callable[..., None], *args: Any) -> None:
        try:
            act(*args)
        except Exception as error:
            # A mistake of ours must not take away the other hosts, and what else was asked.
            self._log("error", "{} failed: {!r}".format(act, error))

    def _do(self, waiting: List[Any], due: Callable[[Any], bool]) -> None:
        """Do and forget what is due. What comes of it may have to wait itself."""
        now = [one for one in waiting if due(one)]
        waiting[:] = [one for one in waiting if one not in now]
        for one in now:
            self._safely(one.act)

    def _due(self) -> None:
        now = self._clock.monotonic()
        self._do(self._looks, lambda one: one.until <= now)
        self._do(self._lists, lambda one: not self._asked or one.until <= now)
        self._do(self._gatherings, lambda one: not one.missing or one.until <= now)
        for instance in [one for one, when in self._again.items() if when <= now]:
            del self._again[instance]
            label = self._roster.label_of(instance)
            if label is not None:
                self._ask(self._roster.running[label])
        if self._tidy_at <= now:
            self._tidy_at = now + _TIDY_S
            self._relay.tidy()
            self._let_go()
        for instance in self._pulses.to_ask(now, self._oldest()):
            self._feel(instance)
        if self._closing is not None:
            lists = self._lists or self._looks or self._gatherings
            under_way = self._flights or lists or self._words
            if not under_way or self._closing <= now:
                self._over = True

    def _eof(self) -> None:
        # On the reader's thread: whoever waits for room must not wait any more.
        self._writer.hurry()
        self._post(self._close)

    def _close(self) -> None:
        self._closing = self._clock.monotonic() + _GRACE_S

    def _cut(self) -> None:
        self._over = True

    # -- messages -----------------------------------------------------------------------------

    def _line(self, line: Any) -> None:
        try:
            self._receive(line)
        finally:
            self._reader.done(len(line))

    def _receive(self, line: Any) -> None:
        if isinstance(line, TooLong):
            text = "A message has at most {} bytes".format(line.limit)
            self._send(self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, text)).message)
            return
        try:
            value = jsonrpc.decode(line)
        except Fault as fault:
            self._send(self._machine.refuse(fault).message)
            return
        try:
            if type(value) is list:
                self._batch(value)
            else:
                self._message(value, self._send, True)
        except Exception as error:
            self._log("error", "A message could not be dealt with: {!r}".format(error))
            ident = value.get("id") if type(value) is dict else None
            if type(ident) in (str, int):
                text = "The bridge could not do that"
                self._send(jsonrpc.error(ident, jsonrpc.INTERNAL_ERROR, text))

    def _batch(self, values: List[Any]) -> None:
        refusal = None
        if self._version != BATCHES:
            refusal = "Batches are part of {} only; send one message per line".format(BATCHES)
        elif not 0 < len(values) <= _BATCH:
            refusal = "A batch holds 1 to {} messages; this one has {}".format(_BATCH, len(values))
        if refusal is not None:
            self._send(self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, refusal)).message)
            return
        # Answered one by one, so that what is slow delays nothing else.
        for value in values:
            self._message(value, self._send, False)

    def _message(self, value: Any, send: Send, alone: bool) -> None:
        method = value.get("method") if type(value) is dict else None
        try:
            listening = dialect.listening(value)
        except Fault as fault:
            send(fault.to_message())
            return
        if listening is not None:
            self._listeners[listening.id] = listening
            send(dialect.acknowledged(listening))
            return
        if method == "tools/list" and "id" in value:
            self._before_list(lambda: self._answer_list(value, send))
            return
        if method in SHELVES and "id" in value:
            self._after_look(lambda: self._gather(method, lambda: self._answer(value, send)))
            return
        if method == "initialize" and not alone:
            ident = value.get("id")
            known = ident if type(ident) in (str, int) else None
            send(jsonrpc.error(known, jsonrpc.INVALID_REQUEST, "initialize stands alone"))
            return
        outcome = self._machine.receive(value, Implied(value), self._client)
        kind = type(outcome)
        if isinstance(outcome, (ToolCall, ResourceRead, PromptGet, Completion)):
            self._begin(outcome, send)
        elif isinstance(outcome, Opened):
            self._version, self._client = outcome.version, outcome.client
            self._initialized = False
            self._level = _LEVEL
            send(dialect.offer(outcome.message))
        elif isinstance(outcome, (Reply, LevelSet)):
            message = outcome.message
            if method == "server/discover" and "result" in message:
                message = dialect.offer(message)
            if isinstance(outcome, LevelSet):
                self._level = outcome.level
            send(message)
        elif isinstance(outcome, Subscribe):
            text = "The bridge tells of no changes of resources"
            send(jsonrpc.error(outcome.id, jsonrpc.METHOD_NOT_FOUND, text))
        elif isinstance(outcome, Cancel):
            self._cancel(outcome.id)
        elif method == "notifications/initialized":
            assert kind is Accepted
            self._initialized = True

    def _send(self, message: Dict[str, Any]) -> None:
        try:
            line = jsonrpc.encode(message)
        except (ValueError, RecursionError) as error:
            text = "The answer cannot be sent: {}".format(error)
            refusal = jsonrpc.error(message.get("id"), jsonrpc.INTERNAL_ERROR, text)
            line = jsonrpc.encode(refusal)
        self._writer.put(line)

    def _heard(self, flight: _Flight, errand: Errand, data: bytes) -> None:
        """Pass a host's notification on, if it is about what is still wanted, and there is room."""
        errand.passed_on()
        if not flight.wanted or flight.errand is not errand:
            return
        message = dialect.heard(data, errand.id, flight.work.token)
        if message is not None:
            self._writer.offer(jsonrpc.encode(message))

    # -- the list -----------------------------------------------------------------------------

    def _before_list(self, act: Callable[[], None]) -> None:
        """Do something when hosts have said what tools they have, or too much time has passed."""
        self._after_look(lambda: self._ask_all(act))

    def _ask_all(self, act: Callable[[], None]) -> None:
        known = True
        for label, host in self._roster.running.items():
            known = known and self._catalog.has_tools(label)
            self._ask(host)
        self._lists.append(_Waiting(self._at(_REFRESH_S if known else _FIRST_S), act))

    def _answer(self, value: Any, send: Send) -> None:
        outcome = self._machine.receive(value, Implied(value), self._client)
        assert isinstance(outcome, Reply)
        send(outcome.message)

    def _answer_list(self, value: Any, send: Send) -> None:
        self._answer(value, send)
        self._catalog.listed()
        self._shown = self._catalog.listing()

    def _at(self, seconds: float) -> float:
        return self._clock.monotonic() + seconds

    def _ask(self, host: Host) -> None:
        """Ask a host for its tools, unless that is under way."""
        instance = host.instance_id
        if instance in self._asked:
            return
        self._asked.add(instance)
        self._again.pop(instance, None)
        self._relay.list_tools(
            host, lambda tools, why: self._post(self._listed, instance, tools, why)
        )

    def _listed(self, instance: str, tools: Optional[List[Dict[str, Any]]], why: str) -> None:
        self._asked.discard(instance)
        label = self._roster.label_of(instance)
        if label is None:
            return
        if tools is None:
            self._log("warning", "{} does not list its tools: {}".format(label, why))
            self._again[instance] = self._at(_AGAIN_S)
            self._tell()
            return
        kind = self._roster.running[label].dcc_type
        self._catalog.set_tools(label, kind, tools)
        self._cache.save(kind, tools)
        self._tell()

    def _gather(self, method: str, act: Callable[[], None]) -> None:
        """Do something when hosts have listed what they have of a kind, or it takes too long."""
        member, known, gathering = SHELVES[method], True, _Gathering(act)
        for label, host in self._roster.running.items():
            known = known and self._shelf.has(label, member)
            gathering.missing.add(host.instance_id)
            self._ask_for(method, host, gathering)
        gathering.until = self._at(_REFRESH_S if known else _FIRST_S)
        self._gatherings.append(gathering)

    def _ask_for(self, method: str, host: Host, gathering: _Gathering) -> None:
        self._relay.list(
            host,
            Errand(method, {}, self._clock),
            lambda ended: self._post(self._gathered, method, host.instance_id, gathering, ended),
        )

    def _gathered(self, method: str, instance: str, gathering: _Gathering, ended: Ended) -> None:
        gathering.missing.discard(instance)
        label = self._roster.label_of(instance)
        if label is None:
            return
        member = SHELVES[method]
        if ended.result is not None:
            self._shelf.take(label, member, ended.result.get(member))
        else:
            why = ended.error or ended.fault
            self._log("warning", "{} does not list its {}: {}".format(label, member, why))

    def _tell(self) -> None:
        """Tell the client when the list is another one than it was shown."""
        listing = self._catalog.listing()
        if self._shown is None or listing == self._shown:
            return
        new = [label for label in self._roster.running if not self._catalog.has_tools(label)]
        if any(self._roster.running[label].instance_id in self._asked for label in new):
            # Its tools come in a moment; once is enough.
            return
        self._shown = listing
        if self._initialized:
            self._send(dialect.changed())
        for one in self._listeners.values():
            if one.tools:
                self._send(dialect.changed(one))

    # -- hosts --------------------------------------------------------------------------------

    def _look(self, hosts: List[Host], asks: int) -> None:
        changed = self._roster.look(hosts)
        running = self._roster.running
        if changed:
            self._log("info", "Running: {}".format(", ".join(sorted(running)) or "no host"))
            instances = [host.instance_id for host in hosts]
            self._let_go()
            self._asked.intersection_update(instances)
            for gone in [one for one in self._again if one not in instances]:
                del self._again[gone]
            self._catalog.set_running({label: one.dcc_type for label, one in running.items()})
            self._shelf.set_running(running)
            for host in hosts:
                self._ask(host)
            self._tell()
        self._do(self._looks, lambda one: one.look <= asks)

    def _let_go(self) -> None:
        """Let go of what serves instances that neither run nor owe an answer.

        What waits in line for one that has gone comes to its turn, and finds that it is not there.
        """
        running = {host.instance_id for host in self._roster.running.values()}
        self._relay.keep(running.union(self._oldest()))

    def _after_look(self, act: Callable[[], None]) -> None:
        """Do something when a look that is taken now has shown who runs."""
        self._looks.append(_Waiting(self._at(_FIRST_S), act, self._watch.ask()))

    # -- calls --------------------------------------------------------------------------------

    def _begin(self, work: Work, send: Send) -> None:
        flight = _Flight(work, send, self._clock.monotonic())
        # Of two calls with one id the later one can be cancelled; both are answered.
        self._flights[work.id] = flight
        self._route(flight)

    def _route(self, flight: _Flight) -> None:
        if not flight.wanted:
            return
        work = flight.work
        if isinstance(work, ToolCall) and work.name == OWN["name"]:
            self._settle(flight, success(self._instances(), None, None))
            return
        try:
            if isinstance(work, ToolCall):
                route = self._catalog.route(work.name)
                flight.marked = route.label if self._shelf.several else ""
            else:
                member, name = asked(work)
                route = self._shelf.route(member, name)
                flight.marked = route.label if route.tool != name else ""
        except NoHost as error:
            if flight.looked:
                self._fail(flight, error, None)
            else:
                # It may have come since the last look.
                self._look_again(flight)
            return
        except ToolError as error:
            self._fail(flight, error, None)
            return
        host = self._roster.running[route.label]
        if host.instance_id in flight.tried:
            # The same one still.
            self._land(flight, Ended(error=flight.error))
            return
        flight.host = host
        errand = Errand(
            *request(work, route.tool),
            self._clock,
            self._wishes(work),
            lambda data: self._post(self._heard, flight, errand, data),
        )
        flight.errand = errand
        self._relay.call(
            host,
            errand,
            flight.starts,
            lambda ended: self._post(self._land, flight, ended),
        )

    def _wishes(self, work: Work) -> Wishes:
        level: Optional[str] = self._level
        if work.stateless:
            level = work.params["_meta"].get(META_LOG_LEVEL)
            level = level if level in LOG_LEVELS else None
        return Wishes(work.token is not None, level, work.client)

    def _land(self, flight: _Flight, ended: Ended) -> None:
        if not flight.wanted:
            return
        host = flight.host
        assert host is not None
        if ended.unreached and host.instance_id not in flight.tried:
            # It may have been started anew, and nobody has looked since.
            flight.tried.append(host.instance_id)
            flight.error = ended.error
            self._look_again(flight)
            return
        if ended.fault is not None:
            self._refused(flight, ended.fault, host)
        elif ended.error is not None:
            self._fail(flight, ended.error, host)
        else:
            assert ended.result is not None
            result = _plain(ended.result)
            self._settle(flight, marked(result, flight.marked) if flight.marked else result)

    def _look_again(self, flight: _Flight) -> None:
        """Route a call once more after a fresh look at who runs."""
        flight.looked = True
        self._after_look(lambda: self._route(flight))

    def _refused(self, flight: _Flight, fault: Fault, host: Host) -> None:
        """Answer with an error of JSON-RPC that the host has answered."""
        work, code, text, data = flight.work, fault.code, fault.message, fault.data
        if isinstance(work, ToolCall):
            self._fail(flight, _FAULTS.get(code, HostError)(text), host)
        elif type(data) is dict and data.get("code") == NotFound.code:
            # Its number is another one in each era.
            self._end(flight, self._machine.not_found(work, text, data))
        else:
            self._end(flight, self._machine.fail(work, code, text, data))

    def _fail(self, flight: _Flight, error: ToolError, host: Optional[Host]) -> None:
        work = flight.work
        if isinstance(work, ToolCall):
            self._settle(flight, failure(error, None if host is None else host.block()))
            return
        text = "{} {}".format(error.message, error.hint or "").strip()
        code = jsonrpc.INTERNAL_ERROR
        self._end(flight, self._machine.fail(work, code, text, error.to_dict()))

    def _settle(self, flight: _Flight, result: Dict[str, Any]) -> None:
        self._end(flight, self._machine.answer(flight.work, result))

    def _end(self, flight: _Flight, reply: Reply) -> None:
        flight.wanted = False
        if self._flights.get(flight.work.id) is flight:
            del self._flights[flight.work.id]
        flight.send(reply.message)

    # -- hosts that say nothing ---------------------------------------------------------------

    def _oldest(self) -> Dict[str, float]:
        """Return instance -> when its oldest call under way began."""
        found: Dict[str, float] = {}
        for flight in self._flights.values():
            if flight.host is not None:
                instance = flight.host.instance_id
                found[instance] = min(flight.began, found.get(instance, flight.began))
        return found

    def _feel(self, instance: str) -> None:
        host = next(
            flight.host
            for flight in self._flights.values()
            if flight.host is not None and flight.host.instance_id == instance
        )
        self._relay.pulse(host, ASK_S, lambda alive: self._post(self._felt, instance, alive))

    def _felt(self, instance: str, alive: bool) -> None:
        now = self._clock.monotonic()
        self._pulses.answered(now, instance, alive)
        for flight in list(self._flights.values()):
            host = flight.host
            if host is None or host.instance_id != instance:
                continue
            if self._pulses.lost(now, instance, flight.began):
                flight.wanted = False
                error = silent(host, now - flight.began, flight.sent)
                self._fail(flight, error, host)

    def _cancel(self, ident: Any) -> None:
        """Do not answer any more, and tell the host, which ends what it can."""
        if type(ident) not in (str, int):
            return
        listening = self._listeners.pop(ident, None)
        if listening is not None:
            self._send(dialect.ended(listening, self._server))
            return
        flight = self._flights.pop(ident, None)
        if flight is None:
            return
        flight.wanted = False
        if flight.sent and flight.host is not None and flight.errand is not None:
            self._words += 1
            self._relay.cancel(flight.host, flight.errand, lambda: self._post(self._said))

    def _said(self) -> None:
        self._words -= 1

    def _instances(self) -> Dict[str, Any]:
        """Return what ``list_instances`` tells."""
        alone = len(self._roster.running) == 1
        return {
            "items": [
                dict(
                    host.block(),
                    scene=host.scene,
                    prefix="" if alone else label + "_",
                    ready=host.ready,
                )
                for label, host in sorted(self._roster.running.items())
            ]
        }


def _plain(result: Dict[str, Any]) -> Dict[str, Any]:
    """Return a result of the stateless era without what only that era has."""
    plain = {key: value for key, value in result.items() if key not in _ERA}
    meta = plain.get("_meta")
    if type(meta) is dict:
        plain["_meta"] = {key: value for key, value in meta.items() if key != META_SERVER}
        if not plain["_meta"]:
            del plain["_meta"]
    return plain
