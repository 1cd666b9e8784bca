"""Tool calls from end to end: a real server, a real main thread, everything seen on the wire."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.server.beating import AHEAD, Steps
from dcc_mcp_embed.tools.declare import Progress
from fakes.live import starting, tries
from fakes.stage import declared_among

DEADLINE = 10.0
SOON = 0.4
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Stage:
    """Tools whose every move the test decides, and what they did."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        self.next = threading.Semaphore(0)
        self.done = []
        done, entered, leave, go_on = self.done, self.entered, self.leave, self.next

        @dcc_mcp_embed.tool
        def block(name: str = "block") -> str:
            """Keep the main thread until the test lets go."""
            entered.release()
            assert leave.wait(DEADLINE)
            done.append(name)
            return name

        @dcc_mcp_embed.tool
        def act(name: str) -> str:
            """Note that it ran."""
            done.append(name)
            return name

        @dcc_mcp_embed.tool(read_only=True)
        def look() -> str:
            """Change nothing."""
            return "seen"

        @dcc_mcp_embed.tool
        def walk(ctx, steps: int):
            """Report each step; the test allows each."""
            try:
                for step in range(steps):
                    entered.release()
                    assert go_on.acquire(timeout=DEADLINE)
                    done.append(step)
                    yield Progress(step + 1, steps, "step {}".format(step))
                return {"steps": steps}
            finally:
                done.append("left")

        @dcc_mcp_embed.tool(read_only=True)
        def where(ctx) -> dict:
            """Say where it runs."""
            return {"name": threading.current_thread().name, "host": ctx.host is not None}

        @dcc_mcp_embed.tool(read_only=True, thread="worker")
        def where_worker(ctx) -> dict:
            """Say where it runs."""
            return {"name": threading.current_thread().name, "host": ctx.host is not None}

        @dcc_mcp_embed.tool(read_only=True, thread="loop")
        def where_loop(ctx) -> dict:
            """Say where it runs."""
            return {"name": threading.current_thread().name, "host": ctx.host is not None}

        @dcc_mcp_embed.tool(read_only=True, thread="worker")
        def poll_for_it(ctx) -> None:
            """Return something to be asked until it has an answer."""
            looks = []

            def look_again():
                looks.append(1)
                return {"looks": len(looks)} if len(looks) == 3 else None

            return look_again

        @dcc_mcp_embed.tool
        def broken() -> None:
            """Fail."""
            raise ZeroDivisionError("nobody can do that")

        self.tools = declared_among(locals())


@pytest.fixture
def stage():
    one = Stage()
    yield one
    one.leave.set()
    for _ in range(100):
        one.next.release()


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with starting(str(tmp_path), monkeypatch, tools=[stage.tools]) as one_more:

        def go(adapter=None, exec_mode=None, **limits):
            return one_more(adapter=adapter, exec_mode=exec_mode, limits=Limits(**limits))

        yield go
        stage.leave.set()
        for _ in range(100):
            stage.next.release()


