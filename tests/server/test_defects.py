"""A handler of ours that fails: whoever asked is told, the log says why, and that is the end."""

from __future__ import annotations

import threading

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.server.exchange import Exchange
from dcc_mcp_embed.server.legacy_sse import LegacySse
from fakes.live import DEADLINE, on_loop, starting, tries
from fakes.streaming import Streaming
from server.framed_clients import Client


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch) as begin:
        yield begin


def logged(live):
    return [line.text for line in live.server.logbook.read(level="error")]


def fail(*_):
    raise ZeroDivisionError("a defect")


def test_a_stream_that_has_begun_is_ended_and_its_connection_goes_on(start):
    live = start()

    def handle(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.send(b"data: 1\n\n")
        fail()

    live.server._server.front._handlers["/health"] = handle
    with Streaming(live) as wire:
        assert wire.request("GET", "/health").status == 200
        assert wire.event().data == "1"
        assert wire.event() is None
        assert wire.rpc("ping").json["result"] == {}
    assert on_loop(live, lambda: len(live.server._server.front.streaming)) == 0
    assert logged(live) == ["GET /health: ZeroDivisionError('a defect')"]


def test_each_of_those_who_waited_for_a_part_is_told_that_it_fails(start, monkeypatch):
    live = start()
    loading, go_on = threading.Event(), threading.Event()
    load = live.server._server._load_legacy

    def slow():
        loading.set()
        assert go_on.wait(DEADLINE)
        return load()

    one = live.server._server.front._handlers["/sse"].__self__
    monkeypatch.setattr(one, "_load", slow)
    monkeypatch.setattr(LegacySse, "handle", fail)
    found = []

    def ask():
        with Streaming(live) as wire:
            found.append(wire.request("GET", "/sse").status)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    assert loading.wait(DEADLINE)
    for _ in tries():
        if on_loop(live, lambda: len(one._waiting)) == 3:
            break
    go_on.set()
    for thread in asking:
        thread.join(DEADLINE)
    assert found == [500] * 3
    assert logged(live) == ["GET /sse: ZeroDivisionError('a defect')"] * 3


def test_where_there_is_no_thread_to_load_a_part_the_next_one_tries_again(start, monkeypatch):
    live = start()
    real = threading.Thread.start
    refused = []

    def begin(thread):
        if thread.name == "dcc-mcp-embed loading" and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", begin)
    with Streaming(live) as wire:
        assert wire.request("GET", "/sse").status == 500
        assert "can't start new thread" in logged(live)[0]
        assert wire.request("GET", "/sse").status == 200
        assert wire.event().event == "endpoint"


def test_a_framed_request_that_fails_has_failed_for_good(start, monkeypatch):
    @dcc_mcp_embed.tool(thread="worker")
    def act() -> str:
        """Do it."""
        return "done"

    live = start(tools=[act])
    call = {"name": "act"}
    with Client(live) as wire:
        wire.resume()
        with monkeypatch.context() as patch:
            patch.setattr(live.server._server.calls, "start", fail)
            wire.request(wire.ident(0), "tools/call", call)
            assert "see its log" in wire.answer(wire.ident(0)).error
        # Not as one that is under way, whose end nobody would ever tell.
        wire.request(wire.ident(0), "tools/call", call)
        assert "see its log" in wire.answer(wire.ident(0)).error
        (stream,) = live.server._server.front._connections
        assert on_loop(live, lambda: stream._protocol._busy) is False
        wire.request(wire.ident(1), "tools/call", call)
        assert wire.answer(wire.ident(1)).success
    assert logged(live) == ["tools/call: ZeroDivisionError('a defect')"]
