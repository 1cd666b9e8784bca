"""Which row of the registry a command means."""

from __future__ import annotations

import os
from typing import List, Optional, Tuple

from ..clock import SystemClock
from ..errors import ConfigError, Unreachable
from ..mcp.http_client import split_url
from ..registry.entry import ServiceEntry
from ..registry.file_registry import FileRegistry, open_registry
from ..registry.rows import GATEWAY
from ..registry.status import ServiceStatus
from ..server.row import WIRE
from ..transport_errors import RegistryFile
from .text import complain, table

__all__ = [
    "LOOPBACK",
    "PASS",
    "WIRE_KEY",
    "cells",
    "find",
    "find_by_url",
    "is_ready",
    "living",
    "short",
    "the_registry",
]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: What a row publishes so that its server can be stopped; not for output that is pasted somewhere.
PASS = ("owner", "session")
#: The row's key for the version of the framed wire that is spoken on its port.
WIRE_KEY = "dcc_mcp_embed_wire"
_COLUMNS = ("dcc", "instance", "pid", "port", "status", "ready", "version", "scene")


def the_registry(directory: Optional[str]) -> FileRegistry:
    """Return the registry that is meant; what is wrong with it is said on stderr."""

    def log(level: str, text: str) -> None:
        if level in ("warning", "error"):
            complain(text)

    return open_registry(directory, os.environ, SystemClock(), log, make=False)


def living(registry: FileRegistry) -> List[ServiceEntry]:
    """Return the rows of servers, without those whose processes are provably gone.

    What keeps that from being all of them is said on stderr.
    """
    doubt = registry.doubt()
    if doubt is not None:
        complain(doubt)
    try:
        registry.sweep()
    except RegistryFile as error:
        complain("Dead rows could not be removed: {}".format(error))
    return [row for row in registry.entries() if row.dcc_type != GATEWAY]


def short(row: ServiceEntry) -> str:
    """Return how a person may call an instance."""
    return "{} {}".format(row.dcc_type, row.instance_id[:8])


def is_ready(row: ServiceEntry) -> bool:
    """Return whether calls reach the host, as far as the row tells."""
    told = row.metadata.get("dispatch_status")
    if told is not None:
        return told == "ready"
    return row.status in (ServiceStatus.AVAILABLE, ServiceStatus.BUSY)


def cells(rows: List[ServiceEntry]) -> List[Tuple[str, ...]]:
    """Return a table of instances, its head first."""
    return [_COLUMNS, *(_cells(row) for row in rows)]


def _cells(row: ServiceEntry) -> Tuple[str, ...]:
    return (
        row.dcc_type,
        row.instance_id[:8],
        str(row.host_pid or row.pid or "-"),
        str(row.port or "-"),
        row.status.value,
        "yes" if is_ready(row) else "no",
        row.version or "-",
        row.scene or "-",
    )


def find(
    dcc: Optional[str], instance: Optional[str], directory: Optional[str], ours: bool = False
) -> ServiceEntry:
    """Return the one row meant by a kind of host, and an instance id or how it begins.

    ``ours``: of several, one of another dcc-mcp server (in the same host, maybe) is not meant.
    Raises Unreachable if there is none, ConfigError if there are several.
    """
    registry = the_registry(directory)
    wanted = (instance or "").lower().replace("-", "")
    rows = [
        row
        for row in living(registry)
        if (dcc is None or row.dcc_type.lower() == dcc.lower())
        and row.instance_id.replace("-", "").startswith(wanted)
    ]
    if ours and len(rows) > 1:
        rows = [row for row in rows if WIRE_KEY in row.metadata] or rows
    if len(rows) == 1:
        return rows[0]
    meant = " ".join(part for part in (dcc, instance) if part)
    if not rows and not meant:
        raise Unreachable("No host is registered in {}.".format(registry.directory))
    if not rows:
        raise Unreachable(
            "No {} {!r} is registered in {}; `instances` lists what is.".format(
                "instance" if instance else "host of the kind", meant, registry.directory
            )
        )
    raise ConfigError(
        "{} instances are {!r}; choose one with --instance:\n{}".format(
            len(rows), meant or "running", table(cells(rows))
        )
    )


def find_by_url(url: str, directory: Optional[str]) -> ServiceEntry:
    """Return the row of the server at a URL; of several the one that can be stopped, and is ours.

    A port may have been another server's before. Raises ConfigError, Unreachable.
    """
    host, port, _ = split_url(url)
    registry = the_registry(directory)
    rows = [row for row in living(registry) if row.port == port and _same(host, row.host)]
    if rows:
        return max(rows, key=_fitness)
    raise Unreachable(
        "Nobody who is registered in {} serves {}; a server can be stopped only through its "
        "row.".format(registry.directory, url)
    )


def _same(host: str, other: str) -> bool:
    both = (host, other)
    return all(one in LOOPBACK for one in both) and (host == other or "localhost" in both)


def _fitness(row: ServiceEntry) -> Tuple[bool, bool]:
    metadata = row.metadata
    can_stop = all(metadata.get(name) for name in (*PASS, "safe_stop_url"))
    return can_stop, metadata.get(WIRE_KEY) == WIRE
