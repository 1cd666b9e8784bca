"""The chunked transfer coding, read piece by piece (RFC 9112 7.1)."""

from __future__ import annotations

import re
from typing import Optional

from ..buffer import ReceiveBuffer
from .grammar import CRLF, HEAD_END, Malformed, check_start, parse_fields, split_lines

__all__ = ["ChunkedReader"]

# Sixteen digits hold any length there is. Extensions are allowed and mean nothing to us.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
#: An extension is a few words at most; long ones are only ever attacks.
_MAX_SIZE_LINE = 256
# Fields that say how a message is framed or routed are no trailers (RFC 9110 6.5.1).
_NO_TRAILERS = ("content-length", "host", "transfer-encoding")

_SIZE_LINE, _DATA, _DATA_END, _TRAILERS = range(4)


class ChunkedReader:
    """Move the data of one chunked body from a buffer to wherever the caller collects it."""

    __slots__ = ("_left", "_max_body", "_max_trailers", "_searched", "_state", "_total")

    def __init__(self, max_body: Optional[int], max_trailers: int) -> None:
        self._max_body = max_body
        self._max_trailers = max_trailers
        self._state = _SIZE_LINE
        self._left = 0
        self._total = 0
        self._searched = 0

    def read(self, buffer: ReceiveBuffer, sink: bytearray) -> bool:
        """Append the data that ``buffer`` holds to ``sink``; return whether the body is complete.

        Trailers are checked and dropped. Raises Malformed.
        """
        while True:
            if self._state == _SIZE_LINE:
                if not self._read_size(buffer):
                    return False
            elif self._state == _DATA:
                data = buffer.take(self._left)
                sink += data
                self._left -= len(data)
                if self._left:
                    return False
                self._state = _DATA_END
            elif self._state == _DATA_END:
                end = buffer.peek(2)
                if not CRLF.startswith(end):
                    raise Malformed(400, "a chunk is not as long as its size line says")
                if len(end) < 2:
                    return False
                buffer.take(2)
                self._state = _SIZE_LINE
            else:
                return self._read_trailers(buffer)

    def _read_size(self, buffer: ReceiveBuffer) -> bool:
        end = buffer.find(CRLF, _MAX_SIZE_LINE + 2)
        if end < 0:
            if len(buffer) >= _MAX_SIZE_LINE + 2 or b"\n" in buffer.peek(_MAX_SIZE_LINE):
                self._bad_size()
            return False
        match = _SIZE.fullmatch(buffer.take(end + 2))
        if match is None:
            self._bad_size()
            return False
        size = int(match.group(1), 16)
        self._total += size
        if self._max_body is not None and self._total > self._max_body:
            raise Malformed(413, "the body is longer than {} bytes".format(self._max_body))
        self._left = size
        self._state = _DATA if size else _TRAILERS
        return True

    def _bad_size(self) -> None:
        raise Malformed(
            400, "a chunk begins with its size in hexadecimal digits on a line of its own"
        )

    def _read_trailers(self, buffer: ReceiveBuffer) -> bool:
        start = buffer.peek(2)
        if start == CRLF:
            buffer.take(2)
            return True
        if CRLF.startswith(start):
            return False
        end = buffer.find(HEAD_END, self._max_trailers)
        if end < 0:
            window = buffer.peek(self._max_trailers)
            check_start(window, self._searched, self._max_trailers, self._max_trailers)
            self._searched = len(window)
            return False
        lines = split_lines(buffer.take(end + 4), self._max_trailers)
        trailers = parse_fields([""] + lines)
        for name in _NO_TRAILERS:
            if name in trailers:
                raise Malformed(400, "{} may not stand after the body".format(name))
        return True
