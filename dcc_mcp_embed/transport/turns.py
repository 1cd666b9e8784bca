"""Threads that wait for one socket: one polls it for all, the others sleep until they are woken.

The thread that polls is said to lead. It deals with whatever comes, for whomever it is, and wakes
who has been waiting for it. A thread that has what it came for, or whose time is over, goes; if it
led, it wakes another one to lead. So no time of anybody depends on anybody else's.
"""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from typing import Any, Dict, Optional, Set

from ..clock import Clock
from ..net.readiness import SLICE_S, Readiness
from ..rpc.pending import Pending

__all__ = ["Turns"]

#: A thread that polls beside the one that leads looks this often whether that one is still there.
#: Only while the peer does not take what we send, so it costs nothing otherwise.
_LOOK_S = 0.02


class Turns(ABC):
    """The waiting for one socket. All of it with ``_lock`` held, which is let go to block.

    A subclass says what to poll for (:meth:`_wanted`) and deals with what comes (:meth:`_turn`).
    """

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._clock = clock
        #: Reentrant because that one knows its owner: see ``reentry``.
        self._lock: Any = threading.RLock()
        self._readiness = Readiness(sock)
        #: What the thread that leads polls for; 0: nobody leads.
        self._led = 0
        #: Threads that poll; the socket must not be closed under them.
        self._polling: Set[object] = set()
        #: Those who sleep. The last is the next to lead.
        self._followers: Dict[Pending, None] = {}
        self._over = False

    @abstractmethod
    def _wanted(self, needs: int) -> int:
        """Return what to poll for on behalf of all, besides what the one who leads ``needs``."""

    @abstractmethod
    def _turn(self, ready: int) -> None:
        """Deal with what the socket is ready for."""

    def _wait(self, pending: Pending) -> None:
        """Return when ``pending`` is done or its time is over; :meth:`_leave` must follow."""
        while not pending.done:
            left = None
            if pending.deadline is not None:
                left = pending.deadline - self._clock.monotonic()
                if left <= 0:
                    return
            if not self._led:
                self._lead(pending.needs, left)
            elif self._led & pending.needs:
                self._follow(pending, left)
            else:
                self._poll_beside(pending.needs, left)

    def _leave(self) -> None:
        """See that somebody leads, if anybody waits."""
        if self._followers and not self._led:
            # The one who came last: those before it have their answers sooner, so there are fewer
            # changes of the lead.
            pending, _ = self._followers.popitem()
            gate, pending.waiter = pending.waiter, None
            gate.release()

    def _wake(self, pending: Pending) -> None:
        """Have the thread that waits for ``pending`` look again, if it sleeps."""
        gate = pending.waiter
        if gate is not None:
            pending.waiter = None
            del self._followers[pending]
            gate.release()

    def _let_go(self) -> None:
        """Wake whoever polls and close the socket once nobody does."""
        self._over = True
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The peer was quicker.
            pass
        if not self._polling:
            self._sock.close()

    def _lead(self, needs: int, left: Optional[float]) -> None:
        """Poll once for everybody."""
        try:
            try:
                events = self._led = self._wanted(needs)
                ready = self._poll(self._readiness, events, left)
            finally:
                self._led = 0
        finally:
            # Again: Ctrl-C may have come before that, and nobody would ever lead.
            self._led = 0
        if ready:
            self._turn(ready)

    def _poll_beside(self, needs: int, left: Optional[float]) -> None:
        """Poll for what the one who leads does not look for; nobody can wake that one."""
        look = _LOOK_S if left is None else min(left, _LOOK_S)
        self._turn(self._poll(Readiness(self._sock), needs, look))

    def _poll(self, readiness: Readiness, events: int, left: Optional[float]) -> int:
        lock = self._lock
        me = object()
        try:
            try:
                self._polling.add(me)
                lock.release()
                return readiness.wait(events, left)
            finally:
                if not lock._is_owned():
                    lock.acquire()
                self._polling.discard(me)
        finally:
            # Again: Ctrl-C may have come before that.
            if not lock._is_owned():
                lock.acquire()
            self._polling.discard(me)
            if self._over and not self._polling:
                self._sock.close()

    def _follow(self, pending: Pending, left: Optional[float]) -> None:
        """Sleep until woken: because of an answer, to lead, or because of the end."""
        if SLICE_S is not None:
            left = SLICE_S if left is None else min(left, SLICE_S)
        gate = threading.Lock()
        gate.acquire()
        lock = self._lock
        try:
            try:
                pending.waiter = gate
                self._followers[pending] = None
                lock.release()
                gate.acquire(timeout=-1 if left is None else min(left, threading.TIMEOUT_MAX))
            finally:
                if not lock._is_owned():
                    lock.acquire()
        finally:
            # As in _poll.
            if not lock._is_owned():
                lock.acquire()
            if pending.waiter is gate:
                self._followers.pop(pending, None)
                pending.waiter = None
