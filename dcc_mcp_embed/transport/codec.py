"""The public codec: what a script needs to speak the framed wire over a socket of its own.

Names, arguments and dictionaries are those of dcc-mcp-core 0.12; the bytes too. Frames are not
checked against the size limit of a channel by ``decode_envelope``, which gets what is inside one.
Any thread.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..clock import SystemClock
from ..wire.envelope import KINDS
from ..wire.frames import frame
from ..wire.messages import Message, Notify, Request, Response, decode, encode, id_bytes, id_text
from ..wire.octets import BytesLike, as_bytes

__all__ = [
    "decode_envelope",
    "encode_notify",
    "encode_request",
    "encode_response",
    "envelope_dict",
]

_clock = SystemClock()
_NAMES = {kind: name for name, kind in KINDS.items()}


def _is(value: object, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise TypeError("{} takes {}, not {}".format(name, kind.__name__, type(value).__name__))


def encode_request(method: str, params: Optional[BytesLike] = None) -> bytes:
    """Return a request with a random id as one frame, its length in front.

    ``params``: bytes or a list of integers 0..255; none are empty. Raises TypeError, ValueError,
    Serialization, FrameTooLarge.
    """
    _is(method, str, "method")
    data = b"" if params is None else as_bytes(params)
    return frame(encode(Request(id_bytes(_clock.uuid()), method, data)))


def encode_response(
    request_id: str,
    success: bool,
    payload: Optional[BytesLike] = None,
    error: Optional[str] = None,
) -> bytes:
    """Return the response to the request with this UUID as one frame, its length in front.

    Raises ValueError ("invalid UUID: …"), otherwise as ``encode_request``.
    """
    _is(request_id, str, "request_id")
    _is(success, bool, "success")
    if error is not None:
        _is(error, str, "error")
    data = b"" if payload is None else as_bytes(payload)
    return frame(encode(Response(id_bytes(request_id), success, data, error)))


def encode_notify(topic: str, data: Optional[BytesLike] = None) -> bytes:
    """Return a notification without an id as one frame, its length in front.

    Raises as ``encode_request``.
    """
    _is(topic, str, "topic")
    return frame(encode(Notify(None, topic, b"" if data is None else as_bytes(data))))


def decode_envelope(data: BytesLike) -> Dict[str, Any]:
    """Return the message in a frame's payload (its length taken off) as a dictionary.

    ``type`` is request (id, method, params), response (id, success, payload, error), notify (id,
    topic, data), ping or pong (id, timestamp_ms) or shutdown (reason). Ids are UUIDs in text, byte
    fields are bytes. Raises Serialization, a RuntimeError, for what is no message.
    """
    return envelope_dict(decode(as_bytes(data))[0])


def envelope_dict(message: Message) -> Dict[str, Any]:
    """Return a message as the dictionary that scripts see."""
    if type(message) is Request:
        # What the general way below gives, at half its price: one of these for each call served.
        ident, method, params = message
        return {"type": "request", "id": id_text(ident), "method": method, "params": params}
    found: Dict[str, Any] = {"type": _NAMES[type(message)]}
    found.update(zip(message._fields, message))
    if found.get("id") is not None:
        found["id"] = id_text(found["id"])
    return found
