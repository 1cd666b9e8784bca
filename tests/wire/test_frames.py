"""Frames: every payload once and in order, however it arrives; nothing on a header's word."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from time import perf_counter
from typing import Any, List

import pytest
from dcc_mcp_embed._vendor.msgpack import packb
from hypothesis import given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.transport_errors import FrameTooLarge, Serialization
from dcc_mcp_embed.wire import frames
from dcc_mcp_embed.wire.frames import MAX_FRAME, FrameReader, frame, unpack_at
from dcc_mcp_embed.wire.heads import MAX_DEPTH, MAX_ELEMENTS
from examples import examples


def drained(reader: FrameReader) -> List[bytes]:
    found = []
    while True:
        payload = reader.next_frame()
        if payload is None:
            return found
        assert type(payload) is bytes
        found.append(payload)


def test_the_length_stands_in_front_and_does_not_count_itself() -> None:
    assert frame(b"") == b"\x00\x00\x00\x00"
    assert frame(b"abc") == b"\x00\x00\x00\x03abc"
    assert frame(b"x" * 0x10203)[:4] == b"\x00\x01\x02\x03"
    assert MAX_FRAME == 0x10000000


class Sized(bytes):
    """Bytes that say they are more, so that nobody has to make that many."""

    size = 0

    def __len__(self) -> int:
        return self.size


def test_a_payload_over_the_limit_is_not_framed() -> None:
    payload = Sized(b"x")
    payload.size = MAX_FRAME
    assert frame(payload)[:4] == b"\x10\x00\x00\x00"
    payload.size = MAX_FRAME + 1
    with pytest.raises(FrameTooLarge, match=r"268435457 bytes \(max: 268435456 bytes\)"):
        frame(payload)


@given(st.lists(st.binary(max_size=20), max_size=8), st.data())
def test_every_payload_arrives_however_the_bytes_do(payloads: List[bytes], data: Any) -> None:
    stream = b"".join(map(frame, payloads))
    reader = FrameReader()
    found: List[bytes] = []
    sent = 0
    while sent < len(stream):
        step = data.draw(st.integers(1, len(stream) - sent))
        piece = stream[sent : sent + step]
        sent += step
        if data.draw(st.booleans()):
            payload = reader.first_frame(piece)
            found += [] if payload is None else [payload]
        else:
            reader.receive_data(piece)
        if data.draw(st.booleans()):
            found += drained(reader)
            handed_out = sum(4 + len(payload) for payload in found)
            assert reader.mid_frame == (handed_out < sent)
            assert found == payloads[: len(found)]
    found += drained(reader)
    assert found == payloads
    assert not reader.mid_frame


def test_what_was_given_may_change_afterwards() -> None:
    reader = FrameReader()
    buffer = bytearray(frame(b"first")[:6])
    reader.receive_data(buffer)
    buffer[:] = b"??????"
    reader.receive_data(memoryview(frame(b"first")[6:]))  # type: ignore[arg-type]
    assert drained(reader) == [b"first"]


def test_a_frame_that_is_one_read_is_handed_out_at_once() -> None:
    reader = FrameReader(10)
    assert reader.first_frame(frame(b"x" * 10)) == b"x" * 10
    assert reader.first_frame(bytearray(frame(b""))) == b""
    assert not reader.mid_frame
    assert reader.first_frame(frame(b"first")[:6]) is None
    assert reader.first_frame(frame(b"first")[6:] + frame(b"second")) == b"first"
    assert reader.first_frame(frame(b"third")) == b"second"
    assert drained(reader) == [b"third"]
    with pytest.raises(FrameTooLarge):
        reader.first_frame(frame(b"x" * 11))


def test_the_limit_is_judged_by_the_header_alone() -> None:
    reader = FrameReader(10)
    reader.receive_data(frame(b"x" * 10))
    assert drained(reader) == [b"x" * 10]
    reader.receive_data(frame(b"fine") + b"\x00\x00\x00")
    assert drained(reader) == [b"fine"]
    reader.receive_data(b"\x0b")
    for _ in range(2):
        with pytest.raises(FrameTooLarge) as caught:
            reader.next_frame()
        assert (caught.value.size, caught.value.limit) == (11, 10)


def test_the_limit_can_be_raised_on_the_way() -> None:
    reader = FrameReader(4)
    reader.receive_data(frame(b"hi") + frame(b"longer"))
    assert reader.next_frame() == b"hi"
    reader.limit = 6
    assert reader.next_frame() == b"longer"


def test_a_header_of_200_mib_allocates_nothing() -> None:
    reader = FrameReader()
    tracemalloc.start()
    try:
        reader.receive_data(b"\x0c\x80\x00\x00")
        assert reader.next_frame() is None
        reader.receive_data(b"x" * 1000)
        assert reader.next_frame() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.mid_frame
    assert peak < 20_000


def test_a_frame_that_was_handed_out_is_not_kept() -> None:
    reader = FrameReader()
    stream = frame(bytes(1 << 20))
    tracemalloc.start()
    try:
        for part in (stream[:1000], stream[1000:]):
            reader.receive_data(part)
        del part
        assert reader.next_frame() == bytes(1 << 20)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000


def test_a_byte_at_a_time_is_not_quadratic() -> None:
    stream = frame(bytes(1 << 20))
    pieces = [stream[at : at + 1] for at in range(len(stream))]
    reader = FrameReader()
    part = len(pieces) // 100
    took = []
    for start in range(0, 100 * part, part):
        began = perf_counter()
        for piece in pieces[start : start + part]:
            reader.receive_data(piece)
        took.append(perf_counter() - began)
        assert reader.next_frame() is None
    reader.receive_data(stream[100 * part :])
    assert reader.next_frame() == stream[4:]
    # Were all copied again for each byte, the last parts would take a hundred times the first.
    assert min(took[-10:]) < 5 * min(took[:10])


def test_many_small_frames_in_one_read() -> None:
    reader = FrameReader()
    stream = frame(b"x" * 12) * (1 << 15)
    for start in range(0, len(stream), 100_003):
        reader.receive_data(stream[start : start + 100_003])
        for payload in drained(reader):
            assert payload == b"x" * 12
    assert not reader.mid_frame


# MessagePack.


def unpack(data: bytes) -> Any:
    return unpack_at(data, 0, MAX_ELEMENTS)[0]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=4) | st.binary(max_size=4), inner, max_size=5)
    ),
    max_leaves=10,
)


@settings(max_examples=examples(50))
@given(values, st.binary(max_size=4))
def test_a_value_comes_back_whatever_follows(value: Any, tail: bytes) -> None:
    data = packb(value)
    found, end, _ = unpack_at(b"\xc1" + data + tail, 1, MAX_ELEMENTS)
    assert (found, end) == (value, 1 + len(data))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        value = unpack(data)
    except Serialization:
        return
    assert unpack(packb(value)) == value or "nan" in repr(value)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "ends"),
        (b"\x92\x01", "ends"),
        (b"\xa2\xff\xff", "utf-8"),
        (b"\x82\xa1a\x01\xa1a\x02", "same key twice"),
        (b"\x91\x82\xa1a\x01\xa1a\x02", "same key twice"),
        (b"\x81\x05\x01", "map key"),
        (b"\x81\x90\x01", "map key"),
        (b"\xd4\x05\x00", "0xd4"),
        (b"\xd6\xff\x00\x00\x00\x00", "0xd6"),
        (b"\xc1", "0xc1"),
        (b"\xdd\xff\xff\xff\xff", "ends"),
        (b"\xdf\xff\xff\xff\xff" + b"\xc0" * 1000, "ends"),
        (b"\xc6\xff\xff\xff\xff", "ends"),
        (b"\x91" * 100_000, "too deeply"),
        (packb(_deep(MAX_DEPTH + 1)), "too deeply"),
        (b"\xdd\x00\x01\x86\xa0" + b"\x90" * 100_000, "too many elements"),
        (packb([None] * (MAX_ELEMENTS + 1)), "too many elements"),
    ],
)
def test_what_is_no_value_is_refused_with_a_reason(data: bytes, text: str) -> None:
    with pytest.raises(Serialization, match=text):
        unpack(data)


def test_equal_keys_of_different_kinds_are_different_keys() -> None:
    assert unpack(packb({"a": 1, b"a": 2})) == {"a": 1, b"a": 2}


def test_the_pure_python_msgpack_runs_even_where_a_compiled_one_could_be() -> None:
    assert frames.unpackb.__module__.endswith("_vendor.msgpack.fallback")


def test_it_works_deep_in_a_callers_stack() -> None:
    """A host calls from wherever it is; the limit is ours, not what is left of the stack."""

    def at_depth(levels: int) -> Any:
        return at_depth(levels - 1) if levels else unpack(packb(_deep(MAX_DEPTH - 1)))

    assert at_depth(sys.getrecursionlimit() // 2) == _deep(MAX_DEPTH - 1)


def test_no_more_is_imported_than_needed() -> None:
    code = (
        "import sys; import dcc_mcp_embed.wire.messages;"
        "print(sorted({'asyncio', 'dataclasses', 'inspect', 'uuid'} & set(sys.modules)))"
    )
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(frames.__file__))))
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=home),
    )
    assert done.stdout.strip() == b"[]"
