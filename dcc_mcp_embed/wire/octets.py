"""Bytes as the reference puts them on the wire: a MessagePack array of integers.

A byte below 0x80 is itself, one from 0x80 on is preceded by 0xCC (reference: its Vec<u8> is a plain
sequence). A megabyte is a million elements, so no step here is taken per byte in Python: an
element-wise reader would need a second for it.
"""

from __future__ import annotations

from typing import List, Optional, Tuple, Union

from .heads import ARRAY, array_head, read_head

__all__ = ["BytesLike", "as_bytes", "pack_octets", "read_octets"]

BytesLike = Union[bytes, bytearray, memoryview, List[int], Tuple[int, ...]]

#: Byte -> what stands before it in the weave of ``_elements``, and the byte itself there. 0xFF
#: stands for nothing, so the byte 0xFF has a pair of its own, which no other byte makes.
_MARKS = b"\xff" * 0x80 + b"\xcc" * 0x7F + b"\xfe"
_VALUES = bytes([*range(0xFF), 0x80])
#: Bytes that are taken at once: other threads, the host's too, get their turn in between, and what
#: is made on the way, some eight times as much, is soon gone.
_PIECE = 1 << 16


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
        # An element that the end of the piece cuts in two is the first of the next one.
        piece = _read_elements(data[at : at + min(_PIECE, 2 * count)])[:count]
        elements = _elements(piece)
        # Only what these bytes are written as is these bytes.
        if not piece or not data.startswith(elements, at):
            return None
        pieces.append(piece)
        at += len(elements)
        count -= len(piece)
    return b"".join(pieces), at


def _elements(data: bytes) -> bytes:
    weave = bytearray(2 * len(data))
    weave[0::2] = data.translate(_MARKS)
    weave[1::2] = data.translate(_VALUES)
    return bytes(weave.translate(None, b"\xff").replace(b"\xfe\x80", b"\xcc\xff"))


def _read_elements(found: bytes) -> bytes:
    """Return the bytes that the elements ``found`` begins with stand for, if they are elements."""
    # Reading from the left, a pair of marks is always one element 0xCC: every run of them begins
    # where an element does. So what follows the last element cannot change the ones before it.
    # The element 0xCC is held as 7F 01 while the marks are taken out, 0x7F itself as 7F 00.
    found = found.replace(b"\x7f", b"\x7f\x00").replace(b"\xcc\xcc", b"\x7f\x01")
    found = found.translate(None, b"\xcc")
    return found.replace(b"\x7f\x01", b"\xcc").replace(b"\x7f\x00", b"\x7f")
