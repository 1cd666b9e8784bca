"""MCP over streamable HTTP: one exchange to messages, outcomes to one answer. Loop thread.

JSON by default; the answer becomes a stream of server-sent events once a tool reports progress to
a client that asked for it and is still waiting. Resources and prompts are called as tools are: on
their thread, by the same queue, with the same limits.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ..clock import Clock
from ..errors import InvalidArgument, NotFound, ToolError
from ..tools.completing import Completer, choose
from ..tools.entries import Tool
from ..tools.results import failure
from ..tools.table import ToolTable
from ..tools.uri import MAX_URI
from ..wire import jsonrpc, sse
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import (
    Accepted,
    Cancel,
    Completion,
    LevelSet,
    McpMachine,
    Opened,
    PromptGet,
    Reply,
    ResourceRead,
    ToolCall,
    version_of,
)
from ..wire.mcp.revisions import BATCHES
from ..wire.mcp.work import Work
from .calls import Calls, Running
from .exchange import EVENT_STREAM, JSON, Exchange, problem
from .sessions import Session, Sessions

__all__ = ["McpEndpoint"]

_METHODS_ALLOWED = (("Allow", "POST, DELETE"),)
_SESSION = "Mcp-Session-Id"
#: Messages in one batch. They are taken in one turn of the loop, and their answers, each larger
#: than its request, are kept until the last is there.
_BATCH = 100


class McpEndpoint:
    """Serve ``/mcp``. ``instance()`` returns the block that results carry."""

    def __init__(
        self,
        machine: McpMachine,
        table: ToolTable,
        calls: Calls,
        sessions: Sessions,
        clock: Clock,
        instance: Callable[[], Dict[str, Any]],
    ) -> None:
        self._machine = machine
        self._table = table
        self._calls = calls
        self._sessions = sessions
        self._clock = clock
        self._instance = instance
        # (session id as the client sends it, JSON-RPC id) -> call, for notifications/cancelled.
        # Without a session id two clients may use the same ids, so nothing is kept.
        self._running: Dict[Any, Running] = {}
        # Kind of outcome -> (exchange, outcome, sink) -> None.
        self._doers: Dict[Any, Callable[[Exchange, Any, _Sink], None]] = {
            ToolCall: self._call,
            ResourceRead: self._read,
            PromptGet: self._render,
            Completion: self._complete,
            Cancel: self._cancel,
            Accepted: lambda exchange, outcome, sink: sink.nothing(),
            Opened: self._open,
            LevelSet: self._set_level,
            Reply: lambda exchange, outcome, sink: sink.reply(outcome),
        }

    def handle(self, exchange: Exchange) -> None:
        """Answer one request to the endpoint, now or when its tools are done."""
        method = exchange.head.method
        if method == "POST":
            self._post(exchange)
        elif method == "DELETE":
            self._delete(exchange)
        else:
            # No standing stream is offered: every client tried takes this 405 well.
            exchange.reply(
                405,
                JSON + _METHODS_ALLOWED,
                problem("{} is not served here; POST is.".format(method)),
            )

    def _delete(self, exchange: Exchange) -> None:
        ident = exchange.head.headers.get("mcp-session-id")
        if ident is None or not self._sessions.end(ident):
            exchange.reply(404, JSON, problem("There is no such session."))
        else:
            exchange.reply(200, JSON, b"{}")

    def _post(self, exchange: Exchange) -> None:
        headers = exchange.head.headers
        kind = headers.get("content-type", "")
        if (
            kind != "application/json"
            and kind.partition(";")[0].strip().lower() != "application/json"
        ):
            # Also what keeps a page from sending a "simple request" past the browser's checks.
            exchange.reply(415, JSON, problem("The Content-Type is application/json."))
            return
        accept = headers.get("accept")
        if accept is not None and not _takes_json(accept):
            exchange.reply(406, JSON, problem("The answer is application/json; accept that too."))
            return
        ident = headers.get("mcp-session-id")
        if ident is not None and self._sessions.ended(ident):
            exchange.reply(404, JSON, problem("This session was ended; initialize a new one."))
            return
        session = self._sessions.get(ident) if ident is not None else None
        try:
            value = jsonrpc.decode(exchange.body)
        except Fault as fault:
            self._send(exchange, self._machine.refuse(fault))
            return
        if type(value) is list:
            self._batch(exchange, value, session)
        else:
            self._single(exchange, value, session, _Single(exchange))

    def _single(
        self, exchange: Exchange, value: Any, session: Optional[Session], sink: _Sink
    ) -> None:
        client = session.client if session is not None else ""
        outcome = self._machine.receive(value, exchange.head.headers, client)
        self._doers[type(outcome)](exchange, outcome, sink)

    def _open(self, exchange: Exchange, outcome: Opened, sink: _Sink) -> None:
        if not sink.opens_sessions:
            # 2025-03-26, lifecycle: initialize is no part of a batch.
            fault = Fault(jsonrpc.INVALID_REQUEST, "initialize stands alone", outcome.message["id"])
            sink.reply(self._machine.refuse(fault))
            return
        ident = self._clock.token_bytes(16).hex()
        self._sessions.open(ident, outcome.version, outcome.client)
        sink.headers = ((_SESSION, ident),)
        sink.reply(Reply(outcome.status, outcome.message))

    def _set_level(self, exchange: Exchange, outcome: LevelSet, sink: _Sink) -> None:
        ident = exchange.head.headers.get("mcp-session-id")
        if ident is not None:
            self._sessions.set_level(ident, outcome.level)
        sink.reply(Reply(outcome.status, outcome.message))

    def _batch(self, exchange: Exchange, values: List[Any], session: Optional[Session]) -> None:
        version = version_of(
            exchange.head.headers, session.version if session is not None else None
        )
        refusal = None
        if version != BATCHES:
            refusal = "Batches are part of {} only; send one message per request".format(BATCHES)
        elif not values:
            refusal = "An empty batch has no answer"
        elif len(values) > _BATCH:
            refusal = "A batch holds at most {} messages; this one has {}".format(
                _BATCH, len(values)
            )
        if refusal is not None:
            self._send(exchange, self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, refusal)))
            return
        gathered = _Gathered(exchange, len(values))
        for value in values:
            self._single(exchange, value, session, _Member(gathered))

    # -- work ---------------------------------------------------------------------------------

    def _call(self, exchange: Exchange, call: ToolCall, sink: _Sink) -> None:
        machine = self._machine
        try:
            tool = self._table.get(call.name)
        except NotFound as error:
            if call.stateless:
                sink.reply(machine.not_found(call, _told(error.message, error.hint)))
            else:
                sink.reply(machine.answer(call, failure(error, self._instance())))
            return
        self._start(exchange, call, tool, call.arguments, sink, machine.answer)

    def _read(self, exchange: Exchange, work: ResourceRead, sink: _Sink) -> None:
        try:
            entry, values = self._table.resource(work.uri)
        except NotFound as error:
            sink.reply(self._failed(work, error.to_dict()))
            return
        self._start(exchange, work, entry.reading(work.uri), values, sink, self._reply)

    def _render(self, exchange: Exchange, work: PromptGet, sink: _Sink) -> None:
        try:
            tool = self._table.prompt(work.name).rendering
        except NotFound as error:
            sink.reply(self._failed(work, error.to_dict()))
            return
        self._start(exchange, work, tool, work.arguments, sink, self._reply)

    def _complete(self, exchange: Exchange, work: Completion, sink: _Sink) -> None:
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
        sink: _Sink,
        reply: Callable[[Any, Dict[str, Any]], Reply],
    ) -> None:
        """Call ``tool`` and send what ``reply`` makes of its CallToolResult."""
        client = work.client or _user_agent(exchange)
        key = (exchange.head.headers.get("mcp-session-id"), work.id)

        def answer(result: Dict[str, Any]) -> None:
            self._running.pop(key, None)
            sink.reply(reply(work, result))

        progress = None
        if work.token is not None and tool.stepwise:

            def progress(step: Any) -> None:
                sink.event(self._machine.progress(work, step.done, step.total, step.message))

        # A name is a claim. A session id that we gave out, or the connection, is not.
        identity = key[0] if key[0] and self._sessions.get(key[0]) else exchange.origin
        running = self._calls.start(tool, arguments, client, identity, answer, progress)
        if running is None or sink.over:
            return
        if work.stateless:
            # 2026-07-28: closing the stream is how a client cancels. Earlier ones only leave.
            exchange.gone = running.cancel
        elif key[0] is not None:
            self._running[key] = running

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

    def _cancel(self, exchange: Exchange, outcome: Cancel, sink: _Sink) -> None:
        key = (exchange.head.headers.get("mcp-session-id"), outcome.id)
        running = self._running.get(key) if type(outcome.id) in (str, int) else None
        if running is not None:
            running.cancel()
        sink.nothing()

    def _send(self, exchange: Exchange, reply: Reply) -> None:
        exchange.reply(reply.status, JSON, jsonrpc.encode(reply.message))


class _Sink:
    """Where the outcome of one message goes."""

    headers: Any = ()
    over = False
    #: Whether there is an answer of its own to carry a session id.
    opens_sessions = True

    def nothing(self) -> None:
        raise NotImplementedError

    def reply(self, reply: Reply) -> None:
        raise NotImplementedError

    def event(self, message: Dict[str, Any]) -> None:
        """Send a notification ahead of the reply, if there is a way."""


class _Single(_Sink):
    """The message was the whole request."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def nothing(self) -> None:
        self.over = True
        self._exchange.reply(202, (), b"")

    def reply(self, reply: Reply) -> None:
        self.over = True
        body = jsonrpc.encode(reply.message)
        if self._exchange.streaming:
            self._exchange.end_stream(sse.encode(body.decode("ascii"), event="message"))
        else:
            self._exchange.reply(reply.status, JSON + self.headers, body)

    def event(self, message: Dict[str, Any]) -> None:
        exchange = self._exchange
        # Progress is about now: for a peer that does not read, none is kept.
        if self.over or not exchange.can_stream or exchange.congested:
            return
        if not exchange.streaming:
            exchange.begin_stream(EVENT_STREAM)
        exchange.send(sse.encode(jsonrpc.encode(message).decode("ascii"), event="message"))


