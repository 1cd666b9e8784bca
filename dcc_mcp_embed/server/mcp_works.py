"""From what an MCP message asks for to the call that does it, and back to its reply. Loop thread.

Resources and prompts are called as tools are: on their thread, by the same queue, with the same
limits.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Type

from ..errors import HostBusy, InvalidArgument, NotFound, ToolError
from ..net.loop import Loop
from ..tools.completing import Completer, choose
from ..tools.entries import Tool
from ..tools.jobs import Later
from ..tools.results import failure
from ..tools.table import ToolTable
from ..tools.uri import MAX_URI
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import Answered, Cancel, McpMachine, Reply
from ..wire.mcp.older import ALL_CONTENT, in_words_of
from ..wire.mcp.param_headers import check_params
from ..wire.mcp.revisions import HANDSHAKE, META_CAPABILITIES, MISSING_CAPABILITY
from ..wire.mcp.tasks import TaskAsk
from ..wire.mcp.work import Completion, PromptGet, ResourceRead, ToolCall, Work
from .calls import Calls
from .dialogue import Dialogue
from .exchange import Exchange
from .gateway import Guest
from .gateway_skills import called
from .questions import Questions
from .running import UnderWay
from .sinks import Sink

if TYPE_CHECKING:
    from .tasks import Tasks

__all__ = ["Works"]


class Works:
    """Do the work of one server's MCP messages. ``instance()`` is the block that results carry."""

    def __init__(
        self,
        machine: McpMachine,
        table: ToolTable,
        calls: Calls,
        loop: Loop,
        questions: Questions,
        instance: Callable[[], Dict[str, Any]],
    ) -> None:
        self._machine = machine
        self._table = table
        self._calls = calls
        self._loop = loop
        self._questions = questions
        self._instance = instance
        # (session id as the client sends it, JSON-RPC id) -> call, for notifications/cancelled.
        # Without a session id two clients may use the same ids, so nothing is kept.
        self._running: Dict[Any, UnderWay] = {}
        #: The calls that are tasks, and what is asked about them; None until that is loaded.
        self.tasks: Optional[Tasks] = None
        #: Kind of work -> (exchange, work, sink) -> None.
        self.doers: Dict[Any, Callable[[Exchange, Any, Sink], None]] = {
            ToolCall: self._call,
            ResourceRead: self._read,
            PromptGet: self._render,
            Completion: self._complete,
            Cancel: self.cancel,
            Answered: self.answered,
            TaskAsk: self._ask_about,
        }

    def have_tasks(self, tasks: Type[Tasks]) -> None:
        """Let calls be tasks from now on. The class is loaded late, and not on this thread."""
        self.tasks = tasks(
            self._machine, self._loop, self._instance, self._start, self._go_on, self._running
        )

    def _call(self, exchange: Exchange, call: ToolCall, sink: Sink) -> None:
        machine = self._machine
        try:
            tool = called(self._table, call.name, exchange.origin)
        except NotFound as error:
            if call.stateless or "task" in call.params:
                sink.reply(machine.not_found(call, _told(error.message, error.hint)))
            else:
                sink.reply(machine.answer(call, failure(error, self._instance())))
            return
        if tool.param_headers and call.stateless and exchange.has_headers:
            try:
                check_params(tool.param_headers, call.arguments, exchange.head.headers, call.id)
            except Fault as fault:
                sink.reply(machine.fail(call, fault.code, fault.message))
                return
        if call.stateless:
            wished = call.params["_meta"][META_CAPABILITIES].get("extensions")
        else:
            wished = "task" in call.params
        if wished or tool.task == "required":
            tasks = self.tasks
            if tasks is None:
                # Whoever did not insist on a task gets an answer as everybody does.
                if not call.stateless or tool.task == "required":
                    self._not_yet(call, sink)
                    return
            elif tasks.takes(exchange, call, tool, sink):
                return
        self._start(exchange, call, tool, call.arguments, sink, machine.answer)

    def _ask_about(self, exchange: Exchange, asked: TaskAsk, sink: Sink) -> None:
        if self.tasks is None:
            self._not_yet(asked, sink)
        else:
            self.tasks.handle(exchange, asked, sink)

    def _not_yet(self, work: Any, sink: Sink) -> None:
        error = HostBusy(
            "What serves tasks is not loaded yet.",
            hint="The host has only just started: try again in a moment.",
            retry_after_ms=1000,
        )
        text = _told(error.message, error.hint)
        sink.reply(self._machine.fail(work, jsonrpc.INTERNAL_ERROR, text, error.to_dict()))

    def _read(self, exchange: Exchange, work: ResourceRead, sink: Sink) -> None:
        try:
            entry, values = self._table.resource(work.uri)
        except NotFound as error:
            sink.reply(self._failed(work, error.to_dict()))
            return
        self._start(exchange, work, entry.reading(work.uri), values, sink, self._reply)

    def _render(self, exchange: Exchange, work: PromptGet, sink: Sink) -> None:
        try:
            tool = self._table.prompt(work.name).rendering
        except NotFound as error:
            sink.reply(self._failed(work, error.to_dict()))
            return
        self._start(exchange, work, tool, work.arguments, sink, self._reply)

    def _complete(self, exchange: Exchange, work: Completion, sink: Sink) -> None:
        try:
            completer = self._completer(work)
        except ToolError as error:
            sink.reply(self._failed(work, error.to_dict()))
            return
        tool = completer.tool
        if tool is None:
            sink.reply(self._machine.answer(work, choose(completer.values, work.value)))
            return
        arguments: Dict[str, Any] = {"value": work.value}
        if "arguments" in tool.input_schema["properties"]:
            arguments["arguments"] = work.given
        self._start(exchange, work, tool, arguments, sink, self._reply)

    def _completer(self, work: Completion) -> Completer:
        """Return what completes the argument, nothing if there is no help. Raises ToolError."""
        if work.kind == "prompt":
            prompt = self._table.prompt(work.of)
            names, completers = [one["name"] for one in prompt.arguments], prompt.completers
        else:
            entry = self._table.referred(work.of)
            names, completers = list(entry.placeholders), entry.completers
        if work.argument not in names:
            raise InvalidArgument(
                "The {} has no argument '{}'.".format(work.kind, work.argument[:64]),
                hint="It takes {}.".format(", ".join(names) or "none"),
            )
        return completers.get(work.argument, Completer(()))

    def _start(
        self,
        exchange: Exchange,
        work: Work,
        tool: Tool,
        arguments: Dict[str, Any],
        sink: Sink,
        reply: Callable[[Any, Dict[str, Any]], Reply],
        patience: Optional[float] = None,
    ) -> Optional[UnderWay]:
        """Call ``tool`` and send what ``reply`` makes of its CallToolResult.

        Return what can be cancelled, None if the call is over already.
        """
        if work.stateless:
            # Whatever id it sends: this era knows no sessions.
            sink.session = None
        else:
            # In the other era an error may yet have a status of its own.
            sink.begin()
            reply = _for_client(reply, exchange, sink)
        work.principal = _principal(exchange, sink)
        if work.stateless and "requestState" in work.params and type(work) is not Completion:
            return self._go_on(exchange, work, sink)
        ident = None if work.stateless else exchange.head.headers.get("mcp-session-id")
        key = (ident, work.id)
        dialogue = progress = None
        # Whom a redirect will lead to is not known yet.
        if tool.takes_context or work.token is not None or tool.redirect is not None:
            dialogue = Dialogue(self._loop, self._machine, self._questions, work, sink)
            if work.token is not None:
                progress = dialogue.report_step
        running = self._calls.start(
            tool,
            arguments,
            work.client or _user_agent(exchange),
            work.principal,
            partial(self._answer, key, work, sink, reply, dialogue),
            progress,
            dialogue,
            patience,
        )
        if running is None or sink.over:
            return None
        if dialogue is not None:
            dialogue.running = running
        if work.stateless:
            # 2026-07-28: closing the stream is how a client cancels. Earlier ones only leave.
            exchange.gone = running.cancel
            return running
        if ident is not None:
            self._running[key] = running
        if type(running) is Later and sink.stream() is None:
            # It does nothing but wait for an answer, which has no way to its client any more.
            exchange.gone = _both(exchange.gone, running.cancel)
        return running

    def _answer(
        self,
        key: Any,
        work: Work,
        sink: Sink,
        reply: Callable[[Any, Dict[str, Any]], Reply],
        dialogue: Optional[Dialogue],
        result: Dict[str, Any],
    ) -> None:
        """Send the reply to a call that is over, to where its client waits for it now."""
        self._running.pop(key, None)
        if dialogue is not None:
            dialogue.over()
            work, sink = dialogue.work, dialogue.sink
            lacking = _lacking(result) if work.stateless and result["isError"] else None
            if lacking is not None:
                text = result["structuredContent"]["error"]["message"]
                data = {"requiredCapabilities": lacking}
                sink.reply(self._machine.fail(work, MISSING_CAPABILITY, text, data))
                return
        sink.reply(reply(work, result))

    def _go_on(self, exchange: Exchange, work: Work, sink: Sink) -> Optional[UnderWay]:
        """Have a call that waits for its client's answers go on with those in ``work``."""
        try:
            dialogue: Dialogue = self._questions.claim(work)
        except Fault as fault:
            sink.reply(self._machine.fail(work, fault.code, fault.message))
            return None
        exchange.gone = dialogue.cancel
        dialogue.retry(work, sink)
        return dialogue.running

    def answered(self, exchange: Exchange, outcome: Answered, sink: Sink) -> None:
        """Give a client's response to the call that asked; others are nobody's."""
        session = sink.session
        sink.nothing()
        if session is not None and type(outcome.id) is str:
            take = session.asked.pop(outcome.id, None)
            if take is not None:
                take(outcome.result, outcome.error)

    def _reply(self, work: Work, result: Dict[str, Any]) -> Reply:
        """Return the reply to a method other than tools/call, whose result a tool has made."""
        if result["isError"]:
            return self._failed(work, result["structuredContent"]["error"])
        return self._machine.answer(work, result["structuredContent"])

    def _failed(self, work: Work, error: Dict[str, Any]) -> Reply:
        """Return the protocol error of an error such as failed tool calls carry."""
        message, data = _told(error["message"], error["hint"]), dict(error)
        if type(work) is ResourceRead:
            data["uri"] = work.uri[:MAX_URI]
        if error["code"] == NotFound.code:
            return self._machine.not_found(work, message, data)
        bad = error["code"] == InvalidArgument.code
        code = jsonrpc.INVALID_PARAMS if bad else jsonrpc.INTERNAL_ERROR
        return self._machine.fail(work, code, message, data)

    def cancel(self, exchange: Exchange, outcome: Cancel, sink: Sink) -> None:
        """Cancel a call of the same session; of others nothing is known."""
        key = (exchange.head.headers.get("mcp-session-id"), outcome.id)
        running = self._running.get(key) if type(outcome.id) in (str, int) else None
        if running is not None:
            running.cancel()
        sink.nothing()


