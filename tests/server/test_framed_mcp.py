"""MCP over the framed wire: what a bridge says for its client, and what it hears meanwhile."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.wire.messages import Notify, id_text
from fakes.framed import encoded
from fakes.live import DEADLINE, on_loop, tries
from fakes.stage import Stage
from server import framed_clients
from server.framed_clients import serves_on

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture
def stage():
    """Tools that take their time: by holding on, in steps, or because they ask."""
    with Stage() as one:

        @dcc_mcp_embed.tool(thread="worker")
        def steps(name: str):
            """Go on until nobody wants it any more."""
            one.ran.append(name)
            number = 0
            while True:
                number += 1
                yield dcc_mcp_embed.Progress(number, None, "step")
                # So often is enough.
                one.leave.wait(0.002)

        @dcc_mcp_embed.tool()
        def ask(ctx, name: str):
            """Ask the user."""
            one.ran.append(name)
            schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
            answer = yield ctx.elicit("sure?", schema)
            return {"name": name, "said": answer["content"]}

        one.add(steps, ask)
        yield one


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with stage.servers(str(tmp_path), monkeypatch, check=serves_on) as one_more:
        yield one_more


def asking(method, params, ident, **meta):
    """Return a request of the stateless era."""
    params = dict(params, _meta=dict(META, **meta))
    return {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}


class Client(framed_clients.Client):
    """A peer with a line; what it is told besides answers is kept."""

    def __init__(self, live):
        self.heard = []
        self.numbers = 0
        super().__init__(live)
        # As short as it may be.
        self.line = self.call("resume", {"ids": []})["line"]

    def take(self, event):
        if isinstance(event, Notify):
            self.heard.append((event.topic, json.loads(event.data.decode("utf-8"))))
        else:
            super().take(event)

    def hear(self, count):
        """Read until so much has been heard."""
        while len(self.heard) < count:
            self.read()

    def say(self, method, params, ident="id-1", **meta):
        """Send a request; returns its id on the wire."""
        wire = self.ident(self.numbers)
        self.numbers += 1
        self.request(wire, "mcp", asking(method, params, ident, **meta))
        return wire

    def told(self, wire):
        answer = self.answer(wire)
        assert answer.success, answer.error
        return json.loads(answer.payload.decode("utf-8"))

    def result(self, method, params, ident="id-1", **meta):
        return self.told(self.say(method, params, ident, **meta))["result"]


def test_lists_resources_prompts_and_completions_are_served(start):
    live = start()
    with Client(live) as wire, live.connect() as http:
        tools = wire.result("tools/list", {})["tools"]
        assert tools == http.rpc("tools/list").json["result"]["tools"]
        read = wire.result("resources/read", {"uri": "dcc://status"})
        assert json.loads(read["contents"][0]["text"])["verdict"] == "healthy"
        assert wire.result("prompts/list", {})["prompts"]
        assert wire.result("server/discover", {})["supportedVersions"] == ["2026-07-28"]
        called = wire.result("tools/call", {"name": "get_scene_info", "arguments": {}})
        assert called["resultType"] == "complete"
        assert called["isError"] is False


@pytest.mark.parametrize(
    ("method", "params", "ident", "code"),
    [
        ("nothing/such", {}, "x", -32601),
        ("resources/read", {"uri": "test://nowhere"}, "x", -32602),
        ("subscriptions/listen", {"notifications": {}}, 7, -32600),
        ("subscriptions/listen", {"notifications": []}, "x", -32602),
        (
            "subscriptions/listen",
            {"notifications": {"resourceSubscriptions": ["a://b"] * 300}},
            "x",
            -32602,
        ),
        ("tools/call", {"name": "get_scene_info"}, 7, -32600),
    ],
)
def test_what_is_not_served_is_an_error_of_json_rpc(start, method, params, ident, code):
    with Client(start()) as wire:
        message = wire.told(wire.say(method, params, ident))
        assert message["error"]["code"] == code, message
        assert message["id"] == ident
        assert wire.call("ping") == {}


def test_of_a_request_that_failed_by_our_mistake_nothing_is_kept(start, monkeypatch):
    live = start()
    server = live.server._server

    def fail(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(server.calls, "start", fail)
    with Client(live) as wire:
        failed = wire.answer(wire.say("tools/call", {"name": "get_scene_info"}))
        assert "see its log" in failed.error
    endpoint = server.front.speakers["framed"].__self__
    assert on_loop(live, lambda: len(endpoint._mcp_messages._asks)) == 0


def test_a_message_of_another_era_is_refused(start):
    with Client(start()) as wire:
        old = {"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "hold"}}
        assert wire.call("mcp", old)["error"]["code"] == -32600
        assert wire.call("mcp", {"no": "message"})["error"]["code"] == -32600
        assert "UTF-8" in wire.failure("mcp", b"\xff")
        # A response to nothing, whose id no answer could repeat.
        refused = wire.call("mcp", b'{"jsonrpc":"2.0","id":1e999,"result":{}}')
        assert refused["error"]["code"] == -32600
        assert "id" not in refused


def test_progress_comes_before_the_answer_and_cancelling_ends_it(start, stage):
    with Client(start()) as wire:
        call = {"name": "steps", "arguments": {"name": "a"}}
        ident = wire.say("tools/call", call, "the one", progressToken="mine")
        other = wire.say("tools/call", {"name": "hold", "arguments": {"name": "b"}}, "other")
        while not wire.heard:
            assert wire.ended is None
            wire.read()
        topic, first = wire.heard[0]
        assert topic == "mcp"
        assert first["method"] == "notifications/progress"
        assert first["params"]["progressToken"] == "mine"
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
        for wrong in ({"requestId": "unknown"}, {"requestId": 1}, {}):
            wire.send(wire.peer.notification("mcp", encoded(dict(cancelled, params=wrong))))
        wire.send(wire.peer.notification("mcp", b"\xff"))
        wire.send(
            wire.peer.notification("mcp", encoded(dict(cancelled, params={"requestId": "the one"})))
        )
        result = wire.told(ident)["result"]
        assert result["structuredContent"]["error"]["code"] == "cancelled"
        assert stage.entered.acquire(timeout=DEADLINE)
        stage.leave.set()
        assert wire.told(other)["result"]["isError"] is False
    assert stage.ran == ["a", "b"]


def test_a_call_is_made_once(start, stage):
    live = start()
    with Client(live) as first:
        call = {"name": "hold", "arguments": {"name": "a"}}
        ident = first.say("tools/call", call)
        assert stage.entered.acquire(timeout=DEADLINE)
    with Client(live) as later:
        # On a connection of its own line it may not ask; on the old line it joins.
        later.request(ident, "mcp", asking("tools/call", call, "id-1"))
        refused = later.answer(ident)
        assert "not known" in refused.error
    with framed_clients.Client(live) as wire:
        answer = wire.resume(first.line, first.peer.facts.epoch, ids=[ident])
        assert answer["states"] == {id_text(ident): "running"}
        stage.leave.set()
        told = json.loads(wire.answer(ident).payload.decode("utf-8"))
        assert told["result"]["structuredContent"]["data"] == {"name": "a"}
    assert stage.ran == ["a"]


def test_one_too_many_is_told_in_the_words_of_mcp(start, stage):
    live = start(limits=Limits(framed_calls=1))
    with Client(live) as wire:
        held = wire.say("tools/call", {"name": "hold", "arguments": {"name": "a"}}, "a")
        assert stage.entered.acquire(timeout=DEADLINE)
        refused = wire.result("tools/call", {"name": "ask", "arguments": {"name": "b"}})
        assert refused["structuredContent"]["error"]["code"] == "host_busy"
        message = wire.told(wire.say("resources/read", {"uri": "dcc://status"}, "r"))
        assert message["error"]["data"]["code"] == "host_busy"
        stage.leave.set()
        assert wire.told(held)["result"]["isError"] is False
    assert stage.ran == ["a"]


def test_a_tool_that_asks_goes_on_with_the_answer(start, stage):
    with Client(start()) as wire:
        call = {"name": "ask", "arguments": {"name": "a"}}
        asked = wire.result("tools/call", call)
        assert asked["resultType"] == "input_required"
        ((key, question),) = asked["inputRequests"].items()
        assert question["params"]["message"] == "sure?"
        answer = {key: {"action": "accept", "content": {"ok": True}}}
        done = wire.result(
            "tools/call",
            dict(call, requestState=asked["requestState"], inputResponses=answer),
            ident="id-2",
        )
        assert done["isError"] is False, done
        assert done["structuredContent"]["data"] == {"name": "a", "said": {"ok": True}}
    assert stage.ran == ["a"], "its first half ran once"


def test_a_tool_that_asks_is_told_that_the_client_refused(start, stage):
    with Client(start()) as wire:
        call = {"name": "ask", "arguments": {"name": "a"}}
        asked = wire.result("tools/call", call)
        (key,) = asked["inputRequests"]
        refused = {key: {"error": {"code": -1, "message": "not now"}}}
        done = wire.result(
            "tools/call",
            dict(call, requestState=asked["requestState"], inputResponses=refused),
            ident="id-2",
        )
        error = done["structuredContent"]["error"]
        assert error["code"] == "permission_denied" and "not now" in error["message"]


def test_who_listens_is_told_until_it_is_cancelled(start, stage):
    live = start()
    subscriptions = live.server._server.subscriptions
    key = "io.modelcontextprotocol/subscriptionId"
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["test://a"], "else": True}
    with Client(live) as wire:
        listening = wire.say("subscriptions/listen", {"notifications": wanted}, ident="ear")
        wire.hear(1)
        agreed = {"toolsListChanged": True, "resourceSubscriptions": ["test://a"]}
        assert wire.heard[0][1]["params"] == {"notifications": agreed, "_meta": {key: "ear"}}

        @dcc_mcp_embed.tool()
        def another() -> str:
            """Be new."""
            return ""

        live.server.register_tools(SimpleNamespace(another=another))
        live.server.resource_updated("test://b")
        live.server.resource_updated("test://a")
        wire.hear(3)
        methods = sorted(one["method"] for topic, one in wire.heard[1:])
        assert methods == ["notifications/resources/updated", "notifications/tools/list_changed"]
        assert {one["params"]["_meta"][key] for topic, one in wire.heard} == {"ear"}
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
        wire.send(wire.peer.notification("mcp", encoded(dict(cancel, params={"requestId": "ear"}))))
        assert wire.told(listening)["result"]["resultType"] == "complete"
        assert len(subscriptions) == 0


def test_who_listened_and_has_gone_is_forgotten(start):
    live = start()
    subscriptions = live.server._server.subscriptions
    with Client(live) as wire:
        wire.say("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        wire.hear(1)
        assert on_loop(live, lambda: len(subscriptions)) == 1
    for _ in tries():
        if on_loop(live, lambda: len(subscriptions)) == 0:
            break
    assert on_loop(live, lambda: len(subscriptions)) == 0
