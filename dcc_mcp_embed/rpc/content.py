"""What resume messages hold, to JSON and back. Reading raises RemoteProtocolError."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional

from ..clock import Clock
from ..errors import RemoteProtocolError, ToolError, UnknownOutcome
from ..parsing import loads
from ..wire.messages import id_bytes

__all__ = [
    "failure_payload",
    "new_line",
    "packed",
    "read_id",
    "read_ids",
    "read_line",
    "read_object",
    "unknown_outcome",
]

_LINE = re.compile(r"[0-9a-f]{16}", re.ASCII)
#: More ids than a connection may have calls in flight are not asked about in earnest.
_MOST_IDS = 65_536


def new_line(clock: Clock) -> bytes:
    """Return a name for a line that nobody has used."""
    # A UUID of version 4 to look at, as every id.
    chance = bytearray(clock.token_bytes(8))
    chance[6] = chance[6] & 0x0F | 0x40
    return bytes(chance)


def packed(content: Dict[str, Any]) -> bytes:
    """Return an object as JSON."""
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def read_object(data: bytes, what: str) -> Dict[str, Any]:
    """Return the JSON object in ``data``; ``what`` names it in the error."""
    try:
        content = loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RemoteProtocolError("{} must be a JSON object".format(what))
    return content


def read_line(value: Any) -> Optional[bytes]:
    """Return the line that a value names, if it is not null."""
    if value is None:
        return None
    if not isinstance(value, str) or _LINE.fullmatch(value) is None:
        raise RemoteProtocolError("a line is 16 hexadecimal digits")
    return bytes.fromhex(value)


def read_id(value: Any) -> bytes:
    """Return the request id that a value names."""
    if isinstance(value, str):
        try:
            return id_bytes(value)
        except ValueError:
            pass
    raise RemoteProtocolError("{!r:.80} is no request id".format(value))


def read_ids(content: Dict[str, Any]) -> List[bytes]:
    """Return the request ids of a message, each once."""
    values = content.get("ids")
    if not isinstance(values, list) or len(values) > _MOST_IDS:
        raise RemoteProtocolError("ids must be a list of at most {} ids".format(_MOST_IDS))
    return list(dict.fromkeys(read_id(value) for value in values))


def failure_payload(error: ToolError) -> bytes:
    """Return the payload of a failed response: what programs read, beside its text for people."""
    return packed(error.to_dict())


def unknown_outcome(payload: bytes) -> Optional[UnknownOutcome]:
    """Return the error of a failed response that says that nobody knows; None: another failure."""
    try:
        content = read_object(payload, "the payload")
    except RemoteProtocolError:
        return None
    message, hint = content.get("message"), content.get("hint")
    if content.get("code") != UnknownOutcome.code or not isinstance(message, str):
        return None
    state = "finished" if content.get("state") == "finished" else None
    return UnknownOutcome(message, hint if isinstance(hint, str) else None, state=state)
