"""One request and its one answer, whatever carries them. Loop thread only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, Optional, Tuple

from ..wire import jsonrpc
from .gateway import Guest

__all__ = ["EVENT_STREAM", "FAILED", "JSON", "Carrier", "Exchange", "Headers", "problem", "takes"]

Headers = Tuple[Tuple[str, str], ...]

JSON = (("Content-Type", "application/json"),)
#: Server-sent events must reach the client as they happen, through whatever stands between.
EVENT_STREAM = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
)
#: Told to whoever has asked for what failed by a defect of ours.
FAILED = "The server failed on this request; see its log."


class Carrier(ABC):
    """What an exchange needs of the connection that it came by."""

    peer: Tuple[str, int]
    opened: float

    @property
    @abstractmethod
    def blocked(self) -> bool:
        """Return whether the peer has to read before it gets more."""

    @abstractmethod
    def finish(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Send the whole answer to ``exchange``."""

    @abstractmethod
    def begin_stream(self, headers: Headers) -> None:
        """Send the beginning of a streamed answer."""

    @abstractmethod
    def send_piece(self, piece: bytes) -> None:
        """Send a piece of a streamed answer."""

    @abstractmethod
    def finish_stream(self, piece: bytes) -> None:
        """Send the end of a streamed answer."""


class Exchange:
    """One request and its one answer. Loop thread.

    ``gone`` is called once if the peer ends its side before the answer.
    """

    __slots__ = ("_connection", "_guest", "_streaming", "body", "gone", "head", "path")

    #: Whether what the body says may be repeated in headers.
    has_headers = True

    def __init__(
        self, connection: Carrier, head: Any, path: str, body: bytes, guest: bool = False
    ) -> None:
        self._connection: Optional[Carrier] = connection
        self._guest = guest
        self._streaming = False
        self.head = head
        self.path = path
        self.body = body
        self.gone: Optional[Callable[[], None]] = None

    @property
    def streaming(self) -> bool:
        """Return whether the answer is a stream that has begun."""
        return self._streaming

    @property
    def peer(self) -> Tuple[str, int]:
        """Return the address at the other end; ("", 0) when it is gone."""
        return self._connection.peer if self._connection is not None else ("", 0)

    @property
    def guest(self) -> bool:
        """Return whether it came through the gateway."""
        return self._guest

    @property
    def origin(self) -> Tuple[Any, ...]:
        """Return what tells this connection from every other one, also from later ones.

        A Guest for whoever came through the gateway.
        """
        connection = self._connection
        found: Tuple[Any, ...] = () if connection is None else (connection.peer, connection.opened)
        return Guest(found) if self._guest else found

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with one complete response; the first answer counts."""
        connection, self._connection = self._connection, None
        self.gone = None
        if connection is not None:
            connection.finish(self, status, headers, body)

    def begin_stream(self, headers: Headers = EVENT_STREAM) -> None:
        """Start an answer that comes in pieces, if the peer can take one (:attr:`can_stream`)."""
        if self._connection is not None and not self._streaming:
            self._streaming = True
            # A stream may stand for days, and what it was asked for has been read.
            self.body = b""
            self._connection.begin_stream(headers)

    @property
    def can_stream(self) -> bool:
        """Return whether the peer is there and can take an answer in pieces (HTTP/1.1)."""
        return self._connection is not None and self.head.version >= 1

    @property
    def congested(self) -> bool:
        """Return whether the peer is so far behind in reading that only the result is worth it."""
        return self._connection is not None and self._connection.blocked

    def send(self, piece: bytes) -> None:
        """Send one piece of a started stream."""
        if self._connection is not None:
            self._connection.send_piece(piece)

    def end_stream(self, piece: bytes) -> None:
        """Send the last piece and end the stream."""
        connection, self._connection = self._connection, None
        self.gone = None
        if connection is not None:
            connection.finish_stream(piece)

    def fail(self, error: Exception, log: Callable[[str, str], None]) -> None:
        """Answer for a handler that has raised ``error``, which is logged.

        A stream that has begun can only be ended. What has been answered stays as it is.
        """
        log("error", "{} {}: {!r}".format(self.head.method, self.path, error))
        if self._streaming:
            self.end_stream(b"")
        else:
            self.reply(500, JSON, problem(FAILED))

    def peer_left(self) -> None:
        """Tell whoever works on the answer that nobody may be waiting for it."""
        gone, self.gone = self.gone, None
        if gone is not None:
            gone()

    def lose(self) -> None:
        """Tell it that nothing can be answered any more."""
        self._connection = None
        self.peer_left()


def problem(message: str) -> bytes:
    """Return the JSON body of an answer that is not MCP's own."""
    return jsonrpc.encode({"error": message})


#: What nearly every client sends: both kinds that there are.
_BOTH = ("application/json, text/event-stream", "text/event-stream, application/json", "*/*")


def takes(headers: Any, kind: str) -> bool:
    """Return whether the Accept header, if there is one, allows an answer of this media type."""
    accept = headers.get("accept")
    if accept is None or accept in _BOTH:
        return True
    allowed = (kind, kind.partition("/")[0] + "/*", "*/*", "")
    return any(item.partition(";")[0].strip().lower() in allowed for item in accept.split(","))
