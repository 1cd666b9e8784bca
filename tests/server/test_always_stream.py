"""A server that answers with streams always: what a client gets, and what it gets all the same."""

from __future__ import annotations

import json
import threading

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.cli.arguments import make_parser
from dcc_mcp_embed.cli.serve import launch_command
from fakes.live import DEADLINE, starting
from fakes.streaming import initialize

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@dcc_mcp_embed.tool(read_only=True, thread="loop")
def greet() -> str:
    """Say hello."""
    return "hello"


@dcc_mcp_embed.tool(read_only=True, thread="worker")
def hold() -> str:
    """Return when the test says so."""
    assert released.wait(DEADLINE)
    return "held"


released = threading.Event()


@pytest.fixture
def live(tmp_path, monkeypatch):
    released.clear()
    with starting(str(tmp_path), monkeypatch, registered=False) as start:
        yield start(always_stream=True, tools=[greet, hold])
        released.set()


@pytest.fixture
def wire(connect):
    return connect()


def test_every_answer_is_a_stream(wire):
    answer = wire.rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
    assert answer.headers["content-type"] == "text/event-stream"
    (opened,) = wire.messages()
    assert opened["result"]["protocolVersion"] == "2025-11-25"
    session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
    for headers in ({}, session):
        for method in ("ping", "tools/list", "nonsense"):
            answer = wire.rpc(method, headers=headers)
            assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
            (message,) = wire.messages()
            assert message["id"] == 1
        wire.rpc("tools/call", {"name": "greet"}, headers=headers)
        (message,) = wire.messages()
        assert message["result"]["content"][0]["text"] == "hello"


def begun(wire, tool):
    """Call a tool in a session; return that, and the first event of the answer."""
    session = initialize(wire)
    wire.messages()
    wire.rpc("tools/call", {"name": tool}, headers=session)
    return session, wire.event()


def fetched(wire):
    """Return the text of the one result that comes."""
    (message,) = wire.messages()
    return message["result"]["content"][0]["text"]


def test_a_lost_answer_is_fetched(wire, connect):
    session, first = begun(wire, "greet")
    assert (first.data, first.retry) == ("", 1000)
    other = connect()
    other.listen(session, last=first.id)
    assert fetched(other) == "hello"


def test_a_call_begins_its_stream_before_it_is_done(wire, connect):
    session, first = begun(wire, "hold")
    wire.close()
    other = connect()
    other.listen(session, last=first.id)
    released.set()
    assert fetched(other) == "held"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Accept": "application/json"}, PING, 200),
        ({}, dict(PING, id=None), 400),
        ({}, {"jsonrpc": "2.0", "method": "notifications/initialized"}, 202),
        (
            {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "no/such"},
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "no/such",
                "params": {
                    "_meta": {
                        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                        "io.modelcontextprotocol/clientCapabilities": {},
                    }
                },
            },
            404,
        ),
    ],
    ids=["a client that takes none", "no request", "a notification", "an error with a status"],
)
def test_what_is_no_stream(wire, headers, body, status):
    answer = wire.request("POST", "/mcp", headers, json.dumps(body).encode("utf-8"))
    assert answer.status == status
    assert answer.headers.get("content-type", "") in ("application/json", "")


def test_a_batch_is_a_stream_of_its_answers(wire):
    batch = [dict(PING, id=number) for number in (1, 2, 3)]
    answer = wire.request("POST", "/mcp", {}, json.dumps(batch).encode("utf-8"))
    assert answer.headers["content-type"] == "text/event-stream"
    assert sorted(message["id"] for message in wire.messages()) == [1, 2, 3]


def test_it_is_in_the_command_that_starts_it_anew():
    parser = make_parser()
    assert "--always-stream" in launch_command(parser.parse_args(["serve", "--always-stream"]))
    assert "--always-stream" not in launch_command(parser.parse_args(["serve"]))
