"""``x-mcp-header`` on the wire: refused before anything runs, in the era that knows it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.errors import ConfigError
from fakes.live import Live

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
SCHEMA = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
}


def test_headers_and_arguments_must_agree(tmp_path, monkeypatch):
    ran = []

    @dcc_mcp_embed.tool(read_only=True, input_schema=SCHEMA)
    def where(region: str = "") -> str:
        """Say where."""
        ran.append(region)
        return region

    live = Live(str(tmp_path), monkeypatch, tools=[SimpleNamespace(where=where)])
    try:
        with live.connect() as wire:

            def call(**more):
                headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call"}
                params = {"name": "where", "arguments": {"region": "eu"}, "_meta": META}
                return wire.rpc("tools/call", params, headers=dict(headers, **more))

            for more in ({}, {"Mcp-Param-Region": "us"}):
                answer = call(**dict({"Mcp-Name": "where"}, **more))
                assert (answer.status, answer.code) == (400, -32020)
            assert ran == []
            answer = call(**{"Mcp-Name": "where", "mcp-param-region": "eu"})
            assert answer.json["result"]["content"][0]["text"] == "eu"
            listed = wire.rpc("tools/list").json["result"]["tools"]
            (shown,) = [one["inputSchema"] for one in listed if one["name"] == "where"]
            assert shown["properties"]["region"]["x-mcp-header"] == "Region"
            # The other era has no such headers.
            assert wire.tool("where", {"region": "us"})["content"][0]["text"] == "us"
            assert ran == ["eu", "us"]
    finally:
        live.close()


def test_a_declaration_that_clients_would_drop_is_refused():
    schema = {"type": "object", "properties": {"a": {"type": "array", "x-mcp-header": "A"}}}
    with pytest.raises(ConfigError, match="x-mcp-header"):

        @dcc_mcp_embed.tool(input_schema=schema)
        def broken(a=()):
            """Do it."""
