"""MCP over the framed wire, for what stands between a client and this host. Loop thread only.

    request mcp   a JSON-RPC request of 2026-07-28, and the answer to it
    notify  mcp   to the peer, while its request is under way: notifications/progress and /message
    notify  mcp   from the peer: notifications/cancelled, by the request's JSON-RPC id

Lists, tools, resources, prompts and completions are served, and ``subscriptions/listen``, which is
under way until it is cancelled; what is a session's is not. There are no headers, and ids are the
peer's own: a UUID for each request, so that nobody cancels what is another's. A lost connection
ends the notifications, not the request, unless that is to listen.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from ..errors import HostBusy, NotFound
from ..tools.results import failure
from ..tools.table import ToolTable
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.implied import Implied
from ..wire.mcp.machine import Listen, McpMachine, Reply
from ..wire.mcp.work import Completion, PromptGet, ResourceRead, ToolCall, Work
from ..wire.messages import Request
from .mcp_works import Works
from .sinks import Sink
from .subscriptions import Subscriptions, Way

if TYPE_CHECKING:
    from .framed_connection import FramedConnection

__all__ = ["MCP", "FramedMcp"]

#: The request's method, and the topic of notifications.
MCP = "mcp"
_WORK = (ToolCall, ResourceRead, PromptGet, Completion)
_CANCELLED = "notifications/cancelled"


class FramedMcp:
    """What all framed connections of one server share of MCP. ``instance()``: as in results."""

    def __init__(
        self,
        machine: McpMachine,
        works: Works,
        table: ToolTable,
        subscriptions: Subscriptions,
        instance: Callable[[], Dict[str, Any]],
    ) -> None:
        self._machine = machine
        self._works = works
        self._subscriptions = subscriptions
        self._table = table
        self._instance = instance
        #: Under way, by JSON-RPC id.
        self._asks: Dict[str, _Ask] = {}

    def handle(self, connection: FramedConnection, request: Request, value: Dict[str, Any]) -> None:
        """Answer one JSON-RPC request, now or when its work is done."""
        outcome: Any = self._machine.receive(value, Implied(value), connection.client)
        if type(outcome) is Reply:
            connection.tell(request.id, True, jsonrpc.encode(outcome.message), None)
            return
        if type(outcome) is Listen and type(outcome.id) is str:
            self._listen(connection, request, outcome)
            return
        if type(outcome) not in _WORK or not outcome.stateless or type(outcome.id) is not str:
            text = (
                "Over the framed wire there are requests of 2026-07-28 about tools, resources, "
                "prompts, completions and subscriptions, each with a UUID for its id"
            )
            # That of a response can be anything, also what JSON cannot say.
            ident = value.get("id")
            known = ident if type(ident) in (str, int) else None
            refused = jsonrpc.error(known, jsonrpc.INVALID_REQUEST, text)
            connection.tell(request.id, True, jsonrpc.encode(refused), None)
            return

        def begin(answer: Callable[[Dict[str, Any]], None], refusal: Optional[HostBusy]) -> None:
            ask = _Ask(connection, value)

            def forget() -> None:
                # One that came under the same id, and was refused, is not the one to forget.
                if self._asks.get(outcome.id) is ask:
                    del self._asks[outcome.id]

            def done(message: Dict[str, Any]) -> None:
                forget()
                answer(message)

            sink = _Sink(connection, done)
            if refusal is not None:
                sink.reply(self._refused(outcome, refusal))
                return
            self._asks[outcome.id] = ask
            try:
                self._works.doers[type(outcome)](ask, outcome, sink)  # type: ignore[arg-type]
            except Exception:
                # A defect of ours, whatever it is: the connection answers for it.
                forget()
                raise

        connection.run(request, self._repeatable(outcome), begin)

    def _listen(self, connection: FramedConnection, request: Request, outcome: Listen) -> None:
        def begin(answer: Callable[[Dict[str, Any]], None], refusal: Optional[HostBusy]) -> None:
            if refusal is not None:
                text = refusal.message
                answer(jsonrpc.error(outcome.id, jsonrpc.INTERNAL_ERROR, text, refusal.to_dict()))
                return
            ask = _Ask(connection, {})
            self._asks[outcome.id] = ask

            def done(last: Optional[Dict[str, Any]]) -> None:
                if self._asks.get(outcome.id) is ask:
                    del self._asks[outcome.id]
                connection.leaving.discard(stop)
                answer(last or self._machine.listened(outcome.id))

            try:
                stop = self._subscriptions.watch(outcome, _Pushed(connection, done))
            except Fault as fault:
                del self._asks[outcome.id]
                answer(fault.to_message())
                return
            ask.gone = stop
            connection.leaving.add(stop)

        # Begun anew by whoever has lost its connection.
        connection.run(request, True, begin)

    def notified(self, data: bytes) -> None:
        """Take a notification; others than ``notifications/cancelled`` have no meaning here."""
        try:
            value = jsonrpc.decode(data)
        except Fault:
            return
        if type(value) is not dict or value.get("method") != _CANCELLED:
            return
        params = value.get("params")
        ident = params.get("requestId") if type(params) is dict else None
        ask = self._asks.get(ident) if type(ident) is str else None
        if ask is not None and ask.gone is not None:
            ask.gone()

    def _repeatable(self, work: Work) -> bool:
        if type(work) is not ToolCall:
            # Reading, rendering and completing.
            return True
        try:
            tool = self._table.get(work.name)
        except NotFound:
            return True
        # One that has asked is not to be begun again by the answers.
        asks = "requestState" in work.params
        return (tool.read_only or tool.idempotent) and not asks

    def _refused(self, work: Work, refusal: HostBusy) -> Reply:
        if type(work) is ToolCall:
            return self._machine.answer(work, failure(refusal, self._instance()))
        return self._machine.fail(work, jsonrpc.INTERNAL_ERROR, refusal.message, refusal.to_dict())


class _Ask:
    """A request, as far as the work on it looks at how it came; see ``exchange.Exchange``."""

    has_headers = False
    can_stream = False

    def __init__(self, connection: FramedConnection, value: Dict[str, Any]) -> None:
        self.head = SimpleNamespace(headers=Implied(value))
        self.origin = connection.identity
        self.gone: Optional[Callable[[], None]] = None


class _Sink(Sink):
    """Where what comes of a request goes: its answer once, and notifications before that."""

    def __init__(
        self, connection: FramedConnection, done: Callable[[Dict[str, Any]], None]
    ) -> None:
        self._connection = connection
        self._done = done

    def reply(self, reply: Reply) -> None:
        self.over = True
        self._done(reply.message)

    def event(self, message: Dict[str, Any]) -> None:
        if not self.over:
            self._connection.push(MCP, jsonrpc.encode(message))


class _Pushed(Way):
    """The way to a peer that listens; ``done`` is told the answer, or that none was left to say."""

    def __init__(
        self, connection: FramedConnection, done: Callable[[Optional[Dict[str, Any]]], None]
    ) -> None:
        self._connection = connection
        self._done: Optional[Callable[[Optional[Dict[str, Any]]], None]] = done

    @property
    def congested(self) -> bool:
        return self._connection.blocked

    def tell(self, message: Dict[str, Any]) -> None:
        self._connection.push(MCP, jsonrpc.encode(message))

    def end(self, last: Optional[Dict[str, Any]]) -> None:
        # It knows what ends this, which knows this: no knot is to be left.
        done, self._done = self._done, None
        if done is not None:
            done(last)
