"""Messages to bytes and back, without MessagePack's general reader and writer on the way.

The envelope has a fixed shape, so it is written and read by hand: the pure-Python MessagePack is
the main cost of a call. What is written is what MessagePack would write; what is read here is read
the same by ``forms``, which also has everything that is not the usual case.
"""

from __future__ import annotations

from typing import Callable, Dict, Optional, Tuple, Type

from ..transport_errors import Serialization
from .envelope import (
    KINDS,
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
    id_bytes,
    id_text,
)
from .forms import read_message
from .frames import frame
from .heads import array_head, bin_head, map_head, text_head
from .octets import pack_octets, read_octets

__all__ = [
    "OURS",
    "REFERENCE",
    "Form",
    "Message",
    "Notify",
    "Ping",
    "Pong",
    "Request",
    "Response",
    "Shutdown",
    "decode",
    "encode",
    "id_bytes",
    "id_text",
    "request_frame",
    "response_frame",
]

_NIL = b"\xc0"
#: False, true.
_BOOLEANS = b"\xc2\xc3"
#: Head of an id: ``bin`` of 16 bytes.
_ID = b"\xc4\x10"


# Writing: one writer for each kind of field.


def _write_id(value: bytes) -> bytes:
    if len(value) != 16:
        raise Serialization("an id has 16 bytes, not {}".format(len(value)))
    return _ID + value


def _write_text(value: str) -> bytes:
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Serialization(str(error)) from None
    return text_head(len(data)) + data


def _write_bin(value: bytes) -> bytes:
    return bin_head(len(value)) + value


def _write_flag(value: bool) -> bytes:
    return b"\xc3" if value else b"\xc2"


def _write_milliseconds(value: int) -> bytes:
    if not 0 <= value < 1 << 64:
        raise Serialization("{} is no 64-bit timestamp".format(value))
    if value < 0x80:
        return bytes([value])
    for head, size in ((b"\xcc", 1), (b"\xcd", 2), (b"\xce", 4)):
        if value < 1 << 8 * size:
            return head + value.to_bytes(size, "big")
    return b"\xcf" + value.to_bytes(8, "big")


_Writer = Callable[..., bytes]


def _or_nil(writer: _Writer) -> _Writer:
    return lambda value: _NIL if value is None else writer(value)


_BYTES_WRITERS: Dict[str, _Writer] = {"array": pack_octets, "bin": _write_bin}


def _writers(octets: _Writer) -> Dict[Type[Message], Tuple[_Writer, ...]]:
    return {
        Request: (_write_id, _write_text, octets),
        Response: (_write_id, _write_flag, octets, _or_nil(_write_text)),
        Ping: (_write_id, _write_milliseconds),
        Pong: (_write_id, _write_milliseconds),
        Notify: (_or_nil(_write_id), _write_text, octets),
        Shutdown: (_or_nil(_write_text),),
    }


_WRITERS = {bytes_as: _writers(octets) for bytes_as, octets in _BYTES_WRITERS.items()}
_TAGS = {kind: _write_text(name) for name, kind in KINDS.items()}
_KEYS = {kind: tuple(_write_text(field) for field in kind._fields) for kind in KINDS.values()}
#: What a tagged array of each kind begins with.
_TAGGED = {kind: array_head(1 + len(_KEYS[kind])) + tag for kind, tag in _TAGS.items()}
#: What a bare array begins with; the other messages have no bare form.
_BARE: Dict[Type[Message], bytes] = {
    kind: array_head(len(_KEYS[kind])) for kind in (Request, Response)
}


def encode(message: Message, form: Form = REFERENCE) -> bytes:
    """Return the payload (no length in front) that is ``message`` in ``form``.

    A message that has no bare form is tagged. Raises Serialization for an id that has not 16
    bytes, a text that UTF-8 cannot say and a timestamp that 64 bits cannot.
    """
    kind = type(message)
    parts = [write(value) for write, value in zip(_WRITERS[form.bytes_as][kind], message)]
    if form.shape == "map":
        pairs = [piece for pair in zip(_KEYS[kind], parts) for piece in pair]
        head = map_head(1 + len(parts)) + _write_text("type") + _TAGS[kind]
        return b"".join([head, *pairs])
    head = _BARE.get(kind, _TAGGED[kind]) if form.shape == "bare" else _TAGGED[kind]
    return b"".join([head, *parts])


_REQUEST = _TAGGED[Request] + _ID
_RESPONSE = _TAGGED[Response] + _ID


def request_frame(ident: bytes, method: str, params: bytes, form: Form) -> bytes:
    """Return ``frame(encode(Request(ident, method, params), form))``, sooner. Raises the same."""
    if form.shape != "tagged" or len(ident) != 16:
        return frame(encode(Request(ident, method, params), form))
    write = _BYTES_WRITERS[form.bytes_as]
    return frame(b"".join((_REQUEST, ident, _write_text(method), write(params))))


