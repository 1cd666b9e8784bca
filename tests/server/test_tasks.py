"""Calls as tasks: in 2025-11-25, where clients want them, and in 2026-07-28, where servers do."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

import dcc_mcp_embed
from dcc_mcp_embed import Progress
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.host.lane import KEPT_BYTES
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.server import task_book, tasks
from dcc_mcp_embed.server.server import Server
from dcc_mcp_embed.wire.mcp.machine import Reply
from dcc_mcp_embed.wire.mcp.tasks import EXTENSION, META_RELATED, PAGE
from fakes.live import DEADLINE, on_loop, starting, tries
from fakes.stage import declared_among
from fakes.streaming import connecting, initialize
from server import framed_clients

LAST, MODERN = "2025-11-25", "2026-07-28"
ALL = {"elicitation": {}, "roots": {}}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
EXTENDED = {"extensions": {EXTENSION: {}}}
UNKNOWN = "00" * 16
ENDED = ("completed", "failed", "cancelled")


class Stage:
    """Tools whose moves a test decides."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        self.left = threading.Semaphore(0)
        self.second = threading.Event()
        self.pause = threading.Event()
        self.ran = []
        second = self.second
        entered, leave, left, pause, ran = (
            self.entered,
            self.leave,
            self.left,
            self.pause,
            self.ran,
        )

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def hold(name: str = "") -> dict:
            """Stay until the test lets go."""
            ran.append(name)
            entered.release()
            assert leave.wait(DEADLINE)
            return {"held": name}

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def walk():
            """Go on in steps until it is cancelled, or the test lets go."""
            entered.release()
            try:
                for step in range(100000):
                    if leave.is_set():
                        return "arrived"
                    yield Progress(step + 1, None, "step")
                    # So often is enough.
                    pause.wait(0.002)
            finally:
                left.release()

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def fail():
            """Fail."""
            raise RuntimeError("it went wrong")

        @dcc_mcp_embed.tool(read_only=True)
        def quick(text: str = "x") -> dict:
            """Answer at once."""
            return {"text": text}

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def ask(ctx, wait: bool = False):
            """Ask for a name, at once or when the test lets go."""
            entered.release()
            while wait and not leave.is_set():
                yield Progress(ctx.facts.setdefault("n", 0) or 1, None, "not yet")
                pause.wait(0.002)
            answer = yield ctx.elicit("Your name?", NAME, key="user_name")
            return "Hello, {}!".format(answer["content"]["name"])

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def ask_two(ctx, wait: bool = False):
            """Ask two things at once."""
            entered.release()
            assert not wait or leave.wait(DEADLINE)
            one, two = yield [ctx.elicit("One?", NAME, key="a"), ctx.elicit("Two?", NAME, key="b")]
            return "{} {}".format(one["content"]["name"], two["content"]["name"])

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def ask_and_stay(ctx):
            """Ask when the test lets go, and then stay until it lets go again."""
            entered.release()
            assert leave.wait(DEADLINE)
            answer = yield ctx.elicit("Your name?", NAME, key="user_name")
            assert second.wait(DEADLINE)
            return answer["content"]["name"]

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def report(ctx):
            """Report progress when the test lets go."""
            entered.release()
            assert leave.wait(DEADLINE)
            ctx.progress(1)
            ctx.log("error", "heard")

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def lack(ctx):
            """Ask, after a while, for what the client does not offer."""
            entered.release()
            assert leave.wait(DEADLINE)
            yield ctx.sample("Think")

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def unsayable(ctx):
            """Ask what JSON cannot say."""
            question = ctx.roots()
            question.params["changed"] = {"since"}
            entered.release()
            assert leave.wait(DEADLINE)
            yield question

        @dcc_mcp_embed.tool(thread="worker", read_only=True, task="required")
        def long_job() -> str:
            """Take long, by its own account."""
            return "done"

        @dcc_mcp_embed.tool(thread="worker", read_only=True, task="forbidden")
        def short_job() -> str:
            """Be no task."""
            entered.release()
            assert leave.wait(DEADLINE)
            return "done"

        self.tools = declared_among(locals())


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with starting(str(tmp_path), monkeypatch, tools=[stage.tools]) as one_more:

        def begin(limits=None, **options):
            return one_more(limits=Limits(**(limits or {})), **options)

        yield begin
        stage.leave.set()


def text(result):
    return result["content"][0]["text"]


def accepted(name):
    return {"action": "accept", "content": {"name": name}}


class Asks:
    """What a client of either era does. A subclass says how a request goes (``rpc``)."""

    def result(self, method, **params):
        answer = self.rpc(method, params)
        assert answer.status == 200 and "result" in answer.json, answer
        return answer.json["result"]

    def get(self, task):
        return self.result("tasks/get", taskId=task["taskId"])

    def until(self, task, *statuses):
        for _ in tries(DEADLINE):
            found = self.get(task)
            if found["status"] in statuses:
                return found
        raise AssertionError("it is {}".format(found))


# -- 2025-11-25 ---------------------------------------------------------------------------------


class Client(Asks):
    """A session. Every request comes by a connection of its own, as long as it is not answered."""

    def __init__(self, connect, capabilities=None, version=LAST):
        self.connect = connect
        self.wire = connect()
        self.session = initialize(self.wire, capabilities, version)
        self.numbers = 0

    def rpc(self, method, params=None, wire=None, **headers):
        self.numbers += 1
        return (wire or self.wire).rpc(
            method, params or {}, ident=self.numbers, headers=dict(self.session, **headers)
        )

    def error(self, method, **params):
        answer = self.rpc(method, params)
        assert answer.status == 200, answer
        return answer.json["error"]

    def begin(self, name, arguments=None, task=None, meta=None):
        params = {"name": name, "arguments": arguments or {}, "task": task or {}}
        if meta:
            params["_meta"] = meta
        return self.result("tools/call", **params)["task"]

    def outcome(self, task):
        return self.result("tasks/result", taskId=task["taskId"])

    def wait_for(self, task):
        """Ask for the result by another connection; return that, its answer unread."""
        wire = self.connect()
        with unread(wire):
            self.rpc("tasks/result", {"taskId": task["taskId"]}, wire)
        return wire


