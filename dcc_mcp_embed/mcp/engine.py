"""The thread that the conversations of one facade run on, from the first to the clean-up."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, Callable, Coroutine, Dict, Optional

from .. import collector
from ..clock import Clock
from ..net.loop import Loop
from ..net.promises import fail, settle
from ..net.tasks import Cut, Task
from ..net.thread import LoopThread
from .records import MCPError

__all__ = ["Engine"]

_GRACE = 5.0

Make = Callable[[Loop], Coroutine[Any, Any, Any]]


class Engine:
    """Runs coroutines for other threads. ``disown()`` closes, in a forked child, what is open."""

    def __init__(
        self,
        clock: Clock,
        report: Callable[[str, BaseException], None],
        disown: Callable[[], None],
    ) -> None:
        self.loop = Loop(clock, report)
        self._lock = threading.Lock()
        self._open = True
        self._tasks: Dict[Task, None] = {}
        self._thread = LoopThread(self.loop, "dcc-mcp-embed mcp client")
        self._thread.on_fork(disown)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Return whether it runs, in this process."""
        return self._open and self._thread.alive

    def is_current(self) -> bool:
        """Return whether the caller is its thread, which must not wait for itself."""
        return self.loop.is_current()

    def run(self, make: Make) -> Future[Any]:
        """Run the coroutine that ``make(loop)`` returns. Any thread.

        Cancelling the future cuts it short. After :meth:`stop` it is MCPError at once.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._open:
                self.loop.call_soon(self._begin, make, future)
                return future
        fail(future, _closed())
        return future

    def _begin(self, make: Make, future: Future[Any]) -> None:
        def done(value: Any, error: Optional[BaseException]) -> None:
            self._tasks.pop(task, None)
            if error is None:
                settle(future, value)
            else:
                # Cut: everything has been closed, or whoever waited has gone.
                fail(future, _closed() if isinstance(error, Cut) else error)

        task = Task(self.loop, make(self.loop), done)
        self._tasks[task] = None

        def left(future: Future[Any]) -> None:
            if future.cancelled():
                task.cancel()

        future.add_done_callback(left)

    def stop(self) -> bool:
        """End what is under way, and the thread; return whether it has ended. Not on it."""
        with self._lock:
            self._open = False
            self.loop.call_soon(self._cut)
        with collector.blocking():
            return self._thread.finish(_GRACE)

    def _cut(self) -> None:
        for task in list(self._tasks):
            task.throw(Cut())
        # Once what that has led to is over.
        self.loop.call_soon(self.loop.stop)


def _closed() -> MCPError:
    return MCPError("the client was closed meanwhile", "closed")
