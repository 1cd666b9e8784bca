"""What both directions share: the shape of a head, its fields, and how long the body is.

A head is validated as one block, not line by line: deleting every character that may stand in it
leaves the line ends, and there must be exactly as many of them as there are lines.
"""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

from ...errors import RemoteProtocolError
from ...records import NamedTuple
from .headers import Headers

__all__ = [
    "CLOSED",
    "CRLF",
    "HEAD_END",
    "MAX_FIELDS",
    "MAX_LINE",
    "TOKEN",
    "Closed",
    "Malformed",
    "Refusal",
    "body_length",
    "check_start",
    "parse_fields",
    "split_lines",
]

CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"
#: RFC 9112 3 recommends at least 8000 bytes for the request line.
MAX_LINE = 8192
#: As many as http.client takes of a server; browsers send about 20.
MAX_FIELDS = 100

#: RFC 9110 5.6.2.
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = re.compile(TOKEN)
#: Digits as in h11: more than 20 are no length, whatever their value.
_LENGTH = re.compile(r"[0-9]{1,20}")
# What may stand in a line: blank, tab, visible ASCII, and the upper half, which is opaque.
_TEXT = bytes([0x09] + list(range(0x20, 0x7F)) + list(range(0x80, 0x100)))
# A line feed or carriage return outside a pair, or another control character.
_STRAY = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOKEN_BYTES = frozenset(
    b"!#$%&'*+.^_`|~-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def _spellings() -> List[Tuple[str, str]]:
    names = (
        "Accept Accept-Encoding Accept-Language Authorization Cache-Control Connection"
        " Content-Length Content-Type Cookie Date Expect Host Keep-Alive Last-Event-ID"
        " MCP-Method MCP-Name MCP-Protocol-Version MCP-Session-Id Origin Pragma Referer"
        " Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Server Transfer-Encoding User-Agent Vary"
    ).split()
    spelt = [(name, name.lower()) for name in names]
    spelt += [(name.title(), name.lower()) for name in names]
    return spelt + [(name.lower(), name.lower()) for name in names]


# One lookup both validates a usual name and gives its lower case; fixed, so peers cannot grow it.
_KNOWN = dict(_spellings())


class Malformed(RemoteProtocolError):
    """The peer's bytes are no message we take; ``status`` is what a server answers."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Closed:
    """The type of :data:`CLOSED`: nothing more will come from this parser."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "CLOSED"


CLOSED = Closed()


class Refusal(NamedTuple):
    """A request that is not served: answer ``status`` and close. ``reason`` is for the peer."""

    status: int
    reason: str


def check_start(window: bytes, searched: int, max_line: int, max_head: int) -> None:
    """Raise Malformed if the first bytes of a head can no longer become a good one.

    ``window`` holds what arrived, cut at ``max_head``; the first ``searched`` bytes were found
    good before. The verdict depends on the bytes only, not on how they were split into reads.
    """
    if window and window[0] not in _TOKEN_BYTES:
        raise Malformed(400, "a message begins with its method or version, at once")
    stray = _STRAY.search(window, max(0, searched - 1))
    line_open = window.find(CRLF, 0, max_line + 2) < 0
    if line_open and len(window) >= max_line + 2 and (not stray or stray.start() > max_line):
        raise Malformed(414, "the first line is longer than {} bytes".format(max_line))
    if stray:
        raise Malformed(
            400, "lines end with CR LF, and no other control character may stand in them"
        )
    if len(window) >= max_head and HEAD_END not in window:
        raise Malformed(431, "the header fields are longer than {} bytes".format(max_head))


def split_lines(block: bytes, max_line: int) -> List[str]:
    """Return the lines of a whole head (``block`` ends with its empty line), that line excluded.

    Raises Malformed.
    """
    lines = str(block, "latin-1").split("\r\n")
    if (
        len(block.translate(None, _TEXT)) != 2 * len(lines) - 2
        or len(lines[0]) > max_line
        or block[0] not in _TOKEN_BYTES
    ):
        check_start(block, 0, max_line, len(block) + 1)
    del lines[-2:]
    return lines


def parse_fields(lines: List[str]) -> Headers:
    """Return the fields of ``lines``, the first line (not a field) left out. Raises Malformed."""
    if len(lines) > MAX_FIELDS + 1:
        raise Malformed(431, "more than {} header fields".format(MAX_FIELDS))
    pairs = []
    known = _KNOWN
    for line in lines[1:]:
        spelt, colon, value = line.partition(":")
        name = known.get(spelt)
        if name is None or not colon:
            name = _check_name(line, spelt, colon)
        pairs.append((name, value.strip(" \t")))
    return Headers(pairs)


def _check_name(line: str, spelt: str, colon: str) -> str:
    if colon and _NAME.fullmatch(spelt):
        return spelt.lower()
    if line[:1] in (" ", "\t"):
        raise Malformed(400, "a header value may not be folded over several lines")
    if not colon:
        raise Malformed(400, "a header line has no colon")
    if _NAME.fullmatch(spelt.rstrip(" \t")):
        raise Malformed(400, "no blank may stand between a header name and its colon")
    raise Malformed(400, "a header name has characters that are not allowed in one")


def body_length(headers: Headers, version: int) -> Optional[int]:
    """Return what the head says of the body: its length in bytes, -1 for chunked, None for nothing.

    RFC 9112 6.3; what it lets a recipient repair is refused here. Raises Malformed.
    """
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if not version:
            raise Malformed(400, "HTTP/1.0 has no Transfer-Encoding; send a Content-Length")
        if length is not None:
            raise Malformed(400, "Content-Length and Transfer-Encoding exclude each other")
        if coding.lower() != "chunked":
            codings = headers.tokens("transfer-encoding")
            if codings[-1:] == ["chunked"] and codings.count("chunked") == 1:
                raise Malformed(501, "chunked is the only Transfer-Encoding known here")
            raise Malformed(400, "the body has no certain end; the coding must be just `chunked`")
        return -1
    if length is None:
        return None
    if not _LENGTH.fullmatch(length):
        raise Malformed(400, "Content-Length is one number of at most 20 digits, given once")
    return int(length)
