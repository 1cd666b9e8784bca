"""Messages to bytes: responses for the server, requests for our own client."""

from __future__ import annotations

import functools
import re
from typing import Dict, Iterable, Sequence, Tuple, Union

from ...errors import LocalProtocolError
from .grammar import TOKEN

__all__ = [
    "CONTINUE",
    "LAST_CHUNK",
    "chunk",
    "encode_headers",
    "request",
    "response",
    "stream_head",
]

#: The interim answer to a client that waits before it sends its body.
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: The end of a chunked body.
LAST_CHUNK = b"0\r\n\r\n"

Fields = Union[bytes, Sequence[Tuple[str, str]]]

# RFC 9110 15, what a server of ours sends.
_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_START: Dict[int, bytes] = {
    status: "HTTP/1.1 {} {}\r\n".format(status, reason).encode("ascii")
    for status, reason in _REASONS.items()
}
_BODILESS = frozenset((204, 304))
_NAME = re.compile(TOKEN)
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
#: Of a client only; compiled when it is first needed.
_TARGET = r"/[!-\"$-~]*|\*"
# The writers below say these themselves; said twice they could contradict each other.
_FRAMING = frozenset(("content-length", "transfer-encoding"))
_RESPONSE_FRAMING = _FRAMING | {"connection"}
# A request with one of these has a body by nature, so an empty one is said.
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))


def encode_headers(headers: Iterable[Tuple[str, str]]) -> bytes:
    """Return (name, value) pairs as header lines, for use as ``headers`` of the functions below.

    Raises LocalProtocolError for a name that is no token, a value that could end its line, and a
    field that the writers decide about (Content-Length, Transfer-Encoding, Connection).
    """
    return _encode(headers, _RESPONSE_FRAMING)


def _encode(headers: Iterable[Tuple[str, str]], reserved: Iterable[str]) -> bytes:
    lines = []
    for name, value in headers:
        if not _NAME.fullmatch(name):
            raise LocalProtocolError("{!r} is no header name".format(name))
        if not _VALUE.fullmatch(value):
            raise LocalProtocolError(
                "the value of {} may hold Latin-1 text only, without line ends".format(name)
            )
        if name.lower() in reserved:
            raise LocalProtocolError("{} is decided here; do not pass it".format(name))
        lines.append("{}: {}\r\n".format(name, value.strip(" \t")))
    return "".join(lines).encode("latin-1")


# Most answers carry one of a few sets of fields.
_encode_cached = functools.lru_cache(maxsize=128)(encode_headers)


def _block(headers: Fields) -> bytes:
    if type(headers) is bytes:
        return headers
    if type(headers) is tuple:
        return _encode_cached(headers)
    return encode_headers(headers)  # type: ignore[arg-type]


def _start(status: int) -> bytes:
    if not 200 <= status <= 599:
        raise LocalProtocolError("{} is not the status of a final response".format(status))
    return b"HTTP/1.1 %d \r\n" % status


def response(
    status: int,
    headers: Fields,
    body: bytes,
    keep_alive: bool = True,
    head_only: bool = False,
    version: int = 1,
) -> bytes:
    """Return one whole response.

    ``headers``: (name, value) pairs (a tuple is encoded once and remembered) or the result of
    :func:`encode_headers`. ``head_only`` answers a HEAD: the length is said, the body is not sent.
    ``version`` is that of the request; an HTTP/1.0 client must be told that its connection stays.
    Raises LocalProtocolError for bad headers, and for a body where the status allows none.
    """
    start = _START.get(status) or _start(status)
    block = _block(headers)
    if not keep_alive:
        block += b"Connection: close\r\n"
    elif not version:
        block += b"Connection: keep-alive\r\n"
    if status in _BODILESS:
        if body:
            raise LocalProtocolError("a response {} has no body".format(status))
        return b"%b%b\r\n" % (start, block)
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (
        start,
        block,
        len(body),
        b"" if head_only else body,
    )


def stream_head(status: int, headers: Fields) -> bytes:
    """Return the head of a chunked response, for HTTP/1.1 clients only.

    Then come any number of :func:`chunk` and at last :data:`LAST_CHUNK`. Raises LocalProtocolError.
    """
    if status in _BODILESS:
        raise LocalProtocolError("a response {} has no body".format(status))
    return b"%b%bTransfer-Encoding: chunked\r\n\r\n" % (
        _START.get(status) or _start(status),
        _block(headers),
    )


def chunk(data: bytes) -> bytes:
    """Return ``data`` as one chunk; nothing for nothing, because an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def request(
    method: str, target: str, headers: Iterable[Tuple[str, str]], body: bytes = b""
) -> bytes:
    """Return one whole request. ``headers`` must name the Host once; the length is added here.

    Raises LocalProtocolError.
    """
    headers = tuple(headers)
    if not _NAME.fullmatch(method) or not re.fullmatch(_TARGET, target):
        raise LocalProtocolError("{!r} {!r} is no request".format(method, target))
    if [name.lower() for name, _ in headers].count("host") != 1:
        raise LocalProtocolError("a request names its Host exactly once")
    block = _encode(headers, _FRAMING)
    if body or method in _WITH_BODY:
        block += b"Content-Length: %d\r\n" % len(body)
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (
        method.encode("ascii"),
        target.encode("ascii"),
        block,
        body,
    )