@contextmanager
def unread(wire):
    """Have requests sent, and their answers left for later."""
    wire.read = lambda method="GET": None
    yield
    del wire.read


def waits(live, count):
    for _ in tries(DEADLINE):
        if len(live.server._server._works.tasks.waiting) == count:
            return
    raise AssertionError("so many do not wait")


def related(message, task):
    inner = message.get("params") or message["result"]
    return inner["_meta"][META_RELATED] == {"taskId": task["taskId"]}


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", LAST])
def test_tasks_are_declared_in_one_revision(connect, version):
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t"}}
    params["clientInfo"]["version"] = "1"
    answer = connect().rpc("initialize", params)
    declared = answer.json["result"]["capabilities"]
    tasks_of_it = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
    assert declared.get("tasks") == (tasks_of_it if version == LAST else None)
    assert "extensions" not in declared
    client = Client(connect, version=version)
    listed = {one["name"]: one.get("execution") for one in client.result("tools/list")["tools"]}
    if version == LAST:
        assert listed["hold"] == {"taskSupport": "optional"}
        assert listed["long_job"] == {"taskSupport": "required"}
        # Those find their tool in their arguments.
        assert listed["call_tool"] == listed["batch"] == {"taskSupport": "optional"}
        for name in ("short_job", "get_status", "get_job", "cancel_job", "search_tools"):
            assert listed[name] is None, name
    else:
        assert set(listed.values()) == {None}
        assert client.error("tasks/get", taskId=UNKNOWN)["code"] == -32601
        # What stands there has no meaning.
        called = client.result("tools/call", name="quick", arguments={}, task={"ttl": "x"})
        assert called["structuredContent"]["data"] == {"text": "x"}
        assert text(client.result("tools/call", name="long_job", arguments={})) == "done"


def test_the_revision_is_the_headers_or_else_the_sessions(connect):
    client = Client(connect)

    def supports(session, **headers):
        answer = client.wire.rpc("tools/list", {}, headers=dict(session, **headers))
        return any("execution" in one for one in answer.json["result"]["tools"])

    assert supports(client.session)
    assert supports({}, **{"MCP-Protocol-Version": LAST})
    assert not supports({})
    assert not supports(client.session, **{"MCP-Protocol-Version": "2025-06-18"})
    # As after a restart of the host.
    assert not supports({"Mcp-Session-Id": "unknown"})
    assert supports({"Mcp-Session-Id": "of-late", "MCP-Protocol-Version": LAST})


def test_a_call_goes_on_as_a_task_and_its_result_is_the_calls(stage, live, connect):
    client = Client(connect)
    task = client.begin("hold", {"name": "a"}, {"ttl": 60000})
    assert (task["status"], task["ttl"]) == ("working", 60000)
    assert len(task["taskId"]) == 32
    assert stage.entered.acquire(timeout=DEADLINE)
    assert client.get(task)["statusMessage"].startswith("running for")
    assert [one["taskId"] for one in client.result("tasks/list")["tasks"]] == [task["taskId"]]
    first, second = client.wait_for(task), client.wait_for(task)
    waits(live, 2)
    stage.leave.set()
    results = [first.read().json["result"], second.read().json["result"], client.outcome(task)]
    assert client.get(task)["status"] == "completed"
    usual = client.result("tools/call", name="hold", arguments={"name": "a"})
    for result in results:
        assert result["_meta"].pop(META_RELATED) == {"taskId": task["taskId"]}
        assert result["structuredContent"]["data"] == usual["structuredContent"]["data"]
        assert set(result) - {"_meta"} == set(usual)
    assert client.result("tasks/list")["tasks"] == [client.get(task)]
    assert stage.ran == ["a", "a"]
    waits(live, 0)


def test_a_tool_that_fails_is_a_task_that_failed(connect):
    client = Client(connect)
    task = client.begin("fail")
    assert client.until(task, *ENDED)["status"] == "failed"
    assert client.outcome(task)["isError"]
    assert "it went wrong" in text(client.outcome(task))
    # What does not fit the tool is found out by the call, as it always is.
    task = client.begin("quick", {"text": []})
    assert client.get(task)["status"] == "failed"
    assert client.outcome(task)["structuredContent"]["error"]["code"] == "invalid_argument"
    assert client.error("tools/call", name="nothing", task={})["code"] == -32602


@pytest.mark.parametrize(
    ("wish", "granted"),
    [
        ({}, 3600000),
        ({"ttl": 1}, 10000),
        ({"ttl": 90000.5}, 90000),
        ({"ttl": 10**15}, 24 * 3600000),
        ({"ttl": 1e308}, 24 * 3600000),
    ],
)
def test_a_task_is_kept_for_a_time_within_bounds(connect, wish, granted):
    assert Client(connect).begin("quick", task=dict(wish, more=1))["ttl"] == granted


@pytest.mark.parametrize(
    "wish", [None, 5, [], "", {"ttl": None}, {"ttl": "1"}, {"ttl": True}, {"ttl": -1}]
)
def test_what_is_no_wish_for_a_task_is_refused(connect, wish):
    found = Client(connect).error("tools/call", name="quick", task=wish)
    assert (found["code"], "params.task" in found["message"]) == (-32602, True)


def test_what_may_be_no_task_is_refused_and_what_must_be_one_too(stage, connect):
    client = Client(connect)
    for name in ("short_job", "get_status"):
        found = client.error("tools/call", name=name, task={})
        assert (found["code"], name in found["message"]) == (-32601, True)
    found = client.error("tools/call", name="long_job", arguments={})
    assert (found["code"], "params.task" in found["message"]) == (-32601, True)
    assert text(client.outcome(client.begin("long_job"))) == "done"
    found = client.outcome(client.begin("call_tool", {"name": "quick", "arguments": {}}))
    assert found["structuredContent"]["data"] == {"text": "x"}


