"""Who may use which connection: the pool's decisions, without a socket.

A *place* is room for one connection; each kind of host has ``max_connections_per_type`` of them,
shared by its instances. A place is being connected, leased to a thread, or idle. Who finds none
waits in line; whenever a place becomes free it goes to the head of the line under the same lock,
so nobody can overtake, and while somebody waits nothing is idle. Closing sockets and waking
waiters is left to the caller, after the lock: every change returns what there is to do.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Sequence

from ..transport_errors import ServiceNotFound, Shutdown, TransportError
from .config import PoolConfig

__all__ = ["Acts", "PoolTable", "Place", "Waiter"]

CONNECTING, LEASED, IDLE, GONE = "connecting", "leased", "idle", "gone"


class Place:
    """Room for one connection. ``handle`` is the connection itself, and opaque here.

    ``lost`` makes what to raise for whoever works on it after it was taken away.
    """

    __slots__ = (
        "connection_id",
        "created",
        "dcc_type",
        "handle",
        "holder",
        "instance_id",
        "last_used",
        "leased_at",
        "lost",
        "state",
    )

    def __init__(self, connection_id: str, dcc_type: str, instance_id: str, holder: object) -> None:
        self.connection_id = connection_id
        self.dcc_type = dcc_type
        self.instance_id = instance_id
        self.holder = holder
        self.state = CONNECTING
        self.handle: Any = None
        self.created = self.last_used = 0.0
        #: Counts up from lease to lease: the order in which a thread gives back.
        self.leased_at = 0
        self.lost: Optional[Callable[[], TransportError]] = None


class Waiter:
    """Somebody in line for a connection to one instance. ``wake`` is called once it has moved."""

    __slots__ = ("dcc_type", "holder", "instance_id", "lost", "place", "wake")

    def __init__(
        self, dcc_type: str, instance_id: str, holder: object, wake: Callable[[], Any]
    ) -> None:
        self.dcc_type = dcc_type
        self.instance_id = instance_id
        self.holder = holder
        self.wake = wake
        self.place: Optional[Place] = None
        self.lost: Optional[Callable[[], TransportError]] = None


class Acts(NamedTuple):
    """What a change leaves to do after the lock: handles to close, waiters to wake."""

    close: List[Any]
    wake: List[Waiter]


class PoolTable:
    """All places of one manager and everybody in line. Any thread; ``now`` in seconds."""

    def __init__(self, config: PoolConfig, new_id: Callable[[], str]) -> None:
        self._config = config
        self._new_id = new_id
        self._lock = threading.Lock()
        self._places: Dict[str, List[Place]] = {}
        self._lines: Dict[str, Deque[Waiter]] = {}
        self._leases = 0
        self._shut = False

    # -- borrowing ----------------------------------------------------------------------------

    def enter(self, waiter: Waiter, now: float, wait: bool = True) -> Acts:
        """Give ``waiter`` its place now, or put it in line if it may ``wait``. Raises Shutdown."""
        acts = Acts([], [])
        with self._lock:
            if self._shut:
                raise Shutdown
            waiter.place = self._find(waiter, now, acts)
            if waiter.place is None and wait:
                self._lines.setdefault(waiter.dcc_type, deque()).append(waiter)
        return acts

    def leave(self, waiter: Waiter) -> Optional[Place]:
        """Stop waiting: return the place that was given meanwhile, or None for good.

        Raises what the wait was ended with.
        """
        with self._lock:
            self._leave_line(waiter)
            lost = waiter.lost or (waiter.place.lost if waiter.place is not None else None)
            if lost is not None:
                raise lost()
            return waiter.place

    def withdraw(self, waiter: Waiter, now: float) -> Acts:
        """Leave the line, and give up whatever was given: the caller will not use it."""
        acts = Acts([], [])
        with self._lock:
            self._leave_line(waiter)
            if waiter.place is not None:
                self._give_up(waiter.place, now, acts)
        return acts

    def renew(self, place: Place) -> Acts:
        """Have a leased place connected anew: its connection turned out to be dead."""
        acts = Acts([], [])
        with self._lock:
            if place.state == LEASED:
                self._empty(place, acts)
        return acts

    def connected(self, place: Place, handle: Any, now: float) -> bool:
        """Lease a new connection to who made it; False if the place was taken away meanwhile."""
        with self._lock:
            if place.state != CONNECTING:
                return False
            place.handle = handle
            place.created = now
            self._lease(place, place.holder)
            return True

    def discard(self, place: Place, now: float) -> Acts:
        """Give up a place: its connection is not fit for another use."""
        acts = Acts([], [])
        with self._lock:
            self._give_up(place, now, acts)
        return acts

    def give_back(self, place: Place, now: float) -> Acts:
        """End one lease; nothing happens if it has ended already."""
        acts = Acts([], [])
        with self._lock:
            if place.state == LEASED:
                self._free(place, now, acts)
        return acts

    def give_back_oldest(self, dcc_type: str, instance_id: str, holder: object, now: float) -> Acts:
        """End the oldest lease ``holder`` has on an instance; nothing happens if it has none."""
        acts = Acts([], [])
        with self._lock:
            held = [
                place
                for place in self._places.get(dcc_type, ())
                if place.state == LEASED
                and place.instance_id == instance_id
                and place.holder == holder
            ]
            if held:
                self._free(min(held, key=lambda place: place.leased_at), now, acts)
        return acts

    # -- everybody ----------------------------------------------------------------------------

    def size(self, dcc_type: Optional[str] = None) -> int:
        """Return how many connections there are, leased or idle."""
        with self._lock:
            places = self._all() if dcc_type is None else self._places.get(dcc_type, [])
            return sum(place.handle is not None for place in places)

    def in_flight(self, dcc_type: str) -> Dict[str, int]:
        """Return instance id -> how many callers it has right now."""
        counts: Dict[str, int] = {}
        with self._lock:
            for place in self._places.get(dcc_type, ()):
                if place.state != IDLE:
                    counts[place.instance_id] = counts.get(place.instance_id, 0) + 1
        return counts

    def idle(self, longer_than: float, now: float) -> List[Place]:
        """Return the places that have been idle for longer than that."""
        with self._lock:
            return [
                place
                for place in self._all()
                if place.state == IDLE and now - place.last_used > longer_than
            ]

    def evict(self, places: Sequence[Place]) -> Acts:
        """Give up those of ``places`` that are idle still."""
        acts = Acts([], [])
        with self._lock:
            for place in places:
                if place.state == IDLE:
                    self._remove(place, acts)
        return acts

    def sweep(self, now: float) -> Acts:
        """Let time pass: give up what has been idle, or has been there, for too long."""
        acts = Acts([], [])
        with self._lock:
            for place in self._all():
                if place.state == IDLE and self._spent(place, now):
                    self._remove(place, acts)
        return acts

    def drop(self, dcc_type: str, instance_id: str, now: float) -> Acts:
        """Take away everything of one instance, leased or not: it has left."""
        gone = partial(ServiceNotFound, dcc_type, instance_id)
        acts = Acts([], [])
        with self._lock:
            for place in list(self._places.get(dcc_type, ())):
                if place.instance_id == instance_id:
                    place.lost = gone
                    self._remove(place, acts)
            line = self._lines.get(dcc_type, deque())
            for waiter in [one for one in line if one.instance_id == instance_id]:
                line.remove(waiter)
                waiter.lost = gone
                acts.wake.append(waiter)
            self._serve(dcc_type, now, acts)
        return acts

    def shut(self) -> Acts:
        """Take away everything and take nothing more; twice is fine."""
        acts = Acts([], [])
        with self._lock:
            self._shut = True
            for place in self._all():
                place.lost = Shutdown
                self._remove(place, acts)
            for line in self._lines.values():
                for waiter in line:
                    waiter.lost = Shutdown
                acts.wake.extend(line)
            self._lines.clear()
        return acts

    def disown(self) -> List[Any]:
        """Forget everything, lock and all, and return the handles: a forked child owns nothing."""
        handles = [place.handle for place in self._all() if place.handle is not None]
        self._lock = threading.Lock()
        self._places, self._lines = {}, {}
        return handles

    # -- with the lock held -------------------------------------------------------------------

    def _all(self) -> List[Place]:
        return [place for places in self._places.values() for place in places]

    def _find(self, waiter: Waiter, now: float, acts: Acts) -> Optional[Place]:
        """Return a place for ``waiter``: an idle one, a new one, another instance's idle one."""
        places = self._places.setdefault(waiter.dcc_type, [])
        idle = [place for place in places if place.state == IDLE]
        own = [place for place in idle if place.instance_id == waiter.instance_id]
        if own:
            # The one used last: what is not needed at once grows old and goes.
            place = max(own, key=lambda place: place.last_used)
            self._lease(place, waiter.holder)
            if self._spent(place, now):
                self._empty(place, acts)
            return place
        if len(places) >= self._config.max_connections_per_type:
            if not idle:
                return None
            self._remove(min(idle, key=lambda place: place.last_used), acts)
        place = Place(self._new_id(), waiter.dcc_type, waiter.instance_id, waiter.holder)
        places.append(place)
        return place

    def _spent(self, place: Place, now: float) -> bool:
        config = self._config
        return (
            now - place.last_used > config.max_idle_time
            or now - place.created > config.max_lifetime
        )

    def _lease(self, place: Place, holder: object) -> None:
        self._leases += 1
        place.leased_at = self._leases
        place.holder = holder
        place.state = LEASED

    def _empty(self, place: Place, acts: Acts) -> None:
        """Keep the place and its holder, not the connection."""
        acts.close.append(place.handle)
        place.handle = None
        place.connection_id = self._new_id()
        place.state = CONNECTING

    def _remove(self, place: Place, acts: Acts) -> None:
        self._places[place.dcc_type].remove(place)
        if place.handle is not None:
            acts.close.append(place.handle)
            place.handle = None
        place.state = GONE

    def _leave_line(self, waiter: Waiter) -> None:
        line = self._lines.get(waiter.dcc_type)
        if line is not None and waiter in line:
            line.remove(waiter)

    def _give_up(self, place: Place, now: float, acts: Acts) -> None:
        if place.state != GONE:
            self._remove(place, acts)
            self._serve(place.dcc_type, now, acts)

    def _free(self, place: Place, now: float, acts: Acts) -> None:
        place.state = IDLE
        place.holder = None
        place.last_used = now
        self._serve(place.dcc_type, now, acts)

    def _serve(self, dcc_type: str, now: float, acts: Acts) -> None:
        """Move the line on as far as there is room."""
        line = self._lines.get(dcc_type)
        while line:
            line[0].place = self._find(line[0], now, acts)
            if line[0].place is None:
                return
            acts.wake.append(line.popleft())
