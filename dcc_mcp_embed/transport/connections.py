"""The pool as its callers see it: wait for a place, connect, check, lend, take back, close.

What is decided stands in ``pool``; here is what has to be done about it, on the thread of the
caller, who owns a connection from the moment it is lent until it is given back. Ctrl-C gives it
back wherever it comes: whatever ends a lease may be done again, and is, if it was interrupted.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import Any, Callable, Deque, Dict, Iterator, Optional, Tuple

from ..clock import Clock
from ..host.guard import blocking
from ..registry.entry import ServiceEntry
from ..transport_errors import (
    AcquireTimeout,
    CallFailed,
    Internal,
    PoolExhausted,
    Shutdown,
    TransportError,
)
from .channel import FramedChannel
from .config import Seconds, TransportConfig, wait_time
from .loan import LentChannel
from .places import Place, Waiter
from .pool import PoolTable

__all__ = ["Connections"]

#: Whoever is in line looks this often for threads that have ended with what they had reserved:
#: nobody tells of them.
_LOOK = 0.5


class Connections:
    """The connections of one manager. Any thread.

    ``dial(row, timeout)`` makes one, in at most ``timeout`` seconds.
    """

    def __init__(
        self,
        config: TransportConfig,
        clock: Clock,
        dial: Callable[[ServiceEntry, float], FramedChannel],
    ) -> None:
        self._config = config
        self._clock = clock
        self._dial = dial
        self._table = PoolTable(config.pool, clock.uuid, threading.Thread.is_alive)

    def borrow(self, row: ServiceEntry, timeout: Optional[Seconds] = None) -> Place:
        """Reserve a live connection to ``row``, waiting in line for at most ``timeout`` seconds.

        It is this thread's until it is given back, or the thread has ended and somebody needs it
        (one that ``threading`` has started: of a host's native threads Python does not learn it).
        The default is ``acquire_timeout``; 0: no waiting. Making a connection takes up to
        ``connect_timeout`` on top. Raises AcquireTimeout, PoolExhausted, WouldDeadlock, what
        connecting raises, and Shutdown or ServiceNotFound when the manager or the instance ends.
        """
        waiter, gate = _waiter(row, threading.current_thread())
        try:
            try:
                self._obtain(waiter, gate, row, timeout)
                assert waiter.place is not None
                return waiter.place
            except BaseException:
                self._end(waiter, False)
                raise
        except BaseException:
            # The first may have been interrupted.
            self._end(waiter, False)
            raise

    @contextmanager
    def lent(
        self,
        row: ServiceEntry,
        timeout: Optional[Seconds],
        observe: Callable[[float, Optional[str]], None],
    ) -> Iterator[FramedChannel]:
        """Borrow for a ``with`` block. Raises as :meth:`borrow`.

        ``observe(latency_ms, error)`` is told of each call, on the thread that made it. What may
        have left the connection in the middle of something closes it.
        """
        waiter, gate = _waiter(row, None)
        loan: Optional[LentChannel] = None
        sound = over = False
        try:
            try:
                loan = LentChannel(self._obtain(waiter, gate, row, timeout), observe)
                yield loan
                sound = True
            except BaseException as error:
                sound = _is_harmless(error)
                raise
            finally:
                self._end(waiter, loan is not None and _ended(loan) and sound)
                over = True
        finally:
            # The first may have been interrupted, and so may the one who was to begin it.
            if not over:
                if loan is not None:
                    _ended(loan)
                self._end(waiter, False)

    def give_back_oldest(self, dcc_type: str, instance_id: str) -> None:
        """End the calling thread's oldest reservation of an instance, if it has one.

        If not, the oldest of a thread that has ended.
        """
        now = self._clock.monotonic()
        holder = threading.current_thread()
        self._table.give_back_oldest(dcc_type, instance_id, holder, now)
        self._do()

    def size(self, dcc_type: Optional[str] = None) -> int:
        """Return how many connections there are, lent or idle."""
        return self._table.size(dcc_type)

    def in_flight(self, dcc_type: str) -> Dict[str, int]:
        """Return instance id -> how many callers it has right now."""
        return self._table.in_flight(dcc_type)

    def sweep(self) -> int:
        """Close the idle connections that are over their time or dead; return how many.

        One that has not been idle for longer than the sessions' ``heartbeat_interval`` is not
        looked at.
        """
        now = self._clock.monotonic()
        closed = self._table.sweep(now)
        idle = self._table.idle(self._config.session.heartbeat_interval, now)
        closed += self._table.evict([place for place in idle if _is_dead(place.handle)])
        self._do()
        return closed

    def drop(self, dcc_type: str, instance_id: str) -> None:
        """Close everything to one instance, lent or not, and send its waiters away.

        Whoever waits for an answer, or for a connection, gets ServiceNotFound.
        """
        self._table.drop(dcc_type, instance_id, self._clock.monotonic())
        self._do()

    def shut(self) -> None:
        """Close everything, send everybody away with Shutdown, and lend nothing more."""
        self._table.shut()
        self._do()

    def disown(self) -> None:
        """Begin anew in a forked child; the peers of its parent's connections notice nothing."""
        for channel in self._table.disown():
            channel.abandon()

    def _obtain(
        self,
        waiter: Waiter,
        gate: threading.Lock,
        row: ServiceEntry,
        timeout: Optional[Seconds],
    ) -> FramedChannel:
        """Return a live connection on a place that is ``waiter``'s until :meth:`_end`."""
        wait = self._config.pool.acquire_timeout
        if timeout is not None:
            wait = wait_time("timeout", timeout, zero=True)
        self._table.enter(waiter, self._clock.monotonic(), wait > 0)
        self._do()
        place = waiter.place or self._wait(waiter, row, gate, wait)
        channel: Optional[FramedChannel] = place.handle
        if channel is not None and not self._fit(place, channel):
            self._table.renew(place)
            self._do()
            channel = None
        return channel or self._connect(place, row)

    def _end(self, waiter: Waiter, sound: bool) -> None:
        self._table.end(waiter, self._clock.monotonic(), sound)
        self._do()

    def _wait(self, waiter: Waiter, row: ServiceEntry, gate: threading.Lock, wait: float) -> Place:
        if not wait:
            raise PoolExhausted(row.dcc_type, self._config.pool.max_connections_per_type)
        address = row.effective_address()
        # On a host's main thread: whoever has the connections may themselves wait for this thread.
        with blocking((address.host or address.path or "", address.port or 0)):
            left = wait
            while left > 0 and waiter.place is None and waiter.lost is None:
                if gate.acquire(timeout=min(left, _LOOK)):
                    break
                left -= _LOOK
                self._table.reclaim(row.dcc_type, self._clock.monotonic())
                self._do()
        place = self._table.leave(waiter)
        if place is None:
            raise AcquireTimeout(round(wait * 1000), row.dcc_type)
        return place

    def _fit(self, place: Place, channel: FramedChannel) -> bool:
        """Tell whether an idle connection still has its peer at the other end.

        A look at the socket is free and always taken; messages that have come since it was given
        back would be for somebody else. What has been idle for long is asked, if it
        is one of us; a stranger is never sent what the caller has not asked for.
        """
        if not channel.alive() or channel.unread:
            return False
        idle_for = self._clock.monotonic() - place.last_used
        if channel.hello is None or idle_for <= self._config.session.heartbeat_interval:
            return True
        try:
            channel.ping(round(self._config.connect_timeout * 1000))
        except TransportError:
            return False
        return True

    def _connect(self, place: Place, row: ServiceEntry) -> FramedChannel:
        channel: Optional[FramedChannel] = None
        try:
            channel = self._dial(row, self._config.connect_timeout)
            if not self._table.connected(place, channel, self._clock.monotonic()):
                raise (place.lost or Shutdown)()
            return channel
        except BaseException:
            if channel is not None:
                channel.close()
            raise

    def _do(self) -> None:
        """Do what the table has left to do, whoever caused it."""
        table = self._table
        if table.late:
            table.settle(self._clock.monotonic())
        _drain(table.todo.wake, _wake)
        _drain(table.todo.close, _close)


def _waiter(row: ServiceEntry, holder: Optional[threading.Thread]) -> Tuple[Waiter, threading.Lock]:
    # A bare lock is all that is needed to be woken once, and a tenth of the price of an event.
    gate = threading.Lock()
    gate.acquire()
    return Waiter(row.dcc_type, row.instance_id, holder, gate.release), gate


def _drain(queue: Deque[Any], act: Callable[[Any], None]) -> None:
    while queue:
        try:
            first = queue[0]
        except IndexError:
            # Another thread was quicker, here and below.
            return
        # Done before it is crossed out: an interrupt loses nothing, and twice does no harm.
        act(first)
        with suppress(ValueError):
            queue.remove(first)


def _wake(waiter: Waiter) -> None:
    try:
        waiter.wake()
    except RuntimeError:
        # It was released already.
        pass


def _close(closing: Tuple[FramedChannel, Optional[Callable[[], TransportError]]]) -> None:
    channel, lost = closing
    if lost is None:
        channel.close()
    else:
        channel.break_off(lost())


def _is_harmless(error: BaseException) -> bool:
    """Return whether the end of a block by ``error`` says nothing against its connection."""
    if isinstance(error, TransportError):
        return isinstance(error, CallFailed)
    return isinstance(error, Exception)


def _ended(loan: LentChannel) -> bool:
    """End a borrower's use; return whether the connection is as good as before."""
    try:
        return loan.end()
    except Internal:
        # In the middle of a call of this thread's over it.
        return False


def _is_dead(channel: Optional[FramedChannel]) -> bool:
    return channel is not None and not channel.alive()