def test_a_task_is_its_sessions(stage, connect):
    client, other = Client(connect), Client(connect)
    task = client.begin("hold")
    assert stage.entered.acquire(timeout=DEADLINE)
    nobody = {"Mcp-Session-Id": None, "MCP-Protocol-Version": LAST}
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        for ident in (task["taskId"], UNKNOWN, ""):
            assert other.error(method, taskId=ident)["code"] == -32602
            assert other.rpc(method, {"taskId": ident}, **nobody).code == -32602
        assert client.error(method)["code"] == -32602
        assert client.error(method, taskId=7)["code"] == -32602
    assert other.result("tasks/list")["tasks"] == []
    assert other.rpc("tasks/list", {}, **nobody).json["result"]["tasks"] == []
    found = other.rpc("tools/call", {"name": "quick", "task": {}}, **nobody).json["error"]
    assert (found["code"], "session" in found["message"]) == (-32600, True)
    assert client.get(task)["status"] == "working"


def test_a_task_that_is_cancelled_stays_so(stage, live, connect):
    client = Client(connect)
    task = client.begin("hold")
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting = client.wait_for(task)
    waits(live, 1)
    found = client.result("tasks/cancel", taskId=task["taskId"])
    assert (found["taskId"], found["status"]) == (task["taskId"], "cancelled")
    assert "may still run" in found["statusMessage"]
    result = waiting.read().json["result"]
    assert result["structuredContent"]["error"]["code"] == "cancelled"
    assert client.outcome(task) == result
    found = client.error("tasks/cancel", taskId=task["taskId"])
    assert (found["code"], "cancelled" in found["message"]) == (-32602, True)
    # It could not be stopped, and comes to its end.
    stage.leave.set()
    assert text(client.result("tools/call", name="hold", arguments={"name": "b"}))
    assert client.get(task)["status"] == "cancelled"
    assert client.outcome(task) == result
    done = client.begin("quick")
    client.until(done, "completed")
    assert client.error("tasks/cancel", taskId=done["taskId"])["code"] == -32602


def test_what_waits_never_runs_and_what_goes_in_steps_ends_once_it_is_cancelled(
    live, stage, connect
):
    client = Client(connect)
    walking = client.begin("walk")
    assert stage.entered.acquire(timeout=DEADLINE)
    assert client.result("tasks/cancel", taskId=walking["taskId"])["status"] == "cancelled"
    assert stage.left.acquire(timeout=DEADLINE)
    client.begin("hold", {"name": "a"})
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting = client.begin("hold", {"name": "never"})
    assert client.get(waiting)["statusMessage"].startswith("queued for")
    patient = client.wait_for(waiting)
    waits(live, 1)
    assert client.result("tasks/cancel", taskId=waiting["taskId"])["status"] == "cancelled"
    assert client.get(waiting)["status"] == "cancelled"
    assert "cancelled this task" in text(patient.read().json["result"])
    stage.leave.set()
    client.result("tools/call", name="hold", arguments={"name": "b"})
    assert stage.ran == ["a", "b"]


def test_a_request_that_is_answered_cannot_be_cancelled_any_more(stage, connect):
    client = Client(connect)
    task = client.begin("walk")
    ident = client.numbers
    client.wire.rpc(
        "notifications/cancelled", {"requestId": ident}, ident=None, headers=client.session
    )
    stage.leave.set()
    assert client.until(task, *ENDED)["status"] == "completed"


def test_a_task_is_called_by_whoever_has_asked_for_it(live, connect, monkeypatch):
    calls, identities = live.server._server.calls, []
    start = calls.start

    def starting(*given):
        identities.append(given[3])
        return start(*given)

    monkeypatch.setattr(calls, "start", starting)
    client = Client(connect)
    client.until(client.begin("quick"), "completed")
    assert identities.pop() == client.session["Mcp-Session-Id"]
    # Whoever was not introduced here, as after a restart, is the connection.
    client.session = {"Mcp-Session-Id": "earlier", "MCP-Protocol-Version": LAST}
    client.until(client.begin("quick"), "completed")
    peer, _ = identities.pop()
    assert peer == client.wire.sock.getsockname()


def test_a_task_takes_longer_than_a_call_may(start, stage):
    live = start({"call_timeout": 0.05})
    with connecting(live) as connect:
        client = Client(connect)
        task = client.begin("hold")
        assert stage.entered.acquire(timeout=DEADLINE)
        refused = client.result("tools/call", name="hold", arguments={})
        assert refused["structuredContent"]["error"]["code"].startswith("timeout")
        assert client.get(task)["status"] == "working"
        stage.leave.set()
        assert client.until(task, *ENDED)["status"] == "completed"


def test_progress_keeps_its_token_and_says_of_which_task_it_is(stage, live, connect):
    client = Client(connect)
    task = client.begin("walk", meta={"progressToken": "p"})
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting = connect()
    client.rpc("tasks/result", {"taskId": task["taskId"]}, waiting)
    # There the connection is one that tells before it answers.
    told = [waiting.message() for _ in range(3)]
    assert {one["method"] for one in told} == {"notifications/progress"}
    assert {one["params"]["progressToken"] for one in told} == {"p"}
    assert all(related(one, task) for one in told)
    done = [one["params"]["progress"] for one in told]
    assert done == sorted(set(done))
    stage.leave.set()
    last = waiting.messages()[-1]
    assert related(last, task) and text(last["result"]) == "arrived"


def test_what_is_said_while_nobody_waits_comes_by_the_standing_stream(stage, connect):
    client, ears = Client(connect), connect()
    ears.listen(client.session)
    task = client.begin("walk", meta={"progressToken": 7})
    told = ears.message()
    assert (told["method"], related(told, task)) == ("notifications/progress", True)
    client.result("tasks/cancel", taskId=task["taskId"])
    while told["method"] == "notifications/progress":
        told = ears.message()
    assert told["method"] == "notifications/tasks/status"
    assert told["params"] == client.get(task)
    # Nothing of it follows, nor of one that cannot be stopped.
    assert stage.left.acquire(timeout=DEADLINE)
    task = client.begin("report", meta={"progressToken": 8})
    assert stage.entered.acquire(timeout=DEADLINE)
    assert stage.entered.acquire(timeout=DEADLINE)
    client.result("tasks/cancel", taskId=task["taskId"])
    assert ears.message()["params"] == client.get(task)
    stage.leave.set()
    client.result("tools/call", name="hold", arguments={})
    done = client.begin("quick")
    told = ears.message()
    assert told["method"] == "notifications/tasks/status"
    assert (told["params"]["taskId"], told["params"]["status"]) == (done["taskId"], "completed")


