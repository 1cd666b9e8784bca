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
from ..net.timers import Timer
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
        self._loop = loop
        self._clock = clock
        self._limits = limits
        self._instance = instance
        self._lanes = lanes
        self._gate = gate
        self._host = host
        self._scene = scene
        self.control = control
        self._keep = control.kept.keep
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
            answer(failure(error, self._instance.block))
            return None
        if tool.thread == "loop":
            result = self._run_here(tool, kwargs, client, wire, control)
            if isinstance(result, Later):
                return result.begin(self._loop, self._beating(Running(), wire, answer))
            answer(result)
            return None
        running = Running()
        answer = self._beating(running, wire, answer)
        if "code" in tool.capabilities:
            self._ask_first(
                client,
                identity,
                answer,
                running,
                lambda: self._queue(
                    tool, kwargs, wanted, client, answer, progress, running, wire, control
                ),
            )
        else:
            self._queue(tool, kwargs, wanted, client, answer, progress, running, wire, control)
        return running

    def _beating(self, running: Running, wire: Any, answer: Answer) -> Answer:
        if wire is None or wire.work.token is None:
            return answer
        return Beat(self._loop, running, wire.beat, answer).answered

    def _run_here(
        self, tool: Tool, kwargs: Dict[str, Any], client: str, wire: Any, control: Any
    ) -> Union[Dict[str, Any], Later]:
        context = ToolContext(control=control, client=client, wire=wire)
        start = self._clock.monotonic()
        try:
            value = tool.invoke(context, kwargs)
            if type(value) is Later:
                return value
            ran = (self._clock.monotonic() - start) * 1000
            return success(
                value,
                tool,
                self._instance.block,
                context.warnings,
                context.facts,
                None,
                {"queued_ms": 0, "ran_ms": round(ran, 3)},
                spill=self._keep,
            )
        except BaseException as error:
            # SystemExit too: it is the loop thread that would end.
            return failure(error, self._instance.block)

    def _ask_first(
        self,
        client: str,
        identity: Any,
        answer: Answer,
        running: Running,
        go_on: Callable[[], None],
    ) -> None:
        """Let the gate decide before the call is queued; give up when nobody answers it."""

        def verdict(refusal: Optional[ToolError]) -> None:
            timer.cancel()
            running.withdraw = None
            if refusal is None:
                go_on()
            else:
                answer(failure(refusal, self._instance.block))

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

        timer = self._loop.call_later(self._limits.ask_timeout, too_late)
        running.withdraw = withdraw
        self._gate.enter(identity, client, verdict)

    def _queue(
        self,
        tool: Tool,
        kwargs: Dict[str, Any],
        wanted: Wishes,
        client: str,
        answer: Answer,
        progress: Optional[Progress],
        running: Running,
        wire: Any,
        control: Any,
    ) -> None:
        loop = self._loop
        lane = self._lanes[tool.thread]
        on_main = tool.thread == "main"
        timeout, undo = wanted
        timer: Timer
        context = ToolContext(
            host=self._host if on_main else None,
            scene=self._scene if on_main else None,
            client=client,
            control=control,
            wire=wire,
        )

        def finish(value: Any, error: Optional[BaseException], report: Report) -> Dict[str, Any]:
            # On the tool's own thread: whatever the host gave out does not leave it.
            timing = {"queued_ms": round(report.queued_ms, 3), "ran_ms": round(report.ran_ms, 3)}
            if on_main:
                self.note_scene()
                if not tool.read_only:
                    self.scene_touched()
            block = self._instance.block
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
                spill=self._keep,
            )

        def settled(job: Job, result: Any, error: Optional[BaseException]) -> None:
            if result is None:
                assert error is not None
                result = failure(error, self._instance.block)
            if loop.is_current():
                timer.cancel()
                answer(result)
            else:
                loop.call_soon(arrived, result)

        def arrived(result: Dict[str, Any]) -> None:
            timer.cancel()
            answer(result)

        def asked(question: Any) -> None:
            loop.call_soon(ask, question)

        def ask(question: Any) -> None:
            # The client's time is not the tool's: it gets all of its own once it goes on.
            timer.cancel()
            if job.parked:
                wire.ask(question, go_on)

        def go_on(value: Any, error: Optional[ToolError]) -> None:
            nonlocal timer
            assert timeout is not None
            timer = loop.call_later(timeout, lane.expire, job)
            if not lane.resume(job, value, error):
                timer.cancel()

        job = Job(
            self._clock.token_bytes(8).hex(),
            tool.name,
            lambda: tool.invoke(context, kwargs),
            finish,
            settled,
            client=client,
            writes=not tool.read_only,
            undo_label="MCP: " + tool.name if undo and on_main else None,
            progress=Steps(loop, progress).take if progress is not None else None,
            read=read_step,
            guest=control is not self.control,
        )
        if wire is not None and tool.stepwise:
            job.question, job.asked = _QUESTIONS, asked
        context.cancelled = job.cancelled
        running.job, running.lane = job, lane
        assert timeout is not None
        timer = loop.call_later(timeout, lane.expire, job)
        try:
            lane.submit(job)
        except ToolError as error:
            job.release()
            timer.cancel()
            answer(failure(error, self._instance.block))

    def note_scene(self) -> None:
        """Have results and our registry row name the open scene. The host's main thread.

        The last one stays if the host cannot say.
        """
        try:
            self._instance.scene = self._host.scene_path()
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
