"""What passes the bridge while a call is under way: progress, log messages, cancellation."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.server import beating
from fakes.bridged import MODERN, Within
from fakes.live import DEADLINE

pytestmark = pytest.mark.edges

LEVEL = "io.modelcontextprotocol/logLevel"
#: Seconds between two steps of a tool that goes on until it is told to stop.
STEP = 0.005


class Stage:
    """Tools, and what they and a test tell each other."""

    def __init__(self):
        self.stop = threading.Event()
        self.ended = threading.Event()
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        self.ran = []

        @dcc_mcp_embed.tool(thread="worker")
        def steps():
            """Go on until nobody wants it any more; say so at the end."""
            number = 0
            try:
                while not self.stop.wait(STEP):
                    number += 1
                    yield dcc_mcp_embed.Progress(number, None, "step")
            finally:
                self.ended.set()

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
        def hold(name: str) -> dict:
            """Keep the main thread until it may leave."""
            self.ran.append(name)
            self.entered.release()
            assert self.leave.wait(DEADLINE)
            return {"state": "done"}

        self.tools = SimpleNamespace(steps=steps, says=says, hold=hold)


@pytest.fixture
def stage(serve):
    stage = Stage()
    serve(stage.tools)
    yield stage
    stage.stop.set()
    stage.leave.set()


@pytest.fixture
def bridge(home, monkeypatch, stage):
    with Within(home, monkeypatch) as bridge:
        bridge.initialize()
        bridge.appears("steps")
        yield bridge


def begin(bridge, tool, token, **arguments):
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    return bridge.begin("tools/call", dict({"name": tool, "arguments": arguments}, **meta))


def told(bridge, method):
    return [one["params"] for one in bridge.notices if one["method"] == "notifications/" + method]


def test_a_cancel_reaches_the_host(bridge, stage):
    ident = begin(bridge, "steps", "mine")
    bridge.until(lambda: told(bridge, "progress"))
    bridge.notify("notifications/cancelled", {"requestId": ident})
    assert stage.ended.wait(DEADLINE)
    assert bridge.call("get_status")["ok"]
    after = len(bridge.notices)
    assert bridge.ask("ping") == {}
    assert ident not in bridge.answers
    assert len(bridge.notices) == after, "nothing more is said about it"


def test_a_cancel_in_the_hosts_line_keeps_it_from_beginning(bridge, stage, monkeypatch):
    monkeypatch.setattr(beating, "EVERY", 0.05)
    holding = begin(bridge, "hold", None, name="first")
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting = begin(bridge, "hold", "w", name="second")
    # It tells that it waits, from the host.
    bridge.until(lambda: told(bridge, "progress"))
    bridge.notify("notifications/cancelled", {"requestId": waiting})
    # Nobody says so to the client; the host knows.
    bridge.until(lambda: not bridge.call("get_status")["data"]["queue_depth"])
    assert holding not in bridge.answers
    stage.leave.set()
    assert bridge.told(holding)["ok"]
    assert bridge.call("list_objects")["ok"]
    assert stage.ran == ["first"]


def test_a_cancel_is_said_also_when_the_client_leaves_right_after_it(bridge, stage):
    ident = begin(bridge, "steps", 1)
    bridge.until(lambda: told(bridge, "progress"))
    bridge.notify("notifications/cancelled", {"requestId": ident})
    bridge.end()
    assert stage.ended.wait(DEADLINE)


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


def test_two_calls_may_have_one_token(bridge, stage):
    running = begin(bridge, "steps", "same")
    bridge.until(lambda: told(bridge, "progress"))
    second = begin(bridge, "says", "same", count=1)
    stage.stop.set()
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


def test_calls_that_tell_a_lot_come_to_their_end(bridge):
    calls = [begin(bridge, "says", number, count=2000) for number in range(8)]
    for call in calls:
        assert bridge.told(call)["ok"]
    for number in range(8):
        mine = [o["progress"] for o in told(bridge, "progress") if o["progressToken"] == number]
        assert mine == sorted(set(mine)) and mine