def _principal(exchange: Exchange, sink: Sink) -> Any:
    """Return who asks for the work, by what it cannot choose.

    A name is a claim. A session that was opened here, or the connection, is not.
    """
    origin, session = exchange.origin, sink.session
    if type(origin) is Guest or session is None or not session.introduced:
        return origin
    return session.session_id


def _for_client(
    reply: Callable[[Any, Dict[str, Any]], Reply], exchange: Exchange, sink: Sink
) -> Callable[[Any, Dict[str, Any]], Reply]:
    """Return what makes the reply in words of the client's revision, if it has named one.

    One that has named none gets everything: those that keep silent are not the old ones.
    """
    version, session = exchange.head.headers.get("mcp-protocol-version"), sink.session
    if version not in HANDSHAKE:
        said = session is not None and session.introduced and session.version
        version = said or HANDSHAKE[-1]
    if version >= ALL_CONTENT:
        return reply

    def older(work: Work, result: Dict[str, Any]) -> Reply:
        status, message = reply(work, result)
        return Reply(status, in_words_of(version, message))

    return older


def _both(first: Optional[Callable[[], None]], then: Callable[[], None]) -> Callable[[], None]:
    """Return what calls both: a batch may hold several that are to be told."""

    def call() -> None:
        if first is not None:
            first()
        then()

    return call


def _told(message: str, hint: Optional[str]) -> str:
    return "{} {}".format(message, hint or "").strip()


def _user_agent(exchange: Exchange) -> str:
    agent: str = exchange.head.headers.get("user-agent") or ""
    return agent[:80]


def _lacking(result: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Return the capabilities for want of which a call has failed, None if it was not that."""
    error = (result.get("structuredContent") or {}).get("error") or {}
    found: Optional[Dict[str, Any]] = (error.get("details") or {}).get("required_capabilities")
    return found
