"""All connections of one server, from their arrival to its end. Loop thread only."""

from __future__ import annotations

import socket
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from ..config import Limits
from ..net.loop import Loop
from ..net.stream import Stream
from ..wire import http1
from .admission import Admission
from .arrival import Arrival, Speaker
from .connection import AHEAD
from .exchange import JSON, Exchange, problem
from .hall import Hall, too_many

__all__ = ["Front"]

#: How long strangers that make room are counted before a line is logged about them, seconds.
_TELL_EVERY = 10.0


class Front(Hall):
    """Let connections in, and out at the end; who they are and what they may, see :class:`.Hall`.

    ``speakers`` makes a connection for each protocol (see :mod:`.arrival`); a protocol that is not
    among them yet is waited for (:meth:`speak`).
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
        super().__init__(loop, limits, admission, handlers, public, log)
        self.speakers = speakers
        # For a protocol that is not spoken yet.
        self._waiting: Dict[Stream, Arrival] = {}
        # Whether strangers are to make room in a moment.
        self._crowded = False
        # Strangers that made room and were not logged yet; None: nobody has for a while.
        self._evicted: Optional[int] = None

    def accept(self, sock: socket.socket, peer: Tuple[str, int]) -> None:
        """Take a new connection, or refuse it if there are too many."""
        full = len(self._connections) >= self.limits.connections
        if full:
            # Whoever has just come may be one of ours, and whoever fills all places is not: then
            # the next moment counts for more than the grace of each.
            full = not (self._evict_stranger() or self._evict_guest())
        elif len(self._strangers) >= self.limits.unauthenticated:
            self._make_room_later()
        if full and len(self._refused) >= self.limits.unauthenticated:
            self._turn_away(sock)
            return
        refusal = too_many(self.limits.connections) if full else None
        arrival = Arrival(self, self._speaker_for, sock, peer, refusal)
        if full:
            self._refused[arrival.stream] = None
            return
        self._connections[arrival.stream] = None
        self._strangers[arrival.stream] = arrival.opened

    def speak(self, protocol: str, speaker: Speaker) -> None:
        """Speak another protocol from now on, also with those who wait for it."""
        self.speakers[protocol] = speaker
        waiting, self._waiting = self._waiting, {}
        now = self.loop.clock.monotonic()
        for stream, arrival in waiting.items():
            if stream in self._strangers:
                # It could not show who it is until now; the first one is the oldest.
                del self._strangers[stream]
                self._strangers[stream] = now
            arrival.go_on()

    def _speaker_for(self, protocol: str, arrival: Arrival) -> Optional[Speaker]:
        """Return who speaks a protocol; None: ``arrival`` goes on once somebody does."""
        speaker = self.speakers.get(protocol)
        if speaker is None:
            self._waiting[arrival.stream] = arrival
        return speaker

    def forget(self, stream: Stream) -> None:
        """Note that a connection is gone."""
        self._waiting.pop(stream, None)
        super().forget(stream)

    def _turn_away(self, sock: socket.socket) -> None:
        """Refuse in words without keeping anything of a connection; best effort."""
        refused = too_many(self.limits.connections)
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

    def _evict_stranger(self) -> bool:
        """Drop the oldest connection without a token, if there is one."""
        for stream in self._strangers:
            self._tell_of_evicted()
            stream.abort()
            return True
        return False

    def _make_room_later(self) -> None:
        """Have strangers make room once everything that has come by now is read.

        Where a host had the interpreter to itself for a while, many may have come and shown their
        token, and nobody has looked yet.
        """
        if not self._crowded:
            self._crowded = True
            before = self.loop.clock.monotonic() - self.limits.connect_grace
            # What comes from those who were let in just now is read in the next turn.
            self.loop.call_soon(self.loop.call_soon, self._make_room, before)

    def _make_room(self, before: float) -> None:
        """Drop strangers that came before a moment, the oldest first, as long as there are many."""
        self._crowded = False
        for stream, opened in list(self._strangers.items()):
            if len(self._strangers) <= self.limits.unauthenticated:
                return
            # Who waits for a protocol that nobody speaks yet cannot show a token.
            if opened <= before and stream not in self._waiting:
                self._tell_of_evicted()
                stream.abort()

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

    def close(self, done: Callable[[], None]) -> None:
        """End every connection, answers that are under way first; then call ``done`` once."""
        self._done = done
        for stream in self._streams():
            stream.close()
        self._check_done()

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
