"""The tasks of one server: what becomes of each call that nobody waits for, kept within bounds.

A task is where the outcome of its call goes, instead of the answer to a request. Loop thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any, Dict, List, Optional, Tuple

from ..clock import Clock, in_utc
from ..errors import Cancelled
from ..host.lane import KEPT_BYTES, weight_of
from ..wire import jsonrpc
from ..wire.mcp.machine import Reply
from ..wire.mcp.tasks import (
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    INPUT_REQUIRED,
    WORKING,
    described,
    related,
)
from .beating import state_of
from .gateway import share
from .running import Running, UnderWay
from .sessions import Session
from .sinks import Sink

__all__ = [
    "MOST",
    "HandshakeTask",
    "Owner",
    "StatelessTask",
    "Task",
    "TaskBook",
    "Waiter",
]

#: Tasks at a time, those that have ended included. Half of them may go on at once, so that nobody's
#: tasks fill the line of a thread, which has as many places: the others are for calls that are
#: waited for.
MOST = 64
#: For how long at least a client can fetch what has come of one, seconds, also if it has taken all
#: of its time.
FETCHED_WITHIN = 60.0

#: Whose a task is: a guest's, and of which session. In the stateless era there are no sessions:
#: there its id, which nobody can guess, is what its owner has.
Owner = Tuple[bool, Optional[str]]


class Task(Sink):
    """One call that is a task. ``ttl_ms``: how long it is kept from its beginning on, or longer.

    ``running`` is set once the call has been started; ``final`` is the JSON-RPC message that would
    have been its answer.
    """

    stateless = False

    def __init__(self, book: TaskBook, owner: Owner, ttl_ms: int) -> None:
        self._book = book
        self.owner = owner
        self.ttl_ms = ttl_ms
        self.id: str = book.clock.token_bytes(16).hex()
        self.began = book.clock.monotonic()
        self.until = self.began + ttl_ms / 1000
        self.created = self.updated = in_utc(book.clock.wall())
        self.weight = 0
        self.running: Optional[UnderWay] = None
        self.final: Optional[Dict[str, Any]] = None
        self._status = WORKING
        self._text: Optional[str] = None

    @property
    def status(self) -> str:
        """Return how it is with it."""
        return self._status

    @property
    def ended(self) -> bool:
        """Return whether nothing about it changes any more."""
        return self._status in ENDED

    def shown(self) -> Dict[str, Any]:
        """Return it as clients see it."""
        status, text, running = self.status, self._text, self.running
        if status == WORKING and type(running) is Running:
            text = state_of(running, self._book.clock.monotonic(), self.began)
        return described(
            self.id, status, text, self.created, self.updated, self.ttl_ms, self.stateless
        )

    def stop(self) -> None:
        """Cancel the call, as far as that is possible."""
        if self.running is not None:
            self.running.cancel()

    def change(self, status: str, text: Optional[str] = None) -> None:
        """Note how it is with it now."""
        self._status, self._text = status, text
        self.updated = in_utc(self._book.clock.wall())

    def end(self, status: str, final: Dict[str, Any], text: Optional[str] = None) -> None:
        """Note how its call has ended, and what the answer is."""
        self.over = True
        self.final = final
        self.running = None
        until = self._book.clock.monotonic() + FETCHED_WITHIN
        if until > self.until:
            self.until = until
            self.ttl_ms = int((until - self.began) * 1000)
        self.change(status, text)
        self._book.ended(self)


class StatelessTask(Task):
    """A task of 2026-07-28. ``asked``: what its client is to answer, by key, if it is anything."""

    stateless = True

    def __init__(self, book: TaskBook, owner: Owner, ttl_ms: int, work: Any) -> None:
        super().__init__(book, owner, ttl_ms)
        self.work = work
        self.asked: Dict[str, Any] = {}
        self.state = ""
        self.wanted_cancelled = False

    def reply(self, reply: Reply) -> None:
        """Take the call's answer, or the demand for input that would be one."""
        message = reply.message
        result = message.get("result")
        if result is not None and result.get("resultType") == INPUT_REQUIRED:
            # As for any answer: what JSON cannot say is not sent.
            jsonrpc.encode(message)
            self.asked, self.state = result["inputRequests"], result["requestState"]
            self.change(INPUT_REQUIRED, "waiting for the client's answers")
            return
        message = _sayable(message)
        result = message.get("result")
        if result is None:
            self.end(FAILED, message, message["error"]["message"])
        elif self.wanted_cancelled and _code(result) == Cancelled.code:
            self.end(CANCELLED, message, "The client cancelled it.")
        else:
            self.end(COMPLETED, message)

    def detailed(self) -> Dict[str, Any]:
        """Return it with what its status brings along."""
        shown, final = self.shown(), self.final
        if self._status == INPUT_REQUIRED:
            shown["inputRequests"] = self.asked
        elif self._status == COMPLETED and final is not None:
            shown["result"] = final["result"]
        elif self._status == FAILED and final is not None:
            shown["error"] = final["error"]
        return shown


