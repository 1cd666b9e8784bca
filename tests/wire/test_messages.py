"""Messages: the exact bytes, every accepted form, and agreement with MessagePack on every input."""

from __future__ import annotations

import tracemalloc
import uuid
from typing import Any, Dict, List

import pytest
from dcc_mcp_embed._vendor.msgpack import packb
from hypothesis import example, given
from hypothesis import strategies as st

from dcc_mcp_embed.transport_errors import Serialization
from dcc_mcp_embed.wire.frames import frame
from dcc_mcp_embed.wire.heads import MAX_DEPTH, MAX_ELEMENTS
from dcc_mcp_embed.wire.messages import (
    OURS,
    REFERENCE,
    Form,
    Message,
    Notify,
    Ping,
    Pong,
    Request,
    Response,
    Shutdown,
    decode,
    encode,
    id_bytes,
    id_text,
    request_frame,
    response_frame,
)
from wire import message_oracle as oracle
from wire.message_oracle import FORMS, ID, TAGS

_ID = "c41000112233445566778899aabbccddeeff"

#: (message, its frame in hex) as dcc-mcp-core 0.12.3 to 0.13 writes it.
VECTORS = [
    (
        Request(ID, "ping", b"\x01\x7f\x80\xff"),
        "00000027 94 a772657175657374 {} a470696e67 94017fcc80ccff",
    ),
    (Request(ID, "ping", b""), "00000021 94 a772657175657374 {} a470696e67 90"),
    (Response(ID, True, b"ok", None), "00000021 95 a8726573706f6e7365 {} c3 926f6b c0"),
    (Response(ID, False, b"", "boom"), "00000023 95 a8726573706f6e7365 {} c2 90 a4626f6f6d"),
    (
        Notify(None, "scene_changed", b"hi"),
        "0000001a 94 a66e6f74696679 c0 ad7363656e655f6368616e676564 926869",
    ),
    (Ping(ID, 1700000000123), "00000021 93 a470696e67 {} cf0000018bcfe5687b"),
    (Pong(ID, 1700000000124), "00000021 93 a4706f6e67 {} cf0000018bcfe5687c"),
    (Shutdown(None), "0000000b 92 a873687574646f776e c0"),
    (Shutdown("bye"), "0000000e 92 a873687574646f776e a3627965"),
    (
        Request(ID, "m", bytes(range(16))),
        "00000030 94 a772657175657374 {} a16d dc0010 000102030405060708090a0b0c0d0e0f",
    ),
]
#: The same of 0.12.0 to 0.12.2, which knew no envelope.
BARE_VECTORS = [
    (Request(ID, "ping", b"\x01"), "0000001a 93 {} a470696e67 9101"),
    (Response(ID, True, b"ok", None), "00000018 94 {} c3 926f6b c0"),
]


def from_hex(text: str) -> bytes:
    return bytes.fromhex(text.format(_ID).replace(" ", ""))


@pytest.mark.parametrize(("message", "text"), VECTORS)
def test_exact_bytes_of_the_reference(message: Message, text: str) -> None:
    expected = from_hex(text)
    assert frame(encode(message)) == expected
    assert decode(expected[4:]) == (message, REFERENCE)


@pytest.mark.parametrize(("message", "text"), BARE_VECTORS)
def test_exact_bytes_of_the_first_reference(message: Message, text: str) -> None:
    expected = from_hex(text)
    form = Form("bare", "array")
    assert frame(encode(message, form)) == expected
    assert decode(expected[4:]) == (message, form)


# What is written is what MessagePack writes.


def as_value(message: Message, form: Form) -> Any:
    """Return the plain value that ``message`` in ``form`` is."""
    tag = next(tag for tag, kind in TAGS.items() if kind is type(message))
    values = [
        list(value) if name in ("params", "payload", "data") and form.bytes_as == "array" else value
        for name, value in zip(message._fields, message)
    ]
    if form.shape == "map":
        return dict(zip(("type", *message._fields), (tag, *values)))
    bare = form.shape == "bare" and isinstance(message, (Request, Response))
    return values if bare else [tag, *values]


