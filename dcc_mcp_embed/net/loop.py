"""The event loop: one selector, one waker, timers, and calls from other threads.

Owned by one thread, which is the only one that may call anything not marked "any thread". A
callback that raises is reported and does not end the loop: a host's plug-in must outlive one
broken connection.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Tuple

from .. import collector
from ..clock import Clock
from .polling import make_selector
from .timers import Timer, Timers

__all__ = ["READ", "WRITE", "Loop"]

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

Callback = Callable[[int], None]


class Loop:
    """Wait for sockets, timers and other threads; call back. Built on any thread, run on one."""

    def __init__(
        self, clock: Clock, on_error: Callable[[str, BaseException], None], selector: Any = None
    ) -> None:
        self.clock = clock
        self._on_error = on_error
        self._selector = selector if selector is not None else make_selector()
        self._timers = Timers()
        self._calls: Deque[Tuple[Callable[..., Any], Tuple[Any, ...]]] = deque()
        self._thread_id = 0
        self._last: List[Callable[[], None]] = []
        self._stopping = False
        self._closed = False
        # True from a wake-up until the loop has seen it, so that a burst of calls costs one byte.
        self._woken = False
        self._waker_in, self._waker_out = socket.socketpair()
        self._waker_in.setblocking(False)
        self._waker_out.setblocking(False)
        self._selector.register(self._waker_in, READ, self._drain_waker)

    # -- any thread ---------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Return whether the caller is the loop's own thread. Any thread."""
        return threading.get_ident() == self._thread_id

    def call_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Run ``function(*args)`` on the loop thread in its next turn. Any thread, never blocks.

        After :meth:`close` the call is dropped: whoever needs to know asks the owner of the loop.
        """
        self._calls.append((function, args))
        if not self._woken and threading.get_ident() != self._thread_id:
            self._wake()

    def at_end(self, function: Callable[[], None]) -> None:
        """Call ``function()`` when :meth:`run` ends, whoever has stopped it. Before it runs.

        What was to be done in a next turn is not done any more: sockets are closed here, or never.
        """
        self._last.append(function)

    def stop(self) -> None:
        """Make :meth:`run` return after its current turn. Any thread."""
        self._stopping = True
        self._wake()

    def _wake(self) -> None:
        self._woken = True
        try:
            self._waker_out.send(b"\0")
        except (BlockingIOError, InterruptedError):
            # A full pipe means that the loop has wake-ups to see already.
            pass
        except OSError:
            if not self._closed:
                raise

    # -- loop thread --------------------------------------------------------------------------

    def call_at(self, when: float, function: Callable[..., Any], *args: Any) -> Timer:
        """Run ``function(*args)`` once the clock shows ``when``. Loop thread."""
        return self._timers.add(when, function, *args)

    def call_later(self, delay: float, function: Callable[..., Any], *args: Any) -> Timer:
        """Run ``function(*args)`` in ``delay`` seconds. Loop thread."""
        return self._timers.add(self.clock.monotonic() + delay, function, *args)

    def register(self, sock: Any, events: int, callback: Callback) -> None:
        """Call ``callback(ready events)`` whenever ``sock`` is ready for one of ``events``."""
        self._selector.register(sock, events, callback)

    def modify(self, sock: Any, events: int, callback: Callback) -> None:
        """Change what a registered socket waits for."""
        self._selector.modify(sock, events, callback)

    def unregister(self, sock: Any) -> None:
        """Forget a socket; must come before it is closed."""
        self._selector.unregister(sock)

    def run(self) -> None:
        """Turn until :meth:`stop`. The calling thread is the loop thread from now on."""
        self._thread_id = threading.get_ident()
        collector.pause()
        try:
            try:
                while not self._stopping:
                    self.turn()
            finally:
                for function in self._last:
                    self._call(function, ())
        finally:
            collector.resume()
            self._thread_id = 0

    def turn(self) -> None:
        """Wait for the next thing to do and do everything that is ready now."""
        timers = self._timers
        calls = self._calls
        timeout: Optional[float] = 0.0
        if not calls:
            timeout = timers.timeout(self.clock.monotonic())
        for key, events in self._selector.select(timeout):
            self._call(key.data, (events,))
        for timer in timers.due(self.clock.monotonic()):
            callback, args = timer.callback, timer.args
            if callback is not None:
                self._call(callback, args)
        # Exactly those that are there now: a call that calls itself again must not starve I/O.
        for _ in range(len(calls)):
            function, args = calls.popleft()
            self._call(function, args)

    def _call(self, function: Callable[..., Any], args: Tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: on this thread there is nobody to interrupt.
            self._on_error(getattr(function, "__qualname__", repr(function)), error)

    def _drain_waker(self, events: int) -> None:
        try:
            while len(self._waker_in.recv(4096)) == 4096:
                pass
        except (BlockingIOError, InterruptedError):
            # It is empty.
            pass
        # Lowered after reading, and before this turn runs its calls: a byte that was just read
        # may belong to a caller that raised the flag meanwhile, whose call this turn still runs.
        self._woken = False

    def close(self) -> None:
        """Release the selector and the waker. After :meth:`run` has returned; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._selector.close()
        self._waker_in.close()
        self._waker_out.close()
        self._calls.clear()