class _Gathered:
    """The answers of a batch, sent together when the last one is there."""

    def __init__(self, exchange: Exchange, count: int) -> None:
        self._exchange = exchange
        self._missing = count
        self._messages: List[Dict[str, Any]] = []

    def arrived(self, message: Optional[Dict[str, Any]]) -> None:
        self._missing -= 1
        if message is not None:
            self._messages.append(message)
        if self._missing:
            return
        if self._messages:
            self._exchange.reply(200, JSON, jsonrpc.encode(self._messages))
        else:
            self._exchange.reply(202, (), b"")


class _Member(_Sink):
    """The message was one of a batch."""

    opens_sessions = False

    def __init__(self, gathered: _Gathered) -> None:
        self._gathered = gathered

    def nothing(self) -> None:
        self.over = True
        self._gathered.arrived(None)

    def reply(self, reply: Reply) -> None:
        self.over = True
        self._gathered.arrived(reply.message)


def _takes_json(accept: str) -> bool:
    for item in accept.split(","):
        kind = item.partition(";")[0].strip().lower()
        if kind in ("application/json", "application/*", "*/*", ""):
            return True
    return False


def _told(message: str, hint: Optional[str]) -> str:
    return "{} {}".format(message, hint or "").strip()


def _user_agent(exchange: Exchange) -> str:
    agent: str = exchange.head.headers.get("user-agent") or ""
    return agent[:80]
