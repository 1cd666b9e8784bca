"""Start and stop: the whole public entry. One server per process, one loop thread.

:func:`start` and :func:`stop` belong to the host's main thread. Everything the loop thread will
call is imported here, before it runs.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Optional, Sequence, Union

from ..clock import Clock, SystemClock
from ..config import Limits, settings_from
from ..errors import ConfigError
from ..host.adapter import HostAdapter
from ..host.detecting import load_adapter
from . import copies
from .place import PLACE
from .server import EmbeddedServer

__all__ = ["EmbeddedServer", "start", "stop"]


def start(
    adapter: Union[None, str, HostAdapter] = None,
    port: Optional[int] = None,
    auth: bool = True,
    exec_mode: Optional[str] = None,
    gateway: bool = False,
    registry_dir: Optional[str] = None,
    tools: Sequence[Any] = (),
    origins: Sequence[str] = (),
    limits: Limits = Limits(),
    clock: Optional[Clock] = None,
    launch_command: Optional[str] = None,
    profile: Optional[str] = None,
    qtserver: Optional[int] = None,
    always_stream: bool = False,
) -> EmbeddedServer:
    """Start the server in this host and return it; the running one if there is one already.

    Call on the host's main thread. A running server keeps its settings; ``tools`` are added to it.

    ``adapter``: an adapter's name or object; None detects the host. ``port``: fixed; None takes the
    preferred port of this kind of host, or any free one. ``auth=False`` lets every local process
    in. ``exec_mode``: off, confirm or on; None confirms where somebody can be asked and is off
    elsewhere. ``gateway=True`` lets whoever reaches a dcc-mcp gateway on this machine call tools,
    but none that runs code. ``registry_dir``: the service registry in which the server is entered;
    None takes the one that all dcc-mcp programs share. ``tools``: modules, module names or files
    whose tools are added. ``origins``: what else may stand in an ``Origin`` header, as
    ``scheme://host[:port]``. ``limits``: what one server allows, see ``config``. ``clock``: for
    tests. ``launch_command``: what to give a shell to start such a host again, told in the
    registry. ``profile``: core or full, which tools are listed; all can be called; None is core.
    ``qtserver``: a second port, without a token, for a dcc-mcp sidecar, 0 for any free one; None
    opens none. ``always_stream=True`` answers MCP with streams of events always, which a client
    whose connection broke can take up again; else only where there is something to say before the
    answer.

    Raises ConfigError for unusable settings, StartError when the port is taken, the host cannot be
    used, another copy of this package serves it, or a module that a start loads calls this, and
    whatever a file of ``tools`` raises.
    """
    with PLACE.lock:
        running: Optional[EmbeddedServer] = PLACE.server
        if running is not None:
            running.add_tools(tools)
            return running
        copies.refuse_second()
        settings = settings_from(
            os.environ,
            sys.platform,
            port=port,
            auth=auth,
            exec_mode=exec_mode,
            gateway=gateway,
            registry_dir=registry_dir,
            origins=origins,
            limits=limits,
            profile=profile,
            qtserver=qtserver,
            always_stream=always_stream,
        )
        if launch_command is not None and not isinstance(launch_command, str):
            # Rows hold texts: with anything else there would be no row, and nobody told.
            raise ConfigError(
                "launch_command is {!r}; it takes what a shell is given, as one text".format(
                    launch_command
                )
            )
        with PLACE.starting():
            host = adapter if isinstance(adapter, HostAdapter) else load_adapter(adapter)
            server = EmbeddedServer(host, settings, clock or SystemClock(), tools, launch_command)
        PLACE.server = server
        return server


def stop() -> None:
    """Stop the running server, if any. Main thread; at the host's exit it happens by itself."""
    with PLACE.lock:
        if PLACE.server is not None:
            PLACE.server.stop()
