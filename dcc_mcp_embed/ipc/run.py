"""What there is between the start of a SocketServer and its stop: a loop on a thread of its own."""

from __future__ import annotations

import os
import weakref
from concurrent.futures import Future, wait
from contextlib import ExitStack
from typing import Any, Callable, NamedTuple, Optional

from .. import collector
from ..clock import Clock
from ..errors import StartError
from ..net.loop import Loop
from ..net.readiness import SLICE_S
from ..net.thread import LoopThread
from ..rpc.hello import Facts
from ..rpc.receipts import Limits, Receipts
from .functions import report, shown
from .handlers import Handlers
from .places import Listening
from .serving import Serving

__all__ = ["Plan", "Run"]

#: Seconds that the loop's thread has to end once everything is closed.
_GRACE = 5.0


class Plan(NamedTuple):
    """What is the same for each start. ``health_interval`` None: nobody is pinged."""

    handlers: Handlers
    instance_id: str
    limits: Limits
    health_interval: Optional[float]
    clock: Clock


class Run:
    """It serves once it is made. Any thread.

    ``asyncio_loop`` and ``litter``: see Handling. ``ended`` is done once everything is closed.
    Raises StartError where the system allows no thread or no file for it; then nothing is left, nor
    ``listening``.
    """

    def __init__(
        self, plan: Plan, listening: Listening, asyncio_loop: Any, litter: Callable[[], None]
    ) -> None:
        self._process = os.getpid()
        self.ended: Future[None] = Future()
        try:
            with ExitStack() as undo:
                undo.callback(listening.close)
                self._start(plan, listening, asyncio_loop, litter, undo)
                undo.pop_all()
        except (OSError, RuntimeError) as error:
            # The system has no more files or threads, or the interpreter is at its end.
            raise StartError("no thread could be started: {}".format(error)) from error
        self.started_at = plan.clock.monotonic()

    def _start(
        self,
        plan: Plan,
        listening: Listening,
        asyncio_loop: Any,
        litter: Callable[[], None],
        undo: ExitStack,
    ) -> None:
        clock = plan.clock
        loop = Loop(clock, _defect)
        undo.callback(loop.close)
        self.serving = serving = Serving(
            loop,
            listening,
            plan.handlers,
            Receipts(plan.limits),
            Facts(plan.instance_id, clock.uuid(), plan.limits.entries),
            plan.health_interval,
            asyncio_loop,
            litter,
            self.ended,
        )
        handling = serving.calls.handling
        undo.callback(handling.stop)
        self._thread = LoopThread(loop, "dcc-mcp-embed ipc server")
        self._thread.on_fork(serving.door.disown)
        handling.workers.start()
        serving.door.open()
        self._thread.start()
        # The loop's thread holds it until it ends: this is for the interpreter's exit.
        weakref.finalize(serving, listening.leave)

    @property
    def running(self) -> bool:
        """Whether it serves, until all of it has stopped; never in a forked child."""
        return not self.ended.done() and self._process == os.getpid()

    def close(self) -> None:
        """Ask it to stop; waits for nothing."""
        self.serving.loop.call_soon(self.serving.close)

    def wait(self) -> None:
        """Wait for the end."""
        with collector.blocking():
            while not self.ended.done():
                # In slices where Ctrl-C does not interrupt a wait.
                wait([self.ended], SLICE_S)
            self._thread.finish(_GRACE)

    async def over(self) -> None:
        """Wait for the end. Whoever is cancelled meanwhile leaves the others waiting."""
        import asyncio

        await asyncio.shield(asyncio.wrap_future(self.ended))
        # It ends right now, if it has not.
        self._thread.finish(_GRACE)


def _defect(name: str, error: BaseException) -> None:
    report("%s failed: %s", name, shown(error), error=error)
