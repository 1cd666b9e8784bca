"""MCP tasks: which calls become tasks, and what clients ask about them. Loop thread.

In 2025-11-25 a call is a task if its client says so. In 2026-07-28 it becomes one when it has taken
a while, if its client knows tasks; until then it may ask as any call may.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Set

from ..errors import Cancelled, HostBusy
from ..net.loop import Loop
from ..tools.entries import Tool
from ..tools.results import failure
from ..wire import jsonrpc
from ..wire.mcp.listing import BadCursor, page
from ..wire.mcp.machine import McpMachine, Reply, version_of
from ..wire.mcp.revisions import LATEST_HANDSHAKE, META_CAPABILITIES, MISSING_CAPABILITY
from ..wire.mcp.tasks import (
    CANCELLED,
    EXTENSION,
    INPUT_REQUIRED,
    LISTED,
    PAGE,
    REQUIRED,
    TTL_MS,
    WORKING,
    TaskAsk,
    granted,
    offered,
    related,
)
from ..wire.mcp.work import ToolCall
from .exchange import Exchange
from .gateway import share
from .running import UnderWay
from .sinks import Sink
from .task_book import HandshakeTask, Owner, StatelessTask, Task, TaskBook, Waiter

__all__ = ["GRACE", "MOST_WAITING", "Tasks"]

#: Seconds after which a call of 2026-07-28 becomes a task.
GRACE = 1.0
#: Requests that wait for the results of tasks at once.
MOST_WAITING = 64
_TOO_MANY = "Too many requests wait for the results of tasks already."
_MAY_RUN = "What has begun already may still run to its end."
_LEFT = "It is not waited for any more; the task itself goes on"

#: (exchange, call, tool, arguments, sink, what makes the reply, seconds that it may take at least)
Start = Callable[..., Optional[UnderWay]]


class Tasks:
    """The tasks of one server.

    ``start`` begins a call; ``go_on(exchange, call, sink)`` has one that waits for its client's
    answers go on; ``running``: (session id, request's id) -> what ``notifications/cancelled`` is
    for. All as :class:`.Works` has them. ``instance()`` is the block that results carry.
    """

    def __init__(
        self,
        machine: McpMachine,
        loop: Loop,
        instance: Callable[[], Dict[str, Any]],
        start: Start,
        go_on: Callable[[Any, ToolCall, Sink], Optional[UnderWay]],
        running: Dict[Any, Any],
    ) -> None:
        self._machine = machine
        self._instance = instance
        self._start = start
        self._go_on = go_on
        self.running = running
        self.loop = loop
        self.waiting: Set[_Waiter] = set()
        self.book = TaskBook(loop.clock)
        #: Method -> (exchange, request, task, sink) -> None, of requests that name a task.
        self._verbs: Dict[str, Callable[[Exchange, TaskAsk, Any, Sink], None]] = {
            "tasks/get": self._get,
            "tasks/result": self._result,
            "tasks/cancel": self._cancel,
            "tasks/update": self._update,
        }

    # -- calls --------------------------------------------------------------------------------

    def takes(self, exchange: Exchange, call: ToolCall, tool: Tool, sink: Sink) -> bool:
        """Begin or refuse a call, if it is one that may be a task or must be; else return False."""
        if call.stateless:
            return self._takes_stateless(exchange, call, tool, sink)
        session, machine = sink.session, self._machine
        said = session.version if session is not None else None
        if version_of(exchange.head.headers, said) != LATEST_HANDSHAKE:
            # The others know no tasks: whatever stands there is nothing.
            return False
        if "task" not in call.params:
            text = "'{}' can only be run as a task: send params.task".format(tool.name)
            sink.reply(machine.fail(call, jsonrpc.METHOD_NOT_FOUND, text))
            return True
        ttl = granted(call.params["task"])
        if tool.task_support == "forbidden":
            text = "'{}' cannot be run as a task; call it without params.task".format(tool.name)
            sink.reply(machine.fail(call, jsonrpc.METHOD_NOT_FOUND, text))
        elif ttl is None:
            text = "params.task is an object, and its ttl a number of milliseconds"
            sink.reply(machine.fail(call, jsonrpc.INVALID_PARAMS, text))
        elif session is None:
            text = "A task belongs to a session; initialize one"
            sink.reply(machine.fail(call, jsonrpc.INVALID_REQUEST, text))
        elif not self.book.has_room(_owner(exchange, sink)):
            sink.reply(self._busy(call, "There are too many tasks that have not ended."))
        else:
            task = HandshakeTask(self.book, _owner(exchange, sink), ttl, session)
            self.book.add(task)
            apart = _Apart(exchange)
            sink.reply(machine.answer(call, {"task": task.shown()}))
            # The request is answered: the task's id is now what the call is known by.
            call.id = task.id
            running = self._start(
                apart, call, tool, call.arguments, task, machine.answer, ttl / 1000
            )
            if not task.ended:
                task.running = running
        return True

    def _takes_stateless(self, exchange: Exchange, call: ToolCall, tool: Tool, sink: Sink) -> bool:
        if not exchange.has_headers:
            # By the framed wire come bridges, whose clients could not ask for a task.
            return False
        if not offered(call.params["_meta"][META_CAPABILITIES]):
            if tool.task_support != "required":
                return False
            text = "'{}' is for clients that declare the extension {}".format(tool.name, EXTENSION)
            data = {"requiredCapabilities": REQUIRED}
            sink.reply(self._machine.fail(call, MISSING_CAPABILITY, text, data))
            return True
        if tool.task_support == "forbidden":
            return False
        made = _Perhaps(self, exchange, call, sink)
        running = self._start(
            exchange, call, tool, call.arguments, made, self._machine.answer, TTL_MS / 1000
        )
        made.running = running
        return True

    def become(
        self, exchange: Exchange, call: ToolCall, running: Optional[UnderWay], sink: Sink
    ) -> Optional[Task]:
        """Answer a call that takes long with the task that it is now; None if it cannot be one."""
        owner = (exchange.guest, None)
        # Once its client is gone, or has been asked, nobody would learn of it.
        if exchange.gone is None or running is None or not self.book.has_room(owner):
            return None
        task = StatelessTask(self.book, owner, TTL_MS, call)
        task.running = running
        self.book.add(task)
        reply = self._machine.answer(call, task.shown())
        reply.message["result"]["resultType"] = "task"
        sink.reply(reply)
        return task

    # -- what clients ask ---------------------------------------------------------------------

    def handle(self, exchange: Exchange, asked: TaskAsk, sink: Sink) -> None:
        """Answer a request about tasks; of others' tasks nothing is known."""
        owner = (exchange.guest, None) if asked.stateless else _owner(exchange, sink)
        if asked.method == "tasks/list":
            self._list(asked, owner, sink)
            return
        found = None
        if asked.stateless or owner[1] is not None:
            found = self.book.find(asked.task_id, owner, asked.stateless)
        if found is None:
            text = "There is no task {!r} (any more)".format(asked.task_id[:64])
            sink.reply(self._fail(asked, text))
            return
        self._verbs[asked.method](exchange, asked, found, sink)

    def _list(self, asked: TaskAsk, owner: Owner, sink: Sink) -> None:
        tasks = self.book.of(owner) if owner[1] is not None else []
        try:
            shown = page(LISTED, [one.shown() for one in tasks], asked.params.get("cursor"), PAGE)
        except BadCursor as error:
            sink.reply(self._fail(asked, str(error)))
        else:
            sink.reply(self._answer(asked, shown))

    def _get(self, exchange: Exchange, asked: TaskAsk, task: Any, sink: Sink) -> None:
        shown = task.detailed() if asked.stateless else task.shown()
        sink.reply(self._answer(asked, shown))

    def _result(self, exchange: Exchange, asked: TaskAsk, task: HandshakeTask, sink: Sink) -> None:
        waiter = _Waiter(self, asked.id, task, sink, exchange)
        if task.final is not None:
            sink.reply(waiter.reply(task.final))
            return
        if not waiter.enter():
            sink.reply(self._busy(asked, _TOO_MANY))
            return
        sink.begin()
        if exchange.gone is None:
            # As long as the answer is no stream, for which a client can come back.
            exchange.gone = waiter.cancel
        task.wait(waiter)

    def _cancel(self, exchange: Exchange, asked: TaskAsk, task: Any, sink: Sink) -> None:
        if asked.stateless:
            if not task.ended:
                task.wanted_cancelled = True
                task.stop()
            sink.reply(self._answer(asked, {}))
        elif task.ended:
            text = "The task has ended already: it is {}".format(task.status)
            sink.reply(self._fail(asked, text))
        else:
            # From here on whatever the call answers is too late.
            task.change(CANCELLED)
            task.stop()
            error = Cancelled("The client has cancelled this task. {}".format(_MAY_RUN))
            final = {"jsonrpc": "2.0", "id": task.id, "result": failure(error, self._instance())}
            task.end(CANCELLED, final, error.message)
            sink.reply(self._answer(asked, task.shown()))

    def _update(self, exchange: Exchange, asked: TaskAsk, task: StatelessTask, sink: Sink) -> None:
        sink.reply(self._answer(asked, {}))
        if task.status != INPUT_REQUIRED:
            # Answered already, by itself or with something else.
            return
        task.change(WORKING)
        work = task.work
        work.params = dict(
            work.params,
            inputResponses=asked.params["inputResponses"],
            requestState=task.state,
        )
        self._go_on(_Apart(exchange), work, task)

    def _answer(self, asked: Any, result: Dict[str, Any]) -> Reply:
        return self._machine.answer(asked, result)

    def _fail(self, asked: Any, text: str) -> Reply:
        return self._machine.fail(asked, jsonrpc.INVALID_PARAMS, text)

    def _busy(self, work: Any, text: str) -> Reply:
        error = HostBusy(text, retry_after_ms=5000)
        return self._machine.fail(work, jsonrpc.INTERNAL_ERROR, text, error.to_dict())


class _Perhaps(Sink):
    """Where what comes of a call goes that may become a task: to its client, later to the task."""

    def __init__(self, tasks: Tasks, exchange: Exchange, call: ToolCall, sink: Sink) -> None:
        self._tasks = tasks
        self._call = call
        self._exchange: Optional[Exchange] = exchange
        self._sink = sink
        self._timer = tasks.loop.call_later(GRACE, self._become)
        self.running: Optional[UnderWay] = None

    def reply(self, reply: Reply) -> None:
        """Send the reply, or keep it for the task."""
        self._timer.cancel()
        self._exchange = None
        # A task that asks goes on.
        self._sink.reply(reply)
        self.over = self._sink.over

    def event(self, message: Dict[str, Any]) -> None:
        """Send a notification as long as it is no task: what those report is in their status."""
        self._sink.event(message)

    def _become(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            task = self._tasks.become(exchange, self._call, self.running, self._sink)
            if task is not None:
                self._sink = task


class _Waiter(Waiter):
    """A request for the result of a task that has not ended."""

    __slots__ = ("_guest", "_id", "_key", "_task", "_tasks", "sink")

    def __init__(
        self, tasks: Tasks, ident: Any, task: HandshakeTask, sink: Sink, exchange: Exchange
    ) -> None:
        self._tasks = tasks
        self._id = ident
        self._task = task
        self._guest = exchange.guest
        self._key = (exchange.head.headers.get("mcp-session-id"), ident)
        self.sink = sink

    def enter(self) -> bool:
        """Count it; False if too many wait already."""
        tasks = self._tasks
        guests = sum(one._guest for one in tasks.waiting)
        if len(tasks.waiting) >= MOST_WAITING or self._guest and guests >= share(MOST_WAITING):
            return False
        tasks.waiting.add(self)
        tasks.running[self._key] = self
        return True

    def reply(self, final: Dict[str, Any]) -> Reply:
        """Return the reply that a task's answer is."""
        message = dict(final, id=self._id)
        if "result" in message:
            message = related(message, "result", self._task.id)
        return Reply(200, message)

    def done(self, final: Dict[str, Any]) -> None:
        """Answer it with what the call's answer is."""
        if self in self._tasks.waiting:
            self._tasks.waiting.discard(self)
            if self._tasks.running.get(self._key) is self:
                del self._tasks.running[self._key]
            self.sink.reply(self.reply(final))

    def cancel(self) -> None:
        """Answer it without: nobody waits any more."""
        if self in self._task.waiters:
            self._task.waiters.remove(self)
        self.done(jsonrpc.error(self._id, jsonrpc.INTERNAL_ERROR, _LEFT))


class _Apart:
    """An exchange that is answered, as far as the work on its call looks at how that came."""

    has_headers = True

    def __init__(self, exchange: Exchange) -> None:
        self.head = exchange.head
        self.guest = exchange.guest
        # Of the connection, as long as that is known.
        self.origin = exchange.origin
        #: There is nobody to be gone.
        self.gone: Optional[Callable[[], None]] = None


def _owner(exchange: Exchange, sink: Sink) -> Owner:
    session = sink.session
    return exchange.guest, session.session_id if session is not None else None