class Pending:
    """A call that was sent and not yet read, on a connection of its own."""

    def __init__(self, live, name, arguments=None, ident=1, headers=None, **params):
        self.wire = live.connect()
        message = {"jsonrpc": "2.0", "id": ident, "method": "tools/call"}
        message["params"] = dict({"name": name, "arguments": arguments or {}}, **params)
        body = json.dumps(message).encode("ascii")
        lines = {
            "Host": "localhost",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        lines.update(live.authorization)
        lines.update(headers or {})
        head = "".join("{}: {}\r\n".format(*pair) for pair in lines.items())
        self.wire.send(b"POST /mcp HTTP/1.1\r\n" + head.encode("ascii") + b"\r\n" + body)

    def answer(self):
        with self.wire:
            return self.wire.read()

    def result(self):
        answer = self.answer()
        assert answer.status == 200, answer
        return answer.json["result"]

    def error(self):
        return error(self.result())


def modern(live, name, arguments=None):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": name}
    return Pending(live, name, arguments, headers=headers, _meta=META)


def error(result):
    assert result["isError"] is True, result
    return result["structuredContent"]["error"]


def data(result):
    assert result["isError"] is False, result
    return result["structuredContent"]["data"]


def text(result):
    assert result["isError"] is False, result
    return result["content"][0]["text"]


def ask(live, name, arguments=None, **options):
    with live.connect() as wire:
        return wire.tool(name, arguments, **options)


def status(live):
    return data(ask(live, "get_status"))


def until(live, check):
    """Ask for the status until it is as wanted."""
    for _ in tries():
        found = status(live)
        if check(found):
            return found
    raise AssertionError(found)


def blocked(live, stage, **arguments):
    """Return a call that has the main thread."""
    pending = Pending(live, "block", arguments)
    assert stage.entered.acquire(timeout=DEADLINE)
    return pending


# -- where tools run --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "thread", "host"),
    [
        ("where", "test host main", True),
        ("where_worker", "dcc-mcp-embed tools", False),
        ("where_loop", "dcc-mcp-embed", False),
    ],
)
def test_a_tool_runs_on_its_thread_and_has_the_host_only_on_the_main_one(start, tool, thread, host):
    assert data(ask(start(), tool)) == {"name": thread, "host": host}


def test_what_a_tool_raises_is_told_and_the_next_call_works(start):
    live = start()
    found = error(ask(live, "broken"))
    assert found["code"] == "host_error"
    assert "nobody can do that" in found["message"]
    assert text(ask(live, "look")) == "seen"


def test_a_tool_that_is_polled_answers_in_the_end(start):
    assert data(ask(start(), "poll_for_it")) == {"looks": 3}


def test_loop_and_worker_tools_do_not_wait_for_the_main_thread(start, stage):
    live = start()
    pending = blocked(live, stage)
    assert data(ask(live, "where_loop"))["host"] is False
    assert data(ask(live, "where_worker"))["host"] is False
    found = status(live)
    assert found["verdict"] == "busy"
    assert found["holder"]["tool"] == "block"
    stage.leave.set()
    assert text(pending.result()) == "block"


# -- progress ---------------------------------------------------------------------------------


def events(answer):
    assert answer.headers["content-type"] == "text/event-stream"
    found = []
    for block in answer.body.decode("utf-8").split("\n\n"):
        lines = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        if lines:
            found.append(json.loads("\n".join(lines)))
    return found


@pytest.mark.parametrize("token", ["t", 0, 7])
def test_progress_comes_as_events_to_who_asked_and_then_the_result(start, stage, token):
    live = start()
    pending = Pending(live, "walk", {"steps": 3}, _meta={"progressToken": token})
    for _ in range(3):
        stage.next.release()
    *reports, last = events(pending.answer())
    assert [one["params"]["progress"] for one in reports] == [1, 2, 3]
    assert {one["params"]["total"] for one in reports} == {3}
    assert reports[0]["params"]["message"] == "step 0"
    assert all(one["params"]["progressToken"] == token for one in reports)
    assert all(one["method"] == "notifications/progress" and "id" not in one for one in reports)
    assert last["id"] == 1
    assert data(last["result"]) == {"steps": 3}


def test_progress_arrives_while_the_tool_still_works(start, stage):
    live = start()
    pending = Pending(live, "walk", {"steps": 2}, _meta={"progressToken": 1})
    stage.next.release()
    while b"step 0" not in pending.wire._rest:
        pending.wire._more()
    assert stage.done == [0]
    stage.next.release()
    assert len(events(pending.answer())) == 3


class Turns:
    """A loop that turns when the test says so."""

    def __init__(self):
        self.calls = []

    def call_soon(self, function, *args):
        self.calls.append((function, args))

    def turn(self):
        calls, self.calls = self.calls, []
        for function, args in calls:
            function(*args)