def test_a_task_asks_where_its_result_is_waited_for(live, connect):
    client = Client(connect, ALL)
    task = client.begin("ask")
    found = client.until(task, "input_required")
    assert "tasks/result" in found["statusMessage"]
    waiting = connect()
    client.rpc("tasks/result", {"taskId": task["taskId"]}, waiting)
    question = waiting.message()
    assert question["method"] == "elicitation/create" and related(question, task)
    assert question["params"]["message"] == "Your name?"
    connect().answer(question["id"], accepted("Ann"), headers=client.session)
    last = waiting.messages()[-1]
    assert text(last["result"]) == "Hello, Ann!"
    assert client.get(task)["status"] == "completed"
    assert len(live.server._server.questions) == 0


def test_a_task_goes_on_once_it_is_answered(stage, connect):
    client = Client(connect, ALL)
    task = client.begin("ask_and_stay")
    stage.leave.set()
    client.until(task, "input_required")
    waiting = connect()
    client.rpc("tasks/result", {"taskId": task["taskId"]}, waiting)
    connect().answer(waiting.message()["id"], accepted("Ann"), headers=client.session)
    assert client.get(task)["status"] == "working"
    stage.second.set()
    assert text(waiting.messages()[-1]["result"]) == "Ann"


def test_several_questions_are_open_until_the_last_is_answered(connect):
    client = Client(connect, ALL)
    task = client.begin("ask_two", {"wait": False})
    client.until(task, "input_required")
    waiting = connect()
    client.rpc("tasks/result", {"taskId": task["taskId"]}, waiting)
    one, two = waiting.message(), waiting.message()
    connect().answer(one["id"], accepted("A"), headers=client.session)
    assert client.get(task)["status"] == "input_required"
    connect().answer(two["id"], accepted("B"), headers=client.session)
    assert text(waiting.messages()[-1]["result"]) == "A B"


def test_who_waits_already_is_asked_at_once_and_who_comes_anew_is_asked_again(live, stage, connect):
    client = Client(connect, ALL)
    task = client.begin("ask", {"wait": True})
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting = client.wait_for(task)
    waits(live, 1)
    stage.leave.set()
    waiting.read()
    question = waiting.message()
    # A second one is not asked the same as long as the first is there.
    second = client.wait_for(task)
    waits(live, 2)
    waiting.close()
    waiters = live.server._server._works.tasks.waiting
    for _ in tries(DEADLINE):
        if any(map(task_book._is_lost, list(waiters))):
            break
    third = client.wait_for(task)
    third.read()
    waits(live, 2)
    assert third.message() == question
    connect().answer(question["id"], accepted("Ann"), headers=client.session)
    assert text(third.messages()[-1]["result"]) == "Hello, Ann!"
    assert text(second.read().json["result"]) == "Hello, Ann!"


def test_a_question_of_a_task_that_is_cancelled_is_taken_back(live, connect):
    client, ears = Client(connect, ALL), connect()
    ears.listen(client.session)
    task = client.begin("ask")
    client.until(task, "input_required")
    waiting = connect()
    client.rpc("tasks/result", {"taskId": task["taskId"]}, waiting)
    question = waiting.message()
    client.result("tasks/cancel", taskId=task["taskId"])
    assert waiting.messages()[-1]["result"]["isError"]
    told = ears.message()
    while told["method"] != "notifications/cancelled":
        told = ears.message()
    assert told["params"]["requestId"] == question["id"]
    assert len(live.server._server.questions) == 0


def test_a_question_that_was_never_sent_is_not_taken_back(live, connect):
    client, ears = Client(connect, ALL), connect()
    ears.listen(client.session)
    task = client.begin("ask")
    client.until(task, "input_required")
    client.result("tasks/cancel", taskId=task["taskId"])
    for _ in tries(DEADLINE):
        if not len(live.server._server.questions):
            break
    client.until(client.begin("quick"), "completed")
    states = [ears.message() for _ in range(3)]
    assert [one["params"].get("status") for one in states] == [
        "input_required",
        "cancelled",
        "completed",
    ]


def test_the_end_of_a_session_answers_its_tasks_questions(live, connect):
    client = Client(connect, ALL)
    client.until(client.begin("ask"), "input_required")
    assert client.wire.request("DELETE", "/mcp", client.session).status == 200
    for _ in tries(DEADLINE):
        if not len(live.server._server.questions):
            return
    raise AssertionError("it still waits")


def test_what_json_cannot_say_is_not_asked(stage, connect):
    client = Client(connect, ALL)
    task = client.begin("unsayable")
    stage.leave.set()
    assert client.until(task, *ENDED)["status"] == "failed"
    assert "could not be asked" in text(client.outcome(task))


def test_who_waits_no_longer_is_forgotten_and_the_task_goes_on(live, stage, connect):
    client = Client(connect)
    task = client.begin("hold")
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting = client.wait_for(task)
    waits(live, 1)
    waiting.close()
    waits(live, 0)
    waiting = client.wait_for(task)
    ident = client.numbers
    waits(live, 1)
    client.wire.rpc(
        "notifications/cancelled", {"requestId": ident}, ident=None, headers=client.session
    )
    assert waiting.read().code == -32603
    waits(live, 0)
    assert client.get(task)["status"] == "working"


def test_so_many_wait_and_no_more(live, stage, connect, monkeypatch):
    monkeypatch.setattr(tasks, "MOST_WAITING", 1)
    client = Client(connect)
    task = client.begin("hold")
    waiting = client.wait_for(task)
    waits(live, 1)
    assert client.error("tasks/result", taskId=task["taskId"])["data"]["code"] == "host_busy"
    stage.leave.set()
    assert waiting.read().json["result"]
    assert client.outcome(task)


