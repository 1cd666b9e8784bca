"""Nothing that a call leaves behind needs the garbage collector: an idle host never runs it."""

from __future__ import annotations

import gc
import json
import os
import types

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.host.dispatch import Dispatcher
from dcc_mcp_embed.wire.frames import frame
from dcc_mcp_embed.wire.messages import Notify, encode
from dcc_mcp_embed.wire.messages import Request as MessageRequest
from fakes.framed import FramedWire, wire_key
from fakes.live import Live, tries
from fakes.streaming import Streaming, initialize

pytestmark = pytest.mark.edges

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
ROUNDS = 30


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    tools = types.ModuleType("garbage_tools")

    for thread in ("loop", "worker", "main"):

        def good() -> dict:
            return {"a": 1}

        def bad() -> dict:
            raise ValueError("always")

        good.__name__, bad.__name__ = "good_" + thread, "bad_" + thread
        good.__qualname__, bad.__qualname__ = good.__name__, bad.__name__
        for function in (good, bad):
            function.__doc__ = "Do it."
            setattr(tools, function.__name__, dcc_mcp_embed.tool(thread=thread)(function))

    @dcc_mcp_embed.tool()
    def in_steps() -> dict:
        """Go in steps."""
        yield dcc_mcp_embed.Progress(1)
        return {}

    @dcc_mcp_embed.tool()
    def talkative(ctx) -> dict:
        """Log, and ask for the roots."""
        ctx.log("warning", "about to ask")
        try:
            found = yield ctx.roots(key="a")
        except dcc_mcp_embed.ToolError as error:
            return {"told": error.message}
        return {"roots": len(found)}

    @dcc_mcp_embed.tool(timeout=0.000001)
    def no_time() -> dict:
        """Have no time at all."""
        return {}

    class Cycle:
        alive = 0

        def __init__(self) -> None:
            Cycle.alive += 1
            self.itself = self

        def __del__(self) -> None:
            Cycle.alive -= 1

    @dcc_mcp_embed.tool(thread="worker")
    def litter() -> dict:
        """Leave cycles."""
        for _ in range(1000):
            Cycle()
        return {}

    @dcc_mcp_embed.tool(thread="worker")
    def count_litter() -> dict:
        """Count them."""
        return {"alive": Cycle.alive}

    tools.in_steps, tools.no_time = in_steps, no_time
    tools.talkative = talkative
    tools.litter, tools.count_litter = litter, count_litter
    patch = pytest.MonkeyPatch()
    one = Live(str(tmp_path_factory.mktemp("home")), patch, tools=[tools], limits=Limits())
    with one.connect() as wire:
        # Its thread starts with the first call and stays.
        in_handshake_era(wire, "good_worker")
    # So does the lock that goes with its row, from when that is written.
    entered = os.path.join(one.registry_dir, "services.json")
    for _ in tries():
        if os.path.exists(entered):
            break
    yield one
    one.close()
    patch.undo()


def in_handshake_era(wire, name):
    wire.rpc("tools/call", {"name": name, "arguments": {}})


def in_stateless_era(wire, name):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": name}
    wire.rpc("tools/call", {"name": name, "arguments": {}, "_meta": META}, 1, headers)


def with_progress(wire, name):
    params = {"name": name, "arguments": {}, "_meta": {"progressToken": 1}}
    wire.rpc("tools/call", params)


def by_name(wire, name):
    wire.rpc("tools/call", {"name": "call_tool", "arguments": {"name": name}})


def in_a_batch(wire, name):
    calls = [{"tool": name}, {"tool": "good_main"}]
    wire.rpc("tools/call", {"name": "batch", "arguments": {"calls": calls}})


def waited_for(wire, name):
    arguments = {"job_id": name, "wait_ms": 1}
    wire.rpc("tools/call", {"name": "get_job", "arguments": arguments})


def left_behind(action):
    """Return how many objects only a collection could free after many rounds of ``action``."""
    for _ in range(3):
        action()
    threshold = gc.get_threshold()
    gc.collect()
    # No collection from here on looks at the objects of a whole test session again.
    gc.freeze()
    # Not gc.disable(): that switch is the server's own to restore.
    gc.set_threshold(10_000_000)
    try:
        for _ in range(ROUNDS):
            action()
        return gc.collect()
    finally:
        gc.set_threshold(*threshold)


