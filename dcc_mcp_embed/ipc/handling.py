"""Where the handlers of requests are called, and that each request is answered once.

Reading JSON, the handler and writing JSON (see ``outcomes``) all happen where the handler runs, so
that large data keeps only its own request waiting:

    coroutine functions   on the asyncio loop that awaited the server's start
    plain functions       on worker threads; an awaitable that one returns goes to the loop above
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, Hashable, Optional

from ..errors import Cancelled, HostBusy, HostError, ToolError, Unsupported
from ..net.callables import is_awaitable
from ..net.loop import Loop
from ..rpc.receipts import Outcome
from .functions import close, report, shown
from .outcomes import Call, failed, raised, read, returned
from .stuck import Threads
from .turns import Turns
from .workers import Workers

__all__ = ["Handling"]

#: Handlers that are plain functions and run at once; others wait for one of them to return.
_MOST_THREADS = 64
#: Requests of all clients that may wait for that; one that was withdrawn counts until its turn. Of
#: one client fewer may be under way, see Calls.
_MOST_WAITING = 64 * 1024


class Handling:
    """Call handlers. ``done(call, outcome)`` is called on any thread, once for each call.

    ``loop``: on whose thread calls come in. ``asyncio_loop``: where coroutine functions run; None:
    nowhere. ``litter``: see Workers.
    """

    def __init__(
        self,
        done: Callable[[Call, Outcome], None],
        loop: Loop,
        asyncio_loop: Any = None,
        litter: Callable[[], None] = lambda: None,
    ) -> None:
        self._done = done
        self._tasks: Optional[_Tasks] = None
        if asyncio_loop is not None:
            self._tasks = _Tasks(asyncio_loop, done)
        self.workers = Workers(_MOST_THREADS, _MOST_WAITING, on_error=_defect, litter=litter)
        #: Those that no worker has come to. For each of them a worker is asked, who takes the next.
        self._turns = Turns()
        self.threads = Threads(_MOST_THREADS, loop, lambda: len(self._turns), self._refuse_waiting)

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread. Any thread."""
        return len(self._turns)

    def start(self, call: Call) -> Optional[ToolError]:
        """Have the handler called; return why it never will be, if so. Loop thread."""
        if not call.awaits:
            if self.threads.are_stuck():
                return _no_thread()
            self._turns.add(call)
            # It may have had its turn when no more workers could be asked.
            if self.workers.run(self._perform_next) or not self._turns.remove(call):
                self.threads.watch()
                return None
            return HostBusy(
                "{} requests wait for their handlers already.".format(len(self._turns)),
                hint="Try again when some have been answered.",
                retry_after_ms=1000,
            )
        if self._tasks is None:
            return Unsupported(
                "The handler of {!r} is a coroutine function, and this server was started without "
                "an asyncio loop: start it with `await start()`.".format(call.name[:100]),
                state="not_started",
            )
        return None if self._tasks.start(call, None) else _ended_loop("not_started")

    def withdraw(self, call: Call) -> bool:
        """Let go of a call unless its handler has been, or is about to be, called. Loop thread."""
        if not call.claim():
            return False
        self._turns.remove(call)
        # Its place in a line is all that is left, until somebody comes to it.
        call.data = b""
        return True

    def _refuse_waiting(self) -> None:
        for call in self._turns.all():
            if self.withdraw(call):
                self._done(call, failed(_no_thread()))

    def stop(self) -> None:
        """Call no more handlers, and cancel coroutines; plain functions run on. Any thread."""
        self.threads.stop()
        self.workers.stop()
        if self._tasks is not None:
            self._tasks.cancel()

    def _perform_next(self) -> None:
        """Answer with a plain function. Worker."""
        call = self._turns.next()
        if call is None or not call.claim():
            return  # one was withdrawn
        self.threads.begin(call, call.name)
        try:
            outcome = self._outcome(call, call.handler(read(call)))
        except BaseException as error:
            # Nothing ends this thread, not even what ends a program.
            outcome = raised(call, error)
        finally:
            self.threads.end(call)
        if outcome is not None:
            self._done(call, outcome)

    def _outcome(self, call: Call, result: Any) -> Optional[Outcome]:
        """Return what comes of what a plain function returned; None: that is awaited elsewhere."""
        if not is_awaitable(result):
            return returned(call, result)
        if self._tasks is None:
            close(result)
            raise TypeError("the handler returned an awaitable, and no asyncio loop is there")
        if self._tasks.start(call, result):
            return None
        close(result)
        return failed(_ended_loop("running"))


