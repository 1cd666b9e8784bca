"""The watch over what servers say: it lets pass what is allowed, and nothing else."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from conformance.specification import REVISIONS, specification
from conformance.watch import Watch
from dcc_mcp_embed.wire import jsonrpc
from dcc_mcp_embed.wire.mcp.machine import McpMachine, Reply
from fakes.framed import FramedWire, wire_key
from fakes.live import starting
from helpers import require

pytestmark = pytest.mark.heavy

HANDSHAKE = REVISIONS[:4]
PROGRESS = jsonrpc.notification("notifications/progress", {"progressToken": 1, "progress": 0.5})
TOOLS = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
STATELESS = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


@pytest.fixture(autouse=True)
def needed():
    require(find_spec("jsonschema"), "jsonschema")


def call(*blocks, **more):
    return jsonrpc.result(1, dict({"content": list(blocks), "isError": False}, **more))


def test_there_is_one_for_each_revision():
    counts = [len(specification(revision).definitions) for revision in REVISIONS]
    assert counts == [79, 83, 91, 145, 154]


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_is_allowed(revision):
    known = specification(revision)
    more = STATELESS if revision not in HANDSHAKE else {}
    assert known.problems(PROGRESS) == []
    assert known.problems(jsonrpc.error(1, -32602, "no", {"why": "x"}), "tools/call") == []
    assert known.problems(jsonrpc.error(None, -32700, "no")) == []
    assert known.problems(jsonrpc.result(1, dict(TOOLS, **more)), "tools/list") == []
    text = {"type": "text", "text": "t"}
    answer = call(text, **({"resultType": "complete"} if more else {}))
    assert known.problems(answer, "tools/call") == []


@pytest.mark.parametrize("revision", HANDSHAKE)
@pytest.mark.parametrize(
    ("message", "method"),
    [
        (jsonrpc.error(None, -32602, "no"), "tools/call"),
        (dict(jsonrpc.error(1, -32602, "no"), id=None), "tools/call"),
        (dict(jsonrpc.error(1, -32602, "no"), result={}), "tools/call"),
        (jsonrpc.error(1, "x", "no"), "tools/call"),
        (dict(jsonrpc.error(1, -32602, "no"), error="no"), "tools/call"),
        (jsonrpc.result(1, {"tool": []}), "tools/list"),
        (jsonrpc.result(1, {"tools": [{"name": "t"}]}), "tools/list"),
        (jsonrpc.result(1, {"more": 1}), "ping"),
        (jsonrpc.result(1, {}), "initialize"),
        (jsonrpc.result(1, {}), "server/discover"),
        (call({"type": "text"}), "tools/call"),
        (call({"type": "image", "data": "no base64", "mimeType": "image/png"}), "tools/call"),
        (
            call({"type": "resource", "resource": {"uri": "no uri", "text": ""}}),
            "tools/call",
        ),
        (jsonrpc.notification("notifications/initialized", {}), None),
        (jsonrpc.notification("notifications/progress", {"progress": 1}), None),
        (dict(PROGRESS, more=1), None),
        ([], None),
    ],
)
def test_what_is_not_allowed(revision, message, method):
    assert specification(revision).problems(message, method)


@pytest.mark.parametrize(
    ("kind", "first"), [("audio", "2025-03-26"), ("resource_link", "2025-06-18")]
)
def test_content_that_came_later(kind, first):
    block = {"type": kind, "data": "AAAA", "mimeType": "audio/wav", "uri": "a:b", "name": "b"}
    for revision in HANDSHAKE:
        assert bool(specification(revision).problems(call(block), "tools/call")) == (
            revision < first
        )


def test_what_the_stateless_revision_demands_and_forbids():
    known = specification(REVISIONS[-1])
    asking = jsonrpc.result(1, {"resultType": "input_required", "requestState": "s"})
    assert known.problems(asking, "tools/call") == []
    for message, method in (
        (call({"type": "text", "text": "t"}), "tools/call"),
        (jsonrpc.result(1, dict(TOOLS, resultType="complete")), "tools/list"),
        (jsonrpc.error(1, -32002, "no"), "resources/read"),
        (jsonrpc.error(1, -32021, "no"), "tools/call"),
        ({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}, None),
    ):
        assert known.problems(message, method)


def test_a_tool_keeps_to_its_own_schema(monkeypatch):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tool = {"name": "t", "inputSchema": {"type": "object"}, "outputSchema": schema}
    watch = Watch(monkeypatch)
    book = {}
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    watch._posted(book, "/mcp", {}, jsonrpc.encode(ask))
    watch.said("2025-11-25", jsonrpc.result(1, {"tools": [tool]}), book)
    book, ask = {}, dict(ask, method="tools/call", params={"name": "t"})
    watch._posted(book, "/mcp", {}, jsonrpc.encode(ask))
    watch.said("2025-11-25", call(structuredContent={"n": 1}), book)
    assert watch.problems == []
    for wrong in ({"structuredContent": {"n": "1"}}, {}):
        watch.said("2025-11-25", call(**wrong), book)
    assert [one.partition("\n")[0] for one in watch.problems] == [
        "2025-11-25: outputSchema: '1' is not of type 'integer'",
        "2025-11-25: outputSchema: None is not of type 'object'",
    ]
    assert watch.count == 4


def test_what_a_server_says_in_frames_is_seen(tmp_path, monkeypatch):
    watch = Watch(monkeypatch)
    meta = {
        "io.modelcontextprotocol/protocolVersion": REVISIONS[-1],
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    ask = {"jsonrpc": "2.0", "id": "a", "method": "tools/list", "params": {"_meta": meta}}
    with starting(str(tmp_path), monkeypatch) as start:
        with FramedWire(start().port, wire_key()) as wire:
            wire.greet()
            wire.call("mcp", ask)
            assert watch.problems == []
            wrong = Reply(200, jsonrpc.notification("notifications/test", {}))
            monkeypatch.setattr(McpMachine, "receive", lambda *_: wrong)
            wire.call("mcp", ask)
    assert watch.kinds == {
        (REVISIONS[-1], "result of tools/list"),
        (REVISIONS[-1], "notifications/test"),
    }
    (problem,) = watch.problems
    assert problem.startswith("2026-07-28: notifications/test is nothing that a server says")


def test_what_a_client_may_ask():
    meta = {
        "io.modelcontextprotocol/protocolVersion": REVISIONS[-1],
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    good = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    known = specification(REVISIONS[-1])
    assert known.problems_of_client(good) == []
    for wrong in (dict(good, params={}), dict(good, method="ping"), dict(good, id=None)):
        assert known.problems_of_client(wrong)


@pytest.mark.parametrize("revision", REVISIONS)
def test_both_may_cancel(revision):
    known, method = specification(revision), "notifications/cancelled"
    good, wrong = (jsonrpc.notification(method, {"requestId": one}) for one in (1, []))
    for problems in (known.problems, known.problems_of_client):
        assert problems(good) == []
        assert problems(wrong)