def test_reports_wait_in_a_line_of_bounded_length_whose_end_is_told():
    loop, told = Turns(), []
    steps = Steps(loop, told.append)
    for number in range(1000):
        steps.take(number)
    assert len(loop.calls) == 1
    loop.turn()
    assert told == list(range(1000 - AHEAD, 1000))
    for number in range(2):
        steps.take(number)
    loop.turn()
    assert told[AHEAD:] == [0, 1]
    assert loop.calls == []


def test_a_report_that_comes_while_others_are_told_is_told_too():
    loop, told = Turns(), []

    def tell(step):
        told.append(step)
        if step < 3:
            steps.take(step + 1)

    steps = Steps(loop, tell)
    steps.take(0)
    while loop.calls:
        loop.turn()
    assert told == [0, 1, 2, 3]


def failure_of(live, tool, token):
    """Call a new tool that fails, with or without a wish for progress; return its error."""
    live.server.register_tools(SimpleNamespace(tool=tool))
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    found = Pending(live, tool.__name__, {}, **meta).error()
    assert found["code"] == "host_error"
    return found


@pytest.mark.parametrize("token", [None, 1])
@pytest.mark.parametrize("bad", [float("nan"), "3", object()])
def test_a_report_that_cannot_be_told_is_an_error_of_the_tool(start, stage, token, bad):
    left = []

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def wrong():
        """Report."""
        try:
            yield Progress(bad, 2)
            left.append("went on")
        finally:
            left.append("left")

    found = failure_of(start(), wrong, token)
    assert "whose done is a" in found["message"]
    assert "Progress(done, total, message)" in found["hint"]
    assert left == ["left"]


@pytest.mark.parametrize("token", [None, 1])
def test_a_report_by_the_context_that_cannot_be_told_is_an_error_too(start, token):
    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def wrong(ctx) -> str:
        """Report."""
        ctx.progress(1, float("nan"))
        return "went on"

    assert "whose total is a float" in failure_of(start(), wrong, token)["message"]


def test_a_report_of_a_host_object_spoils_no_list(start, stage):
    class Node:
        def __str__(self):
            return "|root|node"

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def visit():
        """Report."""
        yield Progress(1, 2, Node())
        stage.entered.release()
        assert stage.next.acquire(timeout=DEADLINE)

    live = start()
    live.server.register_tools(SimpleNamespace(visit=visit))
    pending = Pending(live, "visit", {})
    assert stage.entered.acquire(timeout=DEADLINE)
    (shown,) = data(ask(live, "list_jobs"))["items"]
    assert shown["progress"] == {"done": 1, "total": 2, "message": "|root|node"}
    stage.next.release()
    assert data(pending.answer().json["result"]) == {}


def test_who_did_not_ask_gets_plain_json(start, stage):
    live = start()
    pending = Pending(live, "walk", {"steps": 3})
    for _ in range(3):
        stage.next.release()
    answer = pending.answer()
    assert answer.headers["content-type"] == "application/json"
    assert data(answer.json["result"]) == {"steps": 3}


