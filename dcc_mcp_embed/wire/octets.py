"""Bytes as the reference puts them on the wire: a MessagePack array of integers.

A byte below 0x80 is itself, one from 0x80 on is preceded by 0xCC (reference: its Vec<u8> is a plain
sequence). A megabyte is a million elements, so no step here is taken per byte in Python: an
element-wise reader would need a second for it.
"""

from __future__ import annotations

import codecs
from typing import Any, List, Optional, Tuple, Union

from .heads import ARRAY, array_head, read_head

__all__ = ["BytesLike", "as_bytes", "pack_octets", "read_octets"]

BytesLike = Union[bytes, bytearray, memoryview, List[int], Tuple[int, ...]]

#: Code point of a byte -> its element. The charmap codec reads it in C, once per byte.
_ELEMENTS: Any = {byte: bytes([byte] if byte < 0x80 else [0xCC, byte]) for byte in range(256)}
#: Elements that are taken at once: other threads, the host's too, get their turn in between.
_PIECE = 1 << 18
#: Stands for an element 0xCC while the marks (0xCC as well) are taken out: no byte's code point.
_HELD = "\u0100"


def as_bytes(value: object) -> bytes:
    """Return a caller's byte argument: bytes, bytearray, memoryview, or a list of integers.

    Raises TypeError for anything else (a number or a text has no one meaning as bytes) and
    ValueError for an integer outside 0..255.
    """
    if isinstance(value, (bytes, bytearray, memoryview, list, tuple)):
        return bytes(value)
    raise TypeError("expected bytes or a list of integers, not {}".format(type(value).__name__))


def pack_octets(data: bytes) -> bytes:
    """Return ``data`` as an array of integers, each in its shortest form."""
    head = array_head(len(data))
    if data.isascii():
        return head + data
    starts = range(0, len(data), _PIECE)
    return b"".join([head, *[_elements(data[start : start + _PIECE]) for start in starts]])


def read_octets(data: bytes, at: int) -> Optional[Tuple[bytes, int]]:
    """Return the bytes of the array of integers at ``at`` and the index after it.

    None if there is no array, or one that is not all integers 0..255 in their shortest form.
    Raises Serialization if the data ends first.
    """
    group, count, at = read_head(data, at)
    if group != ARRAY:
        return None
    found = data[at : at + count]
    if found.isascii():
        return found, at + count
    pieces = []
    while count:
        size = min(count, _PIECE)
        piece = _read_elements(data, at, size)
        elements = _elements(piece)
        # Only what these bytes are written as is these bytes.
        if len(piece) != size or not data.startswith(elements, at):
            return None
        pieces.append(piece)
        at += len(elements)
        count -= size
    return b"".join(pieces), at


def _elements(data: bytes) -> bytes:
    encoded: bytes = codecs.charmap_encode(data.decode("latin-1"), "strict", _ELEMENTS)[0]
    return encoded


def _read_elements(data: bytes, at: int, count: int) -> bytes:
    """Return the bytes that ``count`` elements stand for, if they are elements."""
    # Reading from the left, a pair of marks is always one element 0xCC: every run of them begins
    # where an element does. So what follows the last element cannot change the ones before it.
    text = data[at : at + 2 * count].decode("latin-1")
    text = text.replace("\xcc\xcc", _HELD).replace("\xcc", "")[:count]
    return text.replace(_HELD, "\xcc").encode("latin-1")
