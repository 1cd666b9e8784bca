"""MessagePack's value heads: what a first byte announces, and where a value ends.

The facts are those of the MessagePack specification; extension types are left out because nothing
on this wire has any. Nothing here makes a value, so that every limit is checked before anything is
allocated: an announced length that the received bytes cannot hold is refused as it is read.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..records import NamedTuple
from ..transport_errors import Serialization

__all__ = [
    "ARRAY",
    "BIN",
    "MAP",
    "MAX_DEPTH",
    "MAX_ELEMENTS",
    "SCALAR",
    "TEXT",
    "array_head",
    "bin_head",
    "map_head",
    "measure",
    "read_head",
    "text_head",
]

#: Arrays and maps inside each other; the pure-Python reader takes a stack frame for each.
MAX_DEPTH = 64
#: Elements of all arrays and maps of one value together (a pair of a map is two). The pure-Python
#: reader takes a microsecond or two for each, and may run on the thread of all connections.
MAX_ELEMENTS = 1 << 16

#: Groups of heads. ``size`` is bytes for the first three, elements for an array, pairs for a map.
SCALAR, TEXT, BIN, ARRAY, MAP = range(5)
#: Elements per unit of the size.
_CHILDREN = (0, 0, 0, 1, 2)


class _Rule(NamedTuple):
    """A first byte: its group, bytes of the size that follows it, else the size itself."""

    group: int
    width: int
    size: int


def _table() -> List[Optional[_Rule]]:
    rules: List[Optional[_Rule]] = [None] * 256
    for byte in (*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3):
        rules[byte] = _Rule(SCALAR, 0, 0)
    for first, group, size in ((0x80, MAP, 16), (0x90, ARRAY, 16), (0xA0, TEXT, 32)):
        for count in range(size):
            rules[first + count] = _Rule(group, 0, count)
    for byte, size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8)):
        rules[byte] = _Rule(SCALAR, 0, size)
    for first, group, widths in (
        (0xC4, BIN, (1, 2, 4)),
        (0xD9, TEXT, (1, 2, 4)),
        (0xDC, ARRAY, (2, 4)),
        (0xDE, MAP, (2, 4)),
    ):
        for offset, width in enumerate(widths):
            rules[first + offset] = _Rule(group, width, 0)
    return rules


_RULES = _table()


def read_head(data: bytes, at: int) -> Tuple[int, int, int]:
    """Return what begins at ``at``: its group, its size and where its content starts.

    Raises Serialization for what no value begins with, and if what is announced is longer than
    the bytes that are there (an element takes at least one).
    """
    if at >= len(data):
        raise Serialization("the data ends where a value should begin")
    rule = _RULES[data[at]]
    if rule is None:
        raise Serialization("byte 0x{:02x} at {} begins no known value".format(data[at], at))
    group, width, size = rule
    at += 1
    if width:
        size = int.from_bytes(data[at : at + width], "big")
        at += width
    if at + size * (_CHILDREN[group] or 1) > len(data):
        raise Serialization("the data ends inside the value at {}".format(at - 1 - width))
    return group, size, at


def measure(data: bytes, at: int = 0, elements: int = MAX_ELEMENTS) -> Tuple[int, int]:
    """Return the index after the value that begins at ``at``, and how many elements it has.

    Raises Serialization if they are more than ``elements``, if they are nested deeper than
    MAX_DEPTH, and as ``read_head``. Takes no stack, and no memory but a number per depth.
    """
    counted = 0
    left = 1
    outer: List[int] = []
    while True:
        while not left:
            if not outer:
                return at, counted
            left = outer.pop()
        left -= 1
        group, size, at = read_head(data, at)
        children = size * _CHILDREN[group]
        if not children:
            at += size
            continue
        counted += children
        if counted > elements:
            raise Serialization("too many elements in one value (max: {})".format(MAX_ELEMENTS))
        if len(outer) >= MAX_DEPTH:
            raise Serialization("nested too deeply (max: {})".format(MAX_DEPTH))
        outer.append(left)
        left = children


def _long_head(count: int, two: bytes, four: bytes) -> bytes:
    """Return the first byte for a count of two or of four bytes, and the count."""
    if count < 1 << 16:
        return two + count.to_bytes(2, "big")
    if count < 1 << 32:
        return four + count.to_bytes(4, "big")
    raise Serialization("{} bytes or elements are more than a value can have".format(count))


_TEXT_HEADS = tuple(
    bytes([0xA0 + count]) if count < 32 else bytes([0xD9, count]) for count in range(256)
)
_BIN_HEADS = tuple(bytes([0xC4, count]) for count in range(256))
_ARRAY_HEADS = tuple(
    bytes([0x90 + count]) if count < 16 else bytes([0xDC, 0, count]) for count in range(256)
)


def text_head(count: int) -> bytes:
    """Return the head of a text of ``count`` bytes."""
    return _TEXT_HEADS[count] if count < 256 else _long_head(count, b"\xda", b"\xdb")


def bin_head(count: int) -> bytes:
    """Return the head of ``count`` bytes."""
    return _BIN_HEADS[count] if count < 256 else _long_head(count, b"\xc5", b"\xc6")


def array_head(count: int) -> bytes:
    """Return the head of an array of ``count`` elements."""
    return _ARRAY_HEADS[count] if count < 256 else _long_head(count, b"\xdc", b"\xdd")


def map_head(count: int) -> bytes:
    """Return the head of a map of ``count`` pairs."""
    return bytes([0x80 + count]) if count < 16 else _long_head(count, b"\xde", b"\xdf")
