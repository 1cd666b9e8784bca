"""A new connection until its first byte says what it speaks. Loop thread only.

One port serves both protocols. A request line begins with a letter; a frame begins with its length,
whose first byte is at most 0x10 up to the limit of 256 MiB. Nothing is both, and whatever is
neither (TLS begins with 0x16) is not answered: nobody knows in what words.
"""

from __future__ import annotations

import socket
from typing import Callable, Dict, Optional, Tuple

from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from .admission import Refused
from .connection import Connection
from .hall import Hall

__all__ = ["FRAMED", "HTTP", "Arrival", "Speaker"]

HTTP = "http"
FRAMED = "framed"

#: First byte -> what such a connection speaks.
_SPOKEN: Dict[int, str] = dict.fromkeys(range(0x11), FRAMED)
_SPOKEN.update(dict.fromkeys(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", HTTP))

#: Makes the connection once it is known what it speaks.
Speaker = Callable[[Hall, Stream, Tuple[str, int], float], Connection]


class Arrival(Protocol):
    """Wait for the first byte, then leave the stream to a connection that understands it.

    ``find(protocol, arrival)`` returns who makes that connection; None if nobody does yet, and then
    it calls :meth:`go_on` later: the framed protocol is loaded when the server runs already, and
    who comes before that waits a moment. ``refusal``: why this peer is not served; it is told so
    once it is known how.
    """

    def __init__(
        self,
        hall: Hall,
        find: Callable[[str, Arrival], Optional[Speaker]],
        sock: socket.socket,
        peer: Tuple[str, int],
        refusal: Optional[Refused] = None,
    ) -> None:
        self._hall = hall
        self._find = find
        self._peer = peer
        self._refusal = refusal
        self._data = b""
        limits = hall.limits
        self.opened: float = hall.loop.clock.monotonic()
        self.stream: Stream = Stream(hall.loop, sock, self, limits.high_water)
        patience = limits.head_timeout if refusal is None else limits.linger
        self._timer: Timer = hall.loop.call_at(self.opened + patience, self.stream.close)

    def receive_data(self, data: bytes) -> None:
        self._data = data
        self.go_on()

    def go_on(self) -> None:
        """Leave the stream to whoever understands the first byte, if there is somebody already."""
        stream, data = self.stream, self._data
        protocol = _SPOKEN.get(data[0])
        if stream.closed or protocol is None:
            stream.close()
            return
        speaker = self._find(protocol, self)
        if speaker is None:
            stream.pause_reading()
            return
        self._timer.cancel()
        stream.resume_reading()
        connection = speaker(self._hall, stream, self._peer, self.opened)
        stream.hand_over(connection)
        if self._refusal is None:
            connection.receive_data(data)
        else:
            connection.refuse(self._refusal)

    def receive_eof(self) -> None:
        self.stream.close()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._timer.cancel()
        self._hall.forget(self.stream)
