"""The six messages of the framed wire, what they look like on it, and their ids.

Names, fields and their order are the reference's (dcc-mcp-core 0.12.3 to 0.13); an id is the 16
bytes of a UUID.
"""

from __future__ import annotations

import re
from typing import Dict, Optional, Type, Union

from ..records import NamedTuple

__all__ = [
    "KINDS",
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
    "id_bytes",
    "id_text",
]


class Request(NamedTuple):
    id: bytes
    method: str
    params: bytes


class Response(NamedTuple):
    id: bytes
    success: bool
    payload: bytes
    error: Optional[str]


class Ping(NamedTuple):
    id: bytes
    #: Milliseconds since the Unix epoch by the sender's clock, 64 bits unsigned.
    timestamp_ms: int


class Pong(NamedTuple):
    #: The ping's.
    id: bytes
    timestamp_ms: int


class Notify(NamedTuple):
    id: Optional[bytes]
    topic: str
    data: bytes


class Shutdown(NamedTuple):
    reason: Optional[str]


Message = Union[Request, Response, Ping, Pong, Notify, Shutdown]

#: Tag -> message, in the order of the tags' numbers.
KINDS: Dict[str, Type[Message]] = {
    "request": Request,
    "response": Response,
    "ping": Ping,
    "pong": Pong,
    "notify": Notify,
    "shutdown": Shutdown,
}


class Form(NamedTuple):
    """How a message is written; an answer takes the form of its request.

    ``shape``: ``tagged`` (an array that begins with the tag), ``bare`` (an array without it:
    requests and responses of dcc-mcp-core 0.12.0) or ``map``. ``bytes_as``: ``array`` (of integers)
    or ``bin``, for params, payload and data.
    """

    shape: str
    bytes_as: str


#: What the reference emits and accepts.
REFERENCE = Form("tagged", "array")
#: Between two of us.
OURS = Form("tagged", "bin")

_UUID = re.compile(
    r"[0-9a-f]{32}|(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.ASCII | re.IGNORECASE,
)


def id_bytes(text: str) -> bytes:
    """Return the 16 bytes of a UUID: hyphenated, 32 digits, ``urn:uuid:…`` or ``{…}``, any case.

    Raises ValueError ("invalid UUID: …"). ``uuid.UUID`` is not used: it takes hyphens anywhere.
    """
    if len(text) == 36 and text[8:24:5] == "----":
        # The usual form without the expression, which takes three times as long. Anything else
        # between the digits leaves fewer than 16 bytes of them.
        try:
            raw = bytes.fromhex(text.replace("-", ""))
        except ValueError:
            raw = b""
        if len(raw) == 16:
            return raw
    bare = text[1:-1] if text[:1] + text[-1:] == "{}" else text
    if _UUID.fullmatch(bare) is None or (bare is not text and len(bare) != 36):
        raise ValueError("invalid UUID: {!r}".format(text[:60]))
    return bytes.fromhex(bare[-36:].replace("-", ""))


def id_text(raw: bytes) -> str:
    """Return the UUID of 16 bytes in lower-case hyphenated text."""
    digits = raw.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
