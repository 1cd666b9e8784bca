"""Responses as our own client reads them: one at a time, as strictly as requests."""

from __future__ import annotations

import re
from typing import Any, Callable, Optional, Union

from ...errors import RemoteProtocolError
from ...records import NamedTuple
from ..buffer import ReceiveBuffer
from .bodies import ChunkedReader
from .grammar import (
    CLOSED,
    HEAD_END,
    MAX_LINE,
    Closed,
    Malformed,
    body_length,
    check_start,
    parse_fields,
    split_lines,
)
from .headers import Headers

__all__ = ["Data", "End", "Failure", "ResponseHead", "ResponseParser"]

_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([^\r\n]*))?")
_START = b"HTTP/1."
_NO_RESPONSE = "the first line is not that of an HTTP/1.1 response"
# Long enough that the loop of a caller that reads, then takes, never meets it.
_MAX_UNREAD = 16 * 1024 * 1024


class ResponseHead(NamedTuple):
    """The first event of a response. ``version`` is the minor one: 0 or 1."""

    status: int
    reason: str
    version: int
    headers: Headers
    keep_alive: bool


class Data(NamedTuple):
    """A piece of the body, never empty."""

    data: bytes


class End(NamedTuple):
    """The response is complete."""


class Failure(NamedTuple):
    """The server broke the protocol or the connection; it cannot be used any more."""

    reason: str


ResponseEvent = Union[ResponseHead, Data, End, Failure, Closed, None]


class ResponseParser:
    """Turn the bytes of one connection into a response; the next one is for another parser.

    ``method`` is that of the request: an answer to HEAD has no body. Interim responses (1xx) are
    skipped. ``max_body`` in bytes, None for no limit (the pieces are handed out as they come).
    """

    __slots__ = (
        "_buffer",
        "_chunks",
        "_eof",
        "_keep_alive",
        "_left",
        "_max_body",
        "_max_head",
        "_max_line",
        "_method",
        "_overflow",
        "_searched",
        "_step",
    )

    def __init__(
        self, max_head: int = 16384, max_body: Optional[int] = None, method: str = "GET"
    ) -> None:
        self._max_head = max_head
        self._max_line = min(MAX_LINE, max_head)
        self._max_body = max_body
        self._method = method
        self._buffer = ReceiveBuffer(max_head + _MAX_UNREAD)
        self._eof = False
        self._overflow = ""
        self._searched = 0
        self._keep_alive = False
        self._left = 0
        self._chunks: Optional[ChunkedReader] = None
        self._step: Callable[[Any], ResponseEvent] = ResponseParser._read_head

    # -- in -----------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take what the server sent; dropped after a :class:`Failure`."""
        if self._step is _failed or self._overflow:
            return
        try:
            self._buffer.feed(data)
        except RemoteProtocolError as error:
            self._overflow = str(error)
            self._buffer.clear()

    def receive_eof(self) -> None:
        """Note that the server sends no more; it may be the end of the body."""
        self._eof = True

    # -- out ----------------------------------------------------------------------------------

    def next_event(self) -> ResponseEvent:
        """Return the next event, None to ask for more bytes, :data:`CLOSED` when there is no more.

        The events of a response: one ResponseHead, any number of Data, End. A Failure may come
        instead of any of them and is the last.
        """
        if self._overflow:
            reason, self._overflow = self._overflow, ""
            return self._fail(reason)
        try:
            return self._step(self)
        except Malformed as error:
            return self._fail(error.reason)

    @property
    def buffered(self) -> int:
        """Return how many bytes wait for :meth:`next_event`."""
        return len(self._buffer)

    # -- steps --------------------------------------------------------------------------------

    def _read_head(self) -> ResponseEvent:
        buffer = self._buffer
        while True:
            end = buffer.find(HEAD_END, self._max_head)
            if end < 0:
                window = buffer.peek(self._max_head)
                if not window.startswith(_START[: len(window)]):
                    # Whoever speaks another language may wait for an answer.
                    raise Malformed(502, _NO_RESPONSE)
                check_start(window, self._searched, self._max_line, self._max_head)
                self._searched = len(window)
                if not self._eof:
                    return None
                if window:
                    return self._fail("the connection ended inside the head of the response")
                return self._fail("the connection ended before a response came")
            self._searched = 0
            head = self._parse(buffer.take(end + 4))
            if head is not None:
                return head

    def _parse(self, block: bytes) -> Optional[ResponseHead]:
        lines = split_lines(block, self._max_line)
        match = _LINE.fullmatch(lines[0])
        if match is None:
            raise Malformed(502, _NO_RESPONSE)
        version, status = int(match.group(1)), int(match.group(2))
        headers = parse_fields(lines)
        if status < 200:
            if status == 101:
                raise Malformed(502, "the server switches to a protocol nobody asked for")
            return None
        length = body_length(headers, version)
        if self._method == "HEAD" or status in (204, 304):
            length = 0
        options = headers.tokens("connection")
        self._keep_alive = "close" not in options and (bool(version) or "keep-alive" in options)
        if length is None:
            self._keep_alive = False
            self._left = -1 if self._max_body is None else self._max_body
            self._step = ResponseParser._read_to_end
        elif length < 0:
            self._chunks = ChunkedReader(self._max_body, self._max_head)
            self._step = ResponseParser._read_chunks
        elif self._max_body is not None and length > self._max_body:
            raise self._too_long()
        else:
            self._left = length
            self._step = ResponseParser._read_counted
        return ResponseHead(status, match.group(3) or "", version, headers, self._keep_alive)

    def _read_counted(self) -> ResponseEvent:
        if not self._left:
            return self._end()
        if self._buffer:
            data = self._buffer.take(self._left)
            self._left -= len(data)
            return Data(data)
        if self._eof:
            return self._fail("the connection ended before the whole body came")
        return None

    def _read_chunks(self) -> ResponseEvent:
        assert self._chunks is not None
        data = bytearray()
        done = self._chunks.read(self._buffer, data)
        if done:
            self._step = ResponseParser._end
        if data:
            return Data(bytes(data))
        if done:
            return self._end()
        if self._eof:
            return self._fail("the connection ended before the last chunk")
        return None

    def _read_to_end(self) -> ResponseEvent:
        if self._buffer:
            data = self._buffer.take(len(self._buffer))
            if self._left >= 0:
                if len(data) > self._left:
                    raise self._too_long()
                self._left -= len(data)
            return Data(data)
        return self._end() if self._eof else None

    def _end(self) -> ResponseEvent:
        self._chunks = None
        self._step = _complete
        return End()

    def _too_long(self) -> Malformed:
        return Malformed(502, "the body is longer than {} bytes".format(self._max_body))

    def _fail(self, reason: str) -> Failure:
        self._buffer.clear()
        self._step = _failed
        return Failure(reason)


def _complete(parser: Any) -> ResponseEvent:
    return CLOSED if parser._eof or not parser._keep_alive else None


def _failed(parser: Any) -> ResponseEvent:
    return CLOSED