def test_a_long_list_of_tasks_comes_in_pages(connect):
    client = Client(connect)
    # One after the other: no more than some may be under way at once.
    made = {client.until(client.begin("quick"), "completed")["taskId"] for _ in range(PAGE + 3)}
    page = client.result("tasks/list")
    more = client.result("tasks/list", cursor=page["nextCursor"])
    assert (len(page["tasks"]), len(more["tasks"])) == (PAGE, 3)
    assert {one["taskId"] for one in page["tasks"] + more["tasks"]} == made
    assert "nextCursor" not in more
    for cursor in ("x", 5):
        assert client.error("tasks/list", cursor=cursor)["code"] == -32602


def test_one_client_has_half_of_the_places_for_what_has_not_ended(live, stage, connect):
    client, other = Client(connect), Client(connect)
    for _ in range(task_book.MOST // 4):
        client.begin("hold")
    found = client.error("tools/call", name="hold", arguments={}, task={})
    assert (found["code"], found["data"]["code"]) == (-32603, "host_busy")
    assert other.begin("quick")["status"] == "working"


def test_tasks_leave_room_in_the_line_for_calls_that_are_waited_for(live, stage, connect):
    for client in [Client(connect) for _ in range(5)]:
        wanted = {"name": "hold", "arguments": {}, "task": {}}
        while "result" in client.rpc("tools/call", wanted).json:
            pass
    waited_for = [Client(connect) for _ in range(8)]
    for client in waited_for:
        with unread(client.wire):
            client.rpc("tools/call", {"name": "fail"})
    # In line, or refused, by the time that a later message is answered.
    waited_for[0].connect().rpc("ping")
    stage.leave.set()
    answers = [client.wire.read() for client in waited_for]
    codes = [one.json["result"]["structuredContent"]["error"]["code"] for one in answers]
    assert codes == ["host_error"] * len(waited_for)


# -- 2026-07-28 ---------------------------------------------------------------------------------


class Modern(Asks):
    """A client of the stateless era."""

    def __init__(self, connect, **capabilities):
        self.wire = connect()
        self.capabilities = dict(EXTENDED, **capabilities)

    def rpc(self, method, params=None, ident=1, capabilities=None, path="/mcp", **headers):
        offered = self.capabilities if capabilities is None else capabilities
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": offered,
        }
        params = dict(params or {}, _meta=meta)
        sent = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if "name" in params or "taskId" in params:
            sent["Mcp-Name"] = params.get("name") or params["taskId"]
        sent.update(headers)
        message = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        return self.wire.request("POST", path, sent, json.dumps(message).encode("utf-8"))

    def call(self, name, arguments=None, **more):
        return self.result("tools/call", name=name, arguments=arguments or {}, **more)

    def outcome(self, name, arguments=None):
        """Call a tool that ends by itself; on a busy machine that may take long enough."""
        found = self.call(name, arguments)
        return found if "content" in found else self.until(found, *ENDED)["result"]

    def update(self, task, **responses):
        return self.result("tasks/update", taskId=task["taskId"], inputResponses=responses)


@pytest.fixture
def soon(monkeypatch):
    """Make a task of what does not end at once."""
    monkeypatch.setattr(tasks, "GRACE", 0.05)


def test_the_extension_is_declared(connect):
    client = Modern(connect)
    declared = client.result("server/discover")["capabilities"]
    assert declared["extensions"] == {EXTENSION: {}}
    assert "tasks" not in declared
    assert not any("execution" in one for one in client.result("tools/list")["tools"])


def test_what_takes_long_becomes_a_task_and_what_does_not_is_answered(stage, connect, soon):
    client = Modern(connect)
    task = client.call("hold", {"name": "a"}, task={"ttl": "of the other revision"})
    assert (task["resultType"], task["status"]) == ("task", "working")
    assert stage.entered.acquire(timeout=DEADLINE)
    assert client.get(task)["statusMessage"].startswith("running for")
    stage.leave.set()
    found = client.until(task, *ENDED)
    assert found["status"] == "completed"
    usual = client.outcome("hold", {"name": "a"})
    assert usual["resultType"] == "complete"
    assert found["result"]["structuredContent"]["data"] == usual["structuredContent"]["data"]
    assert set(found["result"]) == set(usual)
    assert stage.ran == ["a", "a"]


def test_who_does_not_know_tasks_gets_none(live, stage, connect, soon):
    client, waiting = Modern(connect), Modern(connect)
    with unread(waiting.wire):
        waiting.rpc("tools/call", {"name": "hold"}, capabilities={})
    assert stage.entered.acquire(timeout=DEADLINE)
    for capabilities in ({}, {"extensions": {}}, {"extensions": []}, {"extensions": {"x/y": {}}}):
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            params = {"taskId": UNKNOWN, "inputResponses": {}}
            answer = client.rpc(method, params, capabilities=capabilities)
            assert (answer.status, answer.code) == (400, -32021)
            assert answer.json["error"]["data"] == {"requiredCapabilities": EXTENDED}
        answer = client.rpc("tools/call", {"name": "long_job"}, capabilities=capabilities)
        assert (answer.status, answer.code) == (400, -32021)
        assert answer.json["error"]["data"] == {"requiredCapabilities": EXTENDED}
    stage.leave.set()
    result = waiting.wire.read().json["result"]
    assert (result["resultType"], "taskId" in result) == ("complete", False)
    assert text(client.outcome("long_job")) == "done"


def test_what_may_be_no_task_is_none(live, stage, connect, soon):
    waiting = Modern(connect)
    with unread(waiting.wire):
        waiting.rpc("tools/call", {"name": "short_job"})
    assert stage.entered.acquire(timeout=DEADLINE)
    # Behind it, on the same thread, and so never before its time.
    task = Modern(connect).call("hold")
    assert task["resultType"] == "task"
    stage.leave.set()
    assert text(waiting.wire.read().json["result"]) == "done"


