"""A non-blocking byte stream over one connected socket. Loop thread only."""

from __future__ import annotations

import errno
import socket
from typing import Optional

from .loop import READ, WRITE, Loop

__all__ = ["SEND_FLAGS", "Protocol", "Stream"]

#: For every ``send``: a peer that has left is an error, never a signal. Python ignores SIGPIPE, but
#: a host may have embedded it without its signal handlers.
SEND_FLAGS: int = getattr(socket, "MSG_NOSIGNAL", 0)

# One read takes at most this much: larger than any request head with a usual body, small enough
# that the buffer the kernel copies into is not a page-fault each time.
_READ_SIZE = 64 * 1024
_GONE = frozenset(
    getattr(errno, name)
    for name in ("ECONNRESET", "EPIPE", "ECONNABORTED", "ENOTCONN", "ESHUTDOWN", "EBADF")
    if hasattr(errno, name)
)


class Protocol:
    """What a stream drives. All on the loop thread; ``connection_lost`` is the last call."""

    def receive_data(self, data: bytes) -> None:
        """Take what the peer sent."""

    def receive_eof(self) -> None:
        """The peer sends no more. The stream stays open for writing."""

    def writable_again(self) -> None:
        """What was written has gone below the high-water mark after having been above it."""

    def connection_lost(self, error: Optional[Exception]) -> None:
        """The stream is closed; ``error`` is None if we closed it or the peer ended it properly."""


class Stream:
    """Read into a protocol; write what it gives, at once if the socket takes it.

    Reading stops by itself while more than ``high_water`` bytes wait to be sent; not with
    ``read_always``: two ends that both did that would wait for each other.
    """

    __slots__ = (
        "_closing",
        "_draining",
        "_events",
        "_high_water",
        "_loop",
        "_out",
        "_paused",
        "_protocol",
        "_read_always",
        "_sock",
        "closed",
    )

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol: Protocol,
        high_water: int = 1024 * 1024,
        read_always: bool = False,
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._protocol = protocol
        self._high_water = high_water
        self._read_always = read_always
        self._out = bytearray()
        self._events = READ
        self._paused = False
        self._closing = False
        self._draining = False
        self.closed = False
        loop.register(sock, READ, self._ready)

    @property
    def unsent(self) -> int:
        """Return how many bytes wait for the peer to read."""
        return len(self._out)

    def hand_over(self, protocol: Protocol) -> None:
        """Drive ``protocol`` from now on instead of the one before."""
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send ``data``; what the socket does not take now is kept and sent later."""
        if self.closed or self._closing:
            return
        out = self._out
        if not out:
            try:
                sent = self._sock.send(data, SEND_FLAGS)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._fail(error)
                return
            if sent == len(data):
                return
            out += memoryview(data)[sent:]
        else:
            out += data
        self._watch()

    def pause_reading(self) -> None:
        """Leave what the peer sends in its own hands until :meth:`resume_reading`."""
        if not self._paused:
            self._paused = True
            self._watch()

    def resume_reading(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            self._watch()

    def look(self) -> None:
        """Take now what has come by now, its end too, if there is anything."""
        if not (self.closed or self._paused):
            self._read()

    def close(self) -> None:
        """Send what is left, then close. Nothing more is read."""
        if self.closed or self._closing:
            return
        self._closing = True
        if self._out:
            self._watch()
        else:
            self._finish(None)

    def close_politely(self) -> None:
        """Send what is left and end our side; drop what the peer still sends until it ends.

        Closing a socket with unread data makes the kernel reset the connection, and the peer may
        lose the very answer that tells it what was wrong. The caller bounds the time with
        :meth:`abort`.
        """
        if self.closed or self._closing or self._draining:
            return
        self._draining = True
        self._paused = False
        if not self._out:
            self._end_writing()
        if not self.closed:
            self._watch()

    def abort(self) -> None:
        """Close now, whatever is left."""
        if not self.closed:
            self._finish(None)

    def disown(self) -> None:
        """Close this process's copy of the socket after a fork. The child's only thread.

        The selector is not told: its kernel object is shared with the parent, which goes on.
        """
        self.closed = True
        self._sock.close()

    # -- inside -------------------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        # First what the peer has said before it left: that may be why it takes no more.
        if events & READ and not self.closed:
            self._read()
        if events & WRITE and not self.closed:
            self._flush()

    def _read(self) -> None:
        try:
            data = self._sock.recv(_READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(error)
            return
        if self._draining:
            if not data:
                self._finish(None)
            return
        if data:
            self._protocol.receive_data(data)
            return
        # A socket at its end stays readable for ever: stop looking at it.
        self._paused = True
        self._watch()
        self._protocol.receive_eof()

    def _flush(self) -> None:
        out = self._out
        above = len(out) > self._high_water
        try:
            while out:
                sent = self._sock.send(memoryview(out)[:262144], SEND_FLAGS)
                del out[:sent]
        except (BlockingIOError, InterruptedError):
            # The rest when the socket takes more.
            pass
        except OSError as error:
            self._fail(error)
            return
        if not out and self._closing:
            self._finish(None)
            return
        if not out and self._draining:
            self._end_writing()
            if self.closed:
                return
        self._watch()
        if above and len(out) <= self._high_water:
            self._protocol.writable_again()

    def _end_writing(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._fail(error)

    def _watch(self) -> None:
        """Ask the selector for exactly what this stream waits for now."""
        if self.closed:
            return
        out = len(self._out)
        events = 0
        if out:
            events |= WRITE
        full = out > self._high_water and not self._read_always
        if self._draining or not (self._paused or self._closing or full):
            events |= READ
        if events == self._events:
            return
        if not events:
            self._loop.unregister(self._sock)
        elif not self._events:
            self._loop.register(self._sock, events, self._ready)
        else:
            self._loop.modify(self._sock, events, self._ready)
        self._events = events

    def _fail(self, error: OSError) -> None:
        self._finish(None if error.errno in _GONE else error)

    def _finish(self, error: Optional[Exception]) -> None:
        self.closed = True
        if self._events:
            self._loop.unregister(self._sock)
            self._events = 0
        self._sock.close()
        self._out = bytearray()
        protocol = self._protocol
        # The protocol holds the stream: no cycle may be left that only a collection would end.
        self._protocol = Protocol()
        protocol.connection_lost(error)
