"""Frames: a length, then that many bytes of MessagePack. And reading that, in pure Python.

The length is four bytes, big-endian, and does not count itself (reference: dcc-mcp-core 0.12).
Bytes in, payloads out; nothing is ever allocated because a header says so.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union

# The fallback by name, so that a compiled part is not even looked for: one behaviour everywhere.
from .._vendor.msgpack.fallback import unpackb
from ..transport_errors import FrameTooLarge, Serialization
from .heads import measure

__all__ = ["MAX_FRAME", "PREFIX", "FrameReader", "frame", "unpack_at"]

#: Bytes of payload in one frame at most (reference; equal is allowed).
MAX_FRAME = 268_435_456
#: Bytes of the length.
PREFIX = 4


def frame(payload: bytes) -> bytes:
    """Return ``payload`` with its length in front. Raises FrameTooLarge."""
    size = len(payload)
    if size > MAX_FRAME:
        raise FrameTooLarge(size, MAX_FRAME)
    return size.to_bytes(PREFIX, "big") + payload


class FrameReader:
    """Bytes in, payloads out. One thread.

    Keeps what it is given until it has been asked for; give it a read, then ask until None comes.
    """

    __slots__ = ("_at", "_data", "limit")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        #: Bytes of payload a frame may have; may be changed at any time.
        self.limit = limit
        # Immutable as long as one read is enough, a bytearray from the second read on.
        self._data: Union[bytes, bytearray] = b""
        self._at = 0

    @property
    def mid_frame(self) -> bool:
        """Whether a frame has begun to arrive: the end of the stream would cut it off."""
        return self._at < len(self._data)

    def receive_data(self, data: bytes) -> None:
        """Take what was read; what is still incomplete costs no more than its own bytes again."""
        held = self._data
        if self._at >= len(held):
            self._data = bytes(data)
            self._at = 0
            return
        if isinstance(held, bytes):
            held = self._data = bytearray(held[self._at :])
        elif self._at:
            del held[: self._at]
        self._at = 0
        held += data

    def first_frame(self, data: bytes) -> Optional[bytes]:
        """Take what was read and return the next payload: both in one, for one frame in one read.

        Raises as :meth:`next_frame`.
        """
        size = len(data) - PREFIX
        whole = 0 <= size <= self.limit and size == int.from_bytes(data[:PREFIX], "big")
        if whole and self._at >= len(self._data):
            return bytes(data[PREFIX:])
        self.receive_data(data)
        return self.next_frame()

    def next_frame(self) -> Optional[bytes]:
        """Return the payload of the next complete frame, or None until there is one.

        Raises FrameTooLarge as soon as a header announces more than ``limit``, and from then on:
        there is no way to find the next frame.
        """
        data = self._data
        start = self._at + PREFIX
        if start > len(data):
            return None
        size = int.from_bytes(data[self._at : start], "big")
        if size > self.limit:
            raise FrameTooLarge(size, self.limit)
        stop = start + size
        if stop > len(data):
            return None
        if isinstance(data, bytes):
            payload = data[start:stop]
        else:
            # A slice of a bytearray would be copied twice.
            with memoryview(data) as view:
                payload = bytes(view[start:stop])
        if stop == len(data):
            self._data = b""
            self._at = 0
        else:
            self._at = stop
        return payload


def unpack_at(data: bytes, at: int, elements: int) -> Tuple[Any, int, int]:
    """Return the value at ``at``, the index after it and how many elements it has.

    Texts are UTF-8, the keys of a map are texts or bytes and differ, there are no extension types,
    there are at most ``elements`` of them all, and the limits of ``heads`` hold. Raises
    Serialization otherwise.
    """
    end, counted = measure(data, at, elements)
    try:
        return unpackb(data[at:end], object_pairs_hook=_distinct), end, counted
    except ValueError as error:
        raise Serialization(str(error)) from None


def _distinct(pairs: List[Tuple[Any, Any]]) -> Dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a map has the same key twice")
    return found
