"""Servers that others wrote and that our client is tried with: how they are started, and where."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any, Dict, Iterator, List

import helpers
from real.conversation import PEER_PYTHON, PEERS
from real.processes import Process

__all__ = ["Config", "SdkServers", "at", "program", "reserved_port", "sdk"]

HERE = os.path.dirname(os.path.abspath(__file__))

#: What an MCPPluginConfig is made of, besides its names.
Config = Dict[str, Any]


def at(port: int, transport: str) -> Config:
    """Return where an SDK's server, or one of its like, is to be found over HTTP."""
    path = "sse" if transport == "sse" else "mcp"
    kind = "sse" if transport == "sse" else "streamable_http"
    return {"url": "http://127.0.0.1:{}/{}".format(port, path), "plugin_type": kind}


def program(command: List[str], **env: str) -> Config:
    """Return a server that its client starts."""
    return {
        "plugin_type": "stdio",
        "command": command[0],
        "args": command[1:],
        "env": env or None,
    }


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port that nobody else is given meanwhile; whoever sets SO_REUSEADDR can have it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        yield port


def sdk(line: str, how: str) -> List[str]:
    """Return the command of ``peers_sdk.py`` on a line of the SDK; ``how``: its argument."""
    python = helpers.peer_venv("mcp-" + line, [PEERS[line]], helpers.python(PEER_PYTHON))
    return [python, os.path.join(HERE, "peers_sdk.py"), how]


class SdkServers:
    """A process that has loaded a line of the SDK, and starts servers over HTTP in no time."""

    def __init__(self, line: str) -> None:
        self._process = Process(sdk(line, "http"), name="sdk " + line)

    def start(self, transport: str, port: int) -> int:
        """Start a server at a port; return its process id."""
        pid: int = self._process.ask({"start": transport, "port": port})["pid"]
        return pid

    def kill(self, pid: int) -> None:
        """Kill a server, and wait until it is gone."""
        assert self._process.ask({"kill": pid}) == {"killed": pid}

    def close(self) -> None:
        self._process.close()

    def __enter__(self) -> SdkServers:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
