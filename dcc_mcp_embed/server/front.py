"""All connections of one server: how many, whose, and what is behind them. Loop thread only."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Tuple

from ..config import Limits
from ..net.loop import Loop
from ..net.stream import Stream
from ..wire import http1
from .admission import Admission, Refused
from .arrival import Arrival, Speaker
from .connection import AHEAD
from .exchange import JSON, Exchange, problem
from .gateway import share

if TYPE_CHECKING:
    from .http_connection import HttpConnection

__all__ = ["Front"]

#: How long strangers that make room are counted before a line is logged about them, seconds.
_TELL_EVERY = 10.0
#: A stream on which nothing is said gets a sign of life that often, seconds.
KEEP_ALIVE = 25.0


class Front:
    """All connections of one server: quotas, admission, and the handlers. Loop thread.

    ``speakers`` makes a connection for each protocol (see :mod:`.arrival`); a protocol that is not
    among them yet is waited for (:meth:`speak`). ``handlers`` are by path; ``public`` are the paths
    that need no token, with the largest body that is taken there, bytes.
    """

    def __init__(
        self,
        loop: Loop,
        limits: Limits,
        speakers: Dict[str, Speaker],
        admission: Admission,
        handlers: Dict[str, Callable[[Exchange], None]],
        public: Mapping[str, int],
        log: Callable[[str, str], None],
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.speakers = speakers
        self.admission = admission
        self.public = public
        self.log = log
        self._handlers = handlers
        self._connections: Dict[Stream, None] = {}
        # When each came, in that order: the first one is the first to go.
        self._strangers: Dict[Stream, float] = {}
        self._guests: Dict[Stream, None] = {}
        self._refused: Dict[Stream, None] = {}
        # For a protocol that is not spoken yet.
        self._waiting: Dict[Stream, Arrival] = {}
        # Strangers that made room and were not logged yet; None: nobody has for a while.
        self._evicted: Optional[int] = None
        #: Connections whose answer is a stream of events under way.
        self.streaming: Dict[HttpConnection, None] = {}
        self._keeping = False
        self._bodies = 0
        self._done: Optional[Callable[[], None]] = None

    def __len__(self) -> int:
        return len(self._connections)

    def accept(self, sock: socket.socket, peer: Tuple[str, int]) -> None:
        """Take a new connection, or refuse it if there are too many."""
        full = len(self._connections) >= self.limits.connections
        if full:
            # Whoever has just come may be one of ours, and whoever fills all places is not: then
            # the next moment counts for more than the grace of each.
            full = not (self._evict_stranger(0.0) or self._evict_guest())
        elif len(self._strangers) >= self.limits.unauthenticated:
            self._evict_stranger(self.limits.connect_grace)
        if full and len(self._refused) >= self.limits.unauthenticated:
            self._turn_away(sock)
            return
        refusal = _too_many(self.limits.connections) if full else None
        arrival = Arrival(self, sock, peer, refusal)
        if full:
            self._refused[arrival.stream] = None
            return
        self._connections[arrival.stream] = None
        self._strangers[arrival.stream] = arrival.opened

    def speak(self, protocol: str, speaker: Speaker) -> None:
        """Speak another protocol from now on, also with those who wait for it."""
        self.speakers[protocol] = speaker
        waiting, self._waiting = self._waiting, {}
        for arrival in waiting.values():
            arrival.go_on()

    def wait_for_speaker(self, arrival: Arrival) -> None:
        """Have ``arrival`` go on once another protocol is spoken."""
        self._waiting[arrival.stream] = arrival

    def _turn_away(self, sock: socket.socket) -> None:
        """Refuse in words without keeping anything of a connection; best effort."""
        refused = _too_many(self.limits.connections)
        try:
            sock.setblocking(False)
            sock.send(
                http1.response(
                    refused.status, JSON + refused.headers, problem(refused.message), False
                )
            )
            sock.shutdown(socket.SHUT_WR)
            # Closing with a request unread resets the connection, and the words may be lost.
            sock.recv(AHEAD)
        except OSError:
            pass
        finally:
            sock.close()

    def _evict_stranger(self, age: float) -> bool:
        """Drop the oldest connection without a token if it is at least ``age`` seconds old."""
        for stream, opened in self._strangers.items():
            if self.loop.clock.monotonic() - opened < age:
                return False
            self._tell_of_evicted()
            stream.abort()
            return True
        return False

    def _evict_guest(self) -> bool:
        """Drop the connection that has been a guest's for the longest time, if there is one."""
        for stream in self._guests:
            stream.abort()
            return True
        return False

    def _tell_of_evicted(self) -> None:
        """Log the first one, and then how many more there were, once in a while."""
        if self._evicted is not None:
            self._evicted += 1
            return
        self._evicted = 0
        self.log("warning", "a connection without a token made room for another")
        self.loop.call_later(_TELL_EVERY, self._sum_up)

    def _sum_up(self) -> None:
        if self._evicted:
            self.log(
                "warning", "{} more connections without a token made room".format(self._evicted)
            )
            self._evicted = 0
            self.loop.call_later(_TELL_EVERY, self._sum_up)
        else:
            self._evicted = None

    def authenticated(self, stream: Stream, guest: bool) -> Optional[Refused]:
        """Note that the peer has shown a token: it need not make room for others any more.

        A guest has to, for those who are none; return why there is no room for one more of them.
        """
        if not guest:
            self._guests.pop(stream, None)
        elif len(self._guests) >= share(self.limits.connections):
            return _too_many(len(self._guests), " of guests")
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
        for connection in list(self.streaming):
            self.keep_alive_later()
            connection.keep_alive()

    def forget(self, stream: Stream) -> None:
        """Note that a connection is gone."""
        self._connections.pop(stream, None)
        self._strangers.pop(stream, None)
        self._guests.pop(stream, None)
        self._refused.pop(stream, None)
        self._waiting.pop(stream, None)
        self._check_done()

    def handle(self, exchange: Exchange) -> None:
        """Have a request that was let in answered by whoever serves its path."""
        self._handlers[exchange.path](exchange)

    def close(self, done: Callable[[], None]) -> None:
        """End every connection, answers that are under way first; then call ``done`` once."""
        self._done = done
        for stream in self._streams():
            stream.close()
        self._check_done()

    def _check_done(self) -> None:
        done = self._done
        if done is not None and not self._connections and not self._refused:
            self._done = None
            done()

    def abort(self) -> None:
        """End every connection now."""
        for stream in self._streams():
            stream.abort()

    def disown(self) -> None:
        """Close this process's copies of the connections after a fork; they live on elsewhere."""
        for stream in self._streams():
            stream.disown()

    def _streams(self) -> List[Stream]:
        return list(self._connections) + list(self._refused)


def _too_many(count: int, whose: str = "") -> Refused:
    return Refused(
        503,
        "{} connections{} are open already; close some.".format(count, whose),
        (("Retry-After", "1"),),
    )