def response_frame(
    ident: bytes, success: bool, payload: bytes, error: Optional[str], form: Form
) -> bytes:
    """Return ``frame(encode(Response(…), form))``, sooner if it went well. Raises the same."""
    if not success or error is not None or form.shape != "tagged" or len(ident) != 16:
        return frame(encode(Response(ident, success, payload, error), form))
    write = _BYTES_WRITERS[form.bytes_as]
    return frame(b"".join((_RESPONSE, ident, b"\xc3", write(payload), _NIL)))


# Reading: short cuts for the usual messages in the usual form. Each goes on after what such a
# message begins with, and raises IndexError or ValueError wherever it does not know any further.


#: What the constructor of a NamedTuple does, without its call in between.
_new = tuple.__new__


def _read_request(data: bytes, at: int) -> Tuple[Message, Form]:
    start, end = _short_text(data, at + 16)
    method = data[start:end].decode("utf-8")
    params, _, form = _read_bytes(data, end)
    return _new(Request, (data[at : at + 16], method, params)), form


def _read_response(data: bytes, at: int) -> Tuple[Message, Form]:
    success = _BOOLEANS.index(data[at + 16]) == 1
    payload, end, form = _read_bytes(data, at + 17)
    error = None
    if data[end] != 0xC0:
        start, end = _short_text(data, end)
        if end > len(data):
            raise ValueError
        error = data[start:end].decode("utf-8")
    return _new(Response, (data[at : at + 16], success, payload, error)), form


def _read_notify(data: bytes, at: int) -> Tuple[Message, Form]:
    start, end = _short_text(data, at)
    topic = data[start:end].decode("utf-8")
    value, _, form = _read_bytes(data, end)
    return Notify(None, topic, value), form


def _read_ping(data: bytes, at: int) -> Tuple[Message, Form]:
    return Ping(data[at : at + 16], _milliseconds(data, at + 16)), REFERENCE


def _read_pong(data: bytes, at: int) -> Tuple[Message, Form]:
    return Pong(data[at : at + 16], _milliseconds(data, at + 16)), REFERENCE


def _milliseconds(data: bytes, at: int) -> int:
    """Return a moment of our days: anything after 1970-02-19 takes eight bytes."""
    if data[at] != 0xCF or at + 9 > len(data):
        raise ValueError
    return int.from_bytes(data[at + 1 : at + 9], "big")


def _short_text(data: bytes, at: int) -> Tuple[int, int]:
    """Return where a text of at most 255 bytes begins and ends (perhaps after the data)."""
    head = data[at]
    if 0xA0 <= head < 0xC0:
        return at + 1, at + head - 0x9F
    if head == 0xD9:
        return at + 2, at + 2 + data[at + 1]
    raise ValueError


def _read_bytes(data: bytes, at: int) -> Tuple[bytes, int, Form]:
    """Return bytes in either form, the index after them and which form."""
    head = data[at]
    if 0xC4 <= head <= 0xC6:
        width = 1 << head - 0xC4
        start = at + 1 + width
        size = data[at + 1] if width == 1 else int.from_bytes(data[at + 1 : start], "big")
        at = start + size
        if at > len(data):
            raise ValueError
        return data[start:at], at, OURS
    if head == 0xDC:
        start = at + 3
        end = start + (data[at + 1] << 8 | data[at + 2])
        found = data[start:end]
        if end <= len(data) and found.isascii():
            return found, end, REFERENCE
    octets = read_octets(data, at)
    if octets is None:
        raise ValueError
    return octets[0], octets[1], REFERENCE


#: Three bytes of the tag -> what such a message begins with, and who reads the rest.
_SHORT_CUTS = {
    begin[1:4]: (begin, reader)
    for begin, reader in (
        (_TAGGED[Request] + _ID, _read_request),
        (_TAGGED[Response] + _ID, _read_response),
        (_TAGGED[Notify] + _NIL, _read_notify),
        (_TAGGED[Ping] + _ID, _read_ping),
        (_TAGGED[Pong] + _ID, _read_pong),
    )
}


def decode(payload: bytes) -> Tuple[Message, Form]:
    """Return the message in ``payload`` (no length in front) and the form it has.

    Every accepted form is read, see ``forms``; what follows the message is ignored. Raises
    Serialization with what is wrong.
    """
    short_cut = _SHORT_CUTS.get(payload[1:4])
    if short_cut is not None and payload.startswith(short_cut[0]):
        try:
            return short_cut[1](payload, len(short_cut[0]))
        except (IndexError, ValueError):
            # An unusual or a broken message: the general reader knows which, and says why.
            pass
    return read_message(payload)
