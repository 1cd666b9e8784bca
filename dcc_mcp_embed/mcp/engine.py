"""The thread that the conversations of one facade run on, from the first to the clean-up."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Callable, Coroutine, Optional

from .. import collector
from ..clock import Clock
from ..net.loop import Loop
from ..net.promises import fail, settle
from ..net.tasks import Cut, Task
from ..net.thread import LoopThread

__all__ = ["Engine"]

_GRACE = 5.0


class Engine:
    """Runs coroutines for other threads. ``disown()`` closes, in a forked child, what is open."""

    def __init__(
        self,
        clock: Clock,
        report: Callable[[str, BaseException], None],
        disown: Callable[[], None],
    ) -> None:
        self.loop = Loop(clock, report)
        self._thread = LoopThread(self.loop, "dcc-mcp-embed mcp client")
        self._thread.on_fork(disown)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Return whether it runs, in this process."""
        return self._thread.alive

    def is_current(self) -> bool:
        """Return whether the caller is its thread, which must not wait for itself."""
        return self.loop.is_current()

    def run(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> Future[Any]:
        """Run the coroutine that ``make()`` returns. Any thread.

        Cancelling the future cuts it short.
        """
        future: Future[Any] = Future()
        self.loop.call_soon(self._begin, make, future)
        return future

    def _begin(self, make: Callable[[], Coroutine[Any, Any, Any]], future: Future[Any]) -> None:
        def done(value: Any, error: Optional[BaseException]) -> None:
            if error is None:
                settle(future, value)
            elif isinstance(error, Cut):
                # Whoever waited has gone, or everything has been closed.
                fail(future, RuntimeError("the client was closed meanwhile"))
            else:
                fail(future, error)

        task = Task(self.loop, make(), done)

        def left(future: Future[Any]) -> None:
            if future.cancelled():
                task.cancel()

        future.add_done_callback(left)

    def stop(self) -> bool:
        """End the thread; return whether it has ended. Not on it."""
        with collector.blocking():
            self.loop.stop()
            return self._thread.finish(_GRACE)
