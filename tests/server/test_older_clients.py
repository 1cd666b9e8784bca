"""What a client is told depends on the revision that it has named, at ``/mcp`` too."""

from __future__ import annotations

import dcc_mcp_embed
from fakes.live import starting
from fakes.streaming import Streaming, initialize


@dcc_mcp_embed.tool(read_only=True, thread="loop")
def media() -> list:
    """Return what the oldest clients do not know."""
    return [dcc_mcp_embed.Link("file:///a.ma", "a.ma"), dcc_mcp_embed.Audio(b"OggS")]


@dcc_mcp_embed.prompt
def listen() -> list:
    """Return it as a prompt."""
    return [dcc_mcp_embed.Audio(b"OggS")]


@dcc_mcp_embed.tool
def choose(ctx, many: bool):
    """Ask for one of two, or for any of them."""
    one = {"type": "string", "enum": ["a", "b"]}
    shown = {"type": "array", "items": one} if many else one
    yield ctx.elicit("Which?", {"type": "object", "properties": {"choice": shown}})


def test_nobody_is_asked_what_their_revision_has_no_form_for(tmp_path, monkeypatch):
    asked = "elicitation/create"
    expected = {
        "2024-11-05": ["unsupported", "unsupported"],
        "2025-03-26": ["unsupported", "unsupported"],
        "2025-06-18": [asked, "unsupported"],
        "2025-11-25": [asked, asked],
    }
    found = {}
    with starting(str(tmp_path), monkeypatch, registered=False, tools=[choose]) as start:
        live = start()
        for version in expected:
            found[version] = []
            for many in (False, True):
                with Streaming(live) as wire:
                    # They say that they can, whatever that means to them.
                    session = initialize(wire, {"elicitation": {}}, version)
                    params = {"name": "choose", "arguments": {"many": many}}
                    answer = wire.rpc("tools/call", params, headers=session)
                    if answer.body:
                        error = answer.json["result"]["structuredContent"]["error"]
                        found[version].append(error["code"])
                    else:
                        found[version].append(wire.message()["method"])
    assert found == expected


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
