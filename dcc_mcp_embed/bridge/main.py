"""``python3 -m dcc_mcp_embed bridge``: put the parts together and serve one client."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple, Optional

from .. import __version__
from ..clock import Clock, SystemClock
from ..config import data_dir, settings_from
from ..net.signals import signals_heard
from ..transport.config import PoolConfig, SessionConfig, TransportConfig
from ..transport.manager import TransportManager
from ..wire.mcp.machine import McpMachine
from .cache import ToolCache
from .catalog import Catalog
from .core import Core, MakeWatch
from .front import Bridge
from .hosts import Wanted, Watch
from .relay import MOST_CALLS, Relay
from .shelf import Shelf
from .stdio import LineReader, LineWriter, take_over

if TYPE_CHECKING:
    from .web_server import WebBridge

__all__ = ["bridge", "serve", "serve_http"]

_INSTRUCTIONS = """\
You are connected to the creative applications (Maya, Houdini, 3ds Max, Blender) that run on this \
computer, through the bridge of dcc_mcp_embed; the tools act on the scenes that the user has open.

- list_instances tells which hosts run. While one runs, tools have their own names; while several \
do, the name begins with the host's label (maya_create_object, maya2_create_object), and so do \
prompts (maya_name) and the uris of resources (maya+dcc://status).
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
#: Bytes of the log that wait to be read, and seconds that they are waited for at the end.
_UNREAD_LOG = 64 * 1024
_LOG_FLUSH_S = 0.2


def bridge(options: Any) -> int:
    """Serve the client at standard input and output until it closes them; or those on a port."""
    log = Log(SystemClock(), options.verbose)
    which = (options.dcc, options.instance, options.registry_dir, log)
    try:
        if options.http is not None:
            with ExitStack() as ending:
                serve_http(options.http, *which, lambda web: _announce(web, ending))
        else:
            reading, writing = take_over()
            serve(reading, writing, *which)
    finally:
        log.close()
    return 0


def _announce(web: WebBridge, ending: ExitStack) -> None:
    """Say on standard output how to reach it, and let signals end it. Main thread."""
    ending.enter_context(signals_heard(lambda *_: web.stop(), lambda number: web.stop()))
    sys.stdout.write(json.dumps(web.facts()) + "\n")
    sys.stdout.flush()


class Log:
    """What is worth it goes to standard error, which clients show, write to a file, or forget.

    One that nobody reads keeps nobody waiting: then lines are left out, and that is said later.
    """

    def __init__(self, clock: Clock, everything: bool, fd: int = 2) -> None:
        self._everything = everything
        self._left_out = 0
        self._writer = LineWriter(fd, lambda: None, clock, _UNREAD_LOG)
        self._writer.start()

    def __call__(self, level: str, text: str) -> None:
        """Say it. Any thread, never waits."""
        if level not in _LEVELS and not self._everything:
            return
        if self._left_out and self._say("warning", "{} lines left out".format(self._left_out)):
            self._left_out = 0
        if not self._say(level, text):
            self._left_out += 1

    def _say(self, level: str, text: str) -> bool:
        line = "dcc_mcp_embed bridge: {}: {}".format(level, " ".join(text.split()))
        return self._writer.offer(line.encode("ascii", "backslashreplace"))

    def close(self) -> None:
        """Let the last lines be read, if anybody reads."""
        self._writer.flush(_LOG_FLUSH_S)
        self._writer.stop()


def serve(
    reading: int,
    writing: int,
    dcc: Optional[str],
    instance: Optional[str],
    registry_dir: Optional[str],
    log: Callable[[str, str], None],
) -> None:
    """Serve the client at two descriptors until it has gone. Raises RegistryFile, ConfigError."""
    with _prepared(dcc, instance, registry_dir, log) as made:
        front = Bridge(made.core, made.machine, made.clock)
        front.start(
            lambda deliver, ended: LineReader(reading, deliver, ended),
            lambda broken: LineWriter(writing, broken, made.clock),
            made.watch,
        )
        front.run()


def serve_http(
    port: int,
    dcc: Optional[str],
    instance: Optional[str],
    registry_dir: Optional[str],
    log: Callable[[str, str], None],
    ready: Callable[[WebBridge], None],
) -> None:
    """Serve clients on a port until the bridge, which ``ready`` is given, is stopped.

    Raises StartError, RegistryFile, ConfigError.
    """
    # Not for all who are started by their client.
    from .web_server import WebBridge

    with _prepared(dcc, instance, registry_dir, log) as made:
        settings = settings_from(os.environ, sys.platform, port=port)
        web = WebBridge(made.core, made.machine, settings, made.clock, log)
        web.start(made.watch)
        ready(web)
        web.run()


class _Made(NamedTuple):
    """What every bridge is made of."""

    core: Core
    machine: McpMachine
    clock: Clock
    watch: MakeWatch


@contextmanager
def _prepared(
    dcc: Optional[str],
    instance: Optional[str],
    registry_dir: Optional[str],
    log: Callable[[str, str], None],
) -> Iterator[_Made]:
    """Make the parts; at the end the connections to hosts are closed."""
    clock = SystemClock()
    cache = ToolCache(data_dir(os.environ, sys.platform), clock, log)
    catalog = Catalog(cache.load().kinds, dcc)
    shelf = Shelf(catalog.nobody)
    server = {
        "name": "dcc_mcp_embed bridge",
        "title": "dcc_mcp_embed bridge",
        "version": __version__,
        "description": "The hosts that run on this machine, behind one server that outlives them.",
    }
    machine = McpMachine(
        server,
        lambda member: catalog.listing() if member == "tools" else shelf.listing(member),
        _INSTRUCTIONS,
    )
    with TransportManager(registry_dir, config=_config(), heartbeat=False, log=log) as manager:
        core = Core(machine, catalog, shelf, cache, Relay(manager, clock, log), clock, log)
        wanted = Wanted(dcc, instance)
        yield _Made(
            core,
            machine,
            clock,
            lambda deliver: Watch(manager.registry, wanted, deliver, log),
        )


def _config() -> TransportConfig:
    """Return limits under which no host's calls keep another's from their connections."""
    return TransportConfig(
        PoolConfig(max_connections_per_type=16 * MOST_CALLS), SessionConfig(), connect_timeout=5.0
    )