def framed(message: Message, form: Form) -> bytes:
    """Return the frame with ``message``, of those that have one from the function for them."""
    if isinstance(message, Request):
        return request_frame(*message, form)
    if isinstance(message, Response):
        return response_frame(*message, form)
    return frame(encode(message, form))


@given(oracle.messages, oracle.forms)
def test_what_is_written_is_what_msgpack_writes(message: Message, form: Form) -> None:
    expected = packb(as_value(message, form))
    assert encode(message, form) == expected
    assert framed(message, form) == frame(expected)


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65535, 65536])
@pytest.mark.parametrize("byte", [0x7F, 0xCC])
@pytest.mark.parametrize("form", [REFERENCE, OURS])
def test_every_head_of_a_length_is_written_and_read(form: Form, byte: int, size: int) -> None:
    data, text = bytes([byte]) * size, "m" * size
    for message in (
        Request(ID, "m", data),
        Request(ID, text, b"x"),
        Response(ID, False, data, "m"),
        Response(ID, True, data, None),
        Response(ID, False, b"x", text),
        Notify(None, "m", data),
    ):
        payload = encode(message, form)
        assert payload == packb(as_value(message, form))
        assert framed(message, form) == frame(payload)
        assert decode(payload) == (message, form)


@given(oracle.messages, oracle.forms, st.binary(max_size=3))
def test_what_is_written_is_read_back_whatever_follows(
    message: Message, form: Form, tail: bytes
) -> None:
    found, found_form = decode(encode(message, form) + tail)
    assert (type(found), found) == (type(message), message)
    if isinstance(message, (Request, Response)):
        assert found_form == form
    elif isinstance(message, Notify):
        assert found_form.bytes_as == form.bytes_as
    assert (found_form.shape == "map") == (form.shape == "map")


def test_an_answer_can_take_the_form_of_its_request() -> None:
    for form in FORMS:
        _, seen = decode(encode(Request(ID, "m", b"x"), form))
        answer = encode(Response(ID, True, b"y", None), seen)
        assert decode(answer) == (Response(ID, True, b"y", None), form)


@pytest.mark.parametrize(
    "message",
    [
        Request(b"short", "m", b""),
        Request(ID + b"x", "m", b""),
        Request(ID, "\ud800", b""),
        Notify(None, "\ud800", b""),
        Response(b"short", True, b"", None),
        Response(ID, True, b"", "\ud800"),
        Shutdown("\ud800"),
        Ping(ID, -1),
        Pong(ID, 1 << 64),
    ],
)
@pytest.mark.parametrize("form", [REFERENCE, OURS, Form("map", "bin")])
def test_what_cannot_be_said_is_refused(message: Message, form: Form) -> None:
    with pytest.raises(Serialization):
        encode(message, form)
    with pytest.raises(Serialization):
        framed(message, form)


# What is read is what the rules say, whatever the bytes are.


@given(oracle.near_messages)
@example(bytes.fromhex("95a8726573706f6e7365c410" + "00" * 16 + "c3c400a5"))
@example(bytes.fromhex("94a772657175657374c410" + "00" * 16 + "a16dc5"))
@example(bytes.fromhex("94a772657175657374c410" + "00" * 16 + "a16d93cccccccc"))
@example(bytes.fromhex("94a772657175657374c410" + "00" * 16 + "a16dc7" + "00" * 16))
@example(bytes.fromhex("94a772657175657374c410" + "00" * 16 + "c0" + "61" * 32 + "c400"))
@example(bytes.fromhex("94a772657175657374c410" + "00" * 16 + "9f" + "c400"))
def test_short_cuts_and_rules_agree(payload: bytes) -> None:
    oracle.check(payload)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_cut_and_every_changed_byte_is_judged_alike(form: Form) -> None:
    for message in (
        Request(ID, "m", b"\x01\xcc\xff"),
        Response(ID, True, b"\xcc\x80a", "no"),
        Notify(None, "t", b"\xcc"),
        Ping(ID, 1700000000123),
        Shutdown("x"),
    ):
        payload = encode(message, form)
        for at in range(len(payload)):
            oracle.check(payload[:at])
            for byte in (0x00, 0x80, 0x91, 0xA1, 0xC0, 0xC1, 0xC3, 0xC4, 0xCC, 0xD9, 0xDC, 0xFF):
                oracle.check(payload[:at] + bytes([byte]) + payload[at + 1 :])
                oracle.check(payload[:at] + bytes([byte]) + payload[at:])