def test_word_of_tasks_is_for_those_who_know_them_and_none_is_sent(connect):
    client = Modern(connect)
    wishes = {"notifications": {"toolsListChanged": True, "taskIds": [UNKNOWN]}}
    answer = client.rpc("subscriptions/listen", wishes, capabilities={})
    assert (answer.status, answer.code) == (400, -32021)
    client.rpc("subscriptions/listen", wishes)
    agreed = client.wire.message()["params"]["notifications"]
    assert agreed == {"toolsListChanged": True}


def test_requests_about_no_task_are_refused(connect):
    client = Modern(connect)
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        params = {"taskId": UNKNOWN, "inputResponses": {}}
        answer = client.rpc(method, params)
        assert (answer.status, answer.code) == (400, -32602)
        answer = client.rpc(method, params, **{"Mcp-Name": "another"})
        assert (answer.status, answer.code) == (400, -32020)
        answer = client.rpc(method, params, **{"Mcp-Name": None})
        assert (answer.status, answer.code) == (400, -32020)
        assert client.rpc(method, {}).code == -32602
    assert client.rpc("tasks/update", {"taskId": UNKNOWN}).code == -32602
    for method in ("tasks/result", "tasks/list"):
        answer = client.rpc(method, {"taskId": UNKNOWN}, **{"Mcp-Name": None})
        assert (answer.status, answer.code) == (404, -32601)


def test_a_tools_error_is_a_result_and_a_protocols_error_a_failure(stage, connect, soon):
    client = Modern(connect)
    task = client.call("lack")
    stage.leave.set()
    found = client.until(task, *ENDED)
    assert (found["status"], found["error"]["code"]) == ("failed", -32021)
    assert found["statusMessage"] == found["error"]["message"]
    stage.leave.clear()
    task = Modern(connect, roots={}).call("unsayable")
    stage.leave.set()
    found = client.until(task, *ENDED)
    assert (found["status"], found["result"]["isError"]) == ("completed", True)


def test_a_task_asks_by_its_state_and_is_answered_bit_by_bit(live, stage, connect, soon):
    client = Modern(connect, elicitation={})
    task = client.call("ask_two", {"wait": True})
    stage.leave.set()
    found = client.until(task, "input_required")
    assert set(found["inputRequests"]) == {"a", "b"}
    assert found["inputRequests"]["a"]["params"]["message"] == "One?"
    assert set(client.update(task, a=accepted("A"), strange={"x": 1})) == {"resultType", "_meta"}
    assert set(client.get(task)["inputRequests"]) == {"b"}
    # No answer, and one that has been answered.
    client.update(task, a=accepted("X"), b={"action": "maybe"})
    assert set(client.get(task)["inputRequests"]) == {"b"}
    client.update(task, b=accepted("B"))
    found = client.until(task, *ENDED)
    assert text(found["result"]) in ("A B", "X B")
    client.update(task, b=accepted("C"))
    assert client.get(task) == found
    assert len(live.server._server.questions) == 0


def test_a_modern_task_goes_on_once_it_is_answered(stage, connect, soon):
    client = Modern(connect, elicitation={})
    task = client.call("ask_and_stay")
    stage.leave.set()
    client.until(task, "input_required")
    client.update(task, user_name=accepted("Ann"))
    assert client.get(task)["status"] == "working"
    stage.second.set()
    assert text(client.until(task, *ENDED)["result"]) == "Ann"


def test_what_asks_before_it_is_a_task_is_called_again_and_becomes_one_then(
    live, stage, connect, monkeypatch
):
    monkeypatch.setattr(tasks, "GRACE", 3600.0)
    client = Modern(connect, elicitation={})
    asked = client.call("ask")
    assert (asked["resultType"], "taskId" in asked) == ("input_required", False)
    # The worker is held, so that what goes on has to wait.
    holding = Modern(connect)
    assert stage.entered.acquire(timeout=DEADLINE)
    with unread(holding.wire):
        holding.rpc("tools/call", {"name": "hold"})
    assert stage.entered.acquire(timeout=DEADLINE)
    monkeypatch.setattr(tasks, "GRACE", 0.05)
    more = {"requestState": asked["requestState"], "inputResponses": {"user_name": accepted("Ann")}}
    task = client.call("ask", **more)
    assert (task["resultType"], "requestState" in task) == ("task", False)
    stage.leave.set()
    assert text(client.until(task, *ENDED)["result"]) == "Hello, Ann!"
    assert holding.wire.read().json["result"]["resultType"] == "complete"


def test_a_task_that_is_cancelled_ends_if_it_can(stage, connect, soon):
    client = Modern(connect, elicitation={})
    task = client.call("walk")
    assert stage.entered.acquire(timeout=DEADLINE)
    assert set(client.result("tasks/cancel", taskId=task["taskId"])) == {"resultType", "_meta"}
    assert stage.left.acquire(timeout=DEADLINE)
    found = client.until(task, *ENDED)
    assert found["status"] == "cancelled"
    assert client.result("tasks/cancel", taskId=task["taskId"])["resultType"] == "complete"
    assert client.get(task) == found
    # What cannot be stopped comes to its end, and that is its end.
    task = client.call("hold")
    assert stage.entered.acquire(timeout=DEADLINE)
    client.result("tasks/cancel", taskId=task["taskId"])
    assert client.get(task)["status"] == "working"
    stage.leave.set()
    assert client.until(task, *ENDED)["status"] == "completed"


def test_what_somebody_else_has_cancelled_has_failed(stage, connect, soon):
    client = Modern(connect)
    task = client.call("walk")
    jobs = client.call("list_jobs")["structuredContent"]["data"]["items"]
    client.call("cancel_job", {"job_id": jobs[0]["job_id"]})
    found = client.until(task, *ENDED)
    assert (found["status"], found["result"]["isError"]) == ("completed", True)


