"""Streams of events on which nothing is said show a sign of life; where there are none, nothing."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.server import hall
from dcc_mcp_embed.tools.declare import Progress
from fakes.live import Live, on_loop, tries
from fakes.streaming import initialize

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
SIGN = b"3\r\n:\n\n\r\n"
EVERY = 0.02


@pytest.fixture
def leave():
    return threading.Event()


@pytest.fixture
def live(tmp_path, monkeypatch, leave):
    monkeypatch.setattr(hall, "KEEP_ALIVE", EVERY)

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def walk():
        """Report once, then nothing for long."""
        yield Progress(1, 2)
        assert leave.wait(20)
        return "walked"

    one = Live(str(tmp_path), monkeypatch, tools=[SimpleNamespace(walk=walk)])
    yield one
    leave.set()
    one.close()


def standing(connect):
    ears = connect()
    ears.listen(initialize(connect()))
    assert ears.event().data == ""
    return ears


def listening(connect):
    ears = connect()
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
    params = {"notifications": {"toolsListChanged": True}, "_meta": META}
    ears.rpc("subscriptions/listen", params, 9, headers)
    assert ears.message()["method"] == "notifications/subscriptions/acknowledged"
    return ears


def calling(connect):
    ears = connect()
    meta = {"progressToken": "p"}
    ears.rpc("tools/call", {"name": "walk", "arguments": {}, "_meta": meta})
    assert ears.message()["method"] == "notifications/progress"
    return ears


def legacy(connect):
    ears = connect()
    ears.request("GET", "/sse", {"Accept": "text/event-stream"})
    assert ears.event().event == "endpoint"
    return ears


@pytest.mark.parametrize("begin", [standing, listening, calling, legacy])
def test_a_stream_on_which_nothing_is_said_gets_a_sign_now_and_then(connect, begin):
    ears = begin(connect)
    for _ in range(3):
        while SIGN not in ears._rest:
            ears._more()
        ears._rest = ears._rest.partition(SIGN)[2]


def test_a_sign_is_no_event_and_ends_with_the_stream(live, connect, leave):
    ears = calling(connect)
    while SIGN not in ears._rest:
        ears._more()
    leave.set()
    assert ears.message()["result"]["content"][0]["text"] == "walked"
    assert ears.message() is None
    # The connection goes on, without signs.
    assert ears.rpc("ping").json["result"] == {}
    assert ears._rest == b""
    assert not live.server._server.front.streaming


def test_nobody_wakes_up_where_no_stream_stands(live, connect):
    found = live.server._server.front
    assert not found._keeping
    assert connect().rpc("ping").status == 200
    assert not found._keeping
    ears = standing(connect)
    assert on_loop(live, lambda: found._keeping)
    ears.close()
    for _ in tries():
        if not on_loop(live, lambda: found._keeping):
            return
    raise AssertionError("it goes on")
