"""POST /safe-stop: who may, what is refused and how, and that nothing waits for anything."""

from __future__ import annotations

import json
import threading

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from dcc_mcp_embed.tools.declare import Progress
from fakes.live import DEADLINE, Live, tries
from fakes.stage import declared_among


@pytest.fixture
def live(tmp_path, monkeypatch):
    one = Live(str(tmp_path), monkeypatch)
    yield one
    one.close()


def row(live):
    """Return what the row says of who may stop this server."""
    own = live.server._stop_pass
    return {
        "instance_id": live.server.instance_id,
        "dcc_type": live.server.dcc_type,
        "owner": own.owner,
        "session": own.session,
    }


def ask(live, body, method="POST", **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode("utf-8")
    with live.connect() as wire:
        return wire.request(method, "/safe-stop", dict({"Authorization": None}, **headers), body)


def stopped(live):
    """Wait until the host's main thread has left its loop, and so the server is gone."""
    live._thread.join(DEADLINE)
    return not live._thread.is_alive()


def test_whoever_has_read_the_row_is_answered_and_then_the_host_itself_stops_the_server(
    tmp_path, monkeypatch
):
    closed_by = []

    class Noting(StandaloneAdapter):
        def close(self):
            closed_by.append(threading.current_thread().name)
            super().close()

    live = Live(str(tmp_path), monkeypatch, Noting)
    answer = ask(live, row(live))
    assert answer.status == 200
    assert answer.json == {"success": True, "status": "stopping"}
    assert stopped(live)
    assert closed_by[0] == "test host main"
    live.close()


@pytest.mark.parametrize("name", ["instance_id", "dcc_type", "owner", "session"])
@pytest.mark.parametrize("value", ["", "x", "é\\ud800", None], ids=repr)
def test_each_of_the_four_must_be_right(live, name, value):
    shown = dict(row(live))
    wrong = json.loads('"{}"'.format(value)) if value is not None else shown[name][:-1]
    answer = ask(live, dict(shown, **{name: wrong}))
    assert answer.status == 403
    for secret in row(live).values():
        assert secret not in answer.json["error"]
    # The main thread would have stopped the server before it came to this.
    with live.connect() as wire:
        assert wire.tool("get_scene_info")["structuredContent"]["ok"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b"{}", b'{"owner": 1}', b"\xff", b"[" * 4000],
    ids=repr,
)
def test_what_is_no_such_body_is_refused_in_words(live, body):
    answer = ask(live, body)
    assert answer.status == 400
    assert len(answer.json["error"]) > 10


@pytest.mark.parametrize("missing", ["instance_id", "dcc_type", "owner", "session"])
def test_what_is_missing_is_named(live, missing):
    shown = row(live)
    del shown[missing]
    answer = ask(live, shown)
    assert answer.status == 400
    assert missing in answer.json["error"]


def test_a_body_is_small_and_its_length_is_told(live):
    big = dict(row(live), more="x" * 4096)
    answer = ask(live, big)
    assert answer.status == 413
    assert "4096" in answer.json["error"]
    assert ask(live, b"", **{"Content-Length": None, "Transfer-Encoding": "chunked"}).status == 413


def test_other_methods_pages_and_names_are_refused(live):
    assert ask(live, b"", "GET").status == 405
    assert ask(live, row(live), Origin="http://evil.example.com").status == 403
    assert ask(live, row(live), Host="evil.example.com").status == 421
    assert live._thread.is_alive()


# -- what runs is waited for ------------------------------------------------------------------


class Work:
    """Tools of every kind that are under way for as long as a test wants, and their callers."""

    def __init__(self):
        self.entered, self.leave = threading.Event(), threading.Event()
        self.results, self._callers = {}, []
        entered, leave = self.entered, self.leave

        @dcc_mcp_embed.tool
        def blocking() -> str:
            """Keep the main thread."""
            entered.set()
            assert leave.wait(DEADLINE)
            return "over"

        @dcc_mcp_embed.tool(thread="worker")
        def on_the_worker() -> str:
            """Keep the worker thread."""
            entered.set()
            assert leave.wait(DEADLINE)
            return "over"

        @dcc_mcp_embed.tool
        def stepwise():
            """Go on in steps, between which the main thread is free."""
            while not leave.is_set():
                entered.set()
                yield Progress(1)
            return {"value": "over"}

        @dcc_mcp_embed.tool(read_only=True)
        def polled():
            """Be asked again and again."""
            entered.set()
            return lambda: {"value": "over"} if leave.is_set() else None

        @dcc_mcp_embed.tool(timeout=0.3)
        def outlives_its_caller() -> str:
            """Run on after its caller was told that it does."""
            entered.set()
            assert leave.wait(DEADLINE)
            ended.append("over")
            return "over"

        @dcc_mcp_embed.tool(read_only=True)
        def look() -> str:
            """Look."""
            return "seen"

        self.ended = ended = []
        self.module = declared_among(locals())

    def call(self, live, name):
        def work():
            with live.connect() as wire:
                self.results[name] = wire.tool(name)

        caller = threading.Thread(target=work, name="caller")
        self._callers.append(caller)
        caller.start()

    def end(self):
        self.leave.set()
        for caller in self._callers:
            caller.join(DEADLINE)