def test_a_question_of_a_task_ends_with_it(live, stage, connect, soon):
    client = Modern(connect, elicitation={})
    task = client.call("ask_two", {"wait": True})
    stage.leave.set()
    client.until(task, "input_required")
    client.result("tasks/cancel", taskId=task["taskId"])
    assert client.until(task, *ENDED)["status"] == "cancelled"
    assert len(live.server._server.questions) == 0


def test_who_leaves_before_it_is_a_task_has_cancelled_and_who_leaves_then_has_not(
    live, stage, connect, monkeypatch
):
    monkeypatch.setattr(tasks, "GRACE", 3600.0)
    waiting = Modern(connect)
    with unread(waiting.wire):
        waiting.rpc("tools/call", {"name": "walk"})
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting.wire.close()
    assert stage.left.acquire(timeout=DEADLINE)
    monkeypatch.setattr(tasks, "GRACE", 0.05)
    leaving, client = Modern(connect), Modern(connect)
    task = leaving.call("walk")
    leaving.wire.close()
    assert client.get(task)["status"] == "working"
    stage.leave.set()
    assert text(client.until(task, *ENDED)["result"]) == "arrived"


@pytest.fixture
def perhaps(monkeypatch):
    """Make a task of nothing by itself; return the calls that may become one."""
    calls = []

    class Noted(tasks._Perhaps):
        def __init__(self, *given):
            super().__init__(*given)
            calls.append(self)

    monkeypatch.setattr(tasks, "GRACE", 3600.0)
    monkeypatch.setattr(tasks, "_Perhaps", Noted)
    return calls


def test_there_is_no_task_for_who_has_left_a_call_that_goes_on(live, stage, connect, perhaps):
    waiting = Modern(connect)
    with unread(waiting.wire):
        waiting.rpc("tools/call", {"name": "hold"})
    assert stage.entered.acquire(timeout=DEADLINE)
    waiting.wire.close()
    for _ in tries(DEADLINE):
        if perhaps[0]._exchange.gone is None:
            break
    on_loop(live, perhaps[0]._become)
    assert len(live.server._server._works.tasks.book) == 0


def test_progress_is_told_until_it_is_a_task_and_then_by_its_state(live, connect, perhaps):
    client = Modern(connect)
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": EXTENDED,
        "progressToken": "p",
    }
    params = {"name": "walk", "arguments": {}, "_meta": meta}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "walk"}
    client.wire.rpc("tools/call", params, headers=headers)
    told = [client.wire.message()]
    on_loop(live, perhaps[0]._become)
    told += client.wire.messages()
    task = told.pop()["result"]
    assert task["resultType"] == "task"
    assert {one["method"] for one in told} == {"notifications/progress"}
    other = Modern(connect)
    assert other.get(task)["statusMessage"].endswith(": step")


def test_without_room_a_call_stays_a_call(live, stage, connect, soon, monkeypatch):
    book = live.server._server._works.tasks.book
    monkeypatch.setattr(book, "_limit", 2)
    has_room, refused = book.has_room, threading.Event()
    monkeypatch.setattr(book, "has_room", lambda owner: has_room(owner) or refused.set())
    client = Modern(connect)
    task = client.call("hold")
    assert task["resultType"] == "task"
    waiting = Modern(connect)
    with unread(waiting.wire):
        waiting.rpc("tools/call", {"name": "hold"})
    assert refused.wait(DEADLINE)
    stage.leave.set()
    assert waiting.wire.read().json["result"]["resultType"] == "complete"
    assert client.until(task, *ENDED)["status"] == "completed"


# -- both, elsewhere ----------------------------------------------------------------------------


def test_until_they_are_loaded_calls_are_no_tasks_and_who_insists_comes_back(start, monkeypatch):
    go_on = threading.Event()
    load = Server.load_framed
    monkeypatch.setattr(Server, "load_framed", lambda server: go_on.wait(DEADLINE) and load(server))
    live = start(registered=False)
    with connecting(live) as connect:
        client, modern = Client(connect), Modern(connect)
        try:
            assert client.result("tools/call", name="quick")["structuredContent"]["ok"]
            assert modern.call("quick")["structuredContent"]["ok"]
            for error in (
                client.error("tools/call", name="quick", task={}),
                client.error("tasks/get", taskId=UNKNOWN),
                modern.rpc("tools/call", {"name": "long_job"}).json["error"],
                modern.rpc("tasks/get", {"taskId": UNKNOWN}).json["error"],
            ):
                assert error["data"]["code"] == "host_busy" and error["data"]["retry_after_ms"]
        finally:
            go_on.set()
        assert live.server.wait_registered(DEADLINE)
        assert client.outcome(client.begin("quick"))["structuredContent"]["ok"]


def test_streams_always_are_no_other_way(start, stage, soon):
    live = start(always_stream=True)
    with connecting(live) as connect:
        client, modern = Client(connect), Modern(connect)
        assert client.wire.messages()
        posted = {"name": "hold", "task": {}}
        client.rpc("tools/call", posted)
        task = client.wire.messages()[-1]["result"]["task"]
        waiting = client.wait_for(task)
        waiting.read()
        modern.rpc("tools/call", {"name": "hold"})
        other = modern.wire.messages()[-1]["result"]
        assert other["resultType"] == "task"
        stage.leave.set()
        last = waiting.messages()[-1]
        assert related(last, task) and not last["result"]["isError"]


def test_the_oldest_transport_has_the_tasks_of_its_sessions_revision(live, stage, connect):
    stream, post = connect(), connect()
    stream.request("GET", "/sse", {"Accept": "text/event-stream"})
    place = stream.event().data
    stream.session = place.partition("sessionId=")[2]

    def ask(method, params, ident):
        body = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        post.request("POST", place, {}, json.dumps(body).encode("utf-8"))

    def told():
        """Return the next answer; word of changes of tasks comes here too."""
        found = stream.message()
        while "method" in found:
            found = stream.message()
        return found["result"]

    info = {"name": "t", "version": "1"}
    ask("initialize", {"protocolVersion": LAST, "capabilities": {}, "clientInfo": info}, 1)
    assert "tasks" in told()["capabilities"]
    ask("tools/call", {"name": "hold", "arguments": {}, "task": {}}, 2)
    task = told()["task"]
    ask("tasks/result", {"taskId": task["taskId"]}, 3)
    waits(live, 1)
    stage.leave.set()
    assert told()["_meta"] == {META_RELATED: {"taskId": task["taskId"]}}
    ask("tasks/get", {"taskId": task["taskId"]}, 4)
    assert told()["status"] == "completed"


