"""What every connection has, whatever it speaks: a stream, deadlines, a share of the quotas.

Loop thread only. A subclass turns bytes into requests; see :mod:`.http_connection` and
:mod:`.framed_connection`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Optional, Tuple

from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from .admission import Refused

if TYPE_CHECKING:
    from .hall import Hall

__all__ = ["AHEAD", "Connection"]

#: Past this much sent ahead of an unanswered request a peer is not read any more, bytes.
AHEAD = 64 * 1024


class Connection(Protocol, ABC):
    """Keep one peer within its limits. The stream has been opened by :class:`.arrival.Arrival`.

    ``peer`` is the address at the other end, ``opened`` when it came.
    """

    def __init__(self, front: Hall, stream: Stream, peer: Tuple[str, int], opened: float) -> None:
        self._front = front
        self.stream: Stream = stream
        self.peer: Tuple[str, int] = peer
        self.opened: float = opened
        self.authenticated = False
        self._as_guest = False
        self._ending = False
        self._eof = False
        self._room = 0
        self._timer: Optional[Timer] = None
        self._deadline: Optional[float] = None

    @property
    def blocked(self) -> bool:
        """Return whether the peer has to read before it gets more."""
        return self.stream.unsent > self._front.limits.high_water

    # -- for subclasses to say ----------------------------------------------------------------

    @abstractmethod
    def refuse(self, refused: Refused) -> None:
        """Tell the peer why it is not served, in its own tongue, and end the connection."""

    @abstractmethod
    def overdue(self) -> None:
        """The deadline has passed, and the peer reads what it is sent."""

    def drop_input(self) -> None:
        """Let go of what has come and is not served: the connection ends."""

    def lost(self) -> None:
        """Nothing can be answered any more."""

    # -- in and out ---------------------------------------------------------------------------

    def authenticate(self, guest: bool = False) -> Optional[Refused]:
        """Count the peer as one of ours from now on, or as a guest; return why not, if it is not.

        Who was one of ours is no guest any more.
        """
        if self.authenticated and (guest or not self._as_guest):
            return None
        refused = self._front.authenticated(self.stream, guest)
        if refused is None:
            self.authenticated, self._as_guest = True, guest
        return refused

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._ending = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.free_room()
        self._front.forget(self.stream)
        self.lost()

    def end_politely(self) -> None:
        """End our side; give the peer a moment to read the answer and stop sending."""
        if self._ending:
            return
        self._ending = True
        self.drop_input()
        self.free_room()
        if self._eof:
            self.stream.close()
            return
        self.arm(self._front.limits.linger)
        self.stream.close_politely()

    # -- large requests -----------------------------------------------------------------------

    def make_room(self, size: int) -> Optional[Refused]:
        """Have ``size`` bytes of one request counted; return why that is too much, if it is."""
        more = size - AHEAD - self._room
        if more > 0:
            refused = self._front.make_room(more, self._as_guest)
            if refused is not None:
                return refused
            self._room += more
        return None

    def free_room(self) -> None:
        """Give back what was counted: the request is complete, or not wanted."""
        if self._room:
            self._front.free_room(self._room)
            self._room = 0

    # -- deadlines ----------------------------------------------------------------------------

    def patience(self) -> float:
        """Return how long the peer may be silent between two requests, seconds."""
        limits = self._front.limits
        return limits.idle_timeout if self.authenticated else limits.head_timeout

    def arm(self, delay: float) -> None:
        """Set the deadline, ``delay`` seconds from now, in place of the one before."""
        loop = self._front.loop
        when = loop.clock.monotonic() + delay
        self._deadline = when
        timer = self._timer
        # Mostly the deadline moves away from us: then the timer that is set finds out by itself.
        if timer is None or timer.when > when:
            if timer is not None:
                timer.cancel()
            self._timer = loop.call_at(when, self._tick)

    def disarm(self) -> None:
        """Wait for as long as it takes."""
        self._deadline = None

    def _tick(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        now = self._front.loop.clock.monotonic()
        if now < self._deadline:
            self._timer = self._front.loop.call_at(self._deadline, self._tick)
        elif self._ending or self.blocked:
            # A peer that does not read would not read a farewell either, and until it did, all it
            # goes on sending would be read and dropped.
            self.stream.abort()
        else:
            self.overdue()
