"""What framed.py measures: each target's server, and the kind of client that talks to it."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple

from bench.framed_links import KEY
from bench.processes import ServerProcess
from bench.venvs import ROOT, peer_python

__all__ = ["PEERS", "TARGETS", "Running", "Target", "environment", "python_with", "start"]

_HERE = os.path.dirname(os.path.abspath(__file__))

#: The newest that install on every Python from 3.7 to 3.13.
PEERS = ("rpyc==6.0.0", "Pyro5==5.15")


class Target(NamedTuple):
    """``client``: a kind of framed_links.py. ``command``: the server; {home} is a folder for it.

    ``floor``: the target whose times are what no other can be under. ``large``: can echo 1 MiB.
    ``judged``: the budget is for it.
    """

    name: str
    client: str
    command: str
    floor: str = "raw-tcp"
    judged: bool = False
    large: bool = True


_SERVE = "-m dcc_mcp_embed serve --adapter standalone --port 0 --tools {here}/tools.py"

TARGETS = (
    Target("raw-tcp", "raw", "{here}/peers/raw_tcp.py"),
    Target("raw-unix", "raw", "{here}/peers/raw_tcp.py {home}/raw.sock", "raw-unix"),
    Target("connection", "connection", "{here}/peers/connection_echo.py " + KEY),
    Target("rpyc", "rpyc", "{here}/peers/rpyc_echo.py"),
    Target("pyro5", "pyro5", "{here}/peers/pyro5_echo.py"),
    Target("ours-tcp", "channel", "{here}/framed_echo.py tcp", judged=True),
    Target("ours-unix", "channel", "{here}/framed_echo.py unix:{home}/ours.sock", "raw-unix", True),
    Target("ours-lent", "lent", "{here}/framed_echo.py registered:lent", judged=True),
    Target("ours-managed", "managed", "{here}/framed_echo.py registered:managed"),
    Target("ours-tool", "tool", _SERVE, large=False),
)


class Running(NamedTuple):
    """A started target."""

    target: Target
    process: ServerProcess

    def order(self) -> Dict[str, Any]:
        """Return what the measuring process is told of it."""
        return {
            "name": self.target.name,
            "kind": self.target.client,
            "ready": self.process.ready,
            "pid": self.process.pid,
            "large": self.target.large,
        }


def python_with(base: str, targets: List[Target]) -> str:
    """Return an interpreter like ``base`` that has the peers that are needed."""
    if any(target.client in ("rpyc", "pyro5") for target in targets):
        return peer_python("framed", PEERS, base)
    return base


def environment(home: str) -> Dict[str, str]:
    """Return the environment of every process of a run: a user's data and a registry of its own."""
    ours = {"DCC_MCP_EMBED_HOME": home, "DCC_MCP_REGISTRY_DIR": os.path.join(home, "registry")}
    return {**os.environ, **ours}


def start(target: Target, python: str, home: str) -> Running:
    """Start the target's server in a process of its own. Raises processes.StartError."""
    command = [part.format(here=_HERE, home=home) for part in target.command.split()]
    return Running(target, ServerProcess([python, *command], environment(home), ROOT))
