"""Answers that nobody reads: how much of them is made, and how much is held."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.server.exchange import Exchange
from dcc_mcp_embed.server.legacy_sse import LegacySse
from dcc_mcp_embed.server.sinks import Sink
from dcc_mcp_embed.wire.mcp.outcomes import Listen
from fakes.live import on_loop, starting, tries
from fakes.streaming import connecting, initialize

pytestmark = pytest.mark.edges

MIB = 1024 * 1024
READ = []


@dcc_mcp_embed.resource("test://large", thread="loop")
def large():
    """Something large."""
    READ.append("large")
    return "x" * MIB


@dcc_mcp_embed.resource("test://later", thread="worker")
def later():
    """Something large that takes a moment."""
    READ.append("later")
    return "x" * MIB


@dcc_mcp_embed.tool(thread="worker", read_only=True)
def small():
    """Return little."""
    READ.append("small")
    return "little"


@pytest.fixture
def start(tmp_path, monkeypatch):
    del READ[:]
    tools = [SimpleNamespace(large=large, later=later, small=small)]
    with starting(str(tmp_path), monkeypatch, tools=tools) as one_more:
        yield lambda **limits: one_more(limits=Limits(**limits))


def read(uri, ident):
    return {"jsonrpc": "2.0", "id": ident, "method": "resources/read", "params": {"uri": uri}}


def call(ident):
    params = {"name": "small", "arguments": {}}
    return {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}


def batch(live, *messages):
    with live.connect() as wire:
        answer = wire.request("POST", "/mcp", {}, json.dumps(messages).encode("ascii"))
    assert len(answer.body) < 6 * MIB
    return {one["id"]: one for one in answer.json}


def test_what_does_not_fit_into_the_answer_to_a_batch_is_not_begun(start):
    live = start()
    found = batch(live, *[read("test://large", n) for n in range(50)], call("last"))
    assert ["result" in found[n] for n in range(50)] == [True] * 3 + [False] * 47
    assert found[3]["error"]["message"].startswith("It was done")
    for one in (found[4], found[49], found["last"]):
        assert one["error"]["code"] == -32603
        assert "not begun" in one["error"]["message"]
    assert READ == ["large"] * 4


def test_an_answer_that_is_ready_when_there_is_no_room_any_more_is_left_out_if_it_is_large(start):
    found = batch(start(), *[read("test://later", n) for n in range(6)], call("last"))
    done = [found[n] for n in range(6) if "result" not in found[n]]
    assert [one["error"]["message"][:12] for one in done] == ["It was done,"] * 3
    # A little one has room, whenever it comes.
    assert found["last"]["result"]["content"][0]["text"] == "little"
    assert sorted(READ) == ["later"] * 6 + ["small"]


def test_what_many_do_not_read_together_has_a_limit_and_who_reads_least_is_dropped(start):
    limit = 3 * MIB
    live = start(unsent=limit)
    front = live.server._server.front

    def state():
        return len(front._connections), sum(one.unsent for one in front._connections)

    body = json.dumps([read("test://large", n) for n in range(4)]).encode("ascii")
    head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n".format(
        live.authorization["Authorization"]
    )
    head += "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n".format(len(body))
    wires = [live.connect() for _ in range(4)]
    try:
        for _ in tries():
            for wire in wires:
                try:
                    wire.send(head.encode("ascii") + body)
                except ConnectionError:
                    # The server has dropped it.
                    pass
            count, unsent = on_loop(live, state)
            assert unsent <= limit
            if READ and count < len(wires):
                break
        assert count < len(wires)
        with live.connect() as other:
            assert other.rpc("ping").status == 200
    finally:
        for wire in wires:
            wire.close()


def coming_back(live, connect):
    """Return what has one more client of a session come back for much, and read nothing of it."""
    server = live.server._server

    def say():
        channel = server.sessions.all()[0].streams()
        for _ in range(15):
            channel.tell('"{}"'.format("x" * (MIB // 8)))
        return True

    def narrow():
        """Have the system take little of what is sent."""
        for one in server.front._connections:
            one._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return True

    session = initialize(connect())
    ears = connect()
    ears.listen(session)
    first = ears.event().id
    ears.close()
    assert on_loop(live, say)

    def come_back():
        wire = connect()
        assert wire.rpc("ping").status == 200
        assert on_loop(live, narrow)
        wire.listen(session, first)

    return come_back


def test_who_comes_back_for_what_was_kept_and_does_not_read_it_counts_too(start):
    limit = MIB
    live = start(unsent=limit, high_water=MIB // 8)

    def unsent():
        return sum(one.unsent for one in live.server._server.front._connections)

    with connecting(live) as connect:
        come_back = coming_back(live, connect)
        for _ in range(8):
            come_back()
            assert on_loop(live, unsent) <= limit


# -- who is dropped while it is written to ------------------------------------------------------


class Breaking:
    """A connection that is lost by the first thing that is sent: the head, or a piece."""

    peer = ("127.0.0.1", 1)
    opened = 0.0
    blocked = False

    def __init__(self, first, path, **headers):
        self.first = first
        head = SimpleNamespace(method="GET", target=path, version=1, headers=headers)
        self.exchange = Exchange(self, head, path, b"")

    def begin_stream(self, headers):
        if self.first == "head":
            self.exchange.lose()

    def send_piece(self, piece):
        self.exchange.lose()


@pytest.mark.parametrize("first", ["head", "piece"])
def test_nothing_is_left_of_who_is_lost_by_the_first_thing_it_is_sent(start, first):
    server = start().server._server
    subscriptions, sessions = server.subscriptions, server.sessions
    one = Breaking(first, "/mcp")
    wishes = {"toolsListChanged": True}
    subscriptions.listen(one.exchange, Listen(1, wishes), Sink())
    assert len(subscriptions) == 0
    one = Breaking(first, "/sse", accept="text/event-stream")
    LegacySse(server._machine, server._works, subscriptions, sessions, SystemClock()).handle(
        one.exchange
    )
    assert len(sessions) == 0


def test_who_comes_back_for_more_than_it_can_be_sent_has_gone_again(start):
    live = start(unsent=MIB, high_water=MIB // 8)
    sessions = live.server._server.sessions
    with connecting(live) as connect:
        coming_back(live, connect)()
        assert on_loop(live, lambda: [one.attached for one in sessions.all()]) == [False]
