"""A host's main thread that would wait for itself is told so at once; it never hangs."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.errors import ToolError, WouldDeadlock
from dcc_mcp_embed.mcp.http_client import HttpClient
from fakes.live import Live
from fakes.served import Served

DEADLINE = 10.0
AT_ONCE = 2.0

#: A tool of the other host, which calls back with whatever URL it is given.
CALL_BACK = '''
import dcc_mcp_embed
from dcc_mcp_embed.mcp.http_client import HttpClient

@dcc_mcp_embed.tool
def call_back(url: str, tool: str) -> dict:
    """Call a tool of another host from this host's main thread."""
    with HttpClient(url, timeout=20) as client:
        return {"result": client.call_tool(tool)}
'''


@pytest.fixture
def live(tmp_path, monkeypatch):
    lives = []

    def attempt(action):
        """Run it on the main thread; say what came and how long it took."""
        begun = time.monotonic()
        try:
            found = {"came": action()}
        except ToolError as error:
            found = {"error": error.code, "hint": error.hint, "message": error.message}
        return dict(found, seconds=time.monotonic() - begun)

    @dcc_mcp_embed.tool
    def over_http(url: str, tool: str) -> dict:
        """Call a server from the main thread."""

        def action():
            with HttpClient(url, lives[0].server.token, timeout=20) as client:
                return client.call_tool(tool)

        return attempt(action)

    @dcc_mcp_embed.tool
    def directly(tool: str) -> dict:
        """Call a tool of this server from the main thread."""
        return attempt(lambda: lives[0].server.call(tool))

    @dcc_mcp_embed.tool
    def through(url: str, url_back: str, tool: str) -> dict:
        """Call another host, which calls this one back."""

        def action():
            with HttpClient(url, timeout=20) as client:
                return client.call_tool("call_back", {"url": url_back, "tool": tool})

        return attempt(action)

    @dcc_mcp_embed.tool(thread="worker")
    def from_worker(tool: str) -> dict:
        """Call a tool of this server from the worker thread."""
        return attempt(lambda: lives[0].server.call(tool))

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def on_worker() -> str:
        """Answer from the worker thread."""
        return "worked"

    @dcc_mcp_embed.tool(read_only=True)
    def on_main() -> str:
        """Answer from the main thread."""
        return "mained"

    tools = SimpleNamespace(
        over_http=over_http,
        directly=directly,
        through=through,
        from_worker=from_worker,
        on_worker=on_worker,
        on_main=on_main,
    )
    lives.append(Live(str(tmp_path), monkeypatch, tools=[tools]))
    yield lives[0]
    with lives[0].connect() as wire:
        assert wire.tool("on_main")["content"][0]["text"] == "mained", "the host is free again"
    lives[0].close()


def ask(live, name, **arguments):
    with live.connect() as wire:
        wire.sock.settimeout(DEADLINE)
        result = wire.tool(name, arguments)
    assert result["isError"] is False, result
    return result["structuredContent"]["data"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
@pytest.mark.parametrize("tool", ["on_main", "on_worker", "get_status"])
def test_over_http_to_itself(live, host, tool):
    url = "http://{}:{}/mcp".format(host, live.port)
    found = ask(live, "over_http", url=url, tool=tool)
    assert found["error"] == "would_deadlock"
    assert "another thread" in found["hint"]
    assert found["seconds"] < AT_ONCE


def test_directly_to_a_tool_that_needs_the_main_thread(live):
    found = ask(live, "directly", tool="on_main")
    assert found["error"] == "would_deadlock"
    assert found["seconds"] < AT_ONCE


@pytest.mark.parametrize(("tool", "wanted"), [("on_worker", "worked"), ("get_status", None)])
def test_directly_to_a_tool_that_does_not_is_allowed(live, tool, wanted):
    found = ask(live, "directly", tool=tool)
    assert "error" not in found, found
    assert wanted is None or found["came"] == wanted


def test_the_worker_thread_cannot_wait_for_itself_either(live):
    assert ask(live, "from_worker", tool="on_worker")["error"] == "would_deadlock"
    assert ask(live, "from_worker", tool="on_main")["came"] == "mained"


def test_another_thread_may_call(live):
    assert live.server.call("on_main") == "mained"
    with HttpClient(live.server.plain_url, live.server.token) as client:
        assert client.call_tool("on_main")["content"][0]["text"] == "mained"


def test_on_the_main_thread_outside_of_any_tool(live):
    found = []
    over = threading.Event()

    def pump():
        for action in (
            lambda: live.server.call("on_main"),
            lambda: HttpClient(live.server.plain_url, live.server.token).call_tool("on_main"),
        ):
            try:
                found.append(action())
            except WouldDeadlock as error:
                found.append(error.code)
        over.set()

    live.adapter.wake(pump)
    assert over.wait(DEADLINE)
    assert found == ["would_deadlock"] * 2


@pytest.mark.parametrize(
    ("tool", "wanted"), [("on_main", "host_busy"), ("on_worker", None), ("get_status", None)]
)
def test_two_hosts_that_call_each_other_do_not_wait_for_each_other(live, tmp_path, tool, wanted):
    home = tmp_path / "other"
    home.mkdir()
    (home / "call_back.py").write_text(CALL_BACK)
    with Served(str(home), "--tools", "call_back.py") as other:
        found = ask(live, "through", url=other.facts["url"], url_back=live.server.url, tool=tool)
        assert found["seconds"] < 5.0
        assert "error" not in found, found
        # The other host did its part; what it was told is in its answer.
        inner = found["came"]["structuredContent"]["data"]["result"]
        if wanted is None:
            assert inner["isError"] is False
        else:
            refused = inner["structuredContent"]["error"]
            assert refused["code"] == wanted
            assert refused["retryable"] is True
            assert str(other.port) in refused["message"]
        # Once it no longer waits, it serves.
        with HttpClient(other.facts["url"]) as client:
            result = client.call_tool("call_back", {"url": live.server.url, "tool": tool})
        assert result["structuredContent"]["data"]["result"]["isError"] is False
