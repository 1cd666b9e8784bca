"""``python3 -m dcc_mcp_embed bridge``: put the parts together and serve one client."""

from __future__ import annotations

import os
import sys
from typing import Any, Optional

from .. import __version__
from ..clock import SystemClock
from ..config import data_dir
from ..transport.config import PoolConfig, SessionConfig, TransportConfig
from ..transport.manager import TransportManager
from ..wire.mcp.machine import McpMachine
from .cache import ToolCache
from .catalog import Catalog
from .front import Bridge
from .hosts import Wanted, Watch
from .relay import MOST_CALLS, Relay
from .stdio import take_over

__all__ = ["bridge"]

_INSTRUCTIONS = """\
You are connected to the creative applications (Maya, Houdini, 3ds Max, Blender) that run on this \
computer, through the bridge of dcc_mcp_embed; the tools act on the scenes that the user has open.

- list_instances tells which hosts run. While one runs, tools have their own names; while several \
do, the name begins with the host's label (maya_create_object, maya2_create_object).
- Hosts come and go. no_host means that nothing was done: ask the user to start it, then call again.
- Objects are named by path; list_objects finds them, get_object shows one. Lists come in pages: \
pass next_cursor on as cursor.
- Each writing call is one undo step of the host. Results carry evidence read back from the scene, \
and the instance they came from: check it.
- Errors have a code and a hint. not_started means that nothing was changed. On unknown_outcome \
look at the scene before you call again. On timeout_running do not call again: ask get_job. On \
host_busy ask get_status.
"""

_LEVELS = ("warning", "error")


def bridge(options: Any) -> int:
    """Serve the client at standard input and output until it closes them."""
    reading, writing = take_over()
    serve(reading, writing, options.dcc, options.instance, options.registry_dir)
    return 0


def serve(
    reading: int,
    writing: int,
    dcc: Optional[str],
    instance: Optional[str],
    registry_dir: Optional[str],
) -> None:
    """Serve the client at two descriptors until it has gone. Raises RegistryFile, ConfigError."""
    clock = SystemClock()
    cache = ToolCache(data_dir(os.environ, sys.platform), clock, _log)
    catalog = Catalog(cache.load().kinds, dcc)
    server = {
        "name": "dcc_mcp_embed bridge",
        "title": "dcc_mcp_embed bridge",
        "version": __version__,
    }
    machine = McpMachine(
        server, lambda member: catalog.listing() if member == "tools" else [], _INSTRUCTIONS
    )
    with TransportManager(registry_dir, config=_config(), heartbeat=False, log=_log) as manager:
        relay = Relay(manager, clock, _log)
        front = Bridge(machine, server, catalog, cache, relay, clock, _log)
        wanted = Wanted(dcc, instance)
        front.run(reading, writing, lambda deliver: Watch(manager.registry, wanted, deliver, _log))


def _config() -> TransportConfig:
    """Return limits under which no host's calls keep another's from their connections."""
    return TransportConfig(
        PoolConfig(max_connections_per_type=16 * MOST_CALLS), SessionConfig(), connect_timeout=5.0
    )


def _log(level: str, text: str) -> None:
    """Say what is worth it on standard error, which clients show or write to a file."""
    if level not in _LEVELS and not os.environ.get("DCC_MCP_EMBED_DEBUG"):
        return
    line = "dcc_mcp_embed bridge: {}: {}\n".format(level, text)
    try:
        sys.stderr.write(line.encode("ascii", "backslashreplace").decode("ascii"))
        sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody reads it.
        pass