def test_over_the_framed_wire_there_are_none(live, stage, soon):
    wire = framed_clients.Client(live)
    try:
        wire.line = wire.call("resume", {"ids": []})["line"]
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
        }

        def ask(number, method, capabilities=EXTENDED, **params):
            message = {"jsonrpc": "2.0", "id": "id-1", "method": method}
            meta["io.modelcontextprotocol/clientCapabilities"] = capabilities
            message["params"] = dict(params, _meta=meta)
            wire.request(wire.ident(number), "mcp", message)

        def told(number):
            return json.loads(wire.answer(wire.ident(number)).payload.decode("utf-8"))

        ask(1, "server/discover")
        assert "extensions" not in told(1)["result"]["capabilities"]
        ask(2, "tasks/get", taskId=UNKNOWN)
        assert told(2)["error"]["code"] == -32601
        ask(3, "tools/call", name="long_job", arguments={})
        assert text(told(3)["result"]) == "done"
        ask(5, "tools/call", {}, name="long_job", arguments={})
        assert text(told(5)["result"]) == "done"
        ask(4, "tools/call", name="hold", arguments={})
        assert stage.entered.acquire(timeout=DEADLINE)
        # What could be one meanwhile is one.
        with connecting(live) as connect:
            assert Modern(connect).call("hold")["resultType"] == "task"
        stage.leave.set()
        assert told(4)["result"]["resultType"] == "complete"
    finally:
        wire.close()


def test_a_guest_sees_no_task_of_anybody_elses(start, stage, soon):
    live = start(gateway=True, profile="full")
    # What the gateway puts before every path is the path of our row's address.
    registry = open_registry(live.registry_dir, {}, SystemClock())
    url = registry.get("standalone", live.server.instance_id).metadata["mcp_url"]
    path = "/" + url.split("/", 3)[3]
    with connecting(live) as connect:
        owner, guest = Modern(connect), Modern(connect)
        task = owner.call("hold")
        asked = {"taskId": task["taskId"], "inputResponses": {}}
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            answer = guest.rpc(method, asked, path=path, Authorization=None)
            assert answer.code == -32602
        own = guest.rpc("tools/call", {"name": "hold"}, path=path, Authorization=None)
        asked = {"taskId": own.json["result"]["taskId"]}
        found = guest.rpc("tasks/get", asked, path=path, Authorization=None)
        assert found.json["result"]["status"] == "working"
        assert owner.rpc("tasks/get", asked).code == -32602
        assert owner.get(task)["status"] == "working"


class Now(SystemClock):
    """A clock that a test moves on."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.monotonic = lambda: self.now


def made(book, owner=(False, None), ttl_ms=10000, size=None):
    """Add a task, one that has ended if its result's size is given."""
    one = task_book.StatelessTask(book, owner, ttl_ms, None)
    assert book.has_room(owner)
    book.add(one)
    if size is not None:
        one.reply(Reply(200, {"id": 1, "result": {"text": "x" * size}}))
    return one


def found(book, one):
    return book.find(one.id, one.owner, one.stateless) is one


def test_what_has_ended_goes_when_its_time_is_over_and_what_has_not_stays():
    clock = Now()
    book = task_book.TaskBook(clock)
    ended, running, longer = made(book, size=1), made(book), made(book, ttl_ms=120000, size=1)
    clock.now = 59.9
    assert found(book, ended)
    clock.now = 60.0
    assert not found(book, ended)
    assert found(book, running) and found(book, longer)
    # What has taken all of its time can be fetched all the same, and says so.
    clock.now = 100.0
    assert running.shown()["ttlMs"] == 10000
    running.reply(Reply(200, {"id": 1, "result": {}}))
    assert running.shown()["ttlMs"] == 160000
    assert found(book, longer)
    clock.now = 159.9
    assert found(book, running) and not found(book, longer)
    clock.now = 160.0
    assert not found(book, running)
    assert (len(book), book._bytes) == (0, 0)


def test_what_has_ended_makes_room_its_owners_first():
    book = task_book.TaskBook(Now(), limit=4)
    one, two, three = ((False, name) for name in ("one", "two", "three"))
    others, own, late = made(book, two, size=1), made(book, one, size=1), made(book, two, size=1)
    made(book, one)
    # The last free place is taken; from here on one that has ended goes.
    made(book, two)
    assert [found(book, task) for task in (others, own, late)] == [False, True, True]
    assert not any(book.has_room(owner) for owner in (one, two, three))


def test_half_of_the_places_is_for_what_goes_on_and_half_of_that_for_one_owner():
    book = task_book.TaskBook(Now(), limit=8)
    one, two, three = ((False, name) for name in ("one", "two", "three"))
    made(book, one)
    ends = made(book, one)
    assert not book.has_room(one)
    made(book, two)
    made(book, two)
    assert not any(book.has_room(owner) for owner in (one, two, three))
    ends.reply(Reply(200, {"id": 1, "result": {}}))
    assert book.has_room(one) and book.has_room(three) and not book.has_room(two)


def test_guests_together_have_a_share():
    book = task_book.TaskBook(Now(), limit=16)
    made(book, (True, "a"))
    made(book, (True, "b"))
    assert not book.has_room((True, "c"))
    assert book.has_room((False, "c"))


def test_large_results_make_room_for_each_other_but_the_last_stays():
    book = task_book.TaskBook(Now())
    running = made(book)
    first, second = made(book, size=KEPT_BYTES // 2), made(book, size=KEPT_BYTES // 2)
    assert [found(book, task) for task in (first, second)] == [False, True]
    large = made(book, size=2 * KEPT_BYTES)
    assert [found(book, task) for task in (second, large, running)] == [False, True, True]
