"""HTTP/1.1 (RFC 9110, RFC 9112) as machines: a strict subset, both sides, no I/O.

Strict means: whatever could be read in two ways is refused, with the status and the words that
tell the peer what to change. Nothing accepted here means something else to h11 (tested).
"""

from __future__ import annotations

from .grammar import CLOSED, Refusal
from .headers import Headers
from .requests import RequestBody, RequestHead, RequestParser
from .responses import Data, End, Failure, ResponseHead, ResponseParser
from .writing import (
    CONTINUE,
    LAST_CHUNK,
    chunk,
    encode_headers,
    request,
    response,
    stream_head,
)

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
