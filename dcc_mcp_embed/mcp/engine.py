"""The thread that the conversations of one facade run on, from the first to the clean-up."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, Callable, Coroutine, Dict, Optional

from .. import collector
from ..clock import Clock
from ..net import dialing
from ..net.loop import Loop
from ..net.promises import fail, settle
from ..net.tasks import Cut, Task
from ..net.thread import LoopThread
from .client import Client
from .failures import closed

__all__ = ["Do", "Engine"]

#: Seconds for the thread to end.
_GRACE = 5.0

#: What is to be done: a coroutine function of the client.
Do = Callable[[Client], Coroutine[Any, Any, Any]]


class Engine:
    """Runs coroutines of ``client``, which ``make(loop)`` returns, for other threads.

    ``disown()`` is called in a forked child. It can be used once it was started.
    """

    def __init__(
        self, clock: Clock, make: Callable[[Loop], Client], disown: Callable[[], None]
    ) -> None:
        self._lock = threading.Lock()
        self._open = True
        self._tasks: Dict[Task, Future[Any]] = {}
        self.loop = Loop(clock, lambda name, error: self.client.defect(name, error))
        try:
            self.client = make(self.loop)
            self._thread = LoopThread(self.loop, "dcc-mcp-embed mcp client")
            self._thread.on_fork(disown)
            self._thread.on_fork(self.client.plugins.disown)
            self._thread.on_fork(dialing.disown)
            self.loop.call_soon(self.client.begin)
        except BaseException:
            # Ctrl-C.
            self.loop.close()
            raise

    def start(self) -> None:
        """Start the thread; whatever is raised, nothing of it is left running."""
        try:
            self._thread.start()
        except BaseException:
            # The interpreter is about to end (3.12 on), or Ctrl-C.
            self.give_up()
            raise

    def give_up(self) -> None:
        """End it, wherever its start has got to, and wait for nothing."""
        self._open = False
        if not self._thread.give_up():
            self.loop.call_soon(self._end)

    @property
    def alive(self) -> bool:
        """Return whether it runs, in this process, and is not about to end."""
        return self._open and self._thread.alive

    def is_current(self) -> bool:
        """Return whether the caller is its thread, which must not wait for itself."""
        return self.loop.is_current()

    def run(self, do: Do, future: Optional[Future[Any]] = None) -> Future[Any]:
        """Run a coroutine of the client; return ``future``, or a new one. Any thread.

        Cancelling that cuts it short. After :meth:`close` it is MCPError at once.
        """
        if future is None:
            future = Future()
        with self._lock:
            if self._open:
                self.loop.call_soon(self._begin, do, future)
                return future
        fail(future, closed())
        return future

    def close(self) -> Future[None]:
        """Cut short what is under way, and have the client close. :meth:`stop` is to follow."""
        future: Future[None] = Future()
        with self._lock:
            self._open = False
            self.loop.call_soon(self._close, future)
        if not self._thread.alive:
            settle(future, None)
        return future

    def stop(self) -> None:
        """End the thread, and whatever is under way still. Not on it."""
        with self._lock:
            self._open = False
            self.loop.call_soon(self._end)
        with collector.blocking():
            self._thread.finish(_GRACE)
        while self._tasks:
            # What has not ended for being cut short.
            _, future = self._tasks.popitem()
            fail(future, closed())

    # -- loop thread --------------------------------------------------------------------------

    def _begin(self, do: Do, future: Future[Any]) -> None:
        if future.cancelled():
            return

        def done(value: Any, error: Optional[BaseException]) -> None:
            self._tasks.pop(task, None)
            if error is None:
                settle(future, value)
            else:
                fail(future, closed() if isinstance(error, Cut) else error)
            if future.cancelled():
                # Whoever would have told what came of it has gone.
                self.client.tell()

        task = Task(self.loop, do(self.client), done)
        self._tasks[task] = future

        def left(future: Future[Any]) -> None:
            if future.cancelled():
                task.cancel()

        future.add_done_callback(left)

    def _close(self, future: Future[None]) -> None:
        self._cut()
        self._begin(lambda client: client.close(), future)

    def _cut(self) -> None:
        for task in list(self._tasks):
            task.throw(Cut())

    def _end(self) -> None:
        self._cut()
        self.client.shut()
        # Once what that leads to is over.
        self.loop.call_soon(self.loop.call_soon, self.loop.stop)