@pytest.fixture
def work():
    one = Work()
    yield one
    one.end()


@pytest.fixture
def busy(tmp_path, monkeypatch, work):
    one = Live(str(tmp_path), monkeypatch, tools=[work.module])
    yield one
    work.end()
    one.close()


def status(live):
    with live.connect() as wire:
        return wire.tool("get_status")["structuredContent"]["data"]


KINDS = ["blocking", "on_the_worker", "stepwise", "polled"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_runs_comes_to_its_end_and_new_calls_are_refused_meanwhile(busy, work, kind):
    work.call(busy, kind)
    assert work.entered.wait(DEADLINE)
    for _ in range(3):
        answer = ask(busy, row(busy))
        assert (answer.status, answer.json["status"]) == (200, "stopping")
    for name in ("look", "blocking", "on_the_worker"):
        with busy.connect() as wire:
            refused = wire.tool(name)["structuredContent"]["error"]
        assert (refused["code"], refused["state"]) == ("host_shutting_down", "not_started")
        assert "asked to stop" in refused["message"]
    found = status(busy)
    assert found["verdict"] == "shutting_down"
    holder = found["worker"]["holder"] if kind == "on_the_worker" else found["holder"]
    if kind in ("blocking", "on_the_worker"):
        assert holder["tool"] == kind
    with busy.connect() as wire:
        assert wire.request("GET", "/v1/readyz").status == 503
    assert busy.serving
    work.end()
    assert not work.results[kind].get("isError"), work.results
    assert "over" in json.dumps(work.results[kind])
    assert stopped(busy)


def test_what_waits_already_is_run_too(busy, work):
    work.call(busy, "blocking")
    assert work.entered.wait(DEADLINE)
    work.call(busy, "look")
    for _ in tries():
        if status(busy)["queue_depth"]:
            break
    assert ask(busy, row(busy)).status == 200
    work.end()
    assert work.results["look"]["content"][0]["text"] == "seen"
    assert stopped(busy)


def test_a_tool_that_outlives_its_caller_is_waited_for_too(busy, work):
    work.call(busy, "outlives_its_caller")
    assert work.entered.wait(DEADLINE)
    for _ in tries():
        if work.results:
            break
    error = work.results["outlives_its_caller"]["structuredContent"]["error"]
    assert error["code"] == "timeout_running"
    assert ask(busy, row(busy)).status == 200
    assert not work.ended
    assert busy.serving
    work.end()
    assert stopped(busy)
    assert work.ended == ["over"]


@pytest.mark.parametrize("kind", ["stepwise", "polled"])
def test_who_cannot_wait_cancels_what_runs(busy, work, kind):
    work.call(busy, kind)
    assert work.entered.wait(DEADLINE)
    assert ask(busy, row(busy)).status == 200
    (job,) = busy.server._lanes["main"].jobs()
    with busy.connect() as wire:
        wire.tool("cancel_job", {"job_id": job.job_id})
    assert stopped(busy)
    work._callers[0].join(DEADLINE)
    assert work.results[kind]["structuredContent"]["error"]["code"] == "cancelled"


def test_a_main_thread_that_does_not_answer_is_asked_all_the_same(busy, work):
    """It is taken for stalled, which refuses calls; whoever wants the end is not refused."""
    work.call(busy, "outlives_its_caller")
    assert work.entered.wait(DEADLINE)
    work.call(busy, "stepwise")
    main = busy.server._lanes["main"]
    for _ in tries():
        for job in main.jobs():
            if job.name == "stepwise":
                # Its time is over before it has begun.
                main.expire(job)
        if main.stalled:
            break
    assert main.stalled
    assert ask(busy, row(busy)).status == 200
    work.end()
    assert stopped(busy)


def test_a_full_queue_is_waited_for(tmp_path, monkeypatch, work):
    limits = dcc_mcp_embed.config.Limits(queued_jobs=1)
    live = Live(str(tmp_path), monkeypatch, tools=[work.module], limits=limits)
    work.call(live, "blocking")
    assert work.entered.wait(DEADLINE)
    work.call(live, "look")
    for _ in tries():
        if status(live)["queue_depth"]:
            break
    assert ask(live, row(live)).status == 200
    work.end()
    assert stopped(live)
    live.close()
