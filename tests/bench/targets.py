"""What is measured: each target's server, era and tool."""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from bench import client, messages
from bench.processes import ServerProcess
from bench.venvs import ROOT, peer_python

__all__ = ["TARGETS", "Running", "Target", "start"]

_HERE = os.path.dirname(os.path.abspath(__file__))


class Target(NamedTuple):
    """``kind`` names the server; ``era`` is empty for what is not MCP."""

    name: str
    kind: str
    era: str
    tool: str


TARGETS = (
    Target("raw-tcp", "raw", "", ""),
    Target("ours-loop", "ours", messages.LEGACY, "echo_loop"),
    Target("ours-modern", "ours", messages.MODERN, "echo_loop"),
    Target("ours-worker", "ours", messages.LEGACY, "echo_worker"),
    Target("ours-main", "ours", messages.LEGACY, "echo_main"),
    Target("dcc-legacy", "dcc", messages.LEGACY, "echo"),
    Target("dcc-modern", "dcc", messages.MODERN, "echo"),
    Target("sdk-stateful", "sdk", messages.LEGACY, "echo"),
    Target("sdk-modern", "sdk", messages.MODERN, "echo"),
)

#: kind -> script, name of the environment, what is installed in it.
_PEERS: Dict[str, Tuple[str, str, Tuple[str, ...]]] = {
    "raw": ("raw_tcp.py", "", ()),
    "sdk": ("official_sdk.py", "mcp-2.x", ("mcp==2.3.0",)),
    "dcc": ("dcc_core.py", "dcc-mcp-core", ("dcc-mcp-core==0.20.49",)),
}


#: Clients at once, each with a session of its own: a request id is unique in a session only.
CLIENTS = 8


class Running(NamedTuple):
    """A started target: its process, the requests, its memory before the first call (MB).

    ``small``: one for each client; ``large``: for the first.
    """

    target: Target
    process: ServerProcess
    small: Sequence[bytes]
    large: bytes
    idle: float


def _command(kind: str, ours: str, base: str) -> List[str]:
    if kind == "ours":
        serve = ["-m", "dcc_mcp_embed", "serve", "--adapter", "standalone", "--port", "0"]
        return [ours, *serve, "--tools", os.path.join(_HERE, "tools.py")]
    script, name, requirements = _PEERS[kind]
    python = peer_python(name, requirements, base) if requirements else base
    return [python, os.path.join(_HERE, "peers", script)]


def start(target: Target, ours: str, base: str, home: str) -> Running:
    """Start the target's server, each in a process of its own, and greet it.

    ``ours`` and ``base``: interpreters of our server and of the peers. ``home``: our data folder.
    Raises processes.StartError, venvs.SetupError, client.BadAnswer.
    """
    registry = os.path.join(home, "registry")
    environ = {**os.environ, "DCC_MCP_EMBED_HOME": home, "DCC_MCP_REGISTRY_DIR": registry}
    process = ServerProcess(_command(target.kind, ours, base), environ, ROOT)
    try:
        port, token = process.ready["port"], process.ready.get("token")
        if not target.era:
            return Running(target, process, (), b"", process.resident())

        def call(session: Optional[str], text: str) -> bytes:
            return messages.call(port, token, target.era, session, target.tool, text)

        handshake = target.era == messages.LEGACY
        sessions = [_greet(port, token) if handshake else None for _ in range(CLIENTS)]
        small = [call(session, messages.TEXT) for session in sessions]
        large = call(sessions[0], messages.LARGE_TEXT)
        return Running(target, process, small, large, process.resident())
    except BaseException:
        process.stop()
        raise


def _greet(port: int, token: Optional[str]) -> Optional[str]:
    """Do the handshake; return the session id if the server gives one."""
    with client.connect(port) as sock:
        sock.sendall(messages.initialize(port, token))
        answer = client.receive(sock)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise client.BadAnswer("no handshake: {!r}".format(answer[:300]))
        found = re.search(rb"\r\nmcp-session-id: *(\S+)\r\n", answer, re.IGNORECASE)
        session = found.group(1).decode("ascii") if found else None
        sock.sendall(messages.initialized(port, token, session))
        accepted = sock.recv(65536)
        if not accepted.startswith(b"HTTP/1.1 202 "):
            raise client.BadAnswer("no 202 for a notification: {!r}".format(accepted[:300]))
        return session
