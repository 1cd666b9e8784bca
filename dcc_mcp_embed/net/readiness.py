"""Wait for one socket, with a deadline: for a thread that blocks on its own, without a loop."""

from __future__ import annotations

import os
import select
import socket
from typing import Any, List, Optional

__all__ = ["READ", "SLICE_S", "WRITE", "Readiness"]

READ = 1
WRITE = 2

#: Nothing can interrupt a wait on Windows, so Ctrl-C is looked for this often there.
SLICE_S: Optional[float] = 0.5 if os.name == "nt" else None
#: Seconds; more does not fit the kernel's milliseconds.
_LONGEST = 1_000_000.0


class Readiness:
    """Tells when a socket can be read or written. One thread at a time.

    A connection that is over counts as both: reading or writing says what happened to it. So does
    one that another thread has shut down, and any once ``waker``, a second socket, can be read.
    """

    __slots__ = ("_events", "_fd", "_poll", "_sock", "_waker")

    def __init__(
        self,
        sock: socket.socket,
        waker: Optional[socket.socket] = None,
        poll: Any = getattr(select, "poll", None),
    ) -> None:
        self._sock = sock
        self._waker = waker
        self._events = 0
        self._poll = None
        if poll is not None:
            self._poll = poll()
            self._poll.register(sock, 0)
            self._fd = sock.fileno()
            if waker is not None:
                self._poll.register(waker, select.POLLIN)

    def wait(self, events: int, timeout: Optional[float]) -> int:
        """Return which of READ and WRITE are possible, 0 after ``timeout`` seconds without any.

        None: no end, but on Windows, where it also returns 0 every half second.
        """
        if timeout is None:
            timeout = SLICE_S
        elif timeout > _LONGEST:
            timeout = _LONGEST
        if self._poll is None:
            return self._select(events, timeout)
        if events != self._events:
            self._poll.modify(self._fd, _MASKS[events])
            self._events = events
        found = self._poll.poll(None if timeout is None else timeout * 1000.0)
        if not found:
            return 0
        fd, mask = found[-1]
        return _EVENTS.get(mask, READ | WRITE) if fd == self._fd else READ | WRITE

    def _select(self, events: int, timeout: Optional[float]) -> int:
        if SLICE_S is not None:
            timeout = SLICE_S if timeout is None else min(timeout, SLICE_S)
        one: List[socket.socket] = [self._sock]
        none: List[socket.socket] = []
        waker = none if self._waker is None else [self._waker]
        # A connection that failed is in the third list on Windows.
        readable, writable, failed = select.select(
            (one if events & READ else none) + waker, one if events & WRITE else none, one, timeout
        )
        if failed or self._waker in readable:
            return READ | WRITE
        return (READ if readable else 0) | (WRITE if writable else 0)


if hasattr(select, "poll"):
    _IN, _OUT = select.POLLIN, select.POLLOUT
    _MASKS = (0, _IN, _OUT, _IN | _OUT)
    # Anything else (hung up, failed) is to be looked at from both sides.
    _EVENTS = {_IN: READ, _OUT: WRITE, _IN | _OUT: READ | WRITE}
