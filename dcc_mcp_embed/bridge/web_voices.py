"""The ways to clients over HTTP: said at the desk, sent on the loop thread."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..net.loop import Loop
from ..server.exchange import EVENT_STREAM, Exchange
from ..server.sessions import Session
from ..server.sinks import Sink
from ..wire import jsonrpc, sse
from ..wire.mcp.machine import Reply
from ..wire.mcp.revisions import http_status
from .voice import Voice, encoded

__all__ = ["Nobody", "SessionVoice", "SinkVoice", "StreamVoice"]

Message = Dict[str, Any]


class Nobody(Voice):
    """No way: of a client without a session nothing is known but its request."""

    def reply(self, message: Message) -> None:
        """Say nothing."""

    def cancelled(self, message: Message) -> None:
        """Say nothing."""

    def tell(self, message: Message) -> None:
        """Say nothing."""

    def offer(self, message: Message) -> None:
        """Say nothing."""

    def ask(self, message: Message) -> bool:
        return False


class SessionVoice(Nobody):
    """The stream on which a session is told things by themselves."""

    def __init__(self, loop: Loop, session: Session) -> None:
        self._loop = loop
        self._session = session

    def tell(self, message: Message) -> None:
        self._loop.call_soon(self._tell, encoded(message).decode("ascii"))

    def offer(self, message: Message) -> None:
        self.tell(message)

    def _tell(self, text: str) -> None:
        channel = self._session.channel
        if channel is not None:
            channel.tell(text)


class SinkVoice(Voice):
    """The answer to one request, and what is said ahead of it.

    ``unasked(id)``, on the loop thread: a request to the client could not be sent.
    """

    def __init__(
        self, loop: Loop, sink: Sink, stateless: bool, unasked: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._sink = sink
        self._stateless = stateless
        self._unasked = unasked

    def reply(self, message: Message) -> None:
        self._loop.call_soon(self._reply, message)

    def cancelled(self, message: Message) -> None:
        """Answer: a request over HTTP has an end, also if nobody waits for it."""
        self.reply(message)

    def tell(self, message: Message) -> None:
        self._loop.call_soon(self._say, message)

    def offer(self, message: Message) -> None:
        self._loop.call_soon(self._sink.event, message)

    def ask(self, message: Message) -> bool:
        self._loop.call_soon(self._ask, message)
        return True

    def _reply(self, message: Message) -> None:
        status = 200
        if self._stateless and "error" in message:
            status = http_status(message["error"]["code"])
        try:
            self._sink.reply(Reply(status, message))
        except (ValueError, RecursionError):
            # It cannot be sent; this says so.
            self._sink.reply(Reply(200, jsonrpc.decode(encoded(message))))

    def _ask(self, message: Message) -> None:
        if not self._say(message):
            self._unasked(message["id"])

    def _say(self, message: Message) -> bool:
        """Send it ahead of the answer, or on the session's own stream, if there is one."""
        if self._sink.ask(message):
            return True
        channel = None if self._sink.session is None else self._sink.session.channel
        if channel is None or not channel.standing.attached:
            return False
        channel.tell(jsonrpc.encode(message).decode("ascii"))
        return True


class StreamVoice(Voice):
    """The stream that the answer to ``subscriptions/listen`` is, once it has begun.

    ``gone()``, on the loop thread: it has ended, whoever ended it; maybe as soon as it begins.
    """

    def __init__(self, loop: Loop, exchange: Exchange, gone: Callable[[], None]) -> None:
        self._loop = loop
        self._exchange = exchange
        self._gone = gone
        exchange.gone = lambda: self._end(b"")

    def begin(self) -> None:
        """Begin the stream. Loop thread."""
        self._exchange.begin_stream(EVENT_STREAM)

    def reply(self, message: Message) -> None:
        self._loop.call_soon(self._end, _event(message))

    def cancelled(self, message: Message) -> None:
        self.reply(message)

    def tell(self, message: Message) -> None:
        self._loop.call_soon(self._tell, _event(message))

    def offer(self, message: Message) -> None:
        self.tell(message)

    def ask(self, message: Message) -> bool:
        return False

    def _tell(self, event: bytes) -> None:
        if self._exchange.congested:
            # It has not read for long; it finds out by itself what is new when it comes back.
            self._end(b"")
        else:
            self._exchange.send(event)

    def _end(self, last: bytes) -> None:
        self._exchange.end_stream(last)
        self._gone()


def _event(message: Message) -> bytes:
    return sse.encode(encoded(message).decode("ascii"), event="message")
