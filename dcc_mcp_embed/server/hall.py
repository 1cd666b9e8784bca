"""Where connections are: what they share, and how much of everything they may have together.

Loop thread only. :mod:`.front` lets them in and out.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

from ..config import Limits
from ..net.loop import Loop
from ..net.stream import Stream
from .admission import Admission, Refused
from .exchange import Exchange
from .gateway import share

__all__ = ["Hall", "too_many"]

#: A stream on which nothing is said gets a sign of life that often, seconds.
KEEP_ALIVE = 25.0


class Hall:
    """Count connections and what they have under way; hand their requests on. Loop thread.

    ``handlers`` are by path; ``public`` are the paths that need no token, with the largest body
    that is taken there, bytes.
    """

    def __init__(
        self,
        loop: Loop,
        limits: Limits,
        admission: Admission,
        handlers: Dict[str, Callable[[Exchange], None]],
        public: Mapping[str, int],
        log: Callable[[str, str], None],
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.admission = admission
        self.public = public
        self.log = log
        self._handlers = handlers
        self._connections: Dict[Stream, None] = {}
        # When each came, in that order: the first one is the first to go.
        self._strangers: Dict[Stream, float] = {}
        self._guests: Dict[Stream, None] = {}
        self._refused: Dict[Stream, None] = {}
        #: Connection whose answer is a stream of events under way -> what sends a sign of life.
        self.streaming: Dict[Any, Callable[[], None]] = {}
        self._keeping = False
        self._bodies = 0
        self._done: Optional[Callable[[], None]] = None

    def __len__(self) -> int:
        return len(self._connections)

    def authenticated(self, stream: Stream, guest: bool) -> Optional[Refused]:
        """Note that the peer has shown a token: it need not make room for others any more.

        A guest has to, for those who are none; return why there is no room for one more of them.
        """
        if not guest:
            self._guests.pop(stream, None)
        elif len(self._guests) >= share(self.limits.connections):
            return too_many(len(self._guests), " of guests")
        else:
            self._guests[stream] = None
        self._strangers.pop(stream, None)
        return None

    def make_room(self, size: int, guest: bool) -> Optional[Refused]:
        """Count ``size`` bytes of bodies under way, or return why there is no room for them.

        Those of guests are taken only while there is room left for others.
        """
        allowed = self.limits.bodies_in_flight
        if guest:
            allowed = share(allowed)
        if self._bodies + size > allowed:
            return Refused(
                503,
                "Large requests of others are still being sent ({} MiB are taken at a time); "
                "try again in a moment, or send less at once.".format(allowed // (1024 * 1024)),
                (("Retry-After", "1"),),
            )
        self._bodies += size
        return None

    def free_room(self, size: int) -> None:
        """Undo what :meth:`make_room` has counted."""
        self._bodies -= size

    def relieve(self) -> None:
        """Drop whoever is furthest behind in reading, while too much is unsent altogether.

        A guest is as far behind with a quarter of the bytes.
        """

        def behind(stream: Stream) -> int:
            return stream.unsent * (4 if stream in self._guests else 1)

        while sum(stream.unsent for stream in self._connections) > self.limits.unsent:
            last = max(self._connections, key=behind)
            self.log("warning", "a client that has {} bytes to read is dropped".format(last.unsent))
            last.abort()

    def keep_alive_later(self) -> None:
        """See to it that streams show a sign of life now and then, for as long as there are any."""
        if not self._keeping:
            self._keeping = True
            self.loop.call_later(KEEP_ALIVE, self._keep_alive)

    def _keep_alive(self) -> None:
        self._keeping = False
        for show_life in list(self.streaming.values()):
            self.keep_alive_later()
            show_life()

    def forget(self, stream: Stream) -> None:
        """Note that a connection is gone."""
        self._connections.pop(stream, None)
        self._strangers.pop(stream, None)
        self._guests.pop(stream, None)
        self._refused.pop(stream, None)
        self._check_done()

    def handle(self, exchange: Exchange) -> None:
        """Have a request that was let in answered by whoever serves its path."""
        self._handlers[exchange.path](exchange)

    def _check_done(self) -> None:
        done = self._done
        if done is not None and not self._connections and not self._refused:
            self._done = None
            done()


def too_many(count: int, whose: str = "") -> Refused:
    """Return the refusal of one who finds ``count`` connections; ``whose``: of whom they are."""
    return Refused(
        503,
        "{} connections{} are open already; close some.".format(count, whose),
        (("Retry-After", "1"),),
    )
