"""Runs coroutines of ``net.tasks`` on the test's own thread, and shows what they leave behind."""

from __future__ import annotations

import gc
from typing import Any, Callable, Coroutine, Dict, List, Optional, Tuple

from dcc_mcp_embed.clock import Clock, SystemClock
from dcc_mcp_embed.net.loop import Loop
from dcc_mcp_embed.net.tasks import Task

__all__ = ["Driver", "left_behind"]

#: Seconds for anything that a test waits for.
DEADLINE = 30.0
#: What comes to its end, or to that of a task: value, error.
Ends = List[Tuple[Any, Optional[BaseException]]]


class _Stopped(Task):
    """A task that is cut short where it waits for the ``number``-th time (from 0)."""

    __slots__ = ("_left",)

    def __init__(self, loop: Loop, coroutine: Any, done: Any, number: int) -> None:
        self._left = number
        super().__init__(loop, coroutine, done)

    def _step(self, error: Optional[BaseException]) -> None:
        super()._step(error)
        if not self.over:
            if self._left == 0:
                self._loop.call_soon(self._cut)
            self._left -= 1


class Driver:
    """A loop, turned by whoever waits for something on it."""

    def __init__(self, clock: Optional[Clock] = None) -> None:
        self.failures: List[Tuple[str, BaseException]] = []
        self.clock: Any = clock or SystemClock()
        self.loop = Loop(self.clock, lambda *failure: self.failures.append(failure))
        self._time = SystemClock()

    def begin(
        self, coroutine: Coroutine[Any, Any, Any], stop_at: Optional[int] = None
    ) -> Tuple[Task, Ends]:
        """Return a task, and the list that its end will be added to."""
        ends: Ends = []

        def done(value: Any, error: Optional[BaseException]) -> None:
            ends.append((value, error))

        if stop_at is None:
            return Task(self.loop, coroutine, done), ends
        return _Stopped(self.loop, coroutine, done, stop_at), ends

    def run(self, coroutine: Coroutine[Any, Any, Any], stop_at: Optional[int] = None) -> Any:
        """Return what a coroutine returns; raise what it raises."""
        _, ends = self.begin(coroutine, stop_at)
        self.until(lambda: ends)
        value, error = ends.pop()
        if error is None:
            return value
        try:
            raise error
        finally:
            # It holds this frame.
            del error

    def until(self, condition: Callable[[], Any]) -> None:
        """Turn the loop until something has come."""
        end = self._time.monotonic() + DEADLINE
        while not condition():
            assert self._time.monotonic() < end, "it never came to that"
            # Whatever else there is to wait for.
            alarm = self.loop.call_later(0.05, lambda: None)
            self.loop.turn()
            alarm.cancel()

    def turn(self, times: int = 1) -> None:
        """Turn the loop without waiting."""
        for _ in range(times):
            self.loop.call_soon(lambda: None)
            self.loop.turn()

    def sockets(self) -> List[Any]:
        """Return what the loop waits for, besides other threads."""
        found = [key.fileobj for key in self.loop._selector.get_map().values()]
        return [one for one in found if one is not self.loop._waker_in]

    def timers(self) -> List[float]:
        """Return in how many seconds something is to happen."""
        now = self.clock.monotonic()
        entries = self.loop._timers._heap
        return sorted(timer.when - now for _, _, timer in entries if not timer.cancelled)

    def left(self) -> Dict[str, Any]:
        """Return what is open, waited for or failed in the loop: empty if nothing is."""
        self.turn(5)
        found = {"sockets": self.sockets(), "timers": self.timers(), "failures": self.failures}
        return {name: value for name, value in found.items() if value}

    def close(self) -> None:
        """End the loop. Raises AssertionError if there is something left in it."""
        try:
            assert self.left() == {}
        finally:
            self.loop.close()


def left_behind(action: Callable[[], Any], rounds: int = 20) -> int:
    """Return how many objects only a collection could free after many rounds of ``action``."""
    for _ in range(3):
        action()
    threshold = gc.get_threshold()
    gc.collect()
    # No collection from here on looks at the objects of a whole test session again.
    gc.freeze()
    gc.set_threshold(10_000_000)
    try:
        for _ in range(rounds):
            action()
        return gc.collect()
    finally:
        gc.set_threshold(*threshold)
