"""Calls by code in the host itself, on a thread of its own: no wire, the same queue."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import NotFound
from fakes.live import starting


@pytest.fixture
def live(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch) as start:
        yield start()


def test_undo_takes_back_the_call_before_it(live):
    made = live.server.call("create_object", {"kind": "cube"})
    assert live.server.call("undo")["labels"] == ["MCP: create_object"]
    with pytest.raises(NotFound):
        live.server.call("get_object", {"path": made["path"]})
    assert live.server.call("redo")["labels"] == ["MCP: create_object"]
    assert live.server.call("get_object", {"path": made["path"]})["id"] == made["id"]


def test_a_resource_is_read_as_its_function_returns_it(live):
    world = live.server.selftest_world()
    live.server.call("create_object", {"kind": "cube", "name": "one"})
    assert world.read("scene://tree") == "one (cube)"
    assert world.read("dcc://status")["verdict"] == "healthy"
    assert world.read("scene://errors") == {"items": [], "total": 0}
    with pytest.raises(NotFound):
        world.read("scene://nothing")
