"""What passes the bridge while a call is under way: progress, log messages, cancellation."""

from __future__ import annotations

import json
import threading

import pytest

from fakes.bridged import MODERN, Bridged
from fakes.served import Served

TOOLS = '''
import os, time
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker")
def steps(path: str):
    """Go on until nobody wants it any more; say so at the end."""
    number = 0
    try:
        while not os.path.exists(path + ".stop"):
            number += 1
            yield dcc_mcp_embed.Progress(number, None, "step")
            time.sleep(0.005)
    finally:
        with open(path, "a") as file:
            file.write("ended\\n")

@dcc_mcp_embed.tool(thread="worker")
def says(ctx, count: int) -> dict:
    """Log, and report."""
    ctx.log("debug", "small")
    ctx.log("info", {"said": "middle"})
    ctx.log("error", "large", logger="test")
    for number in range(count):
        ctx.progress(number + 1, count, "step")
    return {"state": "done"}

@dcc_mcp_embed.tool()
def hold(path: str) -> dict:
    """Keep the main thread until a file is there."""
    with open(path, "a") as file:
        file.write("begun\\n")
    while not os.path.exists(path + ".stop"):
        time.sleep(0.005)
    return {"state": "done"}
'''
LEVEL = "io.modelcontextprotocol/logLevel"


@pytest.fixture
def home(tmp_path):
    return str(tmp_path)


@pytest.fixture
def tools(tmp_path):
    path = tmp_path / "bridge_talking_tools.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.fixture
def bridge(home, tools):
    with Served(home, "--tools", tools), Bridged(home) as bridge:
        bridge.initialize()
        bridge.until(lambda: "steps" in bridge.names())
        yield bridge


def begin(bridge, tool, token, **arguments):
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    return bridge.begin("tools/call", dict({"name": tool, "arguments": arguments}, **meta))


def told(bridge, method):
    return [one["params"] for one in bridge.notices if one["method"] == "notifications/" + method]


def appears(path, text="ended\n"):
    pause = threading.Event()
    for _ in range(4000):
        if path.exists() and path.read_text() == text:
            return
        pause.wait(0.005)
    raise AssertionError("never")


def test_a_cancel_reaches_the_host(bridge, tmp_path):
    path = tmp_path / "ran"
    ident = begin(bridge, "steps", "mine", path=str(path))
    bridge.until(lambda: told(bridge, "progress"))
    bridge.notify("notifications/cancelled", {"requestId": ident})
    appears(path)
    assert bridge.call("get_status")["ok"]
    after = len(bridge.notices)
    assert bridge.ask("ping") == {}
    assert ident not in bridge.answers
    assert len(bridge.notices) == after, "nothing more is said about it"


def test_a_cancel_in_the_hosts_line_keeps_it_from_beginning(bridge, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    holding = begin(bridge, "hold", None, path=str(first))
    appears(first, "begun\n")
    waiting = begin(bridge, "hold", "w", path=str(second))
    # It tells that it waits, from the host.
    bridge.until(lambda: told(bridge, "progress"))
    bridge.notify("notifications/cancelled", {"requestId": waiting})
    # Nobody says so to the client; the host knows.
    while bridge.call("get_status")["data"]["queue_depth"]:
        assert bridge.process.poll() is None
    (tmp_path / "first.stop").write_text("")
    assert bridge.told(holding)["ok"]
    assert bridge.call("list_objects")["ok"]
    assert not second.exists()


def test_a_cancel_is_said_also_when_the_client_leaves_right_after_it(home, tools, tmp_path):
    path = tmp_path / "ran"
    with Served(home, "--tools", tools):
        with Bridged(home) as bridge:
            bridge.initialize()
            bridge.until(lambda: "steps" in bridge.names())
            ident = begin(bridge, "steps", 1, path=str(path))
            bridge.until(lambda: told(bridge, "progress"))
            bridge.notify("notifications/cancelled", {"requestId": ident})
            assert bridge.end() == 0
        appears(path)


def test_progress_comes_with_the_token_of_its_call(bridge):
    for token in ("mine", 0, "mine"):
        del bridge.notices[:]
        answer = bridge.told(begin(bridge, "says", token, count=3))
        assert answer["data"] == {"state": "done"}
        steps = told(bridge, "progress")
        assert [one["progress"] for one in steps] == [1, 2, 3]
        assert {json.dumps(one["progressToken"]) for one in steps} == {json.dumps(token)}
        assert steps[0]["total"] == 3 and steps[0]["message"] == "step"
    del bridge.notices[:]
    assert bridge.told(begin(bridge, "says", None, count=3))["ok"]
    assert told(bridge, "progress") == []


def test_two_calls_may_have_one_token(bridge, tmp_path):
    path = tmp_path / "ran"
    running = begin(bridge, "steps", "same", path=str(path))
    bridge.until(lambda: told(bridge, "progress"))
    second = begin(bridge, "says", "same", count=1)
    (tmp_path / "ran.stop").write_text("")
    assert bridge.told(running)["ok"] and bridge.told(second)["ok"]
    assert {one["progressToken"] for one in told(bridge, "progress")} == {"same"}


def test_log_messages_come_from_the_level_on_that_is_wanted(bridge):
    def logged(level=None, **params):
        del bridge.notices[:]
        call = {"name": "says", "arguments": {"count": 0}}
        assert bridge.told(bridge.begin("tools/call", dict(call, **params)))["ok"]
        return [one["level"] for one in told(bridge, "message")]

    assert logged() == ["info", "error"]
    last = told(bridge, "message")[-1]
    assert last == {"level": "error", "data": "large", "logger": "test"}
    bridge.ask("logging/setLevel", {"level": "debug"})
    assert logged() == ["debug", "info", "error"]
    assert logged(_meta=MODERN) == []
    assert logged(_meta=dict(MODERN, **{LEVEL: "error"})) == ["error"]


def test_calls_that_tell_a_lot_come_to_their_end(home, tools, tmp_path):
    with Served(home, "--tools", tools), Bridged(home) as bridge:
        bridge.initialize()
        bridge.until(lambda: "steps" in bridge.names())
        calls = [begin(bridge, "says", number, count=2000) for number in range(8)]
        for call in calls:
            assert bridge.told(call)["ok"]
        for number in range(8):
            mine = [o["progress"] for o in told(bridge, "progress") if o["progressToken"] == number]
            assert mine == sorted(set(mine)) and mine
