"""What a message is, said a second time: everything through the general reader, then the rules.

Also the strategies that make messages, and bytes that are nearly messages.
"""

from __future__ import annotations

import uuid
from typing import Any, Dict, List, Tuple

from dcc_mcp_embed._vendor.msgpack import packb
from hypothesis import strategies as st

from dcc_mcp_embed.transport_errors import Serialization
from dcc_mcp_embed.wire.frames import unpack_at
from dcc_mcp_embed.wire.heads import MAX_ELEMENTS
from dcc_mcp_embed.wire.messages import (
    Form,
    Notify,
    Ping,
    Pong,
    Request,
    Response,
    Shutdown,
    decode,
    encode,
    id_bytes,
)

#: In the order of the tags' numbers.
TAGS: Dict[str, Any] = {
    "request": Request,
    "response": Response,
    "ping": Ping,
    "pong": Pong,
    "notify": Notify,
    "shutdown": Shutdown,
}
ID = bytes.fromhex("00112233445566778899aabbccddeeff")
FORMS = [Form(shape, kind) for shape in ("tagged", "bare", "map") for kind in ("array", "bin")]


# Rules by the name of the field; "id?" may be nil.


def fits(name: str, value: Any) -> Any:
    """Return the field's value; raises ValueError."""
    if name in ("error", "reason", "id?") and value is None:
        return None
    if name in ("id", "id?"):
        if isinstance(value, str):
            return id_bytes(value)
        good = isinstance(value, bytes) and len(value) == 16
    elif name in ("method", "topic", "error", "reason"):
        if isinstance(value, bytes):
            return value.decode("utf-8")
        good = isinstance(value, str)
    elif name == "success":
        good = value is True or value is False
    elif name == "timestamp_ms":
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif isinstance(value, list):
        if any(type(byte) is not int for byte in value):
            raise ValueError(name)
        return bytes(value)
    else:
        good = isinstance(value, bytes)
    if not good:
        raise ValueError(name)
    return value


def by_tag(tag: Any) -> Any:
    """Return the message's class, or None."""
    if isinstance(tag, bytes):
        tag = tag.decode("latin-1")
    if isinstance(tag, str):
        return TAGS.get(tag)
    if type(tag) is int and 0 <= tag <= 5:
        return list(TAGS.values())[tag]
    return None


def shaped(value: Any) -> Tuple[str, Any, List[Any]]:
    """Return shape, class and fields of an unpacked value; raises ValueError."""
    if isinstance(value, list) and value:
        kind = by_tag(value[0])
        if kind is not None:
            return "tagged", kind, value[1:]
        if isinstance(value[0], (str, bytes)) and len(value) in (3, 4):
            return "bare", Request if len(value) == 3 else Response, value
    if isinstance(value, dict):
        keys = [key.decode("utf-8") if isinstance(key, bytes) else key for key in value]
        if len(set(keys)) != len(keys):
            raise ValueError("the same key twice")
        named = dict(zip(keys, value.values()))
        if "type" in named:
            kind = by_tag(named["type"])
        elif ("method" in named) != ("success" in named):
            kind = Request if "method" in named else Response
        else:
            kind = None
        if kind is not None:
            return "map", kind, [named.get(name) for name in kind._fields]
    raise ValueError("no message")


def by_the_rules(payload: bytes) -> Any:
    """Return what ``decode`` must return."""
    try:
        shape, kind, values = shaped(unpack_at(payload, 0, MAX_ELEMENTS)[0])
        names = ["id?" if (kind, name) == (Notify, "id") else name for name in kind._fields]
        if len(values) != len(names):
            raise ValueError("number of fields")
        message = kind(*map(fits, names, values))
    except ValueError as error:
        raise Serialization(str(error)) from None
    bytes_as = "array"
    for name, value in zip(names, values):
        if name in ("params", "payload", "data") and isinstance(value, bytes):
            bytes_as = "bin"
    return message, Form(shape, bytes_as)


def outcome(reader: Any, payload: bytes) -> Any:
    """Return a comparable account of what ``reader`` makes of ``payload``."""
    try:
        message, form = reader(payload)
    except Serialization:
        return "refused"
    return type(message), [(type(value), value) for value in message], form


def check(payload: bytes) -> None:
    """Fail if ``decode`` and the rules differ about ``payload``."""
    assert outcome(decode, payload) == outcome(by_the_rules, payload), payload.hex()


# Strategies.

