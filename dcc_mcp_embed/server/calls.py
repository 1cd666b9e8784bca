"""From a tool call to its result: bind, admit, run on its thread, answer once. Loop thread."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Union

from ..clock import Clock
from ..config import Limits
from ..errors import Cancelled, PermissionDenied, ToolError
from ..host.dispatch import Dispatcher
from ..host.identity import Instance
from ..host.job import Job, Report
from ..net.loop import Loop
from ..tools.asking import Ask
from ..tools.code import Wishes, wishes
from ..tools.context import ToolContext
from ..tools.entries import Tool
from ..tools.jobs import Later
from ..tools.results import failure, success
from ..tools.steps import read_step
from .beating import Beat, Steps
from .exec_gate import ExecGate
from .gateway import Guest, admit
from .running import Running, UnderWay

__all__ = ["Calls"]

#: What a generator tool yields to ask its client, as opposed to Progress.
_QUESTIONS = (Ask, list)
Answer = Callable[[Dict[str, Any]], None]
Progress = Callable[[Any], None]


class Calls:
    """Run tool calls for one server.

    ``lanes`` maps a tool's ``thread`` ("main", "worker") to its dispatcher. ``host`` is its
    adapter, whose ``scene_path()`` is asked on the main thread after each call there, so that
    results name the open scene; ``scene`` is its backend. Tools of the main thread get both.
    """

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        limits: Limits,
        instance: Instance,
        lanes: Dict[str, Dispatcher],
        gate: ExecGate,
        host: Any,
        scene: Any,
        control: Any,
        log: Callable[[str, str], None],
    ) -> None:
        self.loop = loop
        self.clock = clock
        self._limits = limits
        self.instance = instance
        self.lanes = lanes
        self._gate = gate
        self.host = host
        self.scene = scene
        self.control = control
        self.keep = control.kept.keep
        self._log = log
        self.total = 0
        #: Called when a call may have changed the scene. The host's main thread.
        self.scene_touched: Callable[[], None] = lambda: None

    def start(
        self,
        tool: Tool,
        arguments: Dict[str, Any],
        client: str,
        identity: Any,
        answer: Answer,
        progress: Optional[Progress] = None,
        wire: Any = None,
        patience: Optional[float] = None,
    ) -> Optional[UnderWay]:
        """Call ``tool`` and hand its CallToolResult to ``answer`` on the loop thread, once.

        Return what can be cancelled, None if the call is over already. ``client`` is the name that
        the caller gives itself; ``identity`` is what it cannot choose (see ExecGate). ``progress``
        gets what a stepwise tool yields, on the loop thread; ``wire`` is the way to the client,
        where the tool's questions go. ``patience``: seconds that it may take in any case, if its
        caller does not wait for it.
        """
        self.total += 1
        control = self.control if type(identity) is not Guest else self.control.guests
        try:
            while tool.redirect is not None:
                tool, arguments = tool.redirect(control, tool.bind(arguments))
            admit(tool, identity)
            kwargs = tool.bind(arguments)
            wanted = self._wishes(tool, kwargs, patience)
        except ToolError as error:
            answer(failure(error, self.instance.block))
            return None
        if tool.thread == "loop":
            result = self._run_here(tool, kwargs, client, wire, control)
            if isinstance(result, Later):
                return result.begin(self.loop, self._beating(Running(), wire, answer))
            answer(result)
            return None
        running = Running()
        caller = _Caller(client, self._beating(running, wire, answer), progress, wire, control)
        if "code" in tool.capabilities:
            self._ask_first(
                client,
                identity,
                caller.answer,
                running,
                lambda: _Queued(self, tool, kwargs, wanted, caller).enter(running),
            )
        else:
            _Queued(self, tool, kwargs, wanted, caller).enter(running)
        return running

    def _beating(self, running: Running, wire: Any, answer: Answer) -> Answer:
        if wire is None or wire.work.token is None:
            return answer
        return Beat(self.loop, running, wire.beat, answer).answered

    def _run_here(
        self, tool: Tool, kwargs: Dict[str, Any], client: str, wire: Any, control: Any
    ) -> Union[Dict[str, Any], Later]:
        context = ToolContext(control=control, client=client, wire=wire)
        start = self.clock.monotonic()
        try:
            value = tool.invoke(context, kwargs)
            if type(value) is Later:
                return value
            ran = (self.clock.monotonic() - start) * 1000
            return success(
                value,
                tool,
                self.instance.block,
                context.warnings,
                context.facts,
                None,
                {"queued_ms": 0, "ran_ms": round(ran, 3)},
                spill=self.keep,
            )
        except BaseException as error:
            # SystemExit too: it is the loop thread that would end.
            return failure(error, self.instance.block)

    def _ask_first(
        self,
        client: str,
        identity: Any,
        answer: Answer,
        running: Running,
        go_on: Callable[[], Any],
    ) -> None:
        """Let the gate decide before the call is queued; give up when nobody answers it."""

        def verdict(refusal: Optional[ToolError]) -> None:
            timer.cancel()
            running.withdraw = None
            if refusal is None:
                go_on()
            else:
                answer(failure(refusal, self.instance.block))

        def leave(refusal: ToolError) -> None:
            if self._gate.leave(identity, verdict):
                verdict(refusal)

        def too_late() -> None:
            leave(
                PermissionDenied(
                    "The user has not answered yet whether code may run.",
                    hint="The question stays open in the host; call again once it is answered.",
                    retry_after_ms=5000,
                )
            )

        def withdraw() -> None:
            leave(Cancelled("The call was cancelled before it started.", state="not_started"))

        timer = self.loop.call_later(self._limits.ask_timeout, too_late)
        running.withdraw = withdraw
        self._gate.enter(identity, client, verdict)

    def note_scene(self) -> None:
        """Have results and our registry row name the open scene. The host's main thread.

        The last one stays if the host cannot say.
        """
        try:
            self.instance.scene = self.host.scene_path()
        except Exception as error:
            self._log("warning", "the scene's path is not known: {!r}".format(error))

    def _wishes(self, tool: Tool, kwargs: Dict[str, Any], patience: Optional[float]) -> Wishes:
        """Return how long one call may take, and whether the dispatcher opens an undo step for it.

        Raises InvalidArgument for wishes of the caller that cannot be met.
        """
        timeout = tool.timeout if tool.timeout is not None else self._limits.call_timeout
        if patience is not None:
            timeout = max(timeout, patience)
        # Tools that move along the host's undo stack: a step of their own would cut it.
        undo = not tool.read_only and "undo" not in tool.capabilities
        if "code" in tool.capabilities:
            own = wishes(kwargs)
            timeout = own.timeout_s if own.timeout_s is not None else timeout
            undo = undo and own.undo
        return Wishes(timeout, undo)


class _Caller:
    """Who has called, and where to what comes of it goes; see :meth:`Calls.start`."""

    __slots__ = ("answer", "client", "control", "progress", "wire")

    def __init__(
        self, client: str, answer: Answer, progress: Optional[Progress], wire: Any, control: Any
    ) -> None:
        self.client = client
        self.answer = answer
        self.progress = progress
        self.wire = wire
        self.control = control


class _Queued:
    """A call in the line of its thread: it runs there, may ask its client, and is answered once.

    Loop thread, unless a method says something else.
    """

    __slots__ = (
        "_caller",
        "_calls",
        "_context",
        "_job",
        "_lane",
        "_on_main",
        "_timeout",
        "_timer",
        "_tool",
    )

    def __init__(
        self,
        calls: Calls,
        tool: Tool,
        kwargs: Dict[str, Any],
        wanted: Wishes,
        caller: _Caller,
    ) -> None:
        on_main = tool.thread == "main"
        progress, wire = caller.progress, caller.wire
        self._calls = calls
        self._caller = caller
        self._tool = tool
        self._on_main = on_main
        self._lane = calls.lanes[tool.thread]
        context = self._context = ToolContext(
            host=calls.host if on_main else None,
            scene=calls.scene if on_main else None,
            client=caller.client,
            control=caller.control,
            wire=wire,
        )
        job = self._job = Job(
            calls.clock.token_bytes(8).hex(),
            tool.name,
            lambda: tool.invoke(context, kwargs),
            self._finish,
            self._settled,
            client=caller.client,
            writes=not tool.read_only,
            undo_label="MCP: " + tool.name if wanted.undo and on_main else None,
            progress=Steps(calls.loop, progress).take if progress is not None else None,
            read=read_step,
            guest=caller.control is not calls.control,
        )
        if wire is not None and tool.stepwise:
            job.question, job.asked = _QUESTIONS, self._asked
        context.cancelled = job.cancelled
        assert wanted.timeout_s is not None
        self._timeout = wanted.timeout_s

    def enter(self, running: Running) -> None:
        """Take its place in the line, or answer why there is none; ``running`` is told of it."""
        job, lane = self._job, self._lane
        running.job, running.lane = job, lane
        self._await()
        try:
            lane.submit(job)
        except ToolError as error:
            job.release()
            self._answer(failure(error, self._calls.instance.block))

    def _await(self) -> None:
        """Let the call have all of its time from now on."""
        self._timer = self._calls.loop.call_later(self._timeout, self._lane.expire, self._job)

    def _answer(self, result: Dict[str, Any]) -> None:
        self._timer.cancel()
        self._caller.answer(result)

    def _finish(self, value: Any, error: Optional[BaseException], report: Report) -> Dict[str, Any]:
        """Make the answer. The tool's own thread: whatever the host gave out does not leave it."""
        calls, tool, context = self._calls, self._tool, self._context
        timing = {"queued_ms": round(report.queued_ms, 3), "ran_ms": round(report.ran_ms, 3)}
        if self._on_main:
            calls.note_scene()
            if not tool.read_only:
                calls.scene_touched()
        block = calls.instance.block
        if error is not None:
            return failure(error, block, timing)
        steps = None
        if report.undo_label is not None:
            steps = {"label": report.undo_label, "steps": report.undo_steps}
        return success(
            value,
            tool,
            block,
            context.warnings,
            context.facts,
            steps,
            timing,
            spill=calls.keep,
        )

    def _settled(self, job: Job, result: Any, error: Optional[BaseException]) -> None:
        """Answer. Whichever thread has settled the job."""
        loop = self._calls.loop
        if result is None:
            assert error is not None
            result = failure(error, self._calls.instance.block)
        if loop.is_current():
            self._answer(result)
        else:
            loop.call_soon(self._answer, result)

    def _asked(self, question: Any) -> None:
        """Ask the client. The tool's own thread."""
        self._calls.loop.call_soon(self._ask, question)

    def _ask(self, question: Any) -> None:
        # The client's time is not the tool's: it gets all of its own once it goes on.
        self._timer.cancel()
        if self._job.parked:
            self._caller.wire.ask(question, self._go_on)

    def _go_on(self, value: Any, error: Optional[ToolError]) -> None:
        self._await()
        if not self._lane.resume(self._job, value, error):
            self._timer.cancel()