NAMES = [
    *("good_loop", "good_worker", "good_main", "bad_loop", "bad_worker", "bad_main", "in_steps"),
    *("get_status", "create_object", "nothing_of_this_name", "no_time"),
]
WAYS = [(ask, name) for ask in (in_handshake_era, in_stateless_era) for name in NAMES]
WAYS += [
    (with_progress, "good_main"),
    (with_progress, "in_steps"),
    (by_name, "good_main"),
    (by_name, "bad_worker"),
    (in_a_batch, "good_main"),
    (in_a_batch, "bad_main"),
    (waited_for, "nothing_of_this_name"),
]


@pytest.mark.parametrize(("ask", "name"), WAYS)
def test_a_call_leaves_nothing_to_collect(live, ask, name):
    with live.connect() as wire:
        # Fewer than one object for each round: what is left is not of the calls.
        assert left_behind(lambda: ask(wire, name)) < ROUNDS // 2


def test_a_call_that_is_refused_leaves_nothing_to_collect(live):
    with live.connect() as wire, live.server._server._lanes["main"].hold("another host"):

        def ask():
            params = {"name": "good_main", "arguments": {}}
            found = wire.rpc("tools/call", params).json["result"]["structuredContent"]
            assert found["error"]["code"] == "host_busy"

        assert left_behind(ask) < ROUNDS // 2


@pytest.mark.parametrize("name", ["good_main", "good_worker", "bad_main", "in_steps"])
def test_a_call_that_is_over_leaves_no_limit_of_its_time(live, name):
    with live.connect() as wire:
        in_handshake_era(wire, name)
        timers = live.server._loop._timers
        left = [getattr(one[2].callback, "__self__", None) for one in list(timers._heap)]
        assert not any(isinstance(one, Dispatcher) for one in left)


@pytest.mark.parametrize("name", ["good_main", "bad_worker", "in_steps"])
def test_of_a_call_that_is_over_nothing_is_known(live, name):
    with live.connect() as wire, Streaming(live) as opener:
        session = initialize(opener)
        wire.rpc("tools/call", {"name": name, "arguments": {}}, 1, session)
        assert live.server._server._works._running == {}


def test_a_call_that_might_have_become_a_task_leaves_nothing_to_collect(live):
    capabilities = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    meta = dict(META, **{"io.modelcontextprotocol/clientCapabilities": capabilities})
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "in_steps"}
    with live.connect() as wire:

        def ask():
            params = {"name": "in_steps", "arguments": {}, "_meta": meta}
            assert wire.rpc("tools/call", params, 1, headers).json["result"]

        assert left_behind(ask) < ROUNDS // 2


def test_a_task_leaves_nothing_to_collect(live, monkeypatch):
    # Those before are gone while it is looked.
    monkeypatch.setattr(live.server._server._works.tasks.book, "_limit", 2)
    with live.connect() as wire, Streaming(live) as opener:
        session = initialize(opener)

        def ask():
            params = {"name": "in_steps", "arguments": {}, "task": {}}
            task = wire.rpc("tools/call", params, 1, session).json["result"]["task"]
            assert wire.rpc("tasks/result", {"taskId": task["taskId"]}, 2, session).json["result"]

        assert left_behind(ask) < ROUNDS // 2


@pytest.mark.parametrize("answer", ["result", "error", "cancel"])
def test_asking_on_a_stream_leaves_nothing_to_collect(live, answer):
    with Streaming(live) as wire, Streaming(live) as other:
        session = initialize(wire, {"roots": {}})

        def ask():
            params = {"name": "talkative", "arguments": {}}
            wire.rpc("tools/call", params, "x", session)
            assert wire.message()["method"] == "notifications/message"
            ident = wire.message()["id"]
            if answer == "cancel":
                other.rpc("notifications/cancelled", {"requestId": "x"}, None, session)
            elif answer == "error":
                other.answer(ident, error={"code": -1, "message": "no"}, headers=session)
            else:
                other.answer(ident, {"roots": []}, headers=session)
            assert wire.messages()

        assert left_behind(ask) < ROUNDS // 2


@pytest.mark.parametrize("answer", [True, False])
def test_demanding_input_leaves_nothing_to_collect(live, answer):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "talkative"}
    capabilities = {"roots": {}} if answer else {}
    meta = dict(META, **{"io.modelcontextprotocol/clientCapabilities": capabilities})
    with live.connect() as wire:

        def ask():
            params = {"name": "talkative", "arguments": {}, "_meta": meta}
            found = wire.rpc("tools/call", params, 1, headers).json["result"]
            if not answer:
                # What it lacks is told to the tool, which goes on.
                assert found["resultType"] == "complete"
                return
            params.update(inputResponses={"a": {"roots": []}}, requestState=found["requestState"])
            found = wire.rpc("tools/call", params, 2, headers).json["result"]
            assert found["structuredContent"]["data"] == {"roots": 0}

        assert left_behind(ask) < ROUNDS // 2


