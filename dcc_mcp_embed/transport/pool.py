"""Who may use which connection: the pool's decisions, without a socket.

A *place* is room for one connection; each kind of host has ``max_connections_per_type`` of them,
shared by its instances. A place is being connected, leased to a borrower, or idle. Who finds none
waits in line; whenever a place becomes free it goes to the head of the line under the same lock,
so nobody can overtake, and while somebody waits nothing is idle.

Closing sockets and waking waiters is left to the callers, after the lock: what there is to do
stands in ``todo`` until somebody does it. Ctrl-C may end any method here after any step: what a
borrower got is found by its name, whatever it has been told, and every step can be made again.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Deque, Dict, Iterable, List, Optional, Sequence, Tuple

from ..transport_errors import ServiceNotFound, Shutdown
from .config import PoolConfig
from .places import CONNECTING, GONE, IDLE, LEASED, Place, Todo, Waiter
from .reentry import alone

__all__ = ["PoolTable"]

#: Seconds that the end waits for whoever is in the middle of something.
_PATIENCE = 0.3


class PoolTable:
    """All places of one manager and everybody in line. Any thread; ``now`` in seconds.

    ``alive(holder)``: whether a thread that has reserved can still give back. A call in the middle
    of another one of the same thread raises Internal (see ``reentry``), but for :meth:`end`, which
    is kept in mind, and :meth:`shut`.
    """

    def __init__(
        self,
        config: PoolConfig,
        new_id: Callable[[], str],
        alive: Callable[[Any], bool],
    ) -> None:
        self._config = config
        self._new_id = new_id
        self._alive = alive
        #: Whoever has changed something does this; it may be another one's.
        self.todo = Todo(deque(), deque())
        self._begin()
        self._leases = 0
        self._shut = False
        #: It was said in the middle of another change, and is still to be done.
        self._shut_late = False

    def _begin(self) -> None:
        self._lock: Any = threading.RLock()
        self._places: Dict[str, List[Place]] = {}
        self._lines: Dict[str, Deque[Waiter]] = {}
        #: Ends that came in the middle of something: see :meth:`settle`.
        self.late: Deque[Tuple[Waiter, bool]] = deque()

    # -- borrowing ----------------------------------------------------------------------------

    def enter(self, waiter: Waiter, now: float, wait: bool = True) -> None:
        """Give ``waiter`` its place now, or put it in line if it may ``wait``. Raises Shutdown."""
        with alone(self._lock):
            if self._shut:
                raise Shutdown
            waiter.place = self._find(waiter, now)
            if waiter.place is None and self._reclaim(waiter.dcc_type, now):
                waiter.place = self._find(waiter, now)
            if waiter.place is None and wait:
                self._lines.setdefault(waiter.dcc_type, deque()).append(waiter)

    def leave(self, waiter: Waiter) -> Optional[Place]:
        """Stop waiting: return the place that was given meanwhile, or None for good.

        Raises what the wait was ended with.
        """
        with alone(self._lock):
            self._leave_line(waiter)
            lost = waiter.lost or (waiter.place.lost if waiter.place is not None else None)
            if self._shut:
                lost = lost or Shutdown
            if lost is not None:
                raise lost()
            return waiter.place

    def renew(self, place: Place) -> None:
        """Have a leased place connected anew: its connection turned out to be dead."""
        with alone(self._lock):
            if place.state == LEASED:
                self._empty(place)

    def connected(self, place: Place, handle: Any, now: float) -> bool:
        """Lease a new connection to who made it; False if the place was taken away meanwhile."""
        with alone(self._lock):
            if place.state != CONNECTING or self._shut:
                return False
            place.handle = handle
            place.created = now
            assert place.waiter is not None
            self._lease(place, place.waiter)
            return True

    def end(self, waiter: Waiter, now: float, sound: bool) -> None:
        """End the lease, or the wait, of ``waiter``; nothing happens if both are over.

        A connection that is not ``sound`` is not fit for another use, and is given up.
        """
        if self._lock._is_owned():
            self.late.append((waiter, sound))
            return
        with self._lock:
            self._leave_line(waiter)
            for place in list(self._places.get(waiter.dcc_type, ())):
                if place.waiter is waiter:
                    if sound and place.state == LEASED:
                        self._free(place, now)
                    else:
                        self._remove(place)
            # Also if nothing was freed: the same call may have been interrupted before this.
            self._serve(waiter.dcc_type, now)

    def settle(self, now: float) -> None:
        """End what was to be ended in the middle of another change, once that is over."""
        while self.late and not self._lock._is_owned():
            try:
                first = self.late[0]
            except IndexError:
                # Another thread was quicker, here and below.
                break
            waiter, sound = first
            # Done before it is crossed out: an interrupt loses nothing, and twice does no harm.
            self.end(waiter, now, sound)
            with suppress(ValueError):
                self.late.remove(first)
        if self._shut_late and not self._lock._is_owned():
            self.shut()

    def give_back_oldest(self, dcc_type: str, instance_id: str, holder: object, now: float) -> None:
        """End the oldest reservation ``holder`` has for an instance.

        Else the oldest of those whose holders are not alive; else nothing happens.
        """
        with alone(self._lock):
            held = [
                place
                for place in self._reserved(dcc_type)
                if place.state == LEASED and place.instance_id == instance_id
            ]
            own = [place for place in held if _holder(place) == holder]
            found = own or [place for place in held if not self._alive(_holder(place))]
            if found:
                self._free(min(found, key=lambda place: place.leased_at), now)
            self._serve(dcc_type, now)

    def reclaim(self, dcc_type: str, now: float) -> None:
        """Take back what was reserved by threads that have ended; for whoever is in line."""
        with alone(self._lock):
            self._reclaim(dcc_type, now)

    # -- everybody ----------------------------------------------------------------------------

    def size(self, dcc_type: Optional[str] = None) -> int:
        """Return how many connections there are, leased or idle."""
        with alone(self._lock):
            places = self._all() if dcc_type is None else self._places.get(dcc_type, [])
            return sum(place.handle is not None for place in places)

    def in_flight(self, dcc_type: str) -> Dict[str, int]:
        """Return instance id -> how many callers it has right now."""
        counts: Dict[str, int] = {}
        with alone(self._lock):
            for place in self._places.get(dcc_type, ()):
                if place.state != IDLE:
                    counts[place.instance_id] = counts.get(place.instance_id, 0) + 1
        return counts

    def idle(self, longer_than: float, now: float) -> List[Place]:
        """Return the places that have been idle for longer than that."""
        with alone(self._lock):
            return [
                place
                for place in self._all()
                if place.state == IDLE and now - place.last_used > longer_than
            ]

    def evict(self, places: Sequence[Place]) -> int:
        """Give up those of ``places`` that are idle still; return how many."""
        with alone(self._lock):
            return self._evict(places)

    def sweep(self, now: float) -> int:
        """Let time pass: give up what has been idle, or has been there, for too long.

        What threads that have ended had reserved is idle from now on.
        """
        with alone(self._lock):
            for dcc_type in list(self._places):
                self._reclaim(dcc_type, now)
            return self._evict([place for place in self._all() if self._spent(place, now)])

    def drop(self, dcc_type: str, instance_id: str, now: float) -> None:
        """Take away everything of one instance, leased or not: it has left."""
        gone = partial(ServiceNotFound, dcc_type, instance_id)
        with alone(self._lock):
            for place in list(self._places.get(dcc_type, ())):
                if place.instance_id == instance_id:
                    place.lost = gone
                    self._remove(place)
            line = self._lines.get(dcc_type, deque())
            for waiter in [one for one in line if one.instance_id == instance_id]:
                waiter.lost = gone
                line.remove(waiter)
                self.todo.wake.append(waiter)
            self._serve(dcc_type, now)

    def shut(self) -> None:
        """Take away everything and take nothing more; twice is fine.

        What somebody is in the middle of changing, and does not get on with, goes when that ends.
        """
        self._shut = True
        lock = self._lock
        self._shut_late = lock._is_owned() or not lock.acquire(timeout=_PATIENCE)
        if self._shut_late:
            return
        try:
            for place in self._all():
                place.lost = Shutdown
                self._remove(place)
            for line in self._lines.values():
                while line:
                    line[0].lost = Shutdown
                    self.todo.wake.append(line.popleft())
        finally:
            lock.release()

    def disown(self) -> List[Any]:
        """Forget everything, lock and all, and return the handles: a forked child owns nothing."""
        handles = [place.handle for place in self._all() if place.handle is not None]
        handles += [handle for handle, _ in self.todo.close]
        self.todo = Todo(deque(), deque())
        self._begin()
        return handles

    # -- with the lock held -------------------------------------------------------------------

    def _all(self) -> List[Place]:
        return [place for places in self._places.values() for place in places]

    def _reserved(self, dcc_type: str) -> Iterable[Place]:
        return [place for place in self._places.get(dcc_type, ()) if _holder(place) is not None]

    def _find(self, waiter: Waiter, now: float) -> Optional[Place]:
        """Return a place for ``waiter``: an idle one, a new one, another instance's idle one."""
        places = self._places.setdefault(waiter.dcc_type, [])
        idle: List[Place] = []
        own: Optional[Place] = None
        for place in places:
            if place.waiter is waiter:
                # Given by somebody who was interrupted before he could say so.
                return place
            if place.state == IDLE:
                idle.append(place)
                # The one used last: what is not needed at once grows old and goes.
                if place.instance_id == waiter.instance_id:
                    own = place if own is None or place.last_used > own.last_used else own
        if own is not None:
            self._lease(own, waiter)
            if own.handle is None or self._spent(own, now):
                self._empty(own)
            return own
        if len(places) >= self._config.max_connections_per_type:
            if not idle:
                return None
            self._remove(min(idle, key=lambda place: place.last_used))
        fresh = Place(self._new_id(), waiter)
        places.append(fresh)
        return fresh

    def _spent(self, place: Place, now: float) -> bool:
        config = self._config
        return (
            now - place.last_used > config.max_idle_time
            or now - place.created > config.max_lifetime
        )

    def _evict(self, places: Iterable[Place]) -> int:
        idle = [place for place in places if place.state == IDLE]
        for place in idle:
            self._remove(place)
        return len(idle)

    def _reclaim(self, dcc_type: str, now: float) -> bool:
        """Take back what no thread will give back; return whether there was anything."""
        lost = [place for place in self._reserved(dcc_type) if not self._alive(_holder(place))]
        for place in lost:
            if place.state == LEASED:
                # Nobody could say anything over it.
                self._free(place, now)
            else:
                self._remove(place)
        if lost:
            self._serve(dcc_type, now)
        return bool(lost)

    def _lease(self, place: Place, waiter: Waiter) -> None:
        # Its name first: by that it is found again.
        place.waiter = waiter
        place.state = LEASED
        self._leases += 1
        place.leased_at = self._leases

    def _empty(self, place: Place) -> None:
        """Keep the place and its borrower, not the connection."""
        place.state = CONNECTING
        self._close(place)
        place.connection_id = self._new_id()

    def _remove(self, place: Place) -> None:
        self._close(place)
        places = self._places[place.dcc_type]
        if place in places:
            places.remove(place)
        place.state = GONE
        # They would hold each other.
        place.waiter = None

    def _close(self, place: Place) -> None:
        if place.handle is not None:
            self.todo.close.append((place.handle, place.lost))
            place.handle = None

    def _leave_line(self, waiter: Waiter) -> None:
        line = self._lines.get(waiter.dcc_type)
        if line is not None and waiter in line:
            line.remove(waiter)

    def _free(self, place: Place, now: float) -> None:
        """Make a place idle; the line has to be served after that."""
        if self._shut:
            self._remove(place)
            return
        place.last_used = now
        place.state = IDLE
        place.waiter = None

    def _serve(self, dcc_type: str, now: float) -> None:
        """Move the line on as far as there is room."""
        line = self._lines.get(dcc_type)
        while line:
            waiter = line[0]
            waiter.place = waiter.place or self._find(waiter, now)
            if waiter.place is None:
                return
            self.todo.wake.append(line.popleft())


def _holder(place: Place) -> object:
    return place.waiter.holder if place.waiter is not None else None
