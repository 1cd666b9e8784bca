"""Requests as a server reads them.

The head is an event of its own, before the body, so that its caller can refuse a request without
reading the rest. Requests that were sent ahead wait until the one before was taken.
"""

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
    TOKEN,
    Closed,
    Malformed,
    Refusal,
    body_length,
    check_start,
    parse_fields,
    split_lines,
)
from .headers import Headers

__all__ = ["RequestBody", "RequestHead", "RequestParser", "parse_head"]

_LINE = re.compile("(" + TOKEN + r") (/[!-\"$-~]*|\*) HTTP/1\.([01])")
#: Of what is refused; compiled when it is first needed.
_ANY_LINE = TOKEN + r" ([!-~]+) HTTP/([0-9]\.[0-9])"
#: What a peer may have sent ahead in one read beside the longest request.
_AHEAD = 64 * 1024


class RequestHead(NamedTuple):
    """The first event of a request.

    ``version`` is the minor one: 0 or 1. ``target`` begins with ``/``, or is ``*`` for OPTIONS.
    ``body_length`` is None for a chunked body. ``expects_continue``: the client waits for
    :data:`~.writing.CONTINUE` before it sends the body.
    """

    method: str
    target: str
    version: int
    headers: Headers
    keep_alive: bool
    expects_continue: bool
    body_length: Optional[int]


class RequestBody(NamedTuple):
    """The whole body, and with it the end of a request; empty if there was none."""

    data: bytes


RequestEvent = Union[RequestHead, RequestBody, Refusal, Closed, None]


def parse_head(block: bytes, max_line: int = MAX_LINE) -> RequestHead:
    """Return the head in ``block``, which ends with its empty line. Raises Malformed."""
    lines = split_lines(block, max_line)
    match = _LINE.fullmatch(lines[0])
    if match is None:
        raise _explain(lines[0])
    method, target, minor = match.groups()
    if target == "*" and method != "OPTIONS":
        raise Malformed(400, "`*` is a target for OPTIONS only; name a path")
    version = 1 if minor == "1" else 0
    headers = parse_fields(lines)
    hosts = headers.get_all("host")
    if len(hosts) != 1 and (version or hosts):
        raise Malformed(400, "HTTP/1.1 needs one Host field; this request has not exactly one")
    length = body_length(headers, version)
    if length is None:
        length = 0
    keep_alive = bool(version)
    if "connection" in headers:
        options = headers.tokens("connection")
        keep_alive = "close" not in options and (keep_alive or "keep-alive" in options)
    return RequestHead(
        method,
        target,
        version,
        headers,
        keep_alive,
        bool(version and length and "100-continue" in headers.tokens("expect")),
        None if length < 0 else length,
    )


def _explain(line: str) -> Malformed:
    match = re.fullmatch(_ANY_LINE, line)
    if match is None:
        return Malformed(400, "the first line is not `METHOD /path HTTP/1.1`")
    target, version = match.groups()
    if version not in ("1.0", "1.1"):
        return Malformed(505, "HTTP/{} is not spoken here; use HTTP/1.1".format(version))
    if target[0] == "/":
        return Malformed(400, "the target has a `#`; fragments are not sent to servers")
    return Malformed(400, "the target must be a path that begins with `/`; this is no proxy")