class _Tasks:
    """Coroutines on one asyncio loop, which must not be asked more often than needed."""

    def __init__(self, loop: Any, done: Callable[[Call, Outcome], None]) -> None:
        self._loop = loop
        self._done = done
        self._line: Deque[Any] = deque()
        self._scheduled = False
        #: asyncio keeps tasks by weak references only.
        self._running: Dict[Hashable, Call] = {}

    def start(self, call: Call, awaitable: Any) -> bool:
        """Await, or without an awaitable call the handler and await; False: the loop has ended."""
        if self._loop.is_closed():
            self._abandon()
            return False
        self._line.append((call, awaitable))
        if not self._scheduled:
            self._scheduled = True
            if not self._soon(self._start_all):
                self._abandon()
        return True

    def _abandon(self) -> None:
        """Answer those that will never be answered otherwise: the loop has ended."""
        while self._line:
            try:
                call, awaitable = self._line.popleft()
            except IndexError:
                break  # another thread does the same
            close(awaitable)
            self._done(call, failed(_ended_loop("not_started" if awaitable is None else "running")))
        for call in list(self._running.values()):
            if not call.told:
                self._done(call, failed(_ended_loop("running")))

    def cancel(self) -> None:
        """Cancel all that run. Any thread."""
        if self._running or self._line:
            self._soon(self._cancel_all)

    def _soon(self, function: Callable[[], None]) -> bool:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            # Closed: whoever ran it has ended it without stopping the server.
            return False
        return True

    # -- on the asyncio loop ------------------------------------------------------------------

    def _start_all(self) -> None:
        # Lowered first: whoever adds one that is not seen below asks for another round.
        self._scheduled = False
        line = self._line
        for _ in range(len(line)):
            call, awaitable = line.popleft()
            if awaitable is None and not call.claim():
                continue
            task = self._loop.create_task(self._await(call, awaitable))
            self._running[task] = call
            task.add_done_callback(self._ended)

    def _cancel_all(self) -> None:
        for task in list(self._running):
            task.cancel()  # type: ignore[attr-defined]

    async def _await(self, call: Call, awaitable: Any) -> None:
        try:
            if awaitable is None:
                awaitable = call.handler(read(call))
            outcome = returned(call, await awaitable)
        except (Exception, SystemExit) as error:
            # One that parses arguments, say, does not end the server any more than a plain one.
            # Cancelled is an Exception until Python 3.8; what is told is the same either way.
            if type(error).__name__ == "CancelledError":
                raise
            outcome = raised(call, error)
        self._done(call, outcome)

    def _ended(self, task: Any) -> None:
        call = self._running.pop(task)
        if call.told:
            return
        if task.cancelled():
            text = "The handler of {!r} was cancelled.".format(call.name[:100])
            # Somewhere in the middle: nobody knows how far it got.
            self._done(call, failed(Cancelled(text, state="running")))
        else:
            # Ctrl-C: asyncio has passed it on.
            self._done(call, raised(call, task.exception()))


def _no_thread() -> HostBusy:
    return HostBusy(
        "All {} threads for handlers are taken by handlers that do not return.".format(
            _MOST_THREADS
        ),
        hint="The server's log names them: have them return, give them a timeout, or restart it.",
        retry_after_ms=5000,
    )


def _ended_loop(state: str) -> HostError:
    return HostError("The asyncio loop that runs the handlers has ended.", state=state)


def _defect(function: Any, error: BaseException) -> None:
    report("%r failed: %s", function, shown(error), error=error)
