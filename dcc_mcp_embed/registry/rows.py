"""Rows of the registry as dictionaries: how one is made, recognised, and judged fit to be written.

The file belongs to many programs, and the strictest of them throws all rows of everybody away for
one that it cannot parse (dcc-mcp-server from 0.17.22 on). So what we write is checked against its
rules in full; what we read is taken as far as it can be understood.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ..records import NamedTuple
from .status import ServiceStatus

__all__ = [
    "GATEWAY",
    "Key",
    "check",
    "is_newer",
    "key_of",
    "make_key",
    "plain_moments",
    "seconds_of",
    "timestamp",
    "uuid_text",
]

#: (dcc_type, instance id as lower-case hyphenated UUID): what a row is known by.
Key = Tuple[str, str]
#: ``dcc_type`` of the row in which the gateway announces itself.
GATEWAY = "__gateway__"
#: The newest ``schema_version`` whose meaning we know; a missing one counts as it.
SCHEMA_VERSION = 1

_UUID = re.compile(
    r"(?:urn:uuid:|(?P<brace>\{))?"
    r"([0-9a-f]{8})(?P<hyphen>-?)([0-9a-f]{4})(?P=hyphen)([0-9a-f]{4})(?P=hyphen)"
    r"([0-9a-f]{4})(?P=hyphen)([0-9a-f]{12})(?(brace)\})",
    re.IGNORECASE,
)
_STATUSES = frozenset(status.value for status in ServiceStatus)
_U32, _U64 = 2**32 - 1, 2**64 - 1
#: Levels of JSON in a row; serde_json refuses a file with more than 127 in all.
_DEPTH = 100


def uuid_text(text: str) -> str:
    """Return a UUID in lower case with hyphens. Raises ValueError unless it is one.

    Taken are the forms that the reference takes: with hyphens, without, ``urn:uuid:…``, ``{…}``.
    """
    if not isinstance(text, str):
        raise TypeError("an instance id is text, not {!r}".format(text))
    found = _UUID.fullmatch(text)
    if found is None:
        raise ValueError("invalid UUID: {!r}".format(text))
    return "-".join(found.group(2, 4, 5, 6, 7)).lower()


def make_key(dcc_type: str, instance_id: str) -> Key:
    """Return the key for what a caller named. Raises TypeError and ValueError."""
    if not isinstance(dcc_type, str):
        raise TypeError("a dcc_type is text, not {!r}".format(dcc_type))
    return dcc_type, uuid_text(instance_id)


def key_of(row: Mapping[str, Any]) -> Optional[Key]:
    """Return a row's key; None for a row that cannot be addressed: it is left as it is."""
    try:
        return make_key(row["dcc_type"], row["instance_id"])
    except (KeyError, TypeError, ValueError):
        return None


def is_newer(row: Mapping[str, Any]) -> bool:
    """Return whether a row follows a schema that only newer programs know."""
    version = row.get("schema_version", SCHEMA_VERSION)
    return isinstance(version, (int, float)) and version > SCHEMA_VERSION


def timestamp(wall: float) -> Dict[str, int]:
    """Return a moment (seconds since the epoch) as rows hold it."""
    whole = int(wall)
    return {"secs_since_epoch": whole, "nanos_since_epoch": int((wall - whole) * 1e9)}


def seconds_of(moment: object) -> Optional[float]:
    """Return seconds since the epoch of a row's timestamp: the object, or a bare number.

    None for what is no moment, among it a number that no reader has room for.
    """
    if isinstance(moment, dict):
        whole, nanos = moment.get("secs_since_epoch"), moment.get("nanos_since_epoch", 0)
        if _is_number(whole, _U64) and _is_number(nanos, _U32):
            return float(whole + nanos / 1e9)
        return None
    return float(moment) if _is_number(moment, _U64) else None  # type: ignore[arg-type]


def plain_moments(row: Dict[str, Any]) -> None:
    """Make objects of a row's timestamps that are numbers, which only some readers know."""
    for name in ("registered_at", "last_heartbeat", "lease_expires_at"):
        moment = row.get(name)
        if _is_number(moment, _U64):
            row[name] = timestamp(moment)  # type: ignore[arg-type]


