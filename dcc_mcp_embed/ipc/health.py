"""Whether a client of a SocketServer is still there: it is pinged, and has to say something."""

from __future__ import annotations

from typing import Callable, Optional

from ..net.loop import Loop
from ..rpc.peer import Peer
from ..rpc.pending import Probe

__all__ = ["Health"]

#: The part of an interval in which a client has to answer: one that is gone since just after its
#: last answer is dropped within two intervals.
_ANSWER_PART = 0.75


class Health:
    """One client's, from the end of its hello on. Loop thread.

    ``say()`` sends what the ``peer`` has to send; ``gone(seconds)``: it was silent for so long,
    although it was pinged. ``heard``: set whenever it says anything.
    """

    def __init__(
        self,
        loop: Loop,
        interval: float,
        peer: Peer,
        say: Callable[[], None],
        gone: Callable[[float], None],
    ) -> None:
        self._loop = loop
        self._interval = interval
        self._peer = peer
        self._say = say
        self._gone = gone
        self._probe: Optional[Probe] = None
        self._timer = loop.call_later(interval, self._ping)
        self.heard = False

    def stop(self) -> None:
        """Ask no more; idempotent."""
        self._timer.cancel()

    def answered(self, probe: Probe) -> None:
        """Take the answer to a ping."""
        if probe is self._probe:
            self._probe = None

    def _ping(self) -> None:
        self.heard = False
        self._probe = self._peer.ping()
        self._timer = self._loop.call_later(self._interval * _ANSWER_PART, self._look)
        self._say()

    def _look(self) -> None:
        """Drop the client if it has said nothing since the ping; else ping it again in time."""
        if self._probe is not None:
            if not self.heard:
                self._gone(self._interval * _ANSWER_PART)
                return
            self._peer.abandon(self._probe)
            self._probe = None
        self._timer = self._loop.call_later(self._interval * (1.0 - _ANSWER_PART), self._ping)
