"""Log messages and progress of a running call: to whom, from which level on, and how many."""

from __future__ import annotations

import threading

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.server.dialogue import _AHEAD
from fakes.live import Live
from fakes.stage import declared_among
from fakes.streaming import Streaming, initialize

MODERN = "2026-07-28"
DEADLINE = 10.0
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def make_tools(busy):
    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def chatter(ctx):
        """Say something on every level."""
        for level in LEVELS:
            ctx.log(level, {"level": level}, logger="chatter")
        return "said"

    @dcc_mcp_embed.tool(read_only=True, thread="loop")
    def chatter_loop(ctx):
        """Say something where it must answer at once."""
        ctx.log("warning", "from the loop")
        return "said"

    @dcc_mcp_embed.tool(read_only=True)
    def chatter_main(ctx):
        """Say something that JSON cannot hold, and something long."""
        ctx.log("warning", {"when": float("nan")})
        ctx.log("warning", {object()})
        ctx.log("warning", "x" * 100000)
        return "said"

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def advance(ctx):
        """Report progress without being a generator, once not forwards."""
        for done in (0, 1, 1, 0.5, 2):
            ctx.progress(done, 2, "at {}".format(done))
        return "there"

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def flood(ctx):
        """Say far too much while the loop has no time."""
        assert busy.wait(DEADLINE)
        for number in range(1000):
            ctx.log("warning", number)
        return "said"

    @dcc_mcp_embed.tool(read_only=True)
    def wrong(ctx):
        """Name a level that does not exist."""
        ctx.log("loud", "x")

    return declared_among(locals())


@pytest.fixture
def busy():
    return threading.Event()


@pytest.fixture
def live(tmp_path, monkeypatch, busy):
    one = Live(str(tmp_path), monkeypatch, tools=[make_tools(busy)])
    yield one
    one.close()


@pytest.fixture
def wire(live):
    with Streaming(live) as one:
        yield one


def old(wire, session, name, **params):
    answer = wire.rpc("tools/call", dict({"name": name}, **params), headers=session)
    return everything(wire, answer)


def new(wire, name, capabilities=None, **meta):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": name}
    found = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
    }
    found.update(meta)
    answer = wire.rpc("tools/call", {"name": name, "_meta": found}, headers=headers)
    return everything(wire, answer)


def everything(wire, answer):
    """Return (notifications, result) of a call, however it was answered."""
    assert answer.status == 200
    if answer.headers["content-type"] == "application/json":
        return [], answer.json["result"]
    messages = wire.messages()
    return messages[:-1], messages[-1]["result"]


def levels(notifications):
    assert {one["method"] for one in notifications} <= {"notifications/message"}
    return tuple(one["params"]["level"] for one in notifications)


def test_a_session_hears_from_its_level_on(wire):
    session = initialize(wire)
    assert levels(old(wire, session, "chatter")[0]) == LEVELS[1:]
    for place, level in enumerate(LEVELS):
        assert wire.rpc("logging/setLevel", {"level": level}, headers=session).json["result"] == {}
        said, result = old(wire, session, "chatter")
        assert levels(said) == LEVELS[place:]
        assert said[-1]["params"] == {
            "level": "emergency",
            "data": {"level": "emergency"},
            "logger": "chatter",
        }
        assert result["content"][0]["text"] == "said"


def test_the_level_of_one_session_is_not_that_of_another(wire):
    loud, quiet = initialize(wire), initialize(wire)
    wire.rpc("logging/setLevel", {"level": "error"}, headers=quiet)
    wire.rpc("logging/setLevel", {"level": "debug"}, headers=loud)
    assert levels(old(wire, loud, "chatter")[0]) == LEVELS
    assert levels(old(wire, quiet, "chatter")[0]) == LEVELS[4:]


def test_who_has_no_session_gets_no_log(wire):
    assert old(wire, {}, "chatter")[0] == []


def test_a_stateless_client_hears_what_its_request_asks_for(wire):
    assert new(wire, "chatter")[0] == []
    key = "io.modelcontextprotocol/logLevel"
    assert levels(new(wire, "chatter", **{key: "alert"})[0]) == LEVELS[6:]
    assert new(wire, "chatter", **{key: "loud"})[0] == []


def test_a_tool_of_the_loop_can_log_too(wire):
    (said,), result = old(wire, initialize(wire), "chatter_loop")
    assert said["params"] == {"level": "warning", "data": "from the loop"}
    assert result["content"][0]["text"] == "said"


def test_data_is_made_json_and_short(wire):
    (strange, plain, long), _ = old(wire, initialize(wire), "chatter_main")
    assert strange["params"]["data"]["when"] is None
    assert plain["params"]["data"].startswith("{<object object")
    assert 16000 < len(long["params"]["data"]) < 17000


def test_a_level_that_does_not_exist_is_the_tool_s_error(wire):
    _, result = old(wire, initialize(wire), "wrong")
    assert result["isError"]
    assert "debug, info" in result["content"][0]["text"]


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_progress_without_a_generator(wire, era):
    if era == "handshake":
        said, result = old(wire, initialize(wire), "advance", _meta={"progressToken": "p"})
    else:
        said, result = new(wire, "advance", progressToken="p")
    assert [one["method"] for one in said] == ["notifications/progress"] * 3
    assert [one["params"]["progress"] for one in said] == [0, 1, 2]
    assert said[-1]["params"] == {
        "progressToken": "p",
        "progress": 2,
        "total": 2,
        "message": "at 2",
    }
    assert result["content"][0]["text"] == "there"


def test_progress_goes_to_those_who_ask(wire):
    assert old(wire, initialize(wire), "advance")[0] == []
    assert new(wire, "advance")[0] == []


def test_a_tool_that_says_too_much_is_cut_short(live, wire, busy):
    session = initialize(wire)
    held, go_on = threading.Event(), threading.Event()

    def hold():
        held.set()
        busy.set()
        go_on.wait(0.5)

    threading.Timer(0.1, live.server._loop.call_soon, (hold,)).start()
    said, result = old(wire, session, "flood")
    assert result["content"][0]["text"] == "said"
    assert 0 < len(said) < 2 * _AHEAD
