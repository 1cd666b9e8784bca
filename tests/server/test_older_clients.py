"""What a client is told depends on the revision that it has named, at ``/mcp`` too."""

from __future__ import annotations

import dcc_mcp_embed
from fakes.live import starting
from fakes.streaming import initialize


@dcc_mcp_embed.tool(read_only=True, thread="loop")
def media() -> list:
    """Return what the oldest clients do not know."""
    return [dcc_mcp_embed.Link("file:///a.ma", "a.ma"), dcc_mcp_embed.Audio(b"OggS")]


@dcc_mcp_embed.prompt
def listen() -> list:
    """Return it as a prompt."""
    return [dcc_mcp_embed.Audio(b"OggS")]


def test_content_is_what_the_client_knows(tmp_path, monkeypatch):
    new = ["resource_link", "audio"]
    expected = {
        "2024-11-05": ["text", "resource"],
        "2025-03-26": ["text", "audio"],
        "2025-06-18": new,
        "2025-11-25": new,
    }
    tools = [media, listen]
    with starting(str(tmp_path), monkeypatch, registered=False, tools=tools) as start:
        with start().connect() as wire:

            def types(headers):
                result = wire.tool("media", headers=headers)
                return [one["type"] for one in result["content"]]

            for version, wanted in expected.items():
                session = initialize(wire, version=version)
                assert types(session) == wanted
                # Without a session, or in one whose host was started anew, the header counts.
                assert types({"MCP-Protocol-Version": version}) == wanted
                prompt = wire.rpc("prompts/get", {"name": "listen"}, headers=session)
                (message,) = prompt.json["result"]["messages"]
                assert message["content"]["type"] == wanted[1]
            # Who has named none is not taken for an old one.
            assert types({}) == new
