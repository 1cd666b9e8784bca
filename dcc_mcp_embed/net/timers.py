"""Deadlines: a heap of cancellable callbacks. Pure; every method takes ``now``."""

from __future__ import annotations

import heapq
from typing import Any, Callable, List, Optional, Tuple

__all__ = ["Timer", "Timers"]

#: Seconds; more does not fit the kernel's milliseconds.
_LONGEST = 1_000_000.0


class Timer:
    """One callback at one moment. ``cancel()`` is idempotent and costs nothing."""

    __slots__ = ("args", "callback", "when")

    def __init__(self, when: float, callback: Callable[..., Any], args: Tuple[Any, ...]) -> None:
        self.when = when
        self.callback: Optional[Callable[..., Any]] = callback
        self.args = args

    @property
    def cancelled(self) -> bool:
        return self.callback is None

    def cancel(self) -> None:
        """Make sure that the callback does not run, and let go of what it holds."""
        self.callback = None
        self.args = ()


class Timers:
    """The timers of one loop, in order of time and, within one moment, of their making."""

    # Most deadlines never fire; cancelled ones stay in the heap until they would be due, or until
    # the heap has doubled since it was last swept, so that sweeping stays O(1) per timer.
    _SWEEP_FLOOR = 64

    def __init__(self) -> None:
        self._heap: List[Tuple[float, int, Timer]] = []
        self._count = 0
        self._sweep_at = self._SWEEP_FLOOR

    def add(self, when: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Arrange for ``callback(*args)`` once it is ``when``."""
        timer = Timer(when, callback, args)
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, timer))
        if len(self._heap) > self._sweep_at:
            self._heap = [entry for entry in self._heap if not entry[2].cancelled]
            heapq.heapify(self._heap)
            self._sweep_at = max(self._SWEEP_FLOOR, 2 * len(self._heap))
        return timer

    def timeout(self, now: float) -> Optional[float]:
        """Return seconds to wait for the next timer, 0.0 if one is due, None if there is none.

        For one that is days away it is less than that.
        """
        heap = self._heap
        while heap and heap[0][2].cancelled:
            heapq.heappop(heap)
        if not heap:
            return None
        return min(max(0.0, heap[0][0] - now), _LONGEST)

    def due(self, now: float) -> List[Timer]:
        """Remove and return the timers whose time has come, in order."""
        found: List[Timer] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            if not timer.cancelled:
                found.append(timer)
        return found
