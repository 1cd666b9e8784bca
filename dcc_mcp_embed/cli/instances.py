"""``instances`` and ``stop-instance``; and how the other commands find one in the registry."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from ..clock import SystemClock
from ..errors import ConfigError, Unreachable, Unsupported
from ..mcp.http_client import split_url
from ..registry.entry import ServiceEntry
from ..registry.file_registry import FileRegistry, open_registry
from ..registry.rows import GATEWAY
from ..registry.status import ServiceStatus
from ..transport_errors import RegistryFile

__all__ = ["LOOPBACK", "find", "list_instances", "stop_instance"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: What a row publishes so that its server can be stopped; not for output that is pasted somewhere.
_PASS = ("owner", "session")
#: Paths that the dcc-mcp gateway accepts too.
_STOP_PATHS = ("/safe-stop", "/stop")
_COLUMNS = ("dcc", "instance", "pid", "port", "status", "ready", "version", "scene")
#: How long between two looks whether a row is gone, or between two attempts, seconds.
_PAUSE = 0.05


def _open(directory: Optional[str]) -> FileRegistry:
    def log(level: str, text: str) -> None:
        if level in ("warning", "error"):
            print(text, file=sys.stderr)

    return open_registry(directory, os.environ, SystemClock(), log)


def _living(registry: FileRegistry) -> List[ServiceEntry]:
    """Return the rows of servers, without those whose processes are provably gone."""
    try:
        registry.sweep()
    except RegistryFile as error:
        print("Dead rows could not be removed: {}".format(error), file=sys.stderr)
    return [row for row in registry.entries() if row.dcc_type != GATEWAY]


def _is_ready(row: ServiceEntry) -> bool:
    told = row.metadata.get("dispatch_status")
    if told is not None:
        return told == "ready"
    return row.status in (ServiceStatus.AVAILABLE, ServiceStatus.BUSY)


# -- instances --------------------------------------------------------------------------------


def list_instances(options: Any) -> int:
    """Print what is registered, as a table or as JSON."""
    registry = _open(options.registry_dir)
    rows = _living(registry)
    if options.json:
        print(json.dumps([_shape(row) for row in rows], indent=2))
    elif rows:
        print(_table([_COLUMNS, *(_cells(row) for row in rows)]))
    else:
        print("No instance is registered in {}".format(registry.directory))
    return 0


def _shape(row: ServiceEntry) -> Dict[str, Any]:
    shape = row.to_dict()
    shape["metadata"] = {k: v for k, v in row.metadata.items() if k not in _PASS}
    shape["ready"] = _is_ready(row)
    return shape


def _cells(row: ServiceEntry) -> Tuple[str, ...]:
    return (
        row.dcc_type,
        row.instance_id[:8],
        str(row.host_pid or row.pid or "-"),
        str(row.port or "-"),
        row.status.value,
        "yes" if _is_ready(row) else "no",
        row.version or "-",
        row.scene or "-",
    )


def _table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as columns. What comes from rows may hold no control character."""
    clean = [["".join(c if c.isprintable() else "?" for c in cell) for cell in x] for x in lines]
    widths = [max(len(line[column]) for line in clean) for column in range(len(clean[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(x, widths)) for x in clean]
    return "\n".join(line.rstrip() for line in shown)


# -- finding one ------------------------------------------------------------------------------


def find(dcc: Optional[str], instance: Optional[str], directory: Optional[str]) -> ServiceEntry:
    """Return the one row meant by a kind of host, and an instance id or how it begins.

    Raises Unreachable if there is none, ConfigError if there are several.
    """
    registry = _open(directory)
    wanted = (instance or "").lower().replace("-", "")
    rows = [
        row
        for row in _living(registry)
        if (dcc is None or row.dcc_type.lower() == dcc.lower())
        and row.instance_id.replace("-", "").startswith(wanted)
    ]
    if len(rows) == 1:
        return rows[0]
    meant = " ".join(part for part in (dcc, instance) if part)
    if not rows:
        raise Unreachable(
            "No instance {!r} is registered in {}; `instances` lists what is.".format(
                meant, registry.directory
            )
        )
    raise ConfigError(
        "{} instances are {!r}; choose one with --instance:\n{}".format(
            len(rows), meant, _table([_COLUMNS, *(_cells(row) for row in rows)])
        )
    )


def _find_by_url(url: str, directory: Optional[str]) -> ServiceEntry:
    host, port, _ = split_url(url)
    registry = _open(directory)
    for row in _living(registry):
        if row.port == port and host in LOOPBACK and row.host in LOOPBACK:
            return row
    raise Unreachable(
        "Nobody who is registered in {} serves {}; a server can be stopped only through its "
        "row.".format(registry.directory, url)
    )


# -- stop-instance ----------------------------------------------------------------------------


def stop_instance(options: Any) -> int:
    """Ask a server to stop, as its row says, and wait until the row is gone."""
    if options.url is not None:
        row = _find_by_url(options.url, options.registry_dir)
    else:
        row = find(options.dcc, options.instance, options.registry_dir)
    clock = SystemClock()
    deadline = clock.monotonic() + options.timeout
    registry = _open(options.registry_dir)
    name = "{} {}".format(row.dcc_type, row.instance_id[:8])
    while True:
        status, said = _ask_to_stop(row, max(0.1, deadline - clock.monotonic()))
        if status != 503 or clock.monotonic() >= deadline:
            break
        clock.sleep(_PAUSE)
    if status != 200:
        print("{} refused to stop ({}): {}".format(name, status, said), file=sys.stderr)
        return 1
    while registry.get(row.dcc_type, row.instance_id) is not None:
        if clock.monotonic() >= deadline:
            print(
                "{} was asked to stop and has not done so within {:g} s; a tool may still be "
                "running there.".format(name, options.timeout),
                file=sys.stderr,
            )
            return 1
        clock.sleep(_PAUSE)
        registry.sweep()
    print("{} has stopped.".format(name))
    return 0


def _ask_to_stop(row: ServiceEntry, timeout: float) -> Tuple[int, str]:
    """Send what the row says to where it says; return the HTTP status and what was answered."""
    import http.client

    metadata = row.metadata
    parts = urlsplit(metadata.get("safe_stop_url") or "")
    if not parts.hostname or any(not metadata.get(name) for name in _PASS):
        raise Unsupported(
            "{} {} does not say how it can be stopped.".format(row.dcc_type, row.instance_id[:8]),
            hint="End it in its own window, or through whoever started it.",
        )
    # A row is a claim: it must not have us send things to anywhere but the server that it names.
    if (
        parts.scheme != "http"
        or parts.hostname not in LOOPBACK
        or row.host not in LOOPBACK
        or parts.port != row.port
        or parts.path not in _STOP_PATHS
    ):
        raise ConfigError(
            "The row's safe_stop_url {!r} is not on the server that it names.".format(
                metadata["safe_stop_url"]
            )
        )
    body = {"instance_id": row.instance_id, "dcc_type": row.dcc_type}
    body.update((name, metadata[name]) for name in _PASS)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", parts.path, json.dumps(body).encode("utf-8"), headers)
        answer = connection.getresponse()
        return answer.status, answer.read(4096).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            "{} {} cannot be reached at {}: {}".format(
                row.dcc_type, row.instance_id[:8], metadata["safe_stop_url"], error
            )
        ) from error
    finally:
        connection.close()