class RequestParser:
    """Turn the bytes of one connection into requests. One thread.

    Feed with :meth:`receive_data` and :meth:`receive_eof`, then call :meth:`next_event` until it
    returns None (feed more) or :data:`CLOSED`. Sizes in bytes: ``max_head`` with request line and
    empty line, ``max_body`` decoded.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_chunks",
        "_eof",
        "_head",
        "_head_block",
        "_left",
        "_max_body",
        "_max_head",
        "_max_line",
        "_overflow",
        "_searched",
        "_step",
    )

    def __init__(self, max_head: int = 16384, max_body: int = 16 * 1024 * 1024) -> None:
        self._max_head = max_head
        self._max_line = min(MAX_LINE, max_head)
        self._max_body = max_body
        self._buffer = ReceiveBuffer(max_head + max_body + _AHEAD)
        self._eof = False
        self._overflow = ""
        self._searched = 0
        # Clients that keep a connection mostly send the very same head again.
        self._head_block = b""
        self._head: Optional[RequestHead] = None
        self._left = 0
        self._chunks: Optional[ChunkedReader] = None
        self._body = bytearray()
        # A plain function, not a bound method: that would be a reference cycle, and no garbage
        # collection runs where this lives.
        self._step: Callable[[Any], RequestEvent] = RequestParser._read_head

    # -- in -----------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take what the peer sent; dropped once the parser is dead."""
        if self._step is _ended or self._overflow:
            return
        try:
            self._buffer.feed(data)
        except RemoteProtocolError as error:
            self._overflow = str(error)
            self._buffer.clear()

    def receive_eof(self) -> None:
        """Note that the peer sends no more."""
        self._eof = True

    # -- out ----------------------------------------------------------------------------------

    def next_event(self) -> RequestEvent:
        """Return the next head, body or refusal, None to ask for more bytes, or :data:`CLOSED`.

        After a :class:`Refusal`, and after the body of a request without ``keep_alive``, nothing
        more is read and every further call returns :data:`CLOSED`.
        """
        if self._overflow:
            reason, self._overflow = self._overflow, ""
            return self._refuse(413, reason)
        return self._step(self)

    @property
    def buffered(self) -> int:
        """Return how many bytes wait for :meth:`next_event`."""
        return len(self._buffer)

    @property
    def mid_message(self) -> bool:
        """Return whether a request has begun whose body was not yet taken."""
        if self._step is RequestParser._read_head:
            return len(self._buffer) > 0
        return self._step is not _ended

    # -- steps --------------------------------------------------------------------------------

    def _read_head(self) -> RequestEvent:
        buffer = self._buffer
        end = buffer.find(HEAD_END, self._max_head)
        if end < 0:
            return self._check_incomplete()
        block = buffer.take(end + 4)
        self._searched = 0
        head = self._head
        if head is None or block != self._head_block:
            try:
                head = parse_head(block, self._max_line)
            except Malformed as error:
                return self._refuse(error.status, error.reason)
            self._head_block = block
            self._head = head
        length = head.body_length
        if length is None:
            self._chunks = ChunkedReader(self._max_body, self._max_head)
            self._step = RequestParser._read_chunks
        elif length > self._max_body:
            return self._refuse(413, "the body is longer than {} bytes".format(self._max_body))
        else:
            self._left = length
            self._step = RequestParser._read_counted
        return head

    def _check_incomplete(self) -> RequestEvent:
        buffer = self._buffer
        if buffer:
            window = buffer.peek(self._max_head)
            try:
                check_start(window, self._searched, self._max_line, self._max_head)
            except Malformed as error:
                return self._refuse(error.status, error.reason)
            self._searched = len(window)
            if self._eof:
                return self._refuse(400, "the connection ended inside the head of a request")
        elif self._eof:
            self._step = _ended
            return CLOSED
        return None

    def _read_counted(self) -> RequestEvent:
        if len(self._buffer) < self._left:
            if self._eof:
                return self._refuse(400, "the connection ended before Content-Length bytes came")
            return None
        return self._end_message(self._buffer.take(self._left) if self._left else b"")

    def _read_chunks(self) -> RequestEvent:
        assert self._chunks is not None
        try:
            if not self._chunks.read(self._buffer, self._body):
                if self._eof:
                    return self._refuse(400, "the connection ended before the last chunk")
                return None
        except Malformed as error:
            return self._refuse(error.status, error.reason)
        body, self._body = bytes(self._body), bytearray()
        self._chunks = None
        return self._end_message(body)

    def _end_message(self, body: bytes) -> RequestBody:
        assert self._head is not None
        if self._head.keep_alive:
            self._step = RequestParser._read_head
        else:
            self._buffer.clear()
            self._step = _ended
        return RequestBody(body)

    def _refuse(self, status: int, reason: str) -> Refusal:
        self._buffer.clear()
        self._body = bytearray()
        self._step = _ended
        return Refusal(status, reason)


def _ended(parser: RequestParser) -> RequestEvent:
    return CLOSED