def test_streams_of_sessions_leave_nothing_to_collect(live):
    with Streaming(live) as wire, Streaming(live) as other:

        def come_and_go():
            session = initialize(wire)
            other.listen(session)
            other.event()
            assert wire.request("DELETE", "/mcp", session).status == 200
            assert other.event() is None

        assert left_behind(come_and_go) < ROUNDS // 2


def test_listening_leaves_nothing_to_collect(live):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
    params = {"notifications": {"toolsListChanged": True}, "_meta": META}

    def come_and_go():
        with Streaming(live) as wire:
            wire.rpc("subscriptions/listen", params, 1, headers)
            assert wire.message()

    assert left_behind(come_and_go) < ROUNDS // 2


def test_a_connection_leaves_nothing_to_collect(live):
    def come_and_go():
        with live.connect() as wire:
            assert wire.rpc("ping").status == 200

    assert left_behind(come_and_go) < ROUNDS // 2


@pytest.mark.parametrize("resumes", [False, True])
def test_a_framed_connection_leaves_nothing_to_collect(live, resumes):
    def come_and_go():
        with FramedWire(live.port, wire_key()) as wire:
            wire.greet()
            if resumes:
                wire.call("resume", {"ids": []})
            assert wire.call("status")["verdict"] == "healthy"

    assert left_behind(come_and_go) < ROUNDS // 2


def watching(ident):
    params = {"notifications": {"toolsListChanged": True}, "_meta": META}
    request = {"jsonrpc": "2.0", "method": "subscriptions/listen", "id": ident, "params": params}
    return json.dumps(request).encode("ascii")


@pytest.mark.parametrize("leaves", [False, True])
def test_listening_over_the_framed_wire_leaves_nothing_to_collect(live, leaves):
    heard = []

    class Client(FramedWire):
        def take(self, event):
            heard.append(event)

    def come_and_go():
        with Client(live.port, wire_key()) as wire:
            wire.greet()
            wire.call("resume", {"ids": []})
            del heard[:]
            ident = wire.ask("mcp", watching("listening"))
            while not any(isinstance(event, Notify) for event in heard):
                wire.read()
            if not leaves:
                params = {"requestId": "listening"}
                gone = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
                wire.send(wire.peer.notification("mcp", json.dumps(gone).encode("ascii")))
                wire.answer(ident)

    assert left_behind(come_and_go) < ROUNDS // 2


@pytest.mark.parametrize("paths", [["/none"], ["/none", "/neither"], ["/it", "/none"]])
def test_deleting_what_is_not_there_leaves_nothing_to_collect(live, paths):
    with live.connect() as wire:

        def delete():
            wire.tool("create_object", {"kind": "empty", "name": "it"})
            wire.tool("delete_objects", {"paths": paths})
            wire.tool("delete_objects", {"paths": ["/it"]})

        assert left_behind(delete) < ROUNDS // 2


@pytest.mark.parametrize(
    ("greets", "said"),
    [
        (True, b"\x00\x00\x00\x02\xc1\xc1"),
        (True, b"\x00\x00\x00\x08\x94\xa4ping\xff\x01"),
        (True, b"\xff\xff\xff\xff"),
        (False, b"\x00\x00\x00\x02\xc1\xc1"),
        (False, b"\x00\x00\xff\xff"),
        (False, frame(encode(MessageRequest(bytes(16), "hello", b'{"wire": 9}')))),
    ],
    ids=["no message", "bad field", "too large", "stranger", "too large stranger", "bad hello"],
)
def test_a_framed_connection_that_fails_leaves_nothing_to_collect(live, greets, said):
    def come_and_fail():
        with FramedWire(live.port, wire_key()) as wire:
            if greets:
                wire.greet()
            wire.send(said)
            while wire.sock.recv(65536):
                pass

    assert left_behind(come_and_fail) < ROUNDS // 2


def test_a_refused_request_leaves_nothing_to_collect(live):
    def be_refused():
        with live.connect() as wire:
            assert wire.rpc("ping", headers={"Authorization": None}).status == 401

    assert left_behind(be_refused) < ROUNDS // 2


def test_the_garbage_of_a_worker_tool_is_collected_by_the_idle_host(live):
    """The tool makes cycles; the host's main thread does nothing of its own."""
    with live.connect() as wire:
        most = 0
        for _ in range(40):
            wire.tool("litter")
            most = max(most, wire.tool("count_litter")["structuredContent"]["data"]["alive"])
        # Each call leaves a thousand cycles; a collection comes due at hundreds.
        assert most < 20_000
