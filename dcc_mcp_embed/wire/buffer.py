"""Bytes received and not yet understood, with a hard limit.

The usual case is one read that holds exactly one request: it is kept as it came, searched once and
handed out by slicing. What has been searched is not searched again, so a peer that sends a byte at
a time costs as much per byte as any other.
"""

from __future__ import annotations

from typing import Union

from ..errors import RemoteProtocolError

__all__ = ["ReceiveBuffer"]


class ReceiveBuffer:
    """Collect bytes, find separators in them, take them from the front. One thread.

    ``limit`` is in bytes; more than that is never kept.
    """

    __slots__ = ("_data", "_limit", "_searched", "_separator", "_start")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Immutable as long as one read is enough, a bytearray from the second read on.
        self._data: Union[bytes, bytearray] = b""
        self._start = 0
        # Where the search for ``_separator`` goes on, an index into ``_data``.
        self._searched = 0
        self._separator = b""

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        """Append ``data``. Raises RemoteProtocolError, keeping nothing of it, over the limit."""
        held = len(self._data) - self._start
        if held + len(data) > self._limit:
            raise RemoteProtocolError(
                "more than {} bytes were sent ahead; wait for the answers".format(self._limit)
            )
        if not held:
            self._data = bytes(data)
            self._start = self._searched = 0
            return
        if type(self._data) is bytes:
            self._data = bytearray(self._data[self._start :])
        elif self._start:
            del self._data[: self._start]  # type: ignore[union-attr]
        self._searched = max(0, self._searched - self._start)
        self._start = 0
        self._data += data

    def find(self, separator: bytes, within: int) -> int:
        """Return where ``separator`` begins, or -1 if it does not end ``within`` so many bytes.

        Asking again for the same separator after more was fed costs only the new bytes.
        """
        if separator is not self._separator:
            self._separator = separator
            self._searched = self._start
        stop = self._start + within
        at = self._data.find(separator, self._searched, stop)
        if at >= 0:
            return at - self._start
        end = min(len(self._data), stop) - len(separator) + 1
        self._searched = max(self._searched, end)
        return -1

    def peek(self, count: int) -> bytes:
        """Return a copy of at most ``count`` bytes from the front and keep them."""
        return bytes(self._data[self._start : self._start + count])

    def take(self, count: int) -> bytes:
        """Remove and return at most ``count`` bytes from the front."""
        start = self._start
        stop = start + count
        data = self._data
        if stop >= len(data):
            self._data = b""
            self._start = self._searched = 0
            if not start:
                return bytes(data)
            stop = len(data)
        else:
            self._start = self._searched = stop
        if type(data) is bytes:
            return data[start:stop]
        # A slice of a bytearray would be copied twice.
        with memoryview(data) as view:
            return bytes(view[start:stop])

    def clear(self) -> None:
        """Forget everything."""
        self._data = b""
        self._start = self._searched = 0
