"""A client that asked for progress hears of its call, whatever the call is doing."""

from __future__ import annotations

import re
import threading
import time

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from dcc_mcp_embed.server import beating
from fakes.live import starting, tries
from fakes.stage import declared_among
from fakes.streaming import Streaming, initialize

#: Before any test changes it.
EVERY = beating.EVERY
FOR = re.compile(r"\bfor (\d+) s\b")


class Stage:
    def __init__(self):
        self.leave = threading.Event()
        self.entered = threading.Semaphore(0)
        self.next = threading.Semaphore(0)
        self.state = []
        leave, entered, go_on, state = self.leave, self.entered, self.next, self.state

        @dcc_mcp_embed.tool
        def block() -> dict:
            """Keep the main thread until the test lets go."""
            entered.release()
            assert leave.wait(20)
            return {"blocked": True}

        @dcc_mcp_embed.tool
        def act() -> dict:
            """Do something."""
            return {"acted": True}

        @dcc_mcp_embed.tool(read_only=True, thread="worker")
        def walk() -> dict:
            """Report a step, wait, report another."""
            yield dcc_mcp_embed.Progress(10, 30, "first")
            assert go_on.acquire(timeout=20)
            yield dcc_mcp_embed.Progress(20, 30, "second")
            return {"walked": True}

        @dcc_mcp_embed.tool(read_only=True)
        def render(ctx) -> dict:
            """Go on by itself."""

            def check():
                state.append(threading.current_thread().name)
                if leave.is_set():
                    return {"rendered": len(state)}
                return dcc_mcp_embed.Progress(len(state), 1000, "tile {}".format(len(state)))

            return dcc_mcp_embed.Poll(check, every=0.01, close=lambda: state.append("closed"))

        @dcc_mcp_embed.tool(read_only=True, thread="worker")
        def simulate(ctx) -> dict:
            """Go on by itself."""

            def check():
                state.append("asked")
                return dcc_mcp_embed.Progress(len(state))

            return dcc_mcp_embed.Poll(check, every=0.01, close=lambda: state.append("closed"))

        self.tools = declared_among(locals())


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with starting(str(tmp_path), monkeypatch, tools=[stage.tools]) as one_more:

        def go(every=0.03, **options):
            monkeypatch.setattr(beating, "EVERY", every)
            return one_more(**options)

        yield go
        stage.leave.set()
        for _ in range(50):
            stage.next.release()


def call(wire, tool, arguments=None, token="t", **options):
    """Call a tool and return the answer: of a stream, its head."""
    params = {"name": tool, "arguments": arguments or {}}
    if token is not None:
        params["_meta"] = {"progressToken": token}
    return wire.rpc("tools/call", params, **options)


def data(result):
    assert result["isError"] is False, result
    return result["structuredContent"]["data"]


def reports(wire, many):
    """Read so many reports, each further than the last."""
    found = []
    while len(found) < many:
        message = wire.message()
        assert message["method"] == "notifications/progress"
        assert message["params"]["progressToken"] == "t"
        found.append(message["params"])
    grown = [one["progress"] for one in found]
    assert grown == sorted(set(grown))
    return found


def untimed(reports, since):
    """Return what the reports say, each once, without the time; that was no more than there was."""
    texts = [one["message"] for one in reports]
    there_was = round(time.monotonic() - since)
    assert all(int(told) <= there_was for text in texts for told in FOR.findall(text))
    return {FOR.sub("for N s", text) for text in texts}


def result(wire):
    """Return the data of the result behind the reports that may still come."""
    for message in wire.messages():
        if "result" in message:
            return data(message["result"])
    raise AssertionError("there was no result")


def test_the_interval_is_less_than_the_two_seconds_that_clients_were_promised():
    assert 1.0 <= EVERY < 2.0


def test_a_call_that_runs_is_reported_with_its_time(start, stage):
    live = start()
    with Streaming(live) as wire:
        call(wire, "block")
        found = reports(wire, 3)
        assert all(one["message"].startswith("running for ") for one in found)
        assert all("total" not in one for one in found)
        stage.leave.set()
        assert result(wire) == {"blocked": True}


def test_a_call_that_waits_is_reported_with_its_place(start, stage):
    live = start()
    with Streaming(live) as first, Streaming(live) as second, Streaming(live) as third:
        call(first, "block")
        assert stage.entered.acquire(timeout=20)
        since = time.monotonic()
        call(second, "act")
        call(third, "act")
        assert "queued for N s, 1 ahead" in untimed(reports(second, 2), since)
        assert "queued for N s, 2 ahead" in untimed(reports(third, 2), since)
        stage.leave.set()
        assert result(third) == result(second) == {"acted": True}
        assert result(first) == {"blocked": True}