@pytest.mark.parametrize("form", [REFERENCE, OURS])
def test_every_byte_in_the_place_of_every_head_is_judged_alike(form: Form) -> None:
    # Zeros, because then a length that is read where none stands is short enough to be believed.
    for message in (
        Request(bytes(16), "\0" * 40, bytes(40)),
        Response(bytes(16), True, bytes(40), "\0" * 40),
        Notify(None, "\0" * 40, bytes(40)),
        Pong(bytes(16), 1 << 40),
    ):
        payload = encode(message, form)
        for at in range(len(payload)):
            if payload[at]:
                for byte in range(256):
                    oracle.check(payload[:at] + bytes([byte]) + payload[at + 1 :])


REQUEST = Request(ID, "m", b"\x05\xff")


@pytest.mark.parametrize(
    "value",
    [
        ["request", ID, "m", [5, 255]],
        ["request", ID, "m", b"\x05\xff"],
        [b"request", ID, "m", [5, 255]],
        [0, ID, "m", [5, 255]],
        ["request", id_text(ID), "m", [5, 255]],
        ["request", id_text(ID).upper(), "m", [5, 255]],
        ["request", "urn:uuid:" + id_text(ID), "m", [5, 255]],
        ["request", "{" + id_text(ID) + "}", "m", [5, 255]],
        ["request", ID.hex(), "m", [5, 255]],
        ["request", ID, b"m", [5, 255]],
        [ID, "m", [5, 255]],
        [id_text(ID), "m", b"\x05\xff"],
        {"type": "request", "id": ID, "method": "m", "params": [5, 255]},
        {"params": b"\x05\xff", "method": "m", "id": ID.hex(), "type": 0},
        {
            "colour": {"a": [None, {}]},
            "id": ID,
            "method": "m",
            "params": [5, 255],
            "type": b"request",
        },
        {"id": ID, "method": "m", "params": [5, 255]},
        {b"type": "request", b"id": ID, b"method": "m", b"params": [5, 255]},
    ],
    ids=repr,
)
def test_every_accepted_form_of_a_request(value: Any) -> None:
    found, form = decode(packb(value))
    assert found == REQUEST
    assert type(found) is Request
    shape = "map" if isinstance(value, dict) else "bare" if len(value) == 3 else "tagged"
    as_bin = b"\x05\xff" in (value.values() if isinstance(value, dict) else value)
    assert form == Form(shape, "bin" if as_bin else "array")


@pytest.mark.parametrize(
    "heads", ["05", "cc05", "cd0005", "ce00000005", "d005", "d10005", "d20000 0005"]
)
def test_integers_that_are_not_in_their_shortest_form_are_integers(heads: str) -> None:
    payload = from_hex("94 a772657175657374 {} a16d 92" + heads + "ccff")
    assert decode(payload) == (REQUEST, REFERENCE)


@pytest.mark.parametrize(("number", "tag"), list(enumerate(TAGS)))
def test_tags_are_numbered_in_the_order_of_the_reference(number: int, tag: str) -> None:
    fields: Dict[Any, List[Any]] = {
        Request: [ID, "m", b""],
        Response: [ID, True, b"", None],
        Notify: [None, "t", b""],
        Shutdown: [None],
    }
    values = fields.get(TAGS[tag], [ID, 5])
    for written in (tag, tag.encode(), number):
        found, _ = decode(packb([written, *values]))
        assert (type(found), list(found)) == (TAGS[tag], values)


