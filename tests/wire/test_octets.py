"""Bytes as arrays of integers: the same as msgpack's, without a step per byte."""

from __future__ import annotations

import random
import sys
from typing import Any, Callable, List

import pytest
from dcc_mcp_embed._vendor.msgpack import packb, unpackb
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.transport_errors import Serialization
from dcc_mcp_embed.wire import octets as module
from dcc_mcp_embed.wire.octets import as_bytes, pack_octets, read_octets
from wire.message_oracle import octets

#: What is easily taken for something else: a mark, what follows one, what stands for one meanwhile.
confusing = st.lists(
    st.sampled_from(
        [
            b"\xcc",
            b"\xcc\xcc",
            b"\xcc\x80",
            b"\x80",
            b"a",
            b"\xff",
            b"\xfe",
            b"\x7f",
            b"\x7f\x01",
            b"\x00",
            b"\x01",
        ]
    ),
    max_size=20,
).map(b"".join)


WORST = {
    "random": bytes(random.Random(3).getrandbits(8) for _ in range(1 << 16)),
    "all high": bytes(range(128, 256)) * 512,
    "all marks": b"\xcc" * (1 << 16),
    "all held": b"\x7f" * ((1 << 16) - 1) + b"\xff",
    "marks between": b"a\xcc" * (1 << 15),
    "one high": b"a" * ((1 << 16) - 1) + b"\xff",
}


@given(octets | confusing, st.binary(max_size=4) | confusing)
def test_it_is_msgpacks_array_of_the_integers(data: bytes, after: bytes) -> None:
    packed = pack_octets(data)
    assert packed == packb(list(data))
    assert read_octets(b"xx" + packed + after, 2) == (data, 2 + len(packed))


@given(octets | confusing, confusing, st.integers(2, 9))
def test_it_makes_no_difference_where_a_piece_ends(data: bytes, junk: bytes, piece: int) -> None:
    packed = pack_octets(data)
    array = b"\xdc\x00" + bytes([len(junk) // 2]) + junk
    whole = read_octets(array, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        assert pack_octets(data) == packed
        assert read_octets(packed + junk, 0) == (data, len(packed))
        assert read_octets(array, 0) == whole


@given(confusing | st.binary(max_size=20), st.integers(0, 20))
def test_it_reads_nothing_but_what_it_writes(content: bytes, count: int) -> None:
    array = bytes([0x90 + count]) if count < 16 else bytes([0xDC, 0, count])
    try:
        found = read_octets(array + content, 0)
    except Serialization:
        assert len(content) < count
        return
    if found is not None:
        data, end = found
        assert len(data) == count
        assert (array + content)[:end] == pack_octets(data)


def test_a_long_one_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {kind: pack_octets(data) for kind, data in WORST.items()}
    monkeypatch.setattr(module, "_PIECE", 1001)
    for kind, data in WORST.items():
        packed = pack_octets(data)
        assert packed == whole[kind]
        assert read_octets(b"x" + packed + b"\xcc", 1) == (data, 1 + len(packed))
        assert read_octets(packed[:-2] + b"\xc0\xc0", 0) is None


@pytest.mark.parametrize(
    "packed",
    [
        packb(5),
        packb("text"),
        packb(b"bin"),
        packb({}),
        packb([256]),
        packb([-1]),
        packb([None]),
        packb([True]),
        packb([1.0]),
        packb([1, [2]]),
        b"\x91\xcc\x05",
        b"\x91\xcd\x00\x05",
        b"\x91\xcc",
        b"\x92\x01\xcc",
        b"\x92\xcc\xcc\xcc",
    ],
)
def test_anything_else_is_none(packed: bytes) -> None:
    assert read_octets(packed, 0) is None


def test_a_count_the_data_cannot_hold_is_refused() -> None:
    with pytest.raises(Serialization):
        read_octets(b"\xdd\xff\xff\xff\xff" + b"\x80" * 100, 0)


def calls_of(function: Callable[..., Any], *arguments: Any) -> int:
    """Return how many calls, of Python or of C functions, were made."""
    calls: List[str] = []
    sys.setprofile(lambda frame, event, argument: calls.append(event) if "call" in event else None)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return len(calls)


@pytest.mark.parametrize("kind", WORST)
def test_no_step_is_taken_per_byte(kind: str) -> None:
    data = WORST[kind]
    packed = pack_octets(data)
    assert unpackb(packed) == list(data)
    assert read_octets(packed, 0) == (data, len(packed))
    assert calls_of(pack_octets, data) < 30
    assert calls_of(read_octets, packed, 0) < 60


@pytest.mark.parametrize(
    "value",
    [b"ab", bytearray(b"ab"), memoryview(b"ab"), memoryview(b"a.b.")[::2], [97, 98], (97, 98)],
)
def test_a_byte_argument(value: Any) -> None:
    found = as_bytes(value)
    assert found == b"ab"
    assert type(found) is bytes


@pytest.mark.parametrize("value", ["ab", 5, None, {97: 98}, 1.5, [1.5], ["a"], [None]])
def test_what_is_no_byte_argument(value: Any) -> None:
    with pytest.raises(TypeError):
        as_bytes(value)


@pytest.mark.parametrize("value", [[256], [-1], (1 << 70,)])
def test_integers_that_are_no_bytes(value: Any) -> None:
    with pytest.raises(ValueError, match=r"256|range|byte"):
        as_bytes(value)
