"""A new connection until its first byte says what it speaks. Loop thread only.

One port serves both protocols. A request line begins with a letter; a frame begins with its length,
whose first byte is at most 0x10 up to the limit of 256 MiB. Nothing is both, and whatever is
neither (TLS begins with 0x16) is not answered: nobody knows in what words.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Callable, Dict, Optional, Tuple

from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from .admission import Refused
from .connection import Connection

if TYPE_CHECKING:
    from .front import Front

__all__ = ["FRAMED", "HTTP", "Arrival", "Speaker"]

HTTP = "http"
FRAMED = "framed"

#: First byte -> what such a connection speaks.
_SPOKEN: Dict[int, str] = dict.fromkeys(range(0x11), FRAMED)
_SPOKEN.update(dict.fromkeys(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", HTTP))

#: Makes the connection once it is known what it speaks.
Speaker = Callable[["Front", Stream, Tuple[str, int], float], Connection]


class Arrival(Protocol):
    """Wait for the first byte, then leave the stream to a connection that understands it.

    ``refusal``: why this peer is not served; it is told so once it is known how. The framed
    protocol is loaded when the server runs already: who comes before that waits a moment.
    """

    def __init__(
        self,
        front: Front,
        sock: socket.socket,
        peer: Tuple[str, int],
        refusal: Optional[Refused] = None,
    ) -> None:
        self._front = front
        self._peer = peer
        self._refusal = refusal
        self._data = b""
        limits = front.limits
        self.opened: float = front.loop.clock.monotonic()
        self.stream: Stream = Stream(front.loop, sock, self, limits.high_water)
        patience = limits.head_timeout if refusal is None else limits.linger
        self._timer: Timer = front.loop.call_at(self.opened + patience, self.stream.close)

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
        speaker = self._front.speakers.get(protocol)
        if speaker is None:
            stream.pause_reading()
            self._front.wait_for_speaker(self)
            return
        self._timer.cancel()
        stream.resume_reading()
        connection = speaker(self._front, stream, self._peer, self.opened)
        stream.hand_over(connection)
        if self._refusal is None:
            connection.receive_data(data)
        else:
            connection.refuse(self._refusal)

    def receive_eof(self) -> None:
        self.stream.close()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._timer.cancel()
        self._front.forget(self.stream)
