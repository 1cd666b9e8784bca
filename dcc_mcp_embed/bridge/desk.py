"""One thread's work: what happened elsewhere, in its order, and what waits for its moment.

Everything that happens (a line, a look at the registry, the end of a call) is posted by the thread
it happens on, and dealt with by the one thread that takes turns here: the desk's.
"""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from typing import Any, Callable, List, Optional

from ..clock import Clock
from ..net.readiness import SLICE_S

__all__ = ["Desk", "Moments"]


class Moments(ABC):
    """Something that has work at times of its own. The desk's thread."""

    @abstractmethod
    def next(self) -> Optional[float]:
        """Return when there is something to do next, monotonic seconds; None: there is nothing."""

    @abstractmethod
    def due(self, now: float) -> None:
        """Do what its time has come for; called after everything that has happened, too."""


class _Wait:
    __slots__ = ("act", "ready", "until")

    def __init__(self, ready: Callable[[], bool], until: float, act: Callable[[], None]) -> None:
        self.ready = ready
        self.until = until
        self.act = act


class Desk:
    """Takes turns; each method says on which thread."""

    def __init__(self, clock: Clock, log: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._log = log
        self._events: Any = queue.SimpleQueue()
        self._waits: List[_Wait] = []
        self._moments: List[Moments] = []

    def post(self, act: Callable[..., None], *args: Any) -> None:
        """Have something done in its turn. Any thread."""
        self._events.put((act, args))

    # -- the desk's thread --------------------------------------------------------------------

    def when(self, ready: Callable[[], bool], seconds: float, act: Callable[[], None]) -> None:
        """Do something once ``ready()``, asked after each event; after ``seconds`` at the latest.

        What comes of it may wait itself.
        """
        self._waits.append(_Wait(ready, self._clock.monotonic() + seconds, act))

    def add(self, moments: Moments) -> None:
        """Have somebody's moments kept."""
        self._moments.append(moments)

    @property
    def waiting(self) -> bool:
        """Whether anything waits to be done."""
        return bool(self._waits)

    def turn(self) -> None:
        """Wait for one event, deal with it, and with what its time has come for."""
        try:
            act, args = self._events.get(True, self._patience())
        except queue.Empty:
            pass
        else:
            self._safely(act, *args)
        now = self._clock.monotonic()
        self._end_waits(now)
        for one in self._moments:
            self._safely(one.due, now)

    def _patience(self) -> Optional[float]:
        moments = [one.until for one in self._waits]
        for one in self._moments:
            moment = one.next()
            if moment is not None:
                moments.append(moment)
        if not moments:
            return SLICE_S
        timeout = max(0.0, min(moments) - self._clock.monotonic())
        return timeout if SLICE_S is None else min(timeout, SLICE_S)

    def _end_waits(self, now: float) -> None:
        while True:
            over = [one for one in self._waits if one.until <= now or one.ready()]
            if not over:
                return
            self._waits = [one for one in self._waits if one not in over]
            for one in over:
                self._safely(one.act)

    def _safely(self, act: Callable[..., None], *args: Any) -> None:
        try:
            act(*args)
        except Exception as error:
            # A mistake of ours, of whatever class, goes to the log: it must not take away the other
            # hosts, and what else was asked.
            self._log("error", "{} failed: {!r}".format(act, error))