def _is_number(value: object, limit: int) -> bool:
    # Compared before it is converted: a whole number may be longer than any float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= limit


# What the strictest reader accepts, one predicate per type.


def _text(value: object) -> bool:
    return isinstance(value, str)


def _whole(limit: int) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit

    return fits


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(_text(one) for one in value)


def _metadata(value: object) -> bool:
    return isinstance(value, dict) and all(_text(k) and _text(v) for k, v in value.items())


def _json(value: object, depth: int = _DEPTH) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_text(k) and _json(v, depth - 1) for k, v in value.items())
    if isinstance(value, list):
        return depth > 0 and all(_json(one, depth - 1) for one in value)
    if isinstance(value, float):
        return value - value == 0.0  # neither infinite nor not a number
    if isinstance(value, int):
        return -(2**63) <= value <= _U64
    return value is None or _text(value)


def _extras(value: object) -> bool:
    return isinstance(value, dict) and _json(value)


def _moment(value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"secs_since_epoch", "nanos_since_epoch"}
        and _whole(_U64)(value["secs_since_epoch"])
        and _whole(10**9 - 1)(value["nanos_since_epoch"])
    )


def _address(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    if value.get("type") == "tcp":
        return _text(value.get("host")) and _whole(65535)(value.get("port"))
    return value.get("type") in ("unix_socket", "named_pipe") and _text(value.get("path"))


class _Field(NamedTuple):
    fits: Callable[[object], bool]
    wanted: str
    required: bool = False
    nullable: bool = False


_FIELDS = {
    "dcc_type": _Field(_text, "text", required=True),
    "instance_id": _Field(lambda v: _text(v) and _is_uuid(v), "a UUID", required=True),
    "host": _Field(_text, "text", required=True),
    "port": _Field(_whole(65535), "a number from 0 to 65535", required=True),
    "transport_address": _Field(_address, "a transport address", nullable=True),
    "version": _Field(_text, "text", nullable=True),
    "adapter_version": _Field(_text, "text", nullable=True),
    "adapter_dcc": _Field(_text, "text", nullable=True),
    "scene": _Field(_text, "text", nullable=True),
    "documents": _Field(_texts, "a list of texts"),
    "pid": _Field(_whole(_U32), "a process id", nullable=True),
    "host_pid": _Field(_whole(_U32), "a process id", nullable=True),
    "sentinel_path": _Field(_text, "text", nullable=True),
    "display_name": _Field(_text, "text", nullable=True),
    "metadata": _Field(_metadata, "texts by text"),
    "extras": _Field(_extras, "an object of JSON values"),
    "registered_at": _Field(_moment, "a moment", required=True),
    "last_heartbeat": _Field(_moment, "a moment", required=True),
    "status": _Field(lambda v: _text(v) and v in _STATUSES, "a known status"),
    "capacity": _Field(_whole(_U32), "a number"),
    "lease_owner": _Field(_text, "text", nullable=True),
    "current_job_id": _Field(_text, "text", nullable=True),
    "lease_expires_at": _Field(_moment, "a moment", nullable=True),
    "schema_version": _Field(_whole(SCHEMA_VERSION), "at most {}".format(SCHEMA_VERSION)),
}


def _is_uuid(text: Any) -> bool:
    return _UUID.fullmatch(text) is not None


def check(row: Mapping[str, Any]) -> None:
    """Raise ValueError unless every program that shares the file can read ``row``.

    That its texts are such, and no lone surrogates (from a path that is no text), shows when the
    row is encoded.
    """
    for name, field in _FIELDS.items():
        if name not in row:
            if field.required:
                raise ValueError("a registry row needs {}".format(name))
            continue
        value = row[name]
        if not (field.fits(value) or (field.nullable and value is None)):
            raise ValueError(
                "{} of a registry row is {}, not {!r}".format(name, field.wanted, value)
            )
    unknown = {name: value for name, value in row.items() if name not in _FIELDS}
    if not _json(unknown):
        raise ValueError("a registry row holds JSON values only, not {!r}".format(unknown))
