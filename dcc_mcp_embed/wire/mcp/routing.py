"""The header ladder of 2026-07-28: which era a request belongs to, and whether its headers agree.

Order of the checks as in mcp.md 1.3: ``_meta`` complete, headers equal to the body, version
supported; whether the method exists is the machine's to say.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, List, Optional

from .. import jsonrpc
from ..jsonrpc import Fault, Request
from .revisions import (
    HANDSHAKE,
    HEADER_MISMATCH,
    META_CAPABILITIES,
    META_VERSION,
    STATELESS,
    UNSUPPORTED_VERSION,
)

__all__ = ["NAMED", "check_stateless", "decode_header", "encode_header", "is_stateless"]

#: Methods whose Mcp-Name header must repeat a member of their params.
NAMED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_PREFIX = "=?base64?"
_SUFFIX = "?="
#: What can stand in a header as it is: visible ASCII, with blanks between; also nothing at all.
_PLAIN = r"(?:[!-~](?:[ -~]*[!-~])?)?\Z"


def is_stateless(params: Any, version_header: Optional[str]) -> bool:
    """Return whether a request is of the stateless era: by its ``_meta``, else by its header."""
    meta = params.get("_meta")
    if type(meta) is dict and META_VERSION in meta:
        return True
    return version_header is not None and version_header not in HANDSHAKE


def decode_header(value: str) -> Optional[str]:
    """Return what a routing header says, its base64 form decoded; None if that form is broken."""
    if not (value.startswith(_PREFIX) and value.endswith(_SUFFIX)):
        return value
    try:
        return base64.b64decode(value[len(_PREFIX) : -len(_SUFFIX)], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def encode_header(text: str) -> str:
    """Return what says ``text`` in a routing header, in its base64 form where it must."""
    if re.match(_PLAIN, text) and not (text.startswith(_PREFIX) and text.endswith(_SUFFIX)):
        return text
    coded = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")
    return _PREFIX + coded + _SUFFIX


def check_stateless(request: Request, headers: Any) -> None:
    """Raise Fault unless the request's ``_meta`` and headers are what 2026-07-28 demands.

    ``headers`` offers ``get(name)`` and ``get_all(name)``.
    """
    meta = request.params.get("_meta")
    if type(meta) is not dict:
        raise Fault(
            jsonrpc.INVALID_PARAMS,
            "params._meta with {} is missing".format(META_VERSION),
            request.id,
        )
    version = meta.get(META_VERSION)
    if type(version) is not str or type(meta.get(META_CAPABILITIES)) is not dict:
        raise Fault(
            jsonrpc.INVALID_PARAMS,
            "params._meta needs {} (a string) and {} (an object)".format(
                META_VERSION, META_CAPABILITIES
            ),
            request.id,
        )
    _same(request, headers, "MCP-Protocol-Version", version)
    _same(request, headers, "Mcp-Method", request.method)
    member = NAMED.get(request.method)
    if member is not None and type(request.params.get(member)) is str:
        _same(request, headers, "Mcp-Name", request.params[member])
    if version not in STATELESS:
        raise Fault(
            UNSUPPORTED_VERSION,
            "Protocol version {!r} is not supported here".format(version),
            request.id,
            {"supported": list(STATELESS), "requested": version},
        )


def _same(request: Request, headers: Any, name: str, wanted: str) -> None:
    found: List[str] = headers.get_all(name)
    if len(found) != 1:
        problem = "is missing" if not found else "stands there more than once"
        raise Fault(HEADER_MISMATCH, "The header {} {}".format(name, problem), request.id)
    if decode_header(found[0]) != wanted:
        raise Fault(
            HEADER_MISMATCH,
            "The header {} says {!r}, the body says {!r}".format(name, found[0], wanted),
            request.id,
        )
