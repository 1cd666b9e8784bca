"""HTTP/1.1 (RFC 9110, RFC 9112) as machines: a strict subset, both sides, no I/O.

Strict means: whatever could be read in two ways is refused, with the status and the words that
tell the peer what to change. Nothing accepted here means something else to h11 (tested).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .grammar import CLOSED, Refusal
from .headers import Headers
from .requests import RequestBody, RequestHead, RequestParser
from .writing import (
    CONTINUE,
    LAST_CHUNK,
    chunk,
    encode_headers,
    request,
    response,
    stream_head,
)

if TYPE_CHECKING:
    from .responses import Data, End, Failure, ResponseHead, ResponseParser

__all__ = [
    "CLOSED",
    "CONTINUE",
    "LAST_CHUNK",
    "Data",
    "End",
    "Failure",
    "Headers",
    "Refusal",
    "RequestBody",
    "RequestHead",
    "RequestParser",
    "ResponseHead",
    "ResponseParser",
    "chunk",
    "encode_headers",
    "request",
    "response",
    "stream_head",
]

#: The client's half, loaded when it is first used: a server that gets its port does without.
_OF_RESPONSES = ("Data", "End", "Failure", "ResponseHead", "ResponseParser")


def __getattr__(name: str) -> Any:
    if name not in _OF_RESPONSES:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from . import responses

    globals().update((one, getattr(responses, one)) for one in _OF_RESPONSES)
    return getattr(responses, name)
