"""What a tool returns whose work goes on by itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.tools.entries import Progress
from dcc_mcp_embed.tools.polling import Poll
from fakes.live import starting


def test_it_has_no_result_until_the_check_has_one():
    answers = [None, Progress(1, 3, "a"), None, {"done": True}]
    poll = Poll(lambda: answers.pop(0))
    assert poll() is None
    assert poll.latest is None
    assert poll() is None
    assert poll.latest == Progress(1, 3, "a")
    assert poll() is None
    assert poll.latest == Progress(1, 3, "a")
    assert poll() == {"done": True}


def test_it_is_closed_once():
    closed = []
    poll = Poll(lambda: None, close=lambda: closed.append(1))
    poll.close()
    poll.close()
    assert closed == [1]
    Poll(lambda: None).close()


@pytest.mark.parametrize("every", [0, 0.001, 61, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(every):
    with pytest.raises(ValueError, match="every"):
        Poll(lambda: 1, every=every)


@pytest.mark.parametrize("given", [(None,), (lambda: 1, 1, "close")])
def test_what_is_no_function_is_refused(given):
    with pytest.raises(TypeError, match="functions"):
        Poll(*given)


def test_a_batch_that_cannot_wait_for_it_ends_it(tmp_path, monkeypatch):
    closed = []

    @dcc_mcp_embed.tool
    def bake():
        """Go on by itself until it is ended."""
        return Poll(lambda: None, close=lambda: closed.append(1))

    @dcc_mcp_embed.tool
    def render():
        """Go on by itself, whatever comes."""
        return lambda: None

    tools = SimpleNamespace(bake=bake, render=render)
    with starting(str(tmp_path), monkeypatch, tools=[tools]) as start, start().connect() as wire:
        calls = [{"tool": "bake"}, {"tool": "render"}]
        result = wire.tool("batch", {"calls": calls, "stop_on_error": False})
    errors = [row["error"] for row in result["structuredContent"]["data"]["items"]]
    assert [one["state"] for one in errors] == ["finished", "running"]
    assert "was ended" in errors[0]["message"]
    assert closed == [1]
