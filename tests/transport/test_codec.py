"""The public codec, as a script of dcc-mcp-core 0.12 uses it."""

from __future__ import annotations

import uuid
from typing import Any, Dict

import pytest
from dcc_mcp_embed._vendor.msgpack import packb
from hypothesis import given
from hypothesis import strategies as st

import dcc_mcp_embed
from dcc_mcp_embed import decode_envelope, encode_notify, encode_request, encode_response
from dcc_mcp_embed.transport_errors import FrameTooLarge, Serialization
from dcc_mcp_embed.wire import frames
from dcc_mcp_embed.wire.messages import Ping, Pong, Shutdown, encode

TEXT_ID = "00112233-4455-6677-8899-aabbccddeeff"
RAW_ID = uuid.UUID(TEXT_ID).bytes


def inside(frame: bytes) -> bytes:
    """Return the payload of one frame, whose length must be right."""
    assert type(frame) is bytes
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return frame[4:]


def test_a_request() -> None:
    found = decode_envelope(inside(encode_request("execute_python", b"cmds.sphere()")))
    one = uuid.UUID(found.pop("id"))
    assert one.version == 4
    assert one.variant == uuid.RFC_4122
    assert found == {"type": "request", "method": "execute_python", "params": b"cmds.sphere()"}


def test_each_request_has_its_own_id() -> None:
    found = {decode_envelope(inside(encode_request("m")))["id"] for _ in range(50)}
    assert len(found) == 50


def test_a_request_without_params_has_empty_ones() -> None:
    frame = encode_request("ping")
    assert decode_envelope(inside(frame))["params"] == b""
    assert frame[:15] == bytes.fromhex("00000021 94 a772657175657374 c410")
    assert frame[31:] == bytes.fromhex("a470696e67 90")


def test_exact_bytes_of_a_response() -> None:
    expected = bytes.fromhex("00000021 95 a8726573706f6e7365 c410" + RAW_ID.hex() + "c3 926f6b c0")
    assert encode_response(TEXT_ID, True, b"ok") == expected
    assert encode_response(request_id=TEXT_ID, success=True, payload=b"ok", error=None) == expected
    expected = bytes.fromhex(
        "00000023 95 a8726573706f6e7365 c410" + RAW_ID.hex() + "c2 90 a4626f6f6d"
    )
    assert encode_response(TEXT_ID, False, error="boom") == expected


def test_exact_bytes_of_a_notification() -> None:
    expected = bytes.fromhex("0000001a 94 a66e6f74696679 c0 ad7363656e655f6368616e676564 926869")
    assert encode_notify("scene_changed", b"hi") == expected
    assert encode_notify("scene_changed", data=[104, 105]) == expected


DICTIONARIES = [
    (packb(["request", RAW_ID, "m", [1]]), {"id": TEXT_ID, "method": "m", "params": b"\x01"}),
    (
        packb(["response", RAW_ID, False, [], "boom"]),
        {"id": TEXT_ID, "success": False, "payload": b"", "error": "boom"},
    ),
    (
        packb(["response", RAW_ID, True, b"ok", None]),
        {"id": TEXT_ID, "success": True, "payload": b"ok", "error": None},
    ),
    (packb(["notify", None, "t", [255]]), {"id": None, "topic": "t", "data": b"\xff"}),
    (packb(["notify", TEXT_ID.upper(), "t", []]), {"id": TEXT_ID, "topic": "t", "data": b""}),
    (encode(Ping(RAW_ID, 1700000000123)), {"id": TEXT_ID, "timestamp_ms": 1700000000123}),
    (encode(Pong(RAW_ID, 5)), {"id": TEXT_ID, "timestamp_ms": 5}),
    (encode(Shutdown(None)), {"reason": None}),
    (encode(Shutdown("bye")), {"reason": "bye"}),
]
TYPES = ["request", "response", "response", "notify", "notify", "ping", "pong"] + ["shutdown"] * 2


@pytest.mark.parametrize(
    ("kind", "payload", "expected"), [(t, *d) for t, d in zip(TYPES, DICTIONARIES)]
)
def test_dictionaries(kind: str, payload: bytes, expected: Dict[str, Any]) -> None:
    expected = {"type": kind, **expected}
    for given_as in (payload, bytearray(payload), memoryview(payload), list(payload)):
        found = decode_envelope(given_as)
        assert found == expected
        assert list(found) == list(expected)


@given(st.uuids(), st.booleans(), st.binary(max_size=300), st.none() | st.text(max_size=50))
def test_responses_come_back(one: uuid.UUID, success: bool, payload: bytes, error: Any) -> None:
    expected = {
        "type": "response",
        "id": str(one),
        "success": success,
        "payload": payload,
        "error": error,
    }
    for text in (str(one), one.hex, one.urn, "{" + str(one).upper() + "}"):
        assert decode_envelope(inside(encode_response(text, success, payload, error))) == expected


@pytest.mark.parametrize("data", [b"a\x80", bytearray(b"a\x80"), memoryview(b"a\x80"), [97, 128]])
def test_byte_arguments(data: Any) -> None:
    assert decode_envelope(inside(encode_request("m", data)))["params"] == b"a\x80"
    assert decode_envelope(inside(encode_response(TEXT_ID, True, data)))["payload"] == b"a\x80"
    assert decode_envelope(inside(encode_notify("t", data)))["data"] == b"a\x80"


@pytest.mark.parametrize("text", ["", "not-a-uuid", TEXT_ID[:-1], TEXT_ID.replace("-", "", 1)])
def test_an_id_that_is_no_uuid(text: str) -> None:
    with pytest.raises(ValueError, match="^invalid UUID: "):
        encode_response(text, True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_request(5),  # type: ignore[arg-type]
        lambda: encode_request(b"m"),  # type: ignore[arg-type]
        lambda: encode_request("m", "text"),  # type: ignore[arg-type]
        lambda: encode_request("m", 5),  # type: ignore[arg-type]
        lambda: encode_request("m", {"a": 1}),  # type: ignore[arg-type]
        lambda: encode_request("m", [1.5]),  # type: ignore[list-item]
        lambda: encode_response(RAW_ID, True),  # type: ignore[arg-type]
        lambda: encode_response(TEXT_ID, 1),  # type: ignore[arg-type]
        lambda: encode_response(TEXT_ID, None),  # type: ignore[arg-type]
        lambda: encode_response(TEXT_ID, True, b"", b"boom"),  # type: ignore[arg-type]
        lambda: encode_notify(None),  # type: ignore[arg-type]
        lambda: decode_envelope("text"),  # type: ignore[arg-type]
        lambda: decode_envelope(None),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_the_wrong_kind(call: Any) -> None:
    with pytest.raises(TypeError):
        call()


def test_integers_that_are_no_bytes() -> None:
    with pytest.raises(ValueError, match="byte"):
        encode_request("m", [256])


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xff\xff\xff", b'{"type": "request"}'])
def test_what_is_no_envelope(data: bytes) -> None:
    with pytest.raises(RuntimeError, match="^serialization error: "):
        decode_envelope(data)


def test_a_text_that_utf8_cannot_say() -> None:
    with pytest.raises(Serialization):
        encode_request("\ud800")


def test_what_no_channel_would_take_is_not_framed(monkeypatch: Any) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME", 40)
    encode_request("ping")
    with pytest.raises(FrameTooLarge):
        encode_request("ping", bytes(8))


def test_they_are_the_packages() -> None:
    for name in ("encode_request", "encode_response", "encode_notify", "decode_envelope"):
        assert name in dcc_mcp_embed.__all__