#: Bytes around every border of both forms: marks, marks of marks, ASCII, lengths with other heads.
octets = (
    st.binary(max_size=40)
    | st.text("\xcc\x80\x7f\xff\x00\xdc\x90", max_size=40).map(lambda text: text.encode("latin-1"))
    | st.builds(
        lambda byte, size: bytes([byte]) * size,
        st.sampled_from([0x00, 0x7F, 0x80, 0xCC, 0xFF]),
        st.sampled_from([15, 16, 17, 255, 256, 257]),
    )
)
texts = st.text(max_size=40) | st.builds(
    lambda letter, size: letter * size, st.sampled_from("aé"), st.sampled_from([31, 32, 255, 256])
)
identities = st.just(ID) | st.binary(min_size=16, max_size=16)
moments = st.integers(0, (1 << 64) - 1) | st.sampled_from(
    [0, 127, 128, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, (1 << 64) - 1]
)
messages = st.one_of(
    st.builds(Request, identities, texts, octets),
    st.builds(Response, identities, st.booleans(), octets, st.none() | texts),
    st.builds(Ping, identities, moments),
    st.builds(Pong, identities, moments),
    st.builds(Notify, st.none() | identities, texts, octets),
    st.builds(Shutdown, st.none() | texts),
)
forms = st.sampled_from(FORMS)

#: Any value that may stand where a field does, right or wrong.
fields = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.integers(-1, 256),
    st.floats(),
    st.sampled_from([*TAGS, *(tag.encode() for tag in TAGS)]),
    st.just(ID),
    st.uuids().map(str),
    st.text(max_size=5),
    st.binary(max_size=17),
    st.lists(st.integers(-1, 256), max_size=4),
    st.lists(st.none() | st.booleans() | st.lists(st.just(1), max_size=1), max_size=2),
    st.dictionaries(st.text(max_size=2), st.just([1]), max_size=2),
)
_keys = st.sampled_from(["colour", "type", "id", "method", "success", b"data", b"\xff", 3])
#: The right values of a field, in every way to say them.
_texts = st.text(max_size=3) | st.text(max_size=3).map(str.encode)
_octets = st.lists(st.integers(0, 255), max_size=20) | st.binary(max_size=20)
_RIGHT = {
    "id": st.just(ID) | st.just(str(uuid.UUID(bytes=ID)).upper()),
    "method": _texts,
    "topic": _texts,
    "success": st.booleans(),
    "params": _octets,
    "payload": _octets,
    "data": _octets,
    "error": st.none() | _texts,
    "reason": st.none() | _texts,
    "timestamp_ms": moments,
}


@st.composite
def nearly_right(draw: Any) -> bytes:
    """Return a message in any accepted form, mostly: sometimes a part is wrong, more or missing."""
    tag, kind = draw(st.sampled_from(list(TAGS.items())))
    written = draw(st.sampled_from([tag, tag, tag.encode(), list(TAGS).index(tag)]))
    pairs = [("type", written)] + [(name, draw(_RIGHT[name])) for name in kind._fields]
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(pairs) - 1))
        pairs[at] = (pairs[at][0], draw(fields))
    if draw(st.booleans()):
        if draw(st.integers(0, 3)) == 0:
            del pairs[0]
        return packb([value for _, value in pairs])
    pairs += draw(st.lists(st.tuples(_keys, fields), max_size=1))
    pairs = draw(st.permutations(pairs))
    if draw(st.integers(0, 3)) == 0:
        del pairs[0]
    return bytes([0x80 + len(pairs)]) + b"".join(packb(part) for pair in pairs for part in pair)


def edited(payload: bytes, edits: List[Tuple[str, int, int]]) -> bytes:
    """Return ``payload`` after edits: what, where (from the front or the end), which byte."""
    data = bytearray(payload)
    for what, where, byte in edits:
        at = where % (len(data) + 1) if data else 0
        if what == "put":
            data[at : at + 1] = bytes([byte])
        elif what == "insert":
            data[at:at] = bytes([byte])
        elif what == "delete":
            del data[at : at + 1]
        else:
            del data[at:]
    return bytes(data)


#: Heads and marks more often than chance would have them.
telling_bytes = st.integers(0, 255) | st.sampled_from(
    [0x80, 0x90, 0x93, 0x94, 0x95, 0xA4, 0xC0, 0xC1, 0xC2, 0xC4, 0xC7, 0xCC, 0xCD, 0xD0, 0xD9, 0xDC]
)
edits = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "insert", "delete", "cut"]),
        st.integers(-12, 36),
        telling_bytes,
    ),
    min_size=1,
    max_size=2,
)
near_messages = st.one_of(
    nearly_right(),
    st.builds(edited, nearly_right(), edits),
    st.builds(edited, st.builds(encode, messages, forms), edits),
    st.lists(fields, max_size=6).map(packb),
    st.binary(max_size=40),
)
