"""What a client keeps when the host has forgotten its session: whatever it says from then on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from fakes.live import Live, on_loop

BEFORE = {"Mcp-Session-Id": "ab" * 16}


@pytest.fixture
def live(tmp_path, monkeypatch):
    @dcc_mcp_embed.tool(read_only=True, thread="loop")
    def talk(ctx, level: str) -> str:
        """Log at a level."""
        ctx.log(level, "hello")
        return "talked"

    @dcc_mcp_embed.tool(read_only=True, thread="loop")
    def point() -> dcc_mcp_embed.Link:
        """Point to something."""
        return dcc_mcp_embed.Link("test://x", "x")

    tools = SimpleNamespace(talk=talk, point=point)
    one = Live(str(tmp_path), monkeypatch, tools=[tools])
    yield one
    one.close()


@pytest.fixture
def wire(connect):
    return connect()


def test_the_level_that_a_client_sets_in_a_session_of_before_is_kept(live, wire):
    assert wire.rpc("logging/setLevel", {"level": "error"}, headers=BEFORE).json["result"] == {}
    known = on_loop(live, lambda: live.server._server.sessions.get(BEFORE["Mcp-Session-Id"]))
    assert known.level == "error"

    def talk(level):
        params = {"name": "talk", "arguments": {"level": level}}
        wire.rpc("tools/call", params, headers=BEFORE)
        return [one["params"]["level"] for one in wire.messages() if "method" in one]

    assert talk("error") == ["error"]
    params = {"name": "talk", "arguments": {"level": "warning"}}
    answer = wire.rpc("tools/call", params, headers=BEFORE)
    assert answer.json["result"]["content"][0]["text"] == "talked"


def test_whoever_has_named_no_revision_gets_everything_as_without_a_session(wire):
    params = {"name": "point", "arguments": {}}
    for headers in ({}, BEFORE):
        result = wire.rpc("tools/call", params, headers=headers).json["result"]
        assert result["content"][0]["type"] == "resource_link"


def test_an_id_that_cannot_be_one_is_passed_over(live, wire):
    answer = wire.rpc("logging/setLevel", {"level": "error"}, headers={"Mcp-Session-Id": "x" * 200})
    assert answer.json["result"] == {}
    assert len(live.server._server.sessions) == 0
