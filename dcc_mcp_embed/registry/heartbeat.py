"""The registry's daemon thread: it beats for our rows, sweeps, and does what was deferred to it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Tuple

from .. import collector
from ..clock import Clock
from . import forks
from .file_registry import FileRegistry

__all__ = ["Heartbeat"]

#: Seconds between two looks for dead rows; the gateway looks as often.
_SWEEP = 15.0
#: Seconds until a failed beat is tried again, if that is sooner than the next one.
_RETRY = 1.0


class Heartbeat:
    """Beats every ``interval`` seconds while there are rows of our own. Any thread.

    The thread starts with the first ``start()`` or ``defer()`` and sleeps while there is nothing
    to do. Its times are its own (monotonic): neither a changed clock nor a tool that holds another
    thread moves them. What fails is logged and tried again.
    """

    def __init__(
        self,
        registry: FileRegistry,
        interval: float,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> None:
        self._registry = registry
        self._interval = interval
        self._clock = clock
        self._log = log
        self._reset()
        forks.in_child(self)

    def _reset(self) -> None:
        # Reentrant: a signal handler may end what the thread that it interrupted is starting.
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._deferred: Deque[Tuple[Callable[..., Any], Tuple[Any, ...]]] = deque()
        self._postponed: List[Callable[[], Any]] = []
        self._stopping = False
        self._failing = False
        self._beat_due: Optional[float] = None
        self._sweep_due = 0.0

    def start(self) -> None:
        """Begin to beat for rows that have been registered; once is enough, more do no harm."""
        with self._lock:
            if self._stopping:
                return
            if self._thread is None:
                thread = collector.Thread(self._run, "dcc-mcp-embed-registry")
                try:
                    thread.start()
                except RuntimeError as error:
                    # The system has no thread left; whoever comes next tries again.
                    self._log("warning", "The registry's heartbeat cannot start: {}".format(error))
                    return
                self._thread = thread
        self._wake.set()

    def defer(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have something called on the thread soon, in order; its exceptions are logged."""
        self._deferred.append((function, arguments))
        self.start()

    def postpone(self, function: Callable[[], Any]) -> None:
        """Have something called after the next beat, as :meth:`defer` does soon. On the thread.

        Once, however often it was: it may wait for a lock that is held for long.
        """
        if function not in self._postponed:
            self._postponed.append(function)

    def stop(self, timeout: float = 1.0) -> bool:
        """End the thread, waiting ``timeout`` seconds at most; return whether it has ended.

        What was deferred and has not begun is dropped. The thread cannot be started again.
        """
        with self._lock:
            self._stopping = True
            thread = self._thread
        self._wake.set()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def disown(self) -> None:
        """Begin anew in a forked child, where the thread does not exist."""
        self._reset()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            collector.pause()
            try:
                wait = self.work(self._clock.monotonic())
            finally:
                collector.resume()
            self._wake.wait(wait)

    def work(self, now: float) -> Optional[float]:
        """Do what is due; return the seconds until something is, None: nothing will be."""
        while self._deferred and not self._stopping:
            function, arguments = self._deferred.popleft()
            self._attempt(function, *arguments)
        if not self._registry.own():
            self._beat_due = None
            return None
        if self._beat_due is None:
            # A fresh row is as good as a beat.
            self._beat_due = now + self._interval
            self._sweep_due = now
        if now >= self._beat_due:
            self._beat(now)
            postponed, self._postponed = self._postponed, []
            for function in postponed:
                if not self._stopping:
                    self._attempt(function)
        if now >= self._sweep_due:
            self._sweep_due = now + _SWEEP
            self._attempt(self._registry.sweep)
        return max(0.0, min(self._beat_due, self._sweep_due) - now)

    def _beat(self, now: float) -> None:
        try:
            self._registry.beat()
        except BaseException as error:
            # Any at all, as in _attempt: without the thread all rows of this process grow stale.
            if not self._failing:
                self._log("warning", "The registry's heartbeat fails: {}".format(error))
            self._failing = True
            self._beat_due = now + min(_RETRY, self._interval)
        else:
            if self._failing:
                self._log("info", "The registry's heartbeat works again")
            self._failing = False
            self._beat_due = now + self._interval

    def _attempt(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(*arguments)
        except BaseException as error:
            # Also what ends a program: nobody sits at this thread to have it ended.
            name = getattr(function, "__name__", repr(function))
            self._log("warning", "The registry's thread failed at {}: {!r}".format(name, error))
