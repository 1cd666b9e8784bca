"""Where what comes of one message goes: the whole answer, one of a batch, or a stream. Loop thread.

JSON by default; the answer becomes a stream of server-sent events once there is something to say
before it, or at once where the server is told to stream always. In a session of the handshake era
such a stream can be resumed.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..wire import jsonrpc, sse
from ..wire.mcp.machine import Reply
from .channel import Stream
from .exchange import EVENT_STREAM, JSON, Exchange, takes
from .sessions import Session

__all__ = ["Gathered", "Member", "Single", "Sink"]

_EVENTS = "text/event-stream"
#: Bytes of the answers to one batch: more than any single one has.
_MAX_ANSWERS = 4 * 1024 * 1024
_TOO_LARGE = (
    "It was done, but the answers to this batch are larger than 4 MiB together, and this one was "
    "left out; read it by itself"
)


class Sink:
    """Where the outcome of one message goes."""

    headers: Any = ()
    over = False
    #: Whether there is an answer of its own to carry a session id.
    opens_sessions = True
    #: The session that the message belongs to, if it has one.
    session: Optional[Session] = None

    def nothing(self) -> None:
        """Say that the message has arrived: it gets no reply."""
        raise NotImplementedError

    def begin(self) -> None:
        """Note that the reply takes its time, and that no error can have its status any more."""

    def reply(self, reply: Reply) -> None:
        """Send the reply. Nothing else follows."""
        raise NotImplementedError

    def event(self, message: Dict[str, Any]) -> None:
        """Send a notification ahead of the reply, if there is a way and the peer reads."""

    def ask(self, message: Dict[str, Any]) -> bool:
        """Send a request to the client ahead of the reply; return whether there is a way."""
        return False

    def step_out(self) -> None:
        """End the connection's part in a stream that can be resumed, if it is one."""

    def stream(self) -> Optional[Stream]:
        """Return the resumable stream that the answer has become, if it has."""
        return None


class Single(Sink):
    """The message was the whole request. ``always``: the answer is a stream if it can be one."""

    def __init__(
        self, exchange: Exchange, session: Optional[Session] = None, always: bool = False
    ) -> None:
        self._exchange = exchange
        self._always = always
        self._stream: Optional[Stream] = None
        self.session = session

    def nothing(self) -> None:
        self.over = True
        self._exchange.reply(202, (), b"")

    def begin(self) -> None:
        if self._always:
            self._begun()

    def reply(self, reply: Reply) -> None:
        # Before anything is over: what JSON cannot say is not sent.
        body = jsonrpc.encode(reply.message)
        self.over = True
        if self._always and reply.status == 200:
            self._begun()
        if self._stream is not None:
            self._stream.finish(body.decode("ascii"))
        elif self._exchange.streaming:
            self._exchange.end_stream(sse.encode(body.decode("ascii"), event="message"))
        else:
            self._exchange.reply(reply.status, JSON + self.headers, body)

    def event(self, message: Dict[str, Any]) -> None:
        # Progress and the log are about now: for a peer that does not read, none is kept.
        if not self.over and self._begun() and not self._congested():
            self._send(message)

    def ask(self, message: Dict[str, Any]) -> bool:
        if self.over or not self._begun():
            return False
        self._send(message)
        return True

    def step_out(self) -> None:
        if not self.over and self.session is not None and self._begun():
            assert self._stream is not None
            self._stream.step_out()

    def stream(self) -> Optional[Stream]:
        return self._stream

    def _begun(self) -> bool:
        """Return whether the answer is a stream, after making it one if that is possible."""
        if self._stream is not None:
            return True
        exchange = self._exchange
        if not exchange.can_stream:
            return False
        if not exchange.streaming:
            if not takes(exchange.head.headers, _EVENTS):
                return False
            if self.session is not None:
                self._stream = self.session.streams().open(exchange)
            else:
                exchange.begin_stream(EVENT_STREAM + self.headers)
        return True

    def _congested(self) -> bool:
        return (self._stream or self._exchange).congested

    def _send(self, message: Dict[str, Any]) -> None:
        text = jsonrpc.encode(message).decode("ascii")
        if self._stream is not None:
            self._stream.send(text)
        else:
            self._exchange.send(sse.encode(text, event="message"))


class Gathered:
    """The answers of a batch, sent together when the last one is there.

    ``always``: as a stream, an event for each, if the client takes one. ``full``: there was no room
    for one of them.
    """

    def __init__(self, exchange: Exchange, count: int, always: bool = False) -> None:
        self._exchange = exchange
        self._always = always
        self._missing = count
        self._room = _MAX_ANSWERS
        self._texts: List[bytes] = []
        self.full = False

    def arrived(self, message: Optional[Dict[str, Any]]) -> None:
        """Take what came of one message, None for nothing; send all once it was the last."""
        if message is not None:
            self._texts.append(self._fitting(message))
        self._missing -= 1
        if self._missing:
            return
        exchange = self._exchange
        if not self._texts:
            exchange.reply(202, (), b"")
        elif self._always and exchange.can_stream and takes(exchange.head.headers, _EVENTS):
            exchange.begin_stream(EVENT_STREAM)
            exchange.end_stream(
                b"".join(sse.encode(one.decode("ascii"), event="message") for one in self._texts)
            )
        else:
            exchange.reply(200, JSON, b"[" + b",".join(self._texts) + b"]")

    def _fitting(self, message: Dict[str, Any]) -> bytes:
        text = jsonrpc.encode(message)
        if len(text) > self._room:
            self.full = True
            text = jsonrpc.encode(
                jsonrpc.error(message.get("id"), jsonrpc.INTERNAL_ERROR, _TOO_LARGE)
            )
        self._room -= len(text)
        return text


class Member(Sink):
    """The message was one of a batch."""

    opens_sessions = False

    def __init__(self, gathered: Gathered, session: Optional[Session] = None) -> None:
        self._gathered = gathered
        self.session = session

    def nothing(self) -> None:
        self.over = True
        self._gathered.arrived(None)

    def reply(self, reply: Reply) -> None:
        self.over = True
        self._gathered.arrived(reply.message)
