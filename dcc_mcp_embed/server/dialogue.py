"""What one call and its client say to each other while it runs.

A tool speaks on its own thread (log, progress); what it says goes out on the loop thread. It asks
by yielding: its generator waits, without a thread, until the client has answered. How it is asked
is the era's: by a request on the call's stream, or by a result that demands input and is answered
by calling again.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional, Sequence

from ..errors import HostBusy, HostError, InvalidArgument, PermissionDenied, ToolError, Unsupported
from ..net.loop import Loop
from ..net.timers import Timer
from ..tools.asking import Ask, NotOffered
from ..tools.entries import Progress
from ..tools.steps import read_step
from ..tools.tidy import tidy
from ..wire import jsonrpc
from ..wire.mcp.machine import McpMachine
from ..wire.mcp.revisions import LOG_LEVELS, META_CAPABILITIES, META_LOG_LEVEL
from ..wire.mcp.work import Completion, Work
from .questions import Questions, Waiting
from .running import UnderWay
from .sinks import Sink

__all__ = ["Dialogue"]

#: Messages of one call that are on their way to the loop thread; more are left out.
_AHEAD = 64
#: Characters of JSON in one log message.
_MAX_DATA = 16 * 1024
#: The level of sessions that have not named one.
_LEVEL = "info"
#: Progress has to grow with every report, also where nothing can be counted. So little of it that
#: what a tool reports next is more.
_HAIR = 0.001
#: How long a call waits for its client to come back once the stream with its question has broken.
COME_BACK = 30.0
#: The revision since which capabilities have parts, and the parts that the whole had meant before.
_PARTED = "2025-11-25"
_WHOLE = ("sampling.context",)
#: Capability -> the first revision that has it, if that is not the first of all.
_SINCE = {"elicitation": "2025-06-18"}

Resume = Callable[[Any, Optional[ToolError]], None]


class Dialogue(Waiting):
    """The way from one call to its client and back; ``wire`` of a ToolContext.

    ``work`` and ``sink`` change when the client calls again with its answers; ``running`` is set
    once the call has been started.
    """

    # Not in slots: most calls say nothing, and then what only talking needs costs nothing.
    running: Optional[UnderWay] = None
    _ahead = 0
    _done: Optional[float] = None
    _total: Optional[float] = None
    _keys = 0
    _over = False
    # What is asked right now, and what has been answered of it, by key.
    _asks: Sequence[Ask] = ()
    _many = False
    _answers: Dict[str, Any] = {}
    _ids: List[str] = []
    _resume: Optional[Resume] = None
    _timer: Optional[Timer] = None
    # Runs while the stream with a question has no connection.
    _away: Optional[Timer] = None

    def __init__(
        self, loop: Loop, machine: McpMachine, questions: Questions, work: Work, sink: Sink
    ) -> None:
        self._loop = loop
        self._machine = machine
        self._questions = questions
        self.work = work
        self.sink = sink

    # -- the tool's own thread ----------------------------------------------------------------

    def log(self, level: str, data: Any, logger: Optional[str]) -> None:
        """Send a log message if the client wants it."""
        wanted = self._level()
        if wanted is None or LOG_LEVELS.index(level) < LOG_LEVELS.index(wanted):
            return
        # A copy, as JSON: what the host gave out does not leave this thread.
        try:
            data = tidy(data, "log").value
        except ToolError:
            # JSON cannot hold it; a log message is no reason to fail.
            data = repr(data)
        text = json.dumps(data, separators=(",", ":"))
        if len(text) > _MAX_DATA:
            data = text[:_MAX_DATA] + "..."
        params: Dict[str, Any] = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = str(logger)
        self._post(self._event, jsonrpc.notification("notifications/message", params))

    def progress(self, done: float, total: Optional[float], message: Optional[str]) -> None:
        """Report progress if the client wants it. Raises HostError for what cannot be told."""
        step = read_step(Progress(done, total, message))
        if self.work.token is not None:
            self._post(self.report, *step)

    def step_out(self) -> None:
        """Have the client come back for the result, if it can."""
        self._post(self._step_out)

    def offers(self, capability: str) -> bool:
        """Return whether the client can be asked; ``sampling.tools`` is a part of a capability."""
        name, _, part = capability.partition(".")
        session = None if self.work.stateless else self.sink.session
        if session is not None and session.version < _SINCE.get(name, ""):
            # Whatever it says: its revision has no word for it.
            return False
        offered = self._offered().get(name)
        if type(offered) is not dict:
            return False
        # Without a mode it is the form, which is all there is before 2025-11-25.
        if capability == "elicitation" and offered:
            part = "form"
        return not part or part in offered or capability in _WHOLE and self._older()

    def demand(self, capability: str) -> None:
        """Raise NotOffered unless the client can be asked."""
        if not self.offers(capability):
            raise NotOffered(capability)

    def next_key(self) -> str:
        """Return a name for the next question."""
        self._keys += 1
        return "input_{}".format(self._keys)

    def elicited(self, asked: Ask) -> None:
        """Say that a question at a URL is settled there, in the era that has a word for it."""
        if asked.ident is not None:
            params = {"elicitationId": asked.ident}
            message = jsonrpc.notification("notifications/elicitation/complete", params)
            self._post(self._event, message)

    def _offered(self) -> Dict[str, Any]:
        if self.work.stateless:
            offered = self._meta().get(META_CAPABILITIES)
            return offered if type(offered) is dict else {}
        session = self.sink.session
        return (session.capabilities or {}) if session is not None else {}

    def _older(self) -> bool:
        session = None if self.work.stateless else self.sink.session
        return session is not None and session.version < _PARTED

    def _is_over(self) -> bool:
        """Return whether the session has ended, whose client can answer nothing then."""
        session = None if self.work.stateless else self.sink.session
        channel = None if session is None else session.channel
        return channel is not None and channel.closed

    def _meta(self) -> Dict[str, Any]:
        # Over HTTP it has been checked; other ways need not have one.
        found = self.work.params.get("_meta")
        return found if type(found) is dict else {}

    def _level(self) -> Optional[str]:
        if self.work.stateless:
            level = self._meta().get(META_LOG_LEVEL)
            return level if level in LOG_LEVELS else None
        session = self.sink.session
        return (session.level or _LEVEL) if session is not None else None

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        if self._loop.is_current():
            function(*args)
        elif self._ahead < _AHEAD:
            # Two threads count here without a lock: off by a few is as good.
            self._ahead += 1
            self._loop.call_soon(self._arrived, function, args)

    # -- loop thread --------------------------------------------------------------------------

    def _arrived(self, function: Callable[..., None], args: Any) -> None:
        self._ahead -= 1
        function(*args)

    def _event(self, message: Dict[str, Any]) -> None:
        self.sink.event(message)

    def _step_out(self) -> None:
        self.sink.step_out()

    def report(self, done: float, total: Optional[float], message: Optional[str]) -> None:
        """Send a progress notification; it must have grown."""
        if self.work.token is None or (self._done is not None and done <= self._done):
            return
        self._done, self._total = done, total
        self.sink.event(self._machine.progress(self.work, done, total, message))

    def report_step(self, step: Any) -> None:
        """Send what a stepwise tool has yielded of its progress."""
        self.report(step.done, step.total, step.message)

    def beat(self, message: str) -> None:
        """Say that the call is still under way: a hair further than what was reported last."""
        self.report((self._done or 0) + _HAIR, self._total, message)

    def ask(self, asked: Any, resume: Resume) -> None:
        """Ask the client; then call ``resume`` once with the answers, or with why there are none.

        ``asked`` is what the tool has yielded: an Ask or a list of them.
        """
        self._many = not isinstance(asked, Ask)
        self._asks = list(asked) if self._many else [asked]
        self._answers, self._ids = {}, []
        self._resume = resume
        problem: Optional[ToolError] = None
        if self._over:
            problem = Unsupported("The call has outlived its caller: nobody can be asked.")
        elif not self._asks or not all(isinstance(one, Ask) for one in self._asks):
            problem = HostError("A tool yields Progress, questions or lists of questions.")
        elif self.work.stateless and type(self.work) is Completion:
            # 2026-07-28: only tools/call, prompts/get and resources/read may demand input.
            problem = Unsupported("Nobody can be asked while an argument is completed.")
        elif self._is_over():
            # As for those that were asked before its end.
            problem = _refused({"code": 0, "message": "the session was ended"})
        elif self._older() and any(map(_has_lists, self._asks)):
            problem = Unsupported(
                "The client's revision of MCP has no form in which one field takes many answers."
            )
        elif len({one.key for one in self._asks}) < len(self._asks):
            problem = HostError("Two questions of one list have the same key.")
        elif not self._questions.enter(self):
            problem = HostBusy(
                "Too many calls wait for answers of their clients already.", retry_after_ms=5000
            )
        if problem is not None:
            self._go_on(problem)
            return
        # From the first time it is asked on: a client that calls again does not get more.
        stateless = self.work.stateless
        self._timer = self._loop.call_later(
            self._questions.patience, self.cancel if stateless else self._too_late
        )
        self._try(self._demand_input if stateless else self._send_requests)

    def _try(self, ask: Callable[[], None]) -> None:
        """Ask; whatever goes wrong there, the call does not wait for an answer to nothing."""
        try:
            ask()
        except Exception as error:
            self._go_on(HostError("The client could not be asked: {!r}".format(error)))

    def over(self) -> None:
        """The caller has its answer: nothing is asked any more."""
        self._over = True
        if self._asks:
            self._resume = None
            self._withdraw()

    def _go_on(self, error: Optional[ToolError] = None) -> None:
        resume, self._resume = self._resume, None
        self._withdraw()
        if error is not None:
            # The tool has begun: whatever ends it now, it is not as if it had not.
            error.state = "finished"
        if resume is not None:
            found = [self._answers.get(one.key) for one in self._asks]
            resume(found if self._many else found[0] if found else None, error)

    def _withdraw(self) -> None:
        """Take back what is still asked, and what was set to wait for it."""
        self._questions.leave(self)
        for timer in (self._timer, self._away):
            if timer is not None:
                timer.cancel()
        self._timer = self._away = None
        stream = self.sink.stream()
        if stream is not None:
            stream.left = None
        session = self.sink.session
        ids, self._ids = self._ids, []
        for ident in ids:
            if session is not None and session.asked.pop(ident, None) is not None:
                params = {"requestId": ident, "reason": "the answer is not needed any more"}
                self._event(jsonrpc.notification("notifications/cancelled", params))

    def _take(self, ask: Ask, result: Any) -> Optional[ToolError]:
        """Note one answer; return what is wrong with it."""
        try:
            self._answers[ask.key] = ask.read(result)
        except InvalidArgument as error:
            return error
        return None

    # -- the handshake era: requests on a stream ----------------------------------------------

    def _send_requests(self) -> None:
        session = self.sink.session
        assert session is not None
        for ask in self._asks:
            ident = self._questions.next_id()
            params = ask.params
            if params.get("mode") == "url":
                ask.ident = ident
                params = dict(params, elicitationId=ident)
            message = {"jsonrpc": "2.0", "id": ident, "method": ask.method, "params": params}
            if not self.sink.ask(message):
                if session.channel is None or not session.channel.standing.attached:
                    self._go_on(
                        Unsupported("The client takes no stream on which it could be asked.")
                    )
                    return
                session.channel.tell(jsonrpc.encode(message).decode("ascii"))
            self._ids.append(ident)
            session.asked[ident] = self._taker(ask, ident)
        stream = self.sink.stream()
        if stream is not None:
            stream.left = self._left
            if not stream.attached:
                # It was found broken when the question was sent.
                self._left()

    def _taker(self, ask: Ask, ident: str) -> Callable[[Any, Any], None]:
        def take(result: Any, error: Any) -> None:
            if ident not in self._ids:
                return
            self._ids.remove(ident)
            problem = _refused(error) if error is not None else self._take(ask, result)
            if problem is not None or not self._ids:
                self._go_on(problem)

        return take

    def _too_late(self) -> None:
        self._go_on(
            PermissionDenied(
                "The client has not answered within {:g} s.".format(self._questions.patience)
            )
        )

    def _left(self) -> None:
        """The stream that carried the question has broken: the client may come back for it."""
        if self._away is not None:
            self._away.cancel()
        self._away = self._loop.call_later(COME_BACK, self._still_away)

    def _still_away(self) -> None:
        stream = self.sink.stream()
        if self._resume is not None and stream is not None and not stream.attached:
            self.cancel()

    def cancel(self) -> None:
        """End the call: nobody will answer."""
        if self.running is not None:
            self.running.cancel()

    # -- the stateless era: a result that demands input ----------------------------------------

    def _demand_input(self) -> None:
        """Take what the client has answered already; demand the rest by a result, if any."""
        given = self.work.params.get("inputResponses")
        missing: List[Ask] = []
        for ask in self._asks:
            if ask.key in self._answers:
                continue
            if type(given) is not dict or ask.key not in given:
                missing.append(ask)
                continue
            answer = given[ask.key]
            if type(answer) is dict and type(answer.get("error")) is dict:
                # What stands between says so, of a client that had answered with an error.
                self._go_on(_refused(answer["error"]))
                return
            problem = self._take(ask, answer)
            if problem is not None:
                missing.append(ask)
        if not missing:
            self._go_on()
            return
        state = self._questions.suspend(self, self.work)
        self.sink.reply(self._machine.input_required(self.work, _requests(missing), state))

    def retry(self, work: Work, sink: Sink) -> None:
        """Go on with the answers of a client that has called again."""
        self.work = work
        self.sink = sink
        self._done = None
        self._try(self._demand_input)


def _has_lists(asked: Ask) -> bool:
    members = asked.params.get("requestedSchema", {}).get("properties", {})
    return any(type(one) is dict and one.get("type") == "array" for one in members.values())


def _requests(asks: Sequence[Ask]) -> Dict[str, Any]:
    return {one.key: {"method": one.method, "params": one.params} for one in asks}


def _refused(error: Any) -> ToolError:
    """Return what the tool is told for an error response."""
    found = error if type(error) is dict else {}
    text = found.get("message")
    return PermissionDenied(
        "The client did not answer: {}".format(text[:500] if type(text) is str else "no reason"),
        details={"code": found["code"]} if type(found.get("code")) is int else None,
    )
