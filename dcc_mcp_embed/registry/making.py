"""A row from what a caller says: types are checked here, fields stand in upstream's order."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ..address import TransportAddress
from . import rows
from .addresses import address_to
from .status import ServiceStatus

__all__ = ["apply", "new_row"]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text, not {!r}".format(value))
    return value


def _whole(bits: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError("expected a whole number, not {!r}".format(value))
        if not 0 <= value < 2**bits:
            raise OverflowError("{} does not fit into {} bits".format(value, bits))
        return value

    return convert


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        raise TypeError("expected a list of texts, not the text {!r}".format(value))
    return [_text(one) for one in value]


def _metadata(value: Any) -> Dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError("expected a mapping of texts, not {!r}".format(value))
    return {_text(name): _text(one) for name, one in value.items()}


def _extras(value: Any) -> Dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("expected a mapping of JSON values, not {!r}".format(value))
    return dict(value)


def _status(value: Any) -> Any:
    if not isinstance(value, ServiceStatus):
        raise TypeError("expected a ServiceStatus, not {!r}".format(value))
    return value.value


def _address(value: Any) -> Dict[str, Any]:
    if not isinstance(value, TransportAddress):
        raise TypeError("expected a TransportAddress, not {!r}".format(value))
    return address_to(value)


#: Field -> what makes its value from what a caller gives. In the order of the file.
_FIELDS: Dict[str, Callable[[Any], Any]] = {
    "host": _text,
    "port": _whole(16),
    "transport_address": _address,
    "version": _text,
    "adapter_version": _text,
    "adapter_dcc": _text,
    "scene": _text,
    "documents": _texts,
    "pid": _whole(32),
    "host_pid": _whole(32),
    "sentinel_path": _text,
    "display_name": _text,
    "metadata": _metadata,
    "extras": _extras,
    "status": _status,
}
#: Written as null when there is nothing, as 0.12 did; the others are left out.
_NULLABLE = ("version", "scene")
_NEEDED = ("host", "port", "metadata", "status")


def new_row(key: rows.Key, now: float, facts: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a row. Raises TypeError, OverflowError.

    ``now``: seconds since the epoch. ``facts``: what ``apply`` takes; None is as good as absent.
    """
    values: Dict[str, Any] = {"version": None, "scene": None, "metadata": {}}
    values["status"] = ServiceStatus.AVAILABLE.value
    apply(values, {name: value for name, value in facts.items() if value is not None})
    row: Dict[str, Any] = {"dcc_type": key[0], "instance_id": key[1]}
    row.update((name, values[name]) for name in _FIELDS if name in values and name != "status")
    row["registered_at"] = rows.timestamp(now)
    row["last_heartbeat"] = rows.timestamp(now)
    row["status"] = values["status"]
    return row


def apply(row: Dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change fields of a row in place. Raises TypeError, OverflowError.

    None clears a field. ``merge_metadata`` changes single keys of ``metadata``; None or an empty
    text deletes one (dcc-mcp-core 0.18).
    """
    for name, value in changes.items():
        if name == "merge_metadata":
            single = {key: one or "" for key, one in value.items()}
            merged = _metadata({**row.get("metadata", {}), **single})
            row["metadata"] = {key: one for key, one in merged.items() if one or key not in single}
        elif name not in _FIELDS:
            raise TypeError("a registry row has no {!r} to be changed".format(name))
        elif value is not None:
            try:
                row[name] = _FIELDS[name](value)
            except (TypeError, OverflowError) as error:
                raise type(error)("{}: {}".format(name, error)) from None
        elif name in _NEEDED:
            raise TypeError("{} cannot be cleared".format(name))
        elif name in _NULLABLE:
            row[name] = None
        else:
            row.pop(name, None)
        if name in ("documents", "extras") and not row.get(name):
            row.pop(name, None)
