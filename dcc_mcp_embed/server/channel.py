"""The streams of one session, over whichever connections its client has right now. Loop thread.

A session has one *standing* stream (``GET /mcp``), on which the server speaks by itself, and one
for each call whose answer became a stream. Every event has an id, so that a client whose
connection broke goes on where it was: ``GET /mcp`` with ``Last-Event-ID``.
"""

from __future__ import annotations

from typing import Callable, Dict, Optional, Tuple

from ..wire import sse
from .exchange import EVENT_STREAM, Exchange
from .replays import Replays

__all__ = ["RETRY_MS", "STANDING", "Channel", "Stream"]

#: How long a client is to wait before it comes back for a stream that ended under it.
RETRY_MS = 1000
#: The first revision whose clients take an event without data, which only brings its id.
_PRIMED = "2025-11-25"
#: The number of a session's standing stream.
STANDING = 0


class Stream:
    """One stream of a session. ``left()`` is called when its connection goes before its end."""

    __slots__ = ("_channel", "_exchange", "left", "number", "over")

    def __init__(self, channel: Channel, number: int) -> None:
        # None once the session is over: then there is nothing to be sent or kept.
        self._channel: Optional[Channel] = channel
        self._exchange: Optional[Exchange] = None
        self.left: Optional[Callable[[], None]] = None
        self.number = number
        #: Its last event has been sent, or kept.
        self.over = False

    @property
    def attached(self) -> bool:
        """Return whether there is a connection for it now."""
        return self._exchange is not None

    @property
    def congested(self) -> bool:
        """Return whether its peer is far behind in reading."""
        return self._exchange is not None and self._exchange.congested

    def attach(self, exchange: Exchange, after: Optional[int] = None) -> None:
        """Have it carried by ``exchange`` from now on, in place of the one before.

        ``after`` is the number of the last event that the client has; None for a new stream.
        """
        channel = self._channel
        assert channel is not None
        self.let_go()
        # Before anything is sent: that may find the peer gone, or drop one that has much to read.
        self._exchange = exchange
        exchange.gone = self._gone
        exchange.begin_stream(EVENT_STREAM)
        if after is None:
            if channel.version >= _PRIMED:
                exchange.send(sse.encode("", id=channel.next_id(self.number)[1], retry=RETRY_MS))
        else:
            for event in channel.replays.after(channel.session_id, self.number, after):
                exchange.send(event)
        if self.over:
            self.let_go()

    def step_out(self) -> None:
        """Have the client come back for the rest, if its revision lets the server do so."""
        if self._channel is not None and self._channel.version >= _PRIMED:
            self.let_go()

    def let_go(self) -> None:
        """End the connection's part in it; the client may come back for the rest."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end_stream(b"")

    def send(self, message: str) -> None:
        """Send one message, or keep it for when the client comes back."""
        channel = self._channel
        if channel is not None:
            event = self._event(channel, message)
            if self._exchange is not None:
                self._exchange.send(event)

    def finish(self, message: str) -> None:
        """Send the last message, or keep it for when the client comes back."""
        self.over = True
        channel, self._channel = self._channel, None
        if channel is None:
            return
        channel.ended(self)
        event = self._event(channel, message)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end_stream(event)

    def close(self) -> None:
        """End it for good: the session is over."""
        self.let_go()
        self.over = True
        # Its channel holds it, and nothing may be left that only a collection would end.
        self._channel = self.left = None

    def _event(self, channel: Channel, message: str) -> bytes:
        number, ident = channel.next_id(self.number)
        event = sse.encode(message, event="message", id=ident)
        if not channel.closed:
            # Else the session was ended before its call began to speak: nobody can come back.
            channel.replays.add(channel.session_id, self.number, number, event)
        return event

    def _gone(self) -> None:
        self.let_go()
        if self.left is not None:
            self.left()


class Channel:
    """All streams of one session. ``epoch`` tells its event ids from those of an earlier process.

    ``version`` is the session's revision.
    """

    def __init__(self, session_id: str, version: str, epoch: str, replays: Replays) -> None:
        self.session_id = session_id
        self.version = version
        self.replays = replays
        self._epoch = epoch
        self._number = 0
        self._streams = 0
        self._open: Dict[int, Stream] = {}
        # Whether its client has ever asked for the standing stream: others never come back for it.
        self._listened = False
        self.closed = False
        self.standing: Stream = Stream(self, STANDING)

    @property
    def attached(self) -> bool:
        """Return whether there is a connection for any of them now."""
        return self.standing.attached or any(one.attached for one in self._open.values())

    def next_id(self, stream: int) -> Tuple[int, str]:
        """Return the next event's number and its id."""
        self._number += 1
        return self._number, "{}-{}-{}".format(self._epoch, stream, self._number)

    def open(self, exchange: Exchange) -> Stream:
        """Begin the stream of one call on the exchange that asked for it."""
        self._streams += 1
        stream = self._open[self._streams] = Stream(self, self._streams)
        stream.attach(exchange)
        return stream

    def ended(self, stream: Stream) -> None:
        """Note that a call's stream has had its last event; that can be fetched still."""
        self._open.pop(stream.number, None)

    def listen(self, exchange: Exchange, last: Optional[str]) -> None:
        """Serve ``GET``: the stream to which the event ``last`` belongs, else the standing one."""
        number, after = self._parse(last)
        if number == STANDING:
            self._listened = True
            self.standing.attach(exchange, after)
            return
        stream = self._open.get(number)
        if stream is None:
            stream = Stream(self, number)
            stream.over = True
        stream.attach(exchange, after)

    def tell(self, message: str) -> None:
        """Send a message of the server's own: on the standing stream, if the client ever listened.

        One that does not read any more loses the stream; it can come back for what it missed.
        """
        standing = self.standing
        if self.closed or not self._listened:
            return
        if standing.congested:
            standing.let_go()
        standing.send(message)

    def close(self) -> None:
        """End every stream: the session is over."""
        self.closed = True
        for stream in [self.standing, *self._open.values()]:
            stream.close()
        self._open.clear()
        self.replays.forget(self.session_id)

    def _parse(self, last: Optional[str]) -> Tuple[int, Optional[int]]:
        """Return the stream and number of an event id; those of a stranger mean a new stream."""
        parts = (last or "").split("-")
        if len(parts) != 3 or parts[0] != self._epoch:
            return STANDING, None
        numbers = [int(one) if one.isdecimal() and len(one) < 16 else -1 for one in parts[1:]]
        if not (0 <= numbers[0] <= self._streams and 0 <= numbers[1] <= self._number):
            return STANDING, None
        return numbers[0], numbers[1]