def test_what_the_tool_reports_stands_between_and_all_of_it_grows(start, stage):
    live = start()
    with Streaming(live) as wire:
        since = time.monotonic()
        call(wire, "walk")
        found = reports(wire, 4)
        own = [one for one in found if one["progress"] in (10, 20)]
        assert own == [{"progressToken": "t", "progress": 10, "total": 30, "message": "first"}]
        rest = [one for one in found if one["progress"] > 10]
        assert rest
        assert all(one["total"] == 30 and one["progress"] < 11 for one in rest)
        assert untimed(rest, since) == {"running for N s: first"}
        stage.next.release()
        messages = wire.messages()
        told = [one["params"]["message"] for one in messages if "params" in one]
        assert "second" in told
        assert data(messages[-1]["result"]) == {"walked": True}


def test_a_call_by_name_reports_as_its_tool_does(start, stage):
    live = start()
    stage.next.release()
    with Streaming(live) as wire:
        call(wire, "call_tool", {"name": "walk"})
        told = [one["params"]["message"] for one in wire.messages() if "params" in one]
        assert [one for one in told if not one.startswith(("running", "queued"))] == [
            "first",
            "second",
        ]


def test_who_waits_for_a_job_hears_of_it_too(start, stage):
    live = start()
    with live.connect() as wire:
        thread = threading.Thread(target=lambda: call(wire, "block", token=None))
        thread.start()
        assert stage.entered.acquire(timeout=20)
        with live.connect() as asking:
            status = data(call(asking, "get_status", token=None).json["result"])
        with Streaming(live) as waiting:
            call(waiting, "get_job", {"job_id": status["holder"]["job_id"], "wait_ms": 1000})
            assert reports(waiting, 2)[0]["message"].startswith("waiting for ")
            assert result(waiting)["state"] == "running"
        stage.leave.set()
        thread.join(20)


def test_a_call_that_waits_for_the_user_says_so(start, stage):
    asked = []

    class Asking(StandaloneAdapter):
        def is_interactive(self):
            return True

        def ask(self, question):
            asked.append(question)

    live = start(adapter=Asking, exec_mode="confirm")
    with Streaming(live) as wire:
        call(wire, "execute_python", {"code": "result = 1"})
        for one in reports(wire, 2):
            assert one["message"].startswith("waiting for the user's consent")
        asked[0].answer("once")
        assert result(wire)["result"] == 1


def test_a_quick_call_and_one_that_did_not_ask_are_plain_json(start, stage):
    live = start()
    stage.leave.set()
    with live.connect() as wire:
        assert call(wire, "act").headers["content-type"] == "application/json"
        assert call(wire, "act", token=None).headers["content-type"] == "application/json"


@pytest.mark.parametrize("tool", ["act", "walk"])
def test_nothing_is_left_to_beat_when_a_call_is_over(start, stage, tool):
    live = start()
    stage.next.release()
    with live.connect() as wire:
        # Not the timers of connections, which come and go by themselves.
        timers = live.server._loop._timers
        call(wire, tool)
        left = [getattr(one[2].callback, "__self__", None) for one in list(timers._heap)]
        assert not any(isinstance(one, beating.Beat) for one in left)


# -- polling ----------------------------------------------------------------------------------


def test_a_poll_is_asked_on_the_main_thread_reports_and_brings_the_result(start, stage):
    live = start(every=5.0)
    with Streaming(live) as wire, live.connect() as other:
        call(wire, "render")
        found = reports(wire, 3)
        assert [one["message"] for one in found] == [
            "tile {:.0f}".format(one["progress"]) for one in found
        ]
        # The host works on meanwhile.
        assert data(call(other, "act", token=None).json["result"]) == {"acted": True}
        stage.leave.set()
        assert result(wire)["rendered"] >= 3
    assert set(stage.state) == {"test host main"}


def test_a_poll_that_is_cancelled_is_closed(start, stage):
    live = start(every=5.0)
    with Streaming(live) as wire, live.connect() as other:
        session = initialize(other)
        call(wire, "render", headers=session)
        reports(wire, 1)
        other.rpc("notifications/cancelled", {"requestId": 1}, None, session)
        last = wire.messages()[-1]
        assert last["result"]["structuredContent"]["error"]["code"] == "cancelled"
    assert stage.state[-1] == "closed"
    assert stage.state.count("closed") == 1


def test_a_poll_is_closed_when_the_server_ends(start, stage):
    live = start(every=5.0)
    with Streaming(live) as wire:
        call(wire, "render")
        reports(wire, 1)
        live.close()
        last = wire.messages()[-1]
    error = last["result"]["structuredContent"]["error"]
    assert (error["code"], error["state"]) == ("host_shutting_down", "running")
    assert stage.state.count("closed") == 1


def test_a_poll_on_the_worker_is_closed_when_the_server_ends(start, stage):
    live = start(every=5.0)
    with Streaming(live) as wire:
        call(wire, "simulate")
        reports(wire, 1)
        live.close()
    for _ in tries():
        if "closed" in stage.state:
            break
    assert stage.state.count("closed") == 1
