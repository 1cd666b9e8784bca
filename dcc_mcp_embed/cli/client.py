"""``tools``, ``call``, ``status``, ``secret``: a client of ours, from the plain URL.

The token is derived from the user's secret for whoever proves, by an answer to a challenge, to
hold that secret too; so no token stands in an argv, and a stranger on the port is shown nothing.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, Optional

from ..clock import SystemClock
from ..config import data_dir
from ..errors import ConfigError, HostBusyNative, Unreachable
from ..mcp.http_client import HttpClient, split_url
from ..secret import open_secret, rotate_secret
from ..server.ports import who_answers

__all__ = ["call_tool", "connect", "list_tools", "secret", "status"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def connect(url: str, timeout: float) -> HttpClient:
    """Return a client for ``url``, with the token it needs.

    Raises Unreachable for nobody and strangers, HostBusyNative for a port that accepts and says
    nothing within ``timeout`` seconds.
    """
    host, port, path = split_url(url)
    if path.rstrip("/") != "/mcp":
        # The token stands in the path: the URL is complete as it is.
        return HttpClient(url, timeout=timeout)
    if host not in _LOOPBACK:
        raise ConfigError("{} is not this machine; only servers here can be reached".format(host))
    clock = SystemClock()
    known = open_secret(data_dir(os.environ, sys.platform), clock)
    found = who_answers(port, known, clock, timeout)
    if found.state == "ours":
        # To the very address that was asked: ``localhost`` and ``::1`` may be somebody else.
        proven = "http://127.0.0.1:{}/mcp".format(port)
        return HttpClient(proven, known.token(found.kind, port), timeout)
    if found.state == "silent":
        raise HostBusyNative(
            "The port {} accepts connections and nobody answers.".format(port),
            hint="Native code in that host keeps its interpreter; wait, or look at the host.",
        )
    if found.state == "nobody":
        raise Unreachable("Nobody listens on port {}; is the host running?".format(port))
    raise Unreachable(
        "The server on port {} cannot prove that it is yours (another user's, another program, or "
        "started before the secret was rotated); it was told nothing.".format(port)
    )


def list_tools(options: Any) -> int:
    """Print each tool of a server with what it is for."""
    with connect(options.url, 10.0) as client:
        tools = client.list_tools()
    if options.json:
        print(json.dumps(tools, indent=2))
        return 0
    width = max([len(tool["name"]) for tool in tools] or [0])
    for tool in tools:
        text = " ".join((tool.get("description") or "").split())
        print("{:{}}  {}".format(tool["name"], width, text))
    return 0


def call_tool(options: Any) -> int:
    """Call one tool and print its result as JSON; 1 if the tool failed."""
    arguments = _arguments(sys.stdin.read() if options.args == "-" else options.args)
    with connect(options.url, options.timeout) as client:
        result = client.call_tool(options.tool, arguments)
    shown: Any = result.get("structuredContent")
    if shown is None:
        shown = result.get("content")
    print(json.dumps(shown, indent=2))
    return 1 if result.get("isError") else 0


def _arguments(text: str) -> Dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError("--args is not JSON: {}".format(error)) from None
    if not isinstance(value, dict):
        raise ConfigError('--args is a JSON object, such as {"kind": "cube"}')
    return value


def status(options: Any) -> int:
    """Print the state of a server: what it says itself, or what can be seen from outside."""
    state: Dict[str, Any]
    problem: Optional[int] = None
    try:
        with connect(options.url, options.timeout) as client:
            result = client.call_tool("get_status")
        state = (result.get("structuredContent") or {}).get("data") or {}
    except HostBusyNative as error:
        state, problem = {"verdict": error.code, "message": error.message, "hint": error.hint}, 1
    except Unreachable as error:
        state, problem = {"verdict": "unreachable", "message": str(error)}, 3
    print(json.dumps(state, indent=2))
    return problem or 0


def secret(options: Any) -> int:
    """Replace the user's secret."""
    directory = data_dir(os.environ, sys.platform)
    rotate_secret(directory, SystemClock())
    print(
        "A new secret is in {}. Restart running hosts and paste their new URLs.".format(directory)
    )
    return 0