class Waiter(ABC):
    """A request for the result of a task; see :class:`HandshakeTask`."""

    __slots__ = ()

    sink: Sink

    @abstractmethod
    def done(self, final: Dict[str, Any]) -> None:
        """Answer it with what the call's answer is."""

    @abstractmethod
    def cancel(self) -> None:
        """Answer it without: nobody waits any more."""


class HandshakeTask(Task):
    """A task of 2025-11-25, of one session.

    What the tool says and asks goes out where its result is waited for; what it only says, else, on
    the session's standing stream.
    """

    def __init__(self, book: TaskBook, owner: Owner, ttl_ms: int, session: Session) -> None:
        super().__init__(book, owner, ttl_ms)
        self.session = self._session = session
        self.waiters: List[Waiter] = []
        #: Questions, by id; one is open for as long as the session knows its id.
        self._asked: Dict[str, Dict[str, Any]] = {}
        #: Who was sent which.
        self._sent: Dict[str, Waiter] = {}

    @property
    def status(self) -> str:
        """Return how it is with it."""
        open_ones = self._session.asked
        if self._status == INPUT_REQUIRED and not any(one in open_ones for one in self._asked):
            self._asked.clear()
            self._sent.clear()
            self.change(WORKING)
        return self._status

    def reply(self, reply: Reply) -> None:
        """Take the call's answer."""
        if self.ended:
            # It was cancelled, and ran to its end all the same.
            return
        message = _sayable(reply.message)
        result = message.get("result")
        if result is None:
            self.end(FAILED, message, message["error"]["message"])
        else:
            self.end(FAILED if result.get("isError") else COMPLETED, message)

    def end(self, status: str, final: Dict[str, Any], text: Optional[str] = None) -> None:
        """Note how its call has ended, and answer all that wait for it."""
        self._asked.clear()
        waiters, self.waiters = self.waiters, []
        super().end(status, final, text)
        for waiter in waiters:
            waiter.done(final)
        self._announce()

    def wait(self, waiter: Waiter) -> None:
        """Have one more wait for the end; it is asked what is asked and not answered."""
        for other in [one for one in self.waiters if _is_lost(one)]:
            # Its client has come again instead of coming back.
            other.cancel()
        self.waiters.append(waiter)
        if self.status == INPUT_REQUIRED:
            for ident, message in self._asked.items():
                if self._sent.get(ident) not in self.waiters:
                    self._send(waiter, ident, message)

    def event(self, message: Dict[str, Any]) -> None:
        """Tell of the call while it runs."""
        params = message["params"]
        withdrawn = message["method"] == "notifications/cancelled"
        if withdrawn and params["requestId"] not in self._sent or self.ended and not withdrawn:
            return
        message = related(message, "params", self.id)
        if self.waiters:
            self.waiters[-1].sink.event(message)
        else:
            self._tell(message)

    def ask(self, message: Dict[str, Any]) -> bool:
        """Ask the client, now or when it waits for the result."""
        message = related(message, "params", self.id)
        # Whether or not it is sent now: what JSON cannot say is not asked.
        jsonrpc.encode(message)
        ident = message["id"]
        self._asked[ident] = message
        before = self._status
        self.change(INPUT_REQUIRED, "waiting for the client's answer: call tasks/result for it")
        if before == WORKING:
            self._announce()
        for waiter in self.waiters[-1:]:
            self._send(waiter, ident, message)
        return True

    def _send(self, waiter: Waiter, ident: str, message: Dict[str, Any]) -> None:
        if waiter.sink.ask(message):
            self._sent[ident] = waiter

    def _announce(self) -> None:
        shown = described(
            self.id, self._status, self._text, self.created, self.updated, self.ttl_ms, False
        )
        self._tell(jsonrpc.notification("notifications/tasks/status", shown))

    def _tell(self, message: Dict[str, Any]) -> None:
        channel = self._session.channel
        if channel is not None and not channel.standing.congested:
            channel.tell(jsonrpc.encode(message).decode("ascii"))


