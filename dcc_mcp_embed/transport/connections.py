"""The pool as its callers see it: wait for a place, connect, check, lend, take back, close.

What is decided stands in ``pool``; here is what has to be done about it, on the thread of the
caller, who owns a connection from the moment it is lent until it is given back.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, Dict, Iterator, NamedTuple, Optional

from ..clock import Clock
from ..host.guard import blocking
from ..registry.entry import ServiceEntry
from ..transport_errors import AcquireTimeout, CallFailed, PoolExhausted, Shutdown, TransportError
from .config import Seconds, TransportConfig, wait_time
from .pool import Acts, Place, PoolTable, Waiter

if TYPE_CHECKING:
    from .channel import FramedChannel

__all__ = ["Connections", "Lease"]


class Lease(NamedTuple):
    """A connection that the calling thread may use until it gives it back."""

    place: Place
    channel: FramedChannel


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
        self._table = PoolTable(config.pool, clock.uuid)

    def borrow(self, row: ServiceEntry, timeout: Optional[Seconds] = None) -> Lease:
        """Return a live connection to ``row``, waiting in line for at most ``timeout`` seconds.

        The default is ``acquire_timeout``; 0: no waiting. Making a connection takes up to
        ``connect_timeout`` on top. Raises AcquireTimeout, PoolExhausted, WouldDeadlock, what
        connecting raises, and Shutdown or ServiceNotFound when the manager or the instance ends.
        """
        wait = self._config.pool.acquire_timeout
        if timeout is not None:
            wait = wait_time("timeout", timeout, zero=True)
        # A bare lock is all that is needed to be woken once, and a tenth of the price of an event.
        gate = threading.Lock()
        gate.acquire()
        waiter = Waiter(row.dcc_type, row.instance_id, threading.get_ident(), gate.release)
        try:
            self._do(self._table.enter(waiter, self._clock.monotonic(), wait > 0))
            place = waiter.place or self._wait(waiter, row, gate, wait)
            channel: Optional[FramedChannel] = place.handle
            if channel is not None and not self._fit(place, channel):
                self._do(self._table.renew(place))
                channel = None
            if channel is None:
                channel = self._connect(place, row)
            return Lease(place, channel)
        except BaseException:
            self._do(self._table.withdraw(waiter, self._clock.monotonic()))
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
        lease = self.borrow(row, timeout)
        channel = lease.channel
        channel.observer = observe
        sound = False
        try:
            yield channel
            sound = True
        except CallFailed:
            sound = True
            raise
        except TransportError:
            raise
        except Exception:
            sound = True
            raise
        finally:
            self.give_back(lease, sound and not channel.in_flight and channel.alive())

    def give_back(self, lease: Lease, sound: bool = True) -> None:
        """End a lease; a connection that is not ``sound`` is closed."""
        end = self._table.give_back if sound else self._table.discard
        self._do(end(lease.place, self._clock.monotonic()))

    def give_back_oldest(self, dcc_type: str, instance_id: str) -> None:
        """End the calling thread's oldest lease on an instance; nothing happens without one."""
        now = self._clock.monotonic()
        holder = threading.get_ident()
        self._do(self._table.give_back_oldest(dcc_type, instance_id, holder, now))

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
        over = self._table.sweep(now)
        idle = self._table.idle(self._config.session.heartbeat_interval, now)
        dead = self._table.evict([place for place in idle if _is_dead(place.handle)])
        self._do(over)
        self._do(dead)
        return len(over.close) + len(dead.close)

    def drop(self, dcc_type: str, instance_id: str) -> None:
        """Close everything to one instance, lent or not, and send its waiters away."""
        self._do(self._table.drop(dcc_type, instance_id, self._clock.monotonic()))

    def shut(self) -> None:
        """Close everything, send everybody away, and lend nothing more."""
        self._do(self._table.shut())

    def disown(self) -> None:
        """Begin anew in a forked child; the peers of its parent's connections notice nothing."""
        for channel in self._table.disown():
            channel.abandon()

    def _wait(self, waiter: Waiter, row: ServiceEntry, gate: threading.Lock, wait: float) -> Place:
        if not wait:
            raise PoolExhausted(row.dcc_type, self._config.pool.max_connections_per_type)
        address = row.effective_address()
        # On a host's main thread: whoever has the connections may themselves wait for this thread.
        with blocking((address.host or address.path or "", address.port or 0)):
            gate.acquire(timeout=wait)
        place = self._table.leave(waiter)
        if place is None:
            raise AcquireTimeout(round(wait * 1000), row.dcc_type)
        return place

    def _fit(self, place: Place, channel: FramedChannel) -> bool:
        """Tell whether an idle connection still has its peer at the other end.

        A look at the socket is free and always taken. What has been idle for long is asked, if it
        is one of us; a stranger is never sent what the caller has not asked for.
        """
        if not channel.alive():
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
        channel = self._dial(row, self._config.connect_timeout)
        if not self._table.connected(place, channel, self._clock.monotonic()):
            channel.close()
            raise (place.lost or Shutdown)()
        return channel

    def _do(self, acts: Acts) -> None:
        for waiter in acts.wake:
            waiter.wake()
        for channel in acts.close:
            channel.close()


def _is_dead(channel: Optional[FramedChannel]) -> bool:
    return channel is not None and not channel.alive()
