"""One connection after another: who makes the next one, who waits for it, and when there is none.

When a connection is lost, the first thread that notices makes a new one; the others wait for it.
Each of them only for as long as its own call may take.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, Callable, Optional

from ..clock import Clock
from ..net.readiness import SLICE_S
from ..rpc.backoff import Backoff
from ..rpc.pending import fresh
from ..transport_errors import ConnectionClosed, ServiceNotFound, TransportError
from .carrier import Carrier, Listener
from .link import Link
from .reentry import alone

__all__ = ["RETRY", "MendingCarrier"]

#: Between attempts to connect anew; the first comes at once. Short: somebody waits for a call.
RETRY = Backoff(base=0.05, cap=1.0, jitter=0.5)


class MendingCarrier(Carrier, ABC):
    """A carrier whose connection is made anew when it is lost. Any thread.

    ``first`` is connected and greeted. ``redial(timeout)`` returns another such carrier in at most
    ``attempt`` seconds; it raises TransportError, and ServiceNotFound when there is nobody to
    connect to any more. What is to be said over a new connection, and what goes with an old one,
    is a subclass's: :meth:`_introduce`, :meth:`_lost`, :meth:`_ended`.
    """

    def __init__(
        self, first: Carrier, redial: Callable[[float], Carrier], attempt: float, clock: Clock
    ) -> None:
        super().__init__(first.link, first.peer)
        self._redial = redial
        self._attempt = attempt
        self._clock = clock
        self._lock: Any = threading.RLock()
        self._changed = threading.Condition(self._lock)
        #: Stands for the thread that makes a new connection.
        self._mending: Optional[object] = None
        #: Why no new one is made any more,
        self._over: Optional[TransportError] = None
        #: and whether that was our own side's wish. Else whoever had a call under way is to be told
        #: that nobody knows.
        self._closed = False

    def listen(self, listener: Listener) -> None:
        # The link must not change in between.
        with alone(self._lock, self.link.is_entered):
            super().listen(listener)

    @abstractmethod
    def _introduce(self, carrier: Carrier, deadline: float) -> None:
        """Say over a new connection who we are, and use it. Raises TransportError.

        It is closed again if that fails. Without the lock; :attr:`link` is changed, and
        :attr:`_changed` notified, with it.
        """

    @abstractmethod
    def _lost(self) -> None:
        """Take note that the connection is lost. With the lock held."""

    @abstractmethod
    def _ended(self) -> None:
        """Take note that no new one is made any more. With the lock held."""

    def _recover(self, lost: Link, deadline: float) -> None:
        """Return when there is another connection than ``lost``. Raises why there is none."""
        me = object()
        try:
            with alone(self._lock, self.link.is_entered):
                while self._mending is not None and self.link is lost:
                    if self._over is not None:
                        raise fresh(self._over)
                    if not self._wait(deadline):
                        raise ConnectionClosed()
                if self.link is not lost:
                    return
                self._mending = me
            try:
                self._mend(deadline)
            finally:
                self._mended(me)
        finally:
            # Ctrl-C may have come before that, or in the middle of it.
            self._mended(me)

    def _mended(self, me: object) -> None:
        if self._mending is me:
            with self._lock:
                self._mending = None
                self._changed.notify_all()

    def _wait(self, deadline: float) -> bool:
        """Wait for a change; False: it is too late. With the lock held."""
        left = deadline - self._clock.monotonic()
        if left <= 0:
            return False
        self._changed.wait(min(left, threading.TIMEOUT_MAX if SLICE_S is None else SLICE_S))
        return True

    def _mend(self, deadline: float) -> None:
        with self._lock:
            if self._over is not None:
                raise fresh(self._over)
            self._lost()
        attempt = 0
        while True:
            if self._over is not None:
                raise fresh(self._over)
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise ConnectionClosed()
            try:
                fresh_one = self._redial(min(left, self._attempt))
            except ServiceNotFound as error:
                self._end(error)
                raise
            except TransportError as error:
                reason = fresh(error)
            else:
                try:
                    self._introduce(fresh_one, deadline)
                    return
                except TransportError as error:
                    reason = fresh(error)
            attempt += 1
            again = self._clock.monotonic() + RETRY.delay(attempt, self._clock.jitter())
            if again >= deadline:
                raise fresh(reason)
            with self._lock:
                while self._over is None and self._wait(again):
                    pass

    def _end(self, error: TransportError) -> Link:
        """Have nobody make a new connection any more; return the last one."""
        with self._lock:
            self._over = self._over or error
            self._ended()
            self._changed.notify_all()
            return self.link

    def abandon(self) -> None:
        # The line goes on, and it is the parent's: what this process says in it would be taken for
        # the parent's. Its locks may be held by threads that do not exist here.
        self._over = ConnectionClosed()
        self._closed = True
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        super().abandon()
