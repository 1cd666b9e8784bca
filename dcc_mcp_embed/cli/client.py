"""``tools``, ``call``, ``status``, ``secret``: a client of ours.

The server is named by its plain URL or found in the registry; no token stands in an argv (see
``reach``).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, Optional

from ..clock import SystemClock
from ..config import data_dir
from ..errors import ConfigError, HostBusyNative, Unreachable
from ..parsing import loads
from ..secret import rotate_secret
from .reach import reach
from .text import json_text, say

__all__ = ["call_tool", "list_tools", "secret", "status"]

#: The widest column for names of tools, characters.
_NAME = 40


def list_tools(options: Any) -> int:
    """Print each tool of a server with what it is for."""
    with reach(options, 10.0) as client:
        tools = client.list_tools()
    if options.json:
        print(json_text(tools))
        return 0
    width = max([len(tool["name"]) for tool in tools] or [0])
    for tool in tools:
        text = " ".join(str(tool.get("description") or "").split())
        say("{:{}}  {}".format(" ".join(tool["name"].split()), min(width, _NAME), text))
    return 0


def call_tool(options: Any) -> int:
    """Call one tool and print its result as JSON; 1 if the tool failed."""
    arguments = _arguments(_piped() if options.args == "-" else options.args)
    with reach(options, options.timeout) as client:
        result = client.call_tool(options.tool, arguments)
    shown: Any = result.get("structuredContent")
    if shown is None:
        shown = result.get("content")
    print(json_text(shown))
    return 1 if result.get("isError") else 0


def _piped() -> str:
    """Return what stands on standard input. Raises ConfigError where there is none, or no text."""
    if sys.stdin is None:
        raise ConfigError("--args - reads standard input, and there is none")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ConfigError("--args on standard input is no text: {}".format(error)) from None


def _arguments(text: str) -> Dict[str, Any]:
    try:
        value = loads(text)
        # As it will be sent: there is no NaN in JSON, and a number may be too large for it.
        json.dumps(value, allow_nan=False)
    except RecursionError:
        raise ConfigError("--args is nested too deeply") from None
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
        with reach(options, options.timeout) as client:
            result = client.call_tool("get_status")
        content = result.get("structuredContent")
        told = content.get("data") if isinstance(content, dict) else None
        state = (isinstance(told, dict) and told) or {
            "verdict": "unknown",
            "message": "It answers, and has no tool get_status: it is no server of this package.",
        }
        problem = 1 if result.get("isError") else None
    except HostBusyNative as error:
        state, problem = {"verdict": error.code, "message": error.message, "hint": error.hint}, 1
    except Unreachable as error:
        state, problem = {"verdict": "unreachable", "message": str(error)}, 3
    print(json_text(state))
    return problem or 0


def secret(options: Any) -> int:
    """Replace the user's secret."""
    directory = data_dir(os.environ, sys.platform)
    rotate_secret(directory, SystemClock())
    say("A new secret is in {}. Restart running hosts and paste their new URLs.".format(directory))
    return 0
