"""Arrays of messages: part of 2025-03-26, and of no other revision."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import dcc_mcp_embed
from fakes.live import starting
from fakes.streaming import initialize

BATCHES = "2025-03-26"
HEADER = {"MCP-Protocol-Version": BATCHES}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dcc_mcp_embed.tool(read_only=True)
def sampled(ctx) -> str:
    """Ask the client's model."""
    answer = yield ctx.sample("hello")
    return answer["content"]["text"]


@dcc_mcp_embed.tool(read_only=True, thread="worker")
def chatty(ctx) -> str:
    """Report and log."""
    ctx.log("warning", "now")
    yield dcc_mcp_embed.Progress(1, 2)
    return "done"


@pytest.fixture
def live(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch, registered=False) as start:
        yield start(tools=[sampled, chatty])


def request(method, ident, **params):
    return {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}


def post(wire, messages, headers=None):
    return wire.request("POST", "/mcp", headers, json.dumps(messages).encode("utf-8"))


PINGS = [request("ping", 1), request("ping", 2)]


def test_the_revision_of_the_session_or_of_the_header_decides(connect):
    wire = connect()
    for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
        session = initialize(wire, version=version)
        for headers in (session, {"MCP-Protocol-Version": version}):
            answer = post(wire, PINGS, headers)
            if version == BATCHES:
                assert (answer.status, len(answer.json)) == (200, 2)
            else:
                assert (answer.status, answer.code) == (400, -32600), version
                assert BATCHES in answer.json["error"]["message"]
    # Who says nothing is taken for one of that revision, as the next one demands.
    assert post(wire, PINGS).status == 200


def test_the_stateless_era_has_none(connect):
    wire = connect()
    listen = request("subscriptions/listen", 1, _meta=MODERN, notifications={})
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    for messages in ([listen], [listen, dict(listen, id=2)], PINGS):
        answer = post(wire, messages, headers)
        assert (answer.status, answer.code) == (400, -32600)
    # Nor is it spoken inside of one.
    (answer,) = post(wire, [listen], HEADER).json
    assert answer["error"]["code"] == -32020


@pytest.mark.parametrize("messages", [[], [[]], [1], ["ping"], [None]])
def test_what_is_no_message(connect, messages):
    answer = post(connect(), messages, HEADER)
    found = answer.json if messages else [answer.json]
    assert answer.status == (200 if messages else 400)
    assert [one["error"]["code"] for one in found] == [-32600]


def test_a_session_is_not_opened_in_a_batch(connect):
    wire = connect()
    params = {"protocolVersion": BATCHES, "capabilities": {}}
    answer = post(wire, [request("initialize", 1, **params), PINGS[1]], HEADER)
    found = {one["id"]: one for one in answer.json}
    assert found[1]["error"]["code"] == -32600
    assert found[2]["result"] == {}
    assert "mcp-session-id" not in answer.headers


def test_the_same_id_twice_is_answered_twice(connect):
    answer = post(connect(), [PINGS[0], PINGS[0], PINGS[1]], HEADER)
    assert Counter(one["id"] for one in answer.json) == {1: 2, 2: 1}


def test_answers_of_the_client_may_come_in_one(connect):
    wire, stream = connect(), connect()
    session = initialize(wire, {"sampling": {}}, BATCHES)
    stream.listen(session)
    # In a batch there is no stream of its own to be asked on.
    other = connect()
    calls = [request("tools/call", ident, name="sampled") for ident in ("a", "b")]
    body = json.dumps(calls).encode("utf-8")
    head = "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n"
    lines = head.format(other._live.port)
    for pair in {**other._live.authorization, **session}.items():
        lines += "{}: {}\r\n".format(*pair)
    other.send((lines + "Content-Length: {}\r\n\r\n".format(len(body))).encode() + body)
    asked = [stream.message()["id"] for _ in calls]
    result = {"role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m"}
    answers = [{"jsonrpc": "2.0", "id": one, "result": result} for one in asked]
    assert post(wire, answers, session).status == 202
    found = other.read("POST").json
    assert {one["id"]: one["result"]["content"][0]["text"] for one in found} == {
        "a": "hi",
        "b": "hi",
    }


def test_progress_of_one_in_a_batch_is_left_out(connect):
    wire = connect()
    session = initialize(wire, version=BATCHES)
    call = request("tools/call", 1, name="chatty", _meta={"progressToken": "p"})
    answer = post(wire, [call, PINGS[1]], session)
    assert answer.headers["content-type"] == "application/json"
    found = {one["id"]: one["result"] for one in answer.json}
    assert found[1]["content"][0]["text"] == "done"
