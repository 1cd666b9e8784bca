"""What framed.py measures: each target's server, and the kind of client that talks to it."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple

from bench.framed_links import KEY
from bench.processes import ServerProcess
from bench.venvs import ROOT, peer_python

__all__ = ["PEERS", "TARGETS", "Running", "Target", "python_with", "start"]

_HERE = os.path.dirname(os.path.abspath(__file__))

#: The newest that install on every Python from 3.7 to 3.13.
PEERS = ("rpyc==6.0.0", "Pyro5==5.15")


class Target(NamedTuple):
    """``client``: a kind of framed_links.py. ``command``: the server; {home} is a folder.

    ``floor``: the target whose times are what no other can be under. ``large``: can echo 1 MiB.
    ``judged``: the budget is for it.
    """

    name: str
    client: str
    command: str
    floor: str = "raw-tcp"
    judged: bool = False
    large: bool = True


TARGETS = (
    Target("raw-tcp", "raw", "peers/raw_tcp.py"),
    Target("raw-unix", "raw", "peers/raw_tcp.py {home}/raw.sock", "raw-unix"),
    Target("connection", "connection", "peers/connection_echo.py " + KEY),
    Target("rpyc", "rpyc", "peers/rpyc_echo.py"),
    Target("pyro5", "pyro5", "peers/pyro5_echo.py"),
    Target("ours-tcp", "channel", "framed_echo.py", judged=True),
    Target("ours-unix", "channel", "framed_echo.py {home}/ours.sock", "raw-unix", True),
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


def start(target: Target, python: str, home: str) -> Running:
    """Start the target's server in a process of its own. Raises processes.StartError."""
    command = [part.format(home=home) for part in target.command.split()]
    command[0] = os.path.join(_HERE, *command[0].split("/"))
    return Running(target, ServerProcess([python, *command], cwd=ROOT))
