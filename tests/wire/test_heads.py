"""Heads: where a value ends, judged without making it, and the limits."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from dcc_mcp_embed._vendor.msgpack import Packer, packb, unpackb
from dcc_mcp_embed._vendor.msgpack.exceptions import ExtraData
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.transport_errors import Serialization
from dcc_mcp_embed.wire import heads
from dcc_mcp_embed.wire.heads import MAX_DEPTH, MAX_ELEMENTS, measure, read_head
from examples import examples

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=4), inner, max_size=9)
    ),
    max_leaves=12,
)


@settings(max_examples=examples(50))
@given(values, st.binary(max_size=4), st.binary(max_size=4), st.floats(0, 1, exclude_max=True))
def test_a_value_ends_where_msgpack_ended_it(
    value: Any, before: bytes, after: bytes, part: float
) -> None:
    data = packb(value)
    assert measure(before + data + after, len(before))[0] == len(before) + len(data)
    with pytest.raises(Serialization, match="ends"):
        measure(before + data[: int(part * len(data))], len(before))


@given(st.binary(max_size=30))
def test_what_msgpack_reads_ends_where_it_stops(data: bytes) -> None:
    try:
        end, _ = measure(data)
    except Serialization:
        return
    # Texts may be wrong and keys strange: those are not heads.
    options = {"strict_map_key": False, "unicode_errors": "replace", "object_pairs_hook": list}
    unpackb(data[:end], **options)
    if end < len(data):
        with pytest.raises(ExtraData) as caught:
            unpackb(data, **options)
        assert len(caught.value.extra) == len(data) - end


@given(st.binary(min_size=1, max_size=30))
@example(b"\x84\x00\xc1")
@example(b"\x99\xd4\x80" + bytes(6))
@example(b"\x99\xd4\xff" + bytes(6))
@example(b"\x9b\xd7" + b"\xff" * 9)
def test_what_is_refused_msgpack_cannot_read_either(data: bytes) -> None:
    try:
        measure(data)
    except Serialization as error:
        if "no known value" in str(error):
            return  # extension types are msgpack's, not ours
        # The last three: it makes something of an extension type before it misses the rest.
        reasons = "incomplete|exceeds|Unknown header|code must|Timestamp|nanoseconds must"
        with pytest.raises(ValueError, match=reasons):
            unpackb(data, strict_map_key=False, unicode_errors="replace", object_pairs_hook=list)


@pytest.mark.parametrize("byte", [0xC1, 0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8])
def test_extension_types_and_the_unused_byte_begin_nothing(byte: int) -> None:
    with pytest.raises(Serialization, match="0x{:02x} at 1".format(byte)):
        read_head(b"\x00" + bytes([byte]) + bytes(40), 1)


COUNTS = [0, 15, 16, 31, 32, 255, 256, 65535, 65536, (1 << 32) - 1]


@pytest.mark.parametrize("count", COUNTS)
def test_heads_are_written_as_msgpack_writes_them(count: int) -> None:
    assert heads.array_head(count) == Packer().pack_array_header(count)
    assert heads.map_head(count) == Packer().pack_map_header(count)
    if count < 1 << 17:
        assert heads.text_head(count) + b"a" * count == packb("a" * count)
        assert heads.bin_head(count) + b"a" * count == packb(b"a" * count)
    else:
        assert heads.text_head(count) == b"\xdb\xff\xff\xff\xff"
        assert heads.bin_head(count) == b"\xc6\xff\xff\xff\xff"


@pytest.mark.parametrize(
    "head", [heads.array_head, heads.map_head, heads.text_head, heads.bin_head]
)
def test_there_is_no_head_for_more(head: Any) -> None:
    with pytest.raises(Serialization, match="4294967296"):
        head(1 << 32)


def test_a_head_says_what_begins() -> None:
    assert read_head(b"\xa3abc", 0) == (heads.TEXT, 3, 1)
    assert read_head(b"..\xc4\x02ab", 2) == (heads.BIN, 2, 4)
    assert read_head(b"\xdc\x00\x02\x01\x02", 0) == (heads.ARRAY, 2, 3)
    assert read_head(b"\x81\x01\x02", 0) == (heads.MAP, 1, 1)
    assert read_head(b"\xcb" + struct.pack(">d", 1.5), 0) == (heads.SCALAR, 8, 1)


@pytest.mark.parametrize(
    "data", [b"\xa2a", b"\xc4\x02a", b"\x92\x01", b"\x82\x01\x02\x03", b"\xcd\x01"]
)
def test_a_head_that_announces_more_than_there_is_is_refused_as_it_is_read(data: bytes) -> None:
    with pytest.raises(Serialization, match="ends inside the value at 0"):
        read_head(data, 0)


@pytest.mark.parametrize("unit", [b"\x91", b"\x81\x00"])
def test_depth_is_limited(unit: bytes) -> None:
    measure(unit * MAX_DEPTH + b"\xc0")
    with pytest.raises(Serialization, match="too deeply"):
        measure(unit * (MAX_DEPTH + 1) + b"\xc0")


def test_elements_are_limited_in_all_parts_together() -> None:
    half = heads.array_head(MAX_ELEMENTS // 2) + b"\xc0" * (MAX_ELEMENTS // 2)
    assert measure(half)[1] == MAX_ELEMENTS // 2
    assert measure(b"\x91" + half)[1] == MAX_ELEMENTS // 2 + 1
    with pytest.raises(Serialization, match="too many elements"):
        measure(b"\x92" + half + half)
    pairs = heads.map_head(MAX_ELEMENTS // 2 + 1) + b"\xc0" * (MAX_ELEMENTS + 2)
    with pytest.raises(Serialization, match="too many elements"):
        measure(pairs)
    assert measure(b"\x93\x01\x02\x03", 0, 3) == (4, 3)
    with pytest.raises(Serialization, match="too many elements"):
        measure(b"\x93\x01\x02\x03", 0, 2)