def test_only_a_map_may_leave_out_what_is_optional() -> None:
    assert decode(packb({"type": "shutdown"}))[0] == Shutdown(None)
    assert decode(packb({"type": "notify", "topic": "t", "data": []}))[0] == Notify(None, "t", b"")
    response = {"type": "response", "id": ID, "success": True, "payload": b""}
    assert decode(packb(response))[0] == Response(ID, True, b"", None)
    for required in ("id", "success", "payload"):
        short = {name: value for name, value in response.items() if name != required}
        with pytest.raises(Serialization, match=required):
            decode(packb(short))
    for cut in (["shutdown"], ["notify", "t", b""], ["response", ID, True, b""]):
        with pytest.raises(Serialization):
            decode(packb(cut))


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "ends where a value should begin"),
        (b"hello", "array of at most 5"),
        (b"\xff\xff\xff\xff", "array of at most 5"),
        (b'{"type": "request"}', "array of at most 5"),
        (b"\xc1", "0xc1"),
        (b"\x90", "no known tag"),
        (packb(["colour", 1]), "no known tag"),
        (packb([6, ID, "m", b""]), "no known tag"),
        (packb([-1, ID, "m", b""]), "no known tag"),
        (packb([True, ID, "m", b""]), "no known tag"),
        (packb(["request", ID, "m"]), "request has 3 fields, not 2"),
        (packb(["request", ID, "m", b"", None]), "request has 3 fields, not 4"),
        (packb([ID, "m", b"", b"", None]), "no known tag"),
        (packb(["response", ID, True, b"", None, None]), "array of at most 5"),
        (packb(["request", None, "m", b""]), "id of a request: takes a UUID"),
        (packb(["request", ID[:15], "m", b""]), "id of a request: takes a UUID"),
        (packb(["request", "no-uuid", "m", b""]), "id of a request: invalid UUID: 'no-uuid'"),
        (packb(["request", ID, 5, b""]), "method of a request: takes a text"),
        (packb(["request", ID, b"\xff", b""]), "method of a request: 'utf-8'"),
        (packb(["request", ID, "m", "text"]), "params of a request: takes bytes"),
        (packb(["request", ID, "m", None]), "params of a request: takes bytes"),
        (packb(["request", ID, "m", [1, 256]]), "not one of integers 0..255"),
        (packb(["request", ID, "m", [1, -1]]), "not one of integers 0..255"),
        (packb(["request", ID, "m", [1, True]]), "not one of integers 0..255"),
        (packb(["request", ID, "m", [1, 2.0]]), "not one of integers 0..255"),
        (packb(["request", ID, "m", {}]), "a map stands where none can be"),
        (packb(["response", ID, 1, b"", None]), "success of a response: takes true or false"),
        (packb(["response", ID, True, b"", 5]), "error of a response: takes a text"),
        (packb(["ping", ID, 1.5]), "timestamp_ms of a ping: takes an integer"),
        (packb(["ping", ID, -1]), "timestamp_ms of a ping: takes an integer"),
        (packb(["pong", ID, True]), "timestamp_ms of a pong: takes an integer"),
        (packb(["notify", 5, "t", b""]), "id of a notify: takes a UUID"),
        (packb({}), "known 'type'"),
        (packb({"type": "colour"}), "known 'type'"),
        (packb({"id": ID, "method": "m", "success": True}), "known 'type'"),
        (packb({"id": ID, "type": "request", "params": b""}), "method of a request"),
        (b"\x82" + packb("type") + packb(5) + packb("type") + packb(5), "'type' is there twice"),
        (b"\x82" + packb("type") + packb(5) + packb(b"type") + packb(5), "'type' is there twice"),
        (b"\x81" + packb(5) + packb(5), "keys of a map are texts"),
        (b"\x81" + packb(b"\xff") + packb(5), "utf-8"),
        (b"\x94\xa7request\xc4\x10" + ID + b"\xa1\xff\xc4\x00", "utf-8"),
        (packb({"type": 5, "x": 5})[:-1] + b"\xd4\x01\x01", "0xd4"),
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(payload: bytes, text: str) -> None:
    with pytest.raises(Serialization) as caught:
        decode(payload)
    assert text in str(caught.value)
    assert str(caught.value).startswith("serialization error: ")
    oracle.check(payload)


# Limits.