class TaskBook:
    """A bounded table. What has ended goes when its time is over, or the room is needed.

    Half of it is for what has not ended. Of that guests together have a share, any one else half.
    """

    def __init__(self, clock: Clock, limit: int = MOST) -> None:
        self.clock = clock
        self._limit = limit
        #: The oldest first.
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def has_room(self, owner: Owner) -> bool:
        """Return whether this owner may have one more; for that, one that has ended may go."""
        self._sweep()
        guest = owner[0]
        live = [one for one in self._tasks.values() if not one.ended]
        held = sum(one.owner[0] if guest else one.owner == owner for one in live)
        most = max(1, self._limit // 2)
        if len(live) >= most or held >= (share(most) if guest else max(1, most // 2)):
            return False
        if len(self._tasks) < self._limit:
            return True
        gone = [one for one in self._tasks.values() if one.ended]
        if gone:
            # Its own first.
            self._drop(min(gone, key=lambda one: one.owner != owner))
        return bool(gone)

    def add(self, task: Task) -> None:
        """Keep a task for which there was room."""
        self._tasks[task.id] = task

    def find(self, task_id: str, owner: Owner, stateless: bool) -> Optional[Task]:
        """Return a task of this owner's, None if there is none."""
        self._sweep()
        task = self._tasks.get(task_id)
        if task is None or task.owner != owner or task.stateless is not stateless:
            return None
        return task

    def of(self, owner: Owner) -> List[Task]:
        """Return a session's tasks, by id."""
        self._sweep()
        return [one for _, one in sorted(self._tasks.items()) if one.owner == owner]

    def ended(self, task: Task) -> None:
        """Count the answer that is kept from now on; the oldest make room for it."""
        task.weight = weight_of(task.final)
        self._bytes += task.weight
        for other in list(self._tasks.values()):
            if self._bytes <= KEPT_BYTES:
                break
            if other.ended and other is not task:
                self._drop(other)

    def _sweep(self) -> None:
        now = self.clock.monotonic()
        for task in list(self._tasks.values()):
            if task.until <= now and task.ended:
                self._drop(task)

    def _drop(self, task: Task) -> None:
        if self._tasks.pop(task.id, None) is not None:
            self._bytes -= task.weight


def _sayable(message: Dict[str, Any]) -> Dict[str, Any]:
    """Return the answer itself, or that there is none which JSON can say."""
    try:
        jsonrpc.encode(message)
    except (TypeError, ValueError) as error:
        text = "JSON cannot say what the tool has returned: {}".format(error)
        return jsonrpc.error(message["id"], jsonrpc.INTERNAL_ERROR, text)
    return message


def _is_lost(waiter: Waiter) -> bool:
    stream = waiter.sink.stream()
    return stream is not None and not stream.attached


def _code(result: Dict[str, Any]) -> Any:
    """Return the code of the error with which a tool has failed."""
    content = result.get("structuredContent")
    error = content.get("error") if type(content) is dict else None
    return error.get("code") if type(error) is dict else None