def test_http_1_0_gets_plain_json_even_if_it_asked(start, stage):
    live = start()
    for _ in range(3):
        stage.next.release()
    body = {"name": "walk", "arguments": {"steps": 3}, "_meta": {"progressToken": 1}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": body}
    with live.connect() as wire:
        answer = wire.request(
            "POST", "/mcp", body=json.dumps(message).encode("ascii"), version="1.0"
        )
        assert data(answer.json["result"]) == {"steps": 3}
        assert wire.at_end()


def test_other_calls_run_between_two_steps_but_no_other_writer(start, stage):
    live = start()
    walking = Pending(live, "walk", {"steps": 2})
    assert stage.entered.acquire(timeout=DEADLINE)
    acting = Pending(live, "act", {"name": "acted"})
    looking = Pending(live, "look")
    until(live, lambda found: found["queue_depth"] == 2)
    stage.next.release()
    assert text(looking.result()) == "seen"
    assert stage.entered.acquire(timeout=DEADLINE)
    assert stage.done == [0]
    stage.next.release()
    assert data(walking.result()) == {"steps": 2}
    assert text(acting.result()) == "acted"
    assert stage.done == [0, 1, "left", "acted"]


# -- cancelling -------------------------------------------------------------------------------


def session(live):
    with live.connect() as wire:
        return wire.rpc("initialize", {"protocolVersion": "2025-06-18"}).headers["mcp-session-id"]


def cancel(live, ident, session):
    with live.connect() as wire:
        answer = wire.rpc(
            "notifications/cancelled",
            {"requestId": ident, "reason": "changed my mind"},
            None,
            {"Mcp-Session-Id": session},
        )
        assert answer.status == 202


def test_a_queued_call_that_is_cancelled_never_runs(start, stage):
    live = start()
    mine, other = session(live), session(live)
    holding = blocked(live, stage)
    gone = Pending(live, "act", {"name": "gone"}, "a", {"Mcp-Session-Id": mine})
    kept = Pending(live, "act", {"name": "kept"}, "a", {"Mcp-Session-Id": other})
    until(live, lambda found: found["queue_depth"] == 2)
    cancel(live, "b", mine)
    cancel(live, "a", mine)
    found = gone.error()
    assert found["code"] == "cancelled"
    assert found["state"] == "not_started"
    stage.leave.set()
    assert text(holding.result()) == "block"
    assert text(kept.result()) == "kept"
    assert stage.done == ["block", "kept"]


def test_a_stepwise_call_that_is_cancelled_ends_before_its_next_step(start, stage):
    live = start()
    mine = session(live)
    pending = Pending(live, "walk", {"steps": 5}, 0, {"Mcp-Session-Id": mine})
    assert stage.entered.acquire(timeout=DEADLINE)
    cancel(live, 0, mine)
    stage.next.release()
    assert pending.error()["code"] == "cancelled"
    assert stage.done == [0, "left"]


def test_a_call_in_one_step_runs_to_its_end_and_says_what_it_did(start, stage):
    live = start()
    mine = session(live)
    pending = Pending(live, "block", ident=1, headers={"Mcp-Session-Id": mine})
    assert stage.entered.acquire(timeout=DEADLINE)
    cancel(live, 1, mine)
    stage.leave.set()
    assert text(pending.result()) == "block"


def test_cancelling_what_is_over_is_harmless(start):
    live = start()
    mine = session(live)
    assert text(ask(live, "look", headers={"Mcp-Session-Id": mine})) == "seen"
    cancel(live, 1, mine)
    assert text(ask(live, "look", headers={"Mcp-Session-Id": mine})) == "seen"


def test_closing_the_connection_cancels_in_the_stateless_revision(start, stage):
    live = start()
    holding = blocked(live, stage)
    gone = modern(live, "act", {"name": "gone"})
    until(live, lambda found: found["queue_depth"] == 1)
    gone.wire.close()
    until(live, lambda found: found["queue_depth"] == 0)
    stage.leave.set()
    assert text(holding.result()) == "block"
    assert text(ask(live, "look")) == "seen"
    assert stage.done == ["block"]


def test_closing_the_stream_ends_a_stepwise_call_in_the_stateless_revision(start, stage):
    live = start()
    pending = modern(live, "walk", {"steps": 5})
    assert stage.entered.acquire(timeout=DEADLINE)
    pending.wire.close()
    # Whoever comes later is answered later: the server has seen the end of that connection.
    status(live)
    stage.next.release()
    assert text(ask(live, "look")) == "seen"
    # It may have been in line before the next step, so the end of that is waited for.
    until(live, lambda found: found["holder"] is None)
    assert stage.done == [0, "left"]


def test_closing_the_connection_cancels_nothing_in_the_earlier_ones(start, stage):
    live = start()
    holding = blocked(live, stage)
    pending = Pending(live, "act", {"name": "act"})
    until(live, lambda found: found["queue_depth"] == 1)
    pending.wire.close()
    assert status(live)["queue_depth"] == 1
    stage.leave.set()
    assert text(holding.result()) == "block"
    assert text(ask(live, "act", {"name": "after"})) == "after"
    assert stage.done == ["block", "act", "after"]


# -- time -------------------------------------------------------------------------------------


def test_out_of_time_before_the_start_means_it_never_runs(start, stage):
    live = start(call_timeout=SOON)
    holding = blocked(live, stage)
    late = Pending(live, "act", {"name": "late"})
    found = late.error()
    assert found["code"] == "timeout_not_started"
    assert found["state"] == "not_started"
    assert found["retryable"] is True
    assert "block" in found["hint"]
    assert holding.error()["code"] == "timeout_running"
    stage.leave.set()
    until(live, lambda found: found["holder"] is None)
    assert text(ask(live, "look")) == "seen"
    assert stage.done == ["block"]


def test_out_of_time_while_it_runs_gives_a_job_whose_result_can_be_fetched(start, stage):
    live = start(call_timeout=SOON)
    found = blocked(live, stage).error()
    assert found["code"] == "timeout_running"
    assert found["state"] == "running"
    assert found["retryable"] is False
    job = found["details"]["job_id"]
    assert job in found["hint"]
    known = data(ask(live, "get_job", {"job_id": job}))
    assert known["state"] == "running"
    stage.leave.set()
    until(live, lambda found: found["holder"] is None)
    for _ in tries():
        known = ask(live, "get_job", {"job_id": job})
        if "dcc-mcp-embed/job" in known.get("_meta", {}):
            break
    # The very result that the call would have returned, however large.
    assert text(known) == "block"
    assert known["_meta"]["dcc-mcp-embed/job"]["state"] == "finished"
    assert error(ask(live, "get_job", {"job_id": "0" * 16}))["code"] == "not_found"


def test_a_job_that_outlived_its_call_can_be_cancelled(start, stage):
    live = start(call_timeout=SOON)
    pending = Pending(live, "walk", {"steps": 5})
    found = pending.error()
    assert found["code"] == "timeout_running"
    job = found["details"]["job_id"]
    answer = data(ask(live, "cancel_job", {"job_id": job}))
    assert answer == {"job_id": job, "state_before": "running", "effect": "cancel_requested"}
    stage.next.release()
    until(live, lambda found: found["holder"] is None)
    assert text(ask(live, "look")) == "seen"
    assert stage.done == [0, "left"]


# -- a busy host ------------------------------------------------------------------------------


def test_after_two_time_outs_calls_fail_fast_until_the_host_is_back(start, stage):
    live = start(call_timeout=SOON)
    assert blocked(live, stage).error()["code"] == "timeout_running"
    assert error(ask(live, "look"))["code"] == "timeout_not_started"
    found = error(ask(live, "look"))
    assert found["code"] == "host_busy"
    assert found["retry_after_ms"] > 0
    assert found["state"] == "not_started"
    assert "block" in found["hint"]
    assert status(live)["verdict"] == "hung"
    stage.leave.set()
    until(live, lambda found: found["verdict"] == "healthy")
    assert text(ask(live, "look")) == "seen"


def test_a_full_queue_refuses_and_forgets_nobody(start, stage):
    live = start(queued_jobs=2)
    holding = blocked(live, stage)
    waiting = [Pending(live, "act", {"name": str(n)}) for n in range(2)]
    until(live, lambda found: found["queue_depth"] == 2)
    found = error(ask(live, "look"))
    assert found["code"] == "host_busy"
    assert found["retry_after_ms"] > 0
    stage.leave.set()
    assert text(holding.result()) == "block"
    assert sorted(text(one.result()) for one in waiting) == ["0", "1"]


def test_while_a_dialog_is_open_only_reading_is_possible(start, stage):
    live = start()
    live.adapter.modal = "Save changes?"
    found = error(ask(live, "act", {"name": "act"}))
    assert found["code"] == "host_modal"
    assert "Save changes?" in found["message"]
    assert found["state"] == "not_started"
    assert found["retryable"] is True
    known = status(live)
    assert (known["verdict"], known["modal"]) == ("modal", "Save changes?")
    assert text(ask(live, "look")) == "seen"
    live.adapter.modal = None
    assert text(ask(live, "act", {"name": "act"})) == "act"
    assert stage.done == ["act"]
    assert status(live)["verdict"] == "healthy"


# -- running code -----------------------------------------------------------------------------

CODE = {"code": "result = 6 * 7"}


class Attended(StandaloneAdapter):
    """A host with somebody at it; ``questions`` are what was asked and not yet answered."""

    def __init__(self):
        super().__init__()
        self.questions = []
        self.asked = threading.Semaphore(0)
        self.answerer = self.show

    def is_interactive(self):
        return True

    def show(self, question):
        self.questions.append(question)
        self.asked.release()

    def reply(self, choice):
        assert self.asked.acquire(timeout=DEADLINE)
        self.questions.pop(0).answer(choice)


def client(live, name):
    with live.connect() as wire:
        params = {"protocolVersion": "2025-06-18", "clientInfo": {"name": name, "version": "1"}}
        return {"Mcp-Session-Id": wire.rpc("initialize", params).headers["mcp-session-id"]}


def run(live, headers=None):
    return Pending(live, "execute_python", CODE, headers=headers)


def test_code_is_off_where_nobody_can_be_asked(start):
    found = run(start()).error()
    assert found["code"] == "exec_disabled"
    assert "exec_mode" in found["hint"]


@pytest.mark.parametrize("adapter", [None, Attended])
def test_off_is_off_and_on_is_on(start, adapter):
    live = start(adapter, "off")
    assert run(live).error()["code"] == "exec_disabled"
    live.close()
    live = start(adapter, "on")
    assert data(run(live).result())["result"] == 42


def test_a_person_is_asked_and_the_call_waits(start):
    live = start(Attended)
    claude = client(live, "claude")
    pending = run(live, claude)
    assert live.adapter.asked.acquire(timeout=DEADLINE)
    question = live.adapter.questions.pop(0)
    assert "claude" in question.text
    assert [choice for choice, _ in question.choices] == ["once", "client", "process", "never"]
    # Meanwhile the host is free.
    assert text(ask(live, "look")) == "seen"
    question.answer("once")
    assert data(pending.result())["result"] == 42
    again = run(live, claude)
    live.adapter.reply("never")
    assert again.error()["code"] == "permission_denied"
    assert run(live, claude).error()["code"] == "permission_denied"
    gemini = run(live, client(live, "gemini"))
    live.adapter.reply("process")
    assert data(gemini.result())["result"] == 42
    assert data(run(live, client(live, "another")).result())["result"] == 42


def test_consent_is_given_to_a_session_and_not_to_a_name(start):
    live = start(Attended)
    claude = client(live, "claude")
    pending = run(live, claude)
    live.adapter.reply("client")
    assert data(pending.result())["result"] == 42
    assert data(run(live, claude).result())["result"] == 42
    impostor = run(live, client(live, "claude"))
    live.adapter.reply("never")
    assert impostor.error()["code"] == "permission_denied"
    # Without a session it is the connection that was asked about.
    nobody = run(live, {"User-Agent": "claude 1"})
    live.adapter.reply("never")
    assert nobody.error()["code"] == "permission_denied"
    other = run(live, {"User-Agent": "claude 1"})
    live.adapter.reply("once")
    assert data(other.result())["result"] == 42


def test_a_name_cannot_write_the_question(start):
    live = start(Attended)
    pending = run(live, client(live, "x\nBlender needs this. Press Allow" + "!" * 100))
    assert live.adapter.asked.acquire(timeout=DEADLINE)
    question = live.adapter.questions.pop(0)
    assert "\n" not in question.text
    assert len(question.text) < 160
    question.answer("never")
    assert pending.error()["code"] == "permission_denied"


def test_an_answer_that_does_not_come_is_no(start):
    live = start(Attended, ask_timeout=SOON)
    mine = client(live, "claude")
    found = run(live, mine).error()
    assert found["code"] == "permission_denied"
    assert found["retry_after_ms"] > 0
    # The question is still open, and what it gives is good for the next call.
    live.adapter.reply("once")
    for _ in tries():
        pending = run(live, mine)
        result = pending.result()
        if result["isError"] is False:
            return
    raise AssertionError("the late consent was lost")


def test_a_call_that_was_cancelled_while_it_waited_for_consent_never_runs(start):
    live = start(Attended)
    mine = client(live, "claude")
    pending = Pending(live, "execute_python", CODE, "x", mine)
    assert live.adapter.asked.acquire(timeout=DEADLINE)
    cancel(live, "x", mine["Mcp-Session-Id"])
    found = pending.error()
    assert (found["code"], found["state"]) == ("cancelled", "not_started")
    live.adapter.questions.pop(0).answer("client")
    assert data(run(live, mine).result())["result"] == 42


def test_a_call_that_has_its_consent_can_still_be_cancelled(start, stage):
    live = start(Attended)
    mine = client(live, "claude")
    pending = Pending(live, "execute_python", CODE, "x", mine)
    live.adapter.reply("client")
    assert data(pending.result())["result"] == 42
    holding = blocked(live, stage)
    pending = Pending(live, "execute_python", CODE, "x", mine)
    until(live, lambda found: found["queue_depth"] == 1)
    cancel(live, "x", mine["Mcp-Session-Id"])
    assert pending.error()["code"] == "cancelled"
    stage.leave.set()
    assert text(holding.result()) == "block"


def test_who_left_while_the_person_thought_gets_nothing_run(start, stage):
    live = start(Attended)
    ran = "import dcc_mcp_embed; dcc_mcp_embed.ran = getattr(dcc_mcp_embed, 'ran', 0) + 1"
    pending = modern(live, "execute_python", {"code": ran})
    assert live.adapter.asked.acquire(timeout=DEADLINE)
    pending.wire.close()
    status(live)
    live.adapter.questions.pop(0).answer("process")
    assert text(ask(live, "look")) == "seen"
    assert not hasattr(dcc_mcp_embed, "ran")


# -- batches ----------------------------------------------------------------------------------


def batch(live, messages):
    body = json.dumps(messages).encode("utf-8")
    with live.connect() as wire:
        return wire.request("POST", "/mcp", {"MCP-Protocol-Version": "2025-03-26"}, body)


def message(method, ident=None, **params):
    found = {"jsonrpc": "2.0", "method": method, "params": params}
    return found if ident is None else dict(found, id=ident)


def test_a_batch_is_answered_once_with_everything_that_has_an_answer(start, stage):
    live = start()
    stage.leave.set()
    answer = batch(
        live,
        [
            message("tools/call", "main", name="act", arguments={"name": "a"}),
            message("notifications/initialized"),
            message("ping", 0),
            message("tools/call", "loop", name="where_loop"),
            message("tools/call", "worker", name="where_worker"),
            message("tools/call", "bad", name="nope"),
            message("nope", "unknown"),
            {"jsonrpc": "2.0", "id": None, "method": "ping"},
        ],
    )
    assert answer.status == 200
    found = {one.get("id"): one for one in answer.json}
    assert set(found) == {"main", 0, "loop", "worker", "bad", "unknown", None}
    assert len(answer.json) == 7
    assert text(found["main"]["result"]) == "a"
    assert data(found["worker"]["result"])["name"] == "dcc-mcp-embed tools"
    assert error(found["bad"]["result"])["code"] == "not_found"
    assert found["unknown"]["error"]["code"] == -32601
    assert found[None]["error"]["code"] == -32600


def test_a_batch_of_notifications_has_no_body(start):
    answer = batch(start(), [message("notifications/initialized")] * 3)
    assert (answer.status, answer.body) == (202, b"")


def test_a_batch_has_its_limit(start):
    live = start()
    assert len(batch(live, [message("ping", n) for n in range(100)]).json) == 100
    answer = batch(live, [message("ping", n) for n in range(101)])
    assert answer.status == 400
    assert answer.code == -32600
    assert "100" in answer.json["error"]["message"]
