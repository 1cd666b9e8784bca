"""The bridge over HTTP: who may come in, and what it does for one client and for several."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from bridge.web_stage import appears, greet, modern
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.secret import open_secret
from dcc_mcp_embed.server.exchange import Exchange
from dcc_mcp_embed.server.ports import who_answers
from dcc_mcp_embed.server.sinks import Sink
from dcc_mcp_embed.wire.mcp.outcomes import Listen
from fakes.bridged import MODERN, Web
from fakes.live import DEADLINE, Wire, tries
from fakes.served import environment, run
from fakes.streaming import connecting, initialize

KEY = "io.modelcontextprotocol/subscriptionId"
ROUTED = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "additionalProperties": False,
}


@dcc_mcp_embed.tool()
def fresh() -> str:
    """Be new."""
    return ""


FRESH = SimpleNamespace(fresh=fresh)


class Stage:
    """Tools, and what they and a test tell each other."""

    def __init__(self):
        self.stop = threading.Event()
        self.begun, self.ended = threading.Semaphore(0), threading.Semaphore(0)

        @dcc_mcp_embed.tool(thread="worker")
        def steps():
            """Go on until nobody wants it any more; say so at the end."""
            number = 0
            self.begun.release()
            try:
                while not self.stop.wait(0.005):
                    number += 1
                    yield dcc_mcp_embed.Progress(number, None, "step")
            finally:
                self.ended.release()

        @dcc_mcp_embed.tool(read_only=True)
        def says(ctx) -> str:
            """Log."""
            ctx.log("error", "said")
            return "done"

        @dcc_mcp_embed.tool(input_schema=ROUTED)
        def routed(region: str = "") -> str:
            """Say where."""
            return region

        self.tools = SimpleNamespace(steps=steps, greet=greet, says=says, routed=routed)


@pytest.fixture
def stage(serve):
    stage = Stage()
    stage.live = serve(stage.tools)
    yield stage
    stage.stop.set()


# Who may come in.


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer " + "0" * 40}, 401),
        ({"Host": "example.com"}, 421),
        ({"Origin": "https://example.com"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({}, 200),
    ],
)
def test_who_may_come_in(web, connect, headers, status):
    assert connect().rpc("ping", headers=headers).status == status


def test_it_is_on_loopback_only_and_proves_who_it_is(home, web, connect):
    assert web._web._sock.getsockname()[0] == "127.0.0.1"
    secret = open_secret(home, SystemClock())
    assert web.facts["token"] == secret.token("bridge", web.port)
    assert who_answers(web.port, secret, SystemClock(), DEADLINE) == ("ours", "bridge")
    wire = connect()
    about = wire.request("GET", "/", {"Authorization": None})
    assert about.status == 200 and b"bridge" in about.body
    assert web.facts["token"].encode() not in about.body
    assert wire.request("GET", "/health").status == 404
    path = "/{}/mcp".format(web.facts["token"])
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    assert wire.request("POST", path, {"Authorization": None}, body).status == 200


# What it does.


def test_a_session_works_through_it(web, connect, stage):
    wire = connect()
    session = initialize(wire)
    appears(wire, "steps", session)
    made = wire.tool("create_object", {"kind": "cube"}, headers=session)["structuredContent"]
    assert made["ok"] and made["instance"]["id"] == stage.live.server.instance_id[:8]
    wrong = wire.rpc("resources/read", {"uri": "test://no"}, headers=session)
    assert wrong.status == 200 and wrong.code == -32002
    assert wire.rpc("resources/list", headers=session).json["result"]["resources"]
    answers = wire.request("POST", "/mcp", session, b"[]")
    assert answers.status == 400
    assert wire.request("DELETE", "/mcp", session).status == 200
    assert wire.rpc("ping", headers=session).status == 404
    # Of its client nothing is left.
    for _ in tries():
        if not web._web._core._clients:
            break
    assert not web._web._core._clients


@pytest.mark.parametrize("method", [[], {}, 1])
def test_a_method_that_is_no_text_is_refused(connect, method):
    refused = connect().rpc(method)
    assert (refused.status, refused.code) == (400, -32600)


@pytest.mark.parametrize("lists", [False, True])
def test_a_mistake_of_ours_is_answered_and_logged(web, connect, monkeypatch, lists):
    def mistake(*_):
        raise RuntimeError("a mistake")

    service = web._web._core.service
    monkeypatch.setattr(service._shelves, "before", mistake)
    monkeypatch.setattr(service._flights, "begin", mistake)
    method, params = ("prompts/list", {}) if lists else ("prompts/get", {"name": "p"})
    refused = connect().rpc(method, params)
    assert refused.code == -32603 and "mistake" not in str(refused.json)
    assert [line for line in web.log if line.startswith("error: ") and "a mistake" in line]
    web.log.clear()


def test_a_batch_is_answered_together(connect, stage):
    wire = connect()
    session = initialize(wire, version="2025-03-26")
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {
            "jsonrpc": "2.0",
            "id": 3,
            "method": "tools/call",
            "params": {"name": "list_instances", "arguments": {}},
        },
    ]
    answers = wire.request("POST", "/mcp", session, json.dumps(batch).encode()).json
    assert sorted(one["id"] for one in answers) == [1, 2, 3]


def test_calls_tell_how_far_they_are_and_are_cancelled_each_for_itself(connect, stage):
    one, two = connect(), connect()
    sessions = [initialize(one), initialize(two)]
    appears(one, "steps")
    params = {"name": "steps", "arguments": {}, "_meta": {"progressToken": "t"}}
    one.rpc("tools/call", params, ident=7, headers=sessions[0])
    said = one.message()
    assert said["method"] == "notifications/progress" and said["params"]["progressToken"] == "t"
    # The id of another session's call, and then its own.
    cancel = {"requestId": 7}
    assert two.rpc("notifications/cancelled", cancel, None, sessions[1]).status == 202
    assert one.message()["method"] == "notifications/progress"
    assert not stage.ended.acquire(blocking=False)
    assert two.rpc("notifications/cancelled", cancel, None, sessions[0]).status == 202
    assert stage.ended.acquire(timeout=DEADLINE)


def test_the_log_of_a_call_is_for_those_who_have_a_session(connect, stage):
    wire = connect()
    appears(wire, "says")
    assert wire.tool("says")["content"][0]["text"] == "done"
    wire.rpc("tools/call", {"name": "says", "arguments": {}}, headers=initialize(wire))
    said, result = wire.messages()
    assert (said["method"], said["params"]["data"]) == ("notifications/message", "said")
    assert result["result"]["content"][0]["text"] == "done"


def test_the_stateless_era_works_and_is_cancelled_by_leaving(connect, stage):
    wire = connect()
    appears(wire, "steps")
    listed = wire.rpc(**modern("tools/list"))
    assert listed.status == 200 and listed.json["result"]["resultType"] == "complete"
    wrong = wire.rpc(**modern("resources/read", uri="test://no"))
    assert (wrong.status, wrong.code) == (400, -32602)
    assert wire.rpc(**modern("nothing/such")).status == 404
    called = wire.rpc(**modern("tools/call", name="list_instances", arguments={}))
    assert called.json["result"]["resultType"] == "complete"
    lacking = wire.rpc(**modern("tools/call", name="greet", arguments={}))
    assert (lacking.status, lacking.code) == (400, -32021)
    meta = dict(MODERN, progressToken="t")
    said = modern("tools/call", name="steps", arguments={}, _meta=meta)
    wire.rpc(**said)
    assert wire.message()["method"] == "notifications/progress"
    wire.close()
    assert stage.ended.acquire(timeout=DEADLINE)


def calling(connect):
    """Return who waits for a call that is under way."""
    wire = connect()
    meta = dict(MODERN, progressToken="t")
    wire.rpc(**modern("tools/call", name="steps", arguments={}, _meta=meta))
    assert wire.message()["method"] == "notifications/progress"
    return wire


def listening(connect):
    wire = connect()
    wire.rpc(**modern("subscriptions/listen", notifications={"toolsListChanged": True}))
    assert wire.message()["method"] == "notifications/subscriptions/acknowledged"
    return wire


def test_of_those_who_leave_nothing_is_left(web, connect, stage):
    """Their connections would be all that there can be."""
    appears(connect(), "steps")
    front, bridge = web._web._front, web._web
    before = len(front)
    for _ in range(4):
        gone = [calling(connect), listening(connect)]
        assert len(front) > before
        for wire in gone:
            wire.close()
        assert stage.ended.acquire(timeout=DEADLINE)
    for _ in tries():
        if len(front) == before and not bridge._core._clients:
            break
    assert len(front) == before and not bridge._core._clients and not bridge._web._streams


class Leaving:
    """A connection that is found broken when a stream begins on it."""

    peer, opened, blocked = ("127.0.0.1", 1), 0.0, False

    def __init__(self):
        head = SimpleNamespace(method="POST", target="/mcp", version=1, headers={})
        self.exchange = Exchange(self, head, "/mcp", b"")

    def begin_stream(self, headers):
        self.exchange.lose()


def test_a_listener_that_is_gone_before_it_hears_anything_is_forgotten(web):
    front, tried = web._web._web, threading.Event()

    def listen():
        front.listen(Leaving().exchange, Listen(1, {"toolsListChanged": True}), Sink())
        web._web._core.desk.post(tried.set)

    web._web._loop.call_soon(listen)
    assert tried.wait(DEADLINE)
    assert not web._web._core._clients and not front._streams


def test_a_refused_listener_is_forgotten(web, connect):
    wire = connect()
    uris = ["test://{}".format(number) for number in range(257)]
    wire.rpc(**modern("subscriptions/listen", notifications={"resourceSubscriptions": uris}))
    assert wire.message()["error"]["code"] == -32602
    for _ in tries():
        if not web._web._core._clients:
            break
    assert not web._web._core._clients and not web._web._web._streams


def test_calls_that_are_cancelled_are_answered(connect, stage, later):
    """By word, in a batch, and with their session; also those that share an id."""
    wire, other = connect(), connect()
    session = initialize(wire, version="2025-03-26")
    appears(wire, "steps")
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "steps"}}

    def post(message):
        body = json.dumps(message).encode()
        return later(connect().request, "POST", "/mcp", session, body)

    def cancelled(message):
        return message["result"]["structuredContent"]["error"]["code"] == "cancelled"

    alone = post(call)
    assert stage.begun.acquire(timeout=DEADLINE)
    wire.rpc("notifications/cancelled", {"requestId": 7}, None, session)
    assert cancelled(alone.result(DEADLINE).json)
    batch = post([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, call])
    assert stage.begun.acquire(timeout=DEADLINE)
    wire.rpc("notifications/cancelled", {"requestId": 7}, None, session)
    answers = {one["id"]: one for one in batch.result(DEADLINE).json}
    assert answers[1]["result"] == {} and cancelled(answers[7])
    calls = [post(call), post(call)]
    assert stage.begun.acquire(timeout=DEADLINE)
    for _ in tries():
        worker = other.tool("get_status")["structuredContent"]["data"]["worker"]
        if worker["queue_depth"]:
            break
    assert wire.request("DELETE", "/mcp", session).status == 200
    for one in calls:
        assert cancelled(one.result(DEADLINE).json)
    for _ in range(3):
        assert stage.ended.acquire(timeout=DEADLINE)


def test_arguments_that_headers_repeat_must_be_those_of_the_headers(connect, stage):
    wire = connect()
    appears(wire, "routed")
    call = modern("tools/call", name="routed", arguments={"region": "here"})
    missing = wire.rpc(**call)
    assert (missing.status, missing.code) == (400, -32020)
    call["headers"]["Mcp-Param-Region"] = "there"
    assert wire.rpc(**call).code == -32020
    call["headers"]["Mcp-Param-Region"] = "here"
    assert wire.rpc(**call).json["result"]["content"][0]["text"] == "here"
    # Earlier revisions know nothing of it.
    assert wire.tool("routed", {"region": "x"})["content"][0]["text"] == "x"


def test_sessions_are_told_of_changes_on_their_streams(connect, stage):
    wire, ears, other = connect(), connect(), connect()
    session = initialize(wire)
    assert ears.listen(session).status == 200
    appears(wire, "greet", session)
    assert other.listen(initialize(wire)).status == 200

    subscribed = wire.rpc("resources/subscribe", {"uri": "test://a"}, headers=session)
    assert subscribed.json["result"] == {}
    assert wire.rpc("resources/subscribe", {"uri": "test://a"}).code == -32600
    stage.live.server.resource_updated("test://a")
    told = ears.message()
    while "list_changed" in told["method"]:
        told = ears.message()
    assert told["params"] == {"uri": "test://a"}
    stage.live.server.register_tools(FRESH)
    assert ears.message()["method"] == "notifications/tools/list_changed"


def test_a_loop_that_comes_to_its_end_late_leaves_nobody_connected(home, monkeypatch):
    with Web(home, monkeypatch) as web, connecting(web) as connect:
        wire, go = connect(), threading.Event()
        assert wire.rpc("ping").status == 200
        loop = web._web._loop
        loop.call_soon(lambda: loop.call_soon(go.wait, DEADLINE))
        thread = web._web._thread._thread
        web._web.stop()
        web._thread.join(DEADLINE)
        assert thread.is_alive()
        go.set()
        thread.join(DEADLINE)
        assert wire.at_end()


def test_a_session_that_lost_its_room_is_told_when_it_is_back(web, connect, stage, monkeypatch):
    monkeypatch.setattr(web._web._web._sessions, "_limit", 2)
    wire, ears = connect(), connect()
    session = initialize(wire)
    appears(wire, "steps", session)
    for _ in range(2):
        initialize(wire)
    assert ears.listen(session).status == 200
    assert ears.message()["method"] == "notifications/message"
    assert wire.rpc("tools/list", headers=session).status == 200

    stage.live.server.register_tools(FRESH)
    assert ears.message()["method"] == "notifications/tools/list_changed"
    for _ in tries():
        if len(web._web._core._clients) == 1:
            break
    assert len(web._web._core._clients) == 1


def test_who_listens_is_told_until_it_leaves(web, connect, stage):
    wire, ears = connect(), connect()
    appears(wire, "greet")
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["test://a"]}
    ears.rpc(**dict(modern("subscriptions/listen", notifications=wanted), ident="ear"))
    first = ears.message()
    assert first["method"] == "notifications/subscriptions/acknowledged"
    assert first["params"] == {"notifications": wanted, "_meta": {KEY: "ear"}}
    stage.live.server.resource_updated("test://a")
    assert ears.message()["params"] == {"uri": "test://a", "_meta": {KEY: "ear"}}
    ears.close()
    for _ in tries():
        if not web._web._core._clients:
            break
    assert not web._web._core._clients
    last = connect()
    last.rpc(**dict(modern("subscriptions/listen", notifications={}), ident="last"))
    assert last.message()["method"] == "notifications/subscriptions/acknowledged"
    web.close()
    # The end is told.
    (end,) = last.messages()
    assert end["id"] == "last" and end["result"]["resultType"] == "complete"


# As a process.


def wire_to(facts):
    """Connect to a bridge that has said how to reach it."""
    return Wire(
        SimpleNamespace(
            port=facts["port"],
            address=("127.0.0.1", facts["port"]),
            authorization={"Authorization": "Bearer " + facts["token"]},
        )
    )


def test_it_says_how_to_reach_it_and_ends_when_it_is_told_to(home):
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", "bridge", "--http", "0"],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            facts = json.loads(process.stdout.readline())
            assert facts["url"].startswith("http://127.0.0.1:{}/".format(facts["port"]))
            with wire_to(facts) as wire:
                assert wire.rpc("ping").json["result"] == {}
                (tool,) = wire.rpc("tools/list").json["result"]["tools"]
                assert tool["name"] == "list_instances"
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=DEADLINE) == (b"", b"")
            assert process.returncode == 0
        finally:
            process.kill()


#: Has a thread of its own take the signal, as the system may, once something stands on its input.
ELSEWHERE = """
import signal, sys, threading
from dcc_mcp_embed.cli.main import main

def take():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=take, daemon=True).start()
sys.exit(main(["bridge", "--http", "0"]))
"""


def test_a_signal_that_another_thread_takes_ends_it_too(home):
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", ELSEWHERE],
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            facts = json.loads(process.stdout.readline())
            with wire_to(facts) as wire:
                assert wire.rpc("ping").json["result"] == {}
                # While it is connected, as its leave would be something that happens there.
                assert process.communicate(b"\n", timeout=DEADLINE) == (b"", b"")
            assert process.returncode == 0
        finally:
            process.kill()


def test_a_port_that_cannot_be_had_is_told(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = str(taken.getsockname()[1])
        done = run(home, "bridge", "--http", port)
    assert done.returncode == 1 and port in done.stderr and done.stdout == ""
    assert "Traceback" not in done.stderr
    assert run(home, "bridge", "--http", "70000").returncode == 2
