"""Guests have a share of everything, so that whoever comes through the gateway shuts nobody out."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.server.gateway import MAX_BODY
from fakes.live import on_loop, starting, tries
from fakes.streaming import Streaming, connecting, initialize

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {"roots": {}},
}
ROOTS = {"roots": [{"uri": "file:///tmp"}]}


@dcc_mcp_embed.tool(read_only=True)
def ask(ctx):
    """Ask for the roots."""
    found = yield ctx.roots()
    return "{} roots".format(len(found))


@pytest.fixture
def start(tmp_path, monkeypatch):
    usual = {"gateway": True, "tools": [SimpleNamespace(ask=ask)]}
    with starting(str(tmp_path), monkeypatch, **usual) as one_more:
        yield lambda **limits: one_more(limits=Limits(**limits))


def guest(live):
    """Return the header that the gateway sends."""
    row = open_registry(live.registry_dir, {}, SystemClock()).get(
        "standalone", live.server.instance_id
    )
    token = row.metadata["mcp_url"].split("/")[-2]
    return {"Authorization": "Bearer " + token}


def call(wire, headers=None, **more):
    """Call the tool that asks, in the stateless era; return the answer."""
    named = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "ask"}
    params = dict({"name": "ask", "arguments": {}, "_meta": META}, **more)
    return wire.rpc("tools/call", params, headers=dict(named, **(headers or {})))


def listen(wire, headers=None):
    named = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
    params = {"notifications": {"toolsListChanged": True}, "_meta": META}
    return wire.rpc("subscriptions/listen", params, 9, dict(named, **(headers or {})))


def test_sessions_of_guests_do_not_push_out_those_of_others(start):
    live = start(sessions=8)
    sessions = live.server._server.sessions
    with live.connect() as wire, live.connect() as other:
        mine = initialize(wire)
        for _ in range(20):
            assert other.rpc("initialize", {}, headers=guest(live)).status == 200
        for number in range(20):
            other.rpc("ping", headers=dict(guest(live), **{"Mcp-Session-Id": str(number)}))
        found = on_loop(live, sessions.all)
    assert [one.session_id for one in found if not one.guest] == [mine["Mcp-Session-Id"]]
    assert len(found) == 3


def test_sessions_of_guests_over_the_older_transport_are_theirs(start):
    live = start()
    with connecting(live) as connect:
        for headers in (guest(live), {}):
            ears = connect()
            ears.request("GET", "/sse", dict(headers, Accept="text/event-stream"))
            assert ears.event().event == "endpoint"
        found = on_loop(live, live.server._server.sessions.all)
        assert [one.guest for one in found] == [True, False]


def test_questions_to_guests_leave_room_for_questions_to_others(start):
    live = start(asking_calls=8)
    with live.connect() as wire:
        for number in range(4):
            result = call(wire, guest(live)).json["result"]
            assert (result["resultType"] == "input_required") == (number < 2), result
        assert result["structuredContent"]["error"]["code"] == "host_busy"
        for _ in range(4):
            assert call(wire).json["result"]["resultType"] == "input_required"
        # Half of them is what one connection can have, or one session; others go on.
        assert call(wire).json["result"]["structuredContent"]["error"]["code"] == "host_busy"
        with live.connect() as other:
            assert call(other).json["result"]["resultType"] == "input_required"
            assert call(other).json["result"]["resultType"] == "input_required"
            assert "error" in call(other).json["result"]["structuredContent"]


def test_a_guest_goes_on_with_no_call_of_somebody_else(start):
    live = start()
    for mine, others in (({}, guest(live)), (guest(live), {})):
        with live.connect() as wire:
            state = call(wire, mine).json["result"]["requestState"]
            answered = {"requestState": state, "inputResponses": {"input_1": ROOTS}}
            refused = call(wire, others, **answered)
            assert (refused.status, refused.code) == (400, -32602)
        with live.connect() as again:
            result = call(again, mine, **answered).json["result"]
            assert result["content"][0]["text"] == "1 roots"


def test_guests_that_listen_leave_connections_for_others(start):
    live = start(connections=8)
    with connecting(live) as connect:
        ears = [connect() for _ in range(4)]
        assert [listen(one, guest(live)).status for one in ears] == [200, 200, 503, 503]
        with live.connect() as wire:
            assert wire.rpc("ping").status == 200
            assert wire.request("GET", "/v1/readyz", {"Authorization": None}).status == 200
        # Somebody who is no guest any more takes no place of theirs.
        ears[0].close()
        front = live.server._server.front
        for _ in tries():
            if len(front._guests) < 2:
                break
        changed = connect()
        assert changed.rpc("ping", headers=guest(live)).status == 200
        assert changed.rpc("ping").status == 200
        assert listen(connect(), guest(live)).status == 200


def test_a_guest_makes_room_where_all_places_are_taken(start):
    live = start(connections=8)
    with connecting(live) as connect:
        ears = [connect() for _ in range(2)]
        for one in ears:
            assert listen(one, guest(live)).status == 200
            one.message()
        for _ in range(8):
            wire = connect()
            assert wire.rpc("ping").status == 200
        assert [one.at_end() for one in ears] == [True, True]
        assert connect().rpc("ping").status == 503


@pytest.mark.parametrize("chunked", [False, True])
def test_what_a_guest_sends_at_once_is_smaller(start, chunked):
    live = start()
    text = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "y" * 2 * MAX_BODY}}
    )
    body = text.encode("ascii")
    for headers, status in ((guest(live), 413), ({}, 200)):
        with Streaming(live) as wire:
            if chunked:
                lines = dict(live.authorization, Host="localhost", **headers)
                lines.update({"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
                head = "".join("{}: {}\r\n".format(*one) for one in lines.items())
                wire.send("POST /mcp HTTP/1.1\r\n{}\r\n{:x}\r\n".format(head, len(body)).encode())
                try:
                    wire.send(body + b"\r\n0\r\n\r\n")
                except ConnectionError:
                    assert status == 413
                answer = wire.read()
            else:
                answer = wire.request("POST", "/mcp", headers, body)
            assert answer.status == status


def test_bodies_of_guests_leave_room_for_those_of_others(start):
    live = start(bodies_in_flight=2 * MAX_BODY)
    lines = dict(live.authorization, Host="localhost", **{"Content-Type": "application/json"})
    lines["Content-Length"] = str(MAX_BODY)

    def head(**more):
        found = dict(lines, **more).items()
        text = "".join("{}: {}\r\n".format(*one) for one in found)
        return "POST /mcp HTTP/1.1\r\n{}\r\n".format(text).encode("ascii")

    with connecting(live) as connect:
        refused = connect()
        refused.send(head(**guest(live)))
        answer = refused.read()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode("ascii")
        wire = connect()
        wire.send(head() + body.ljust(MAX_BODY))
        assert wire.read().status == 200
