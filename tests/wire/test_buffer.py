"""The receive buffer: what goes in comes out, once, in order, and never more than the limit."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import RemoteProtocolError
from dcc_mcp_embed.wire.buffer import ReceiveBuffer


def filled(*pieces: bytes) -> ReceiveBuffer:
    buffer = ReceiveBuffer(1000)
    for piece in pieces:
        buffer.feed(piece)
    return buffer


def test_one_read_is_handed_out_as_it_came() -> None:
    data = b"x" * 100
    assert filled(data).take(100) is data


@pytest.mark.parametrize("pieces", [(b"abcdef",), (b"a", b"bc", b"def"), (b"", b"abcdef", b"")])
def test_take_and_peek(pieces: Tuple[bytes, ...]) -> None:
    buffer = filled(*pieces)
    assert buffer.peek(2) == b"ab"
    assert len(buffer) == 6
    assert buffer.take(2) == b"ab"
    assert buffer.take(0) == b""
    assert buffer.peek(99) == b"cdef"
    assert type(buffer.peek(2)) is bytes
    assert buffer.take(99) == b"cdef"
    assert len(buffer) == 0
    assert buffer.take(1) == buffer.peek(1) == b""


def test_what_is_taken_is_bytes_even_after_many_reads() -> None:
    buffer = filled(b"ab", b"cd")
    assert type(buffer.take(1)) is bytes
    assert type(buffer.take(3)) is bytes


@pytest.mark.parametrize(("within", "expected"), [(3, -1), (4, -1), (5, 3), (99, 3)], ids=str)
def test_a_separator_counts_only_if_it_ends_within(within: int, expected: int) -> None:
    assert filled(b"abc\r\nxyz\r\n").find(b"\r\n", within) == expected


def test_positions_are_relative_to_what_is_left() -> None:
    buffer = filled(b"a\r\n", b"bcd\r\n")
    assert buffer.find(b"\r\n", 99) == 1
    buffer.take(3)
    assert buffer.find(b"\r\n", 99) == 3
    assert buffer.find(b"c", 99) == 1
    assert buffer.find(b"\r\n", 99) == 3


def test_the_limit_is_hard() -> None:
    buffer = ReceiveBuffer(10)
    buffer.feed(b"0123456789")
    with pytest.raises(RemoteProtocolError, match="10 bytes"):
        buffer.feed(b"x")
    assert len(buffer) == 10
    buffer.take(3)
    buffer.feed(b"abc")
    assert buffer.take(99) == b"3456789abc"


def test_clear() -> None:
    buffer = filled(b"abc", b"def")
    buffer.take(1)
    buffer.clear()
    assert len(buffer) == 0
    buffer.feed(b"xy")
    assert buffer.find(b"y", 9) == 1


@given(
    st.lists(
        st.tuples(st.just("feed"), st.binary(max_size=6))
        | st.tuples(st.just("take"), st.integers(0, 8))
        | st.tuples(st.just("peek"), st.integers(0, 8))
        | st.tuples(
            st.just("find"),
            st.tuples(st.sampled_from([b"\r\n", b"\r\n\r\n", b"\0"]), st.integers(0, 12)),
        ),
        max_size=30,
    )
)
def test_it_behaves_like_a_byte_string(steps: List[Tuple[str, object]]) -> None:
    buffer = ReceiveBuffer(10_000)
    model = b""
    for step, argument in steps:
        if step == "feed":
            # Few different bytes, so that separators happen.
            piece = bytes(b"\r\n\0a"[byte % 4] for byte in argument)  # type: ignore[attr-defined]
            buffer.feed(piece)
            model += piece
        elif step == "take":
            assert buffer.take(argument) == model[:argument]  # type: ignore[arg-type,misc]
            model = model[argument:]  # type: ignore[misc]
        elif step == "peek":
            assert buffer.peek(argument) == model[:argument]  # type: ignore[arg-type,misc]
        else:
            separator, within = argument  # type: ignore[misc]
            assert buffer.find(separator, within) == model[:within].find(separator)
        assert len(buffer) == len(model)