_REQUEST = b"\x94\xa7request\xc4\x10" + ID + b"\xa1m"
BOMBS = {
    "array of 4 G": b"\xdd\xff\xff\xff\xff",
    "map of 4 G": b"\xdf\xff\xff\xff\xff",
    "map of 2 G, some there": b"\xdf\x7f\xff\xff\xff" + b"\xa1a\xc0" * 1000,
    "params: array of 4 G": _REQUEST + b"\xdd\xff\xff\xff\xff" + b"\x80" * 1000,
    "params: bin of 4 G": _REQUEST + b"\xc6\xff\xff\xff\xff" + b"\x80" * 1000,
    "method: text of 4 G": _REQUEST[:-2] + b"\xdb\xff\xff\xff\xff" + b"a" * 1000,
    "params: deep": _REQUEST + b"\x91" * 100_000 + b"\xc0",
    "params: array of empty arrays": _REQUEST + b"\xdd\x00\x01\x86\xa0" + b"\x90" * 100_000,
    "deep arrays": b"\x91" * 100_000 + b"\xc0",
    "deep maps": b"\x81\xa1a" * 100_000 + b"\xc0",
    "tag: deep": b"\x94" + b"\x91" * 100_000,
    "unknown key: deep": b"\x82\xa4type\x05\xa1x" + b"\x91" * 100_000 + b"\xc0",
    "unknown key: many": b"\x82\xa4type\x05\xa1x\xdd\x00\x01\x86\xa0" + b"\xc0" * 100_000,
    "many keys": b"\xdf\x00\x00\xc3\x50"
    + b"".join(b"\xa4%04x\xc0" % number for number in range(50_000)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_and_costs_no_more_memory_than_its_bytes(bomb: str) -> None:
    payload = BOMBS[bomb]
    tracemalloc.start()
    try:
        with pytest.raises(Serialization):
            decode(payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(payload) + 50_000


def test_unknown_keys_share_one_budget_of_elements() -> None:
    many = [None] * (MAX_ELEMENTS // 4)
    fits = {"type": "shutdown", "a": many, "b": many, "c": many}
    assert decode(packb(fits))[0] == Shutdown(None)
    too_many = (
        b"\x85" + b"".join(packb(key) + packb(many) for key in "abcd") + packb("type") + b"\x05"
    )
    with pytest.raises(Serialization, match="too many elements"):
        decode(too_many)


def test_unknown_keys_may_be_as_deep_as_anything() -> None:
    deep: Any = None
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert decode(packb({"type": "shutdown", "x": deep}))[0] == Shutdown(None)
    with pytest.raises(Serialization, match="too deeply"):
        decode(b"\x82" + packb("type") + b"\x05" + packb("x") + b"\x91\x91" + packb(deep))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_byte_fields_have_no_limit_but_the_frames(form: Form) -> None:
    data = bytes(range(256)) * (4 * MAX_ELEMENTS // 256)
    message = Response(ID, True, data, "said")
    assert decode(encode(message, form)) == (message, form)


# Ids.


@given(st.uuids())
def test_ids_in_text(one: uuid.UUID) -> None:
    assert id_text(one.bytes) == str(one)
    for text in (str(one), one.hex, one.urn, "{" + str(one) + "}"):
        assert id_bytes(text) == id_bytes(text.upper()) == one.bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "x",
        ID.hex()[:-1],
        ID.hex() + "0",
        id_text(ID)[:-1] + "g",
        id_text(ID).replace("-", "", 1),
        "-" + id_text(ID),
        id_text(ID) + "\n",
        id_text(ID) + "00",
        id_text(ID)[:-2],
        id_text(ID)[:-2] + " f",
        id_text(ID)[:-2] + "  ",
        id_text(ID)[:-1] + "-",
        id_text(ID).replace("-", "0"),
        id_text(ID).replace("-", "_"),
        id_text(ID)[:-3] + "é0f",
        " " + id_text(ID)[:-1],
        "-" + id_text(ID)[:-1],
        " " + id_text(ID),
        "{" + ID.hex() + "}",
        "{" + id_text(ID),
        id_text(ID) + "}",
        "{urn:uuid:" + id_text(ID) + "}",
        "urn:uuid:" + ID.hex(),
        "urn:" + id_text(ID),
        "urn:uu\u0131d:" + id_text(ID),
        "\u0661" * 32,
        "0011-2233445566778899aabbccddeeff-",
    ],
)
def test_what_is_no_uuid(text: str) -> None:
    with pytest.raises(ValueError, match="^invalid UUID: "):
        id_bytes(text)
