"""Tools that ask, and how tests of the bridge over HTTP speak to it in the stateless era."""

from __future__ import annotations

import dcc_mcp_embed
from fakes.bridged import MODERN
from fakes.live import tries

ERA = "2026-07-28"
NAME = {"type": "object", "properties": {"name": {"type": "string"}}}
LOGIN = "https://example.org/login"


@dcc_mcp_embed.tool
def greet(ctx):
    """Ask for a name and greet."""
    answer = yield ctx.elicit("Your name?", NAME, key="user_name")
    return "Hello, {}!".format(answer["content"]["name"])


@dcc_mcp_embed.tool(read_only=True)
def sign_in(ctx):
    """Send the person to a page."""
    answer = yield ctx.elicit_url("Sign in", LOGIN, key="login")
    return answer["action"]


def appears(wire, name, headers=None):
    """Wait until a tool is listed."""
    for _ in tries():
        listed = wire.rpc("tools/list", headers=headers).json["result"]["tools"]
        if name in [tool["name"] for tool in listed]:
            return
    raise AssertionError(name)


def modern(method, **params):
    """Return what a client of the stateless era says, and its headers."""
    name = params.get("name") or params.get("uri")
    headers = {"MCP-Protocol-Version": ERA, "Mcp-Method": method}
    if name:
        headers["Mcp-Name"] = name
    return {"method": method, "params": dict({"_meta": MODERN}, **params), "headers": headers}


def asking(wire, name, capabilities, **more):
    """Call a tool in the stateless era, as a client that can be asked; return the result."""
    meta = dict(MODERN, **{"io.modelcontextprotocol/clientCapabilities": capabilities})
    said = modern("tools/call", name=name, arguments={}, _meta=meta, **more)
    return wire.rpc(**said).json["result"]
