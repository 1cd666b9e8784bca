"""The framed wire on the server's port: a call survives its connection and does not run twice."""

from __future__ import annotations

import json

import pytest

import dcc_mcp_embed
from dcc_mcp_embed import config
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.rpc.receipts import FIRST_NUMBER, Limits
from dcc_mcp_embed.server.framed_shared import FramedShared
from dcc_mcp_embed.wire.messages import id_text
from fakes.framed import encoded, receipts_of
from fakes.live import DEADLINE, tries
from fakes.receipts import lines_of
from fakes.stage import Stage
from server.framed_clients import Client, Greeted, serves_on

MIB = 1024 * 1024


@pytest.fixture
def stage():
    """Tools that have an effect, and some where it does not matter."""
    with Stage() as one:

        @dcc_mcp_embed.tool()
        def work(name: str) -> dict:
            """Do something on the main thread."""
            one.ran.append(name)
            return {"name": name}

        @dcc_mcp_embed.tool()
        def large(name: str, size: int):
            """Do something that has much to show."""
            one.ran.append(name)
            return dcc_mcp_embed.Image(bytes(size), mime_type="image/png")

        @dcc_mcp_embed.tool(read_only=True)
        def look(name: str) -> dict:
            """Change nothing."""
            one.ran.append(name)
            return {"name": name}

        @dcc_mcp_embed.tool(idempotent=True)
        def put(name: str) -> dict:
            """Twice is as good as once."""
            one.ran.append(name)
            return {"name": name}

        one.add(work, large, look, put)
        yield one


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with stage.servers(str(tmp_path), monkeypatch, check=serves_on) as one_more:
        yield one_more


class Caller(Client):
    """A peer with a line, and the calls of it."""

    def start(self, ident, tool, name, **more):
        self.request(ident, "tools/call", {"name": tool, "arguments": dict(more, name=name)})

    def result(self, ident):
        response = self.answer(ident)
        assert response.success, response.error
        result = json.loads(response.payload.decode("utf-8"))
        assert result["isError"] is False, result
        return result["structuredContent"]["data"]

    def unknown(self, ident):
        """Return the error of an answer that says that nobody knows."""
        response = self.answer(ident)
        assert not response.success
        error = json.loads(response.payload.decode("utf-8"))
        assert error["code"] == "unknown_outcome"
        assert error["message"] == response.error
        return error

    def acknowledge(self, below, ids=()):
        content = {
            "line": self.line,
            "below": id_text(below),
            "ids": [id_text(one) for one in ids],
        }
        self.send(self.peer.notification("acknowledge", encoded(content)))


def begun(live):
    wire = Caller(live)
    wire.resume()
    return wire


def holding(live, stage):
    """Connect somebody whose first call has begun and stays; return them and the call's id."""
    wire = begun(live)
    ident = wire.ident(0)
    wire.start(ident, "hold", "a")
    assert stage.entered.acquire(timeout=DEADLINE)
    return wire, ident


def again(live, old, ids, below=None):
    """Connect as the client of ``old``, whose connection is gone; returns it and the states."""
    wire = Caller(live)
    answer = wire.resume(old.line, old.epoch, below, ids)
    assert answer["line"] == old.line
    return wire, [answer["states"][id_text(one)] for one in ids]


def test_the_hello_says_how_many_receipts_there_are(live):
    with Greeted(live) as wire:
        facts = wire.peer.facts
        assert facts.receipt_horizon == 10_000
    with begun(live) as wire:
        assert wire.epoch == facts.epoch


def test_an_answer_that_was_lost_comes_after_the_resume_and_nothing_ran_twice(live, stage):
    with begun(live) as first:
        ident = first.ident(0)
        first.start(ident, "work", "a")
        assert first.result(ident) == {"name": "a"}
    wire, states = again(live, first, [ident])
    with wire:
        assert states == ["done"]
        assert wire.result(ident) == {"name": "a"}
        # And a copy of the request that was late.
        wire.start(ident, "work", "a")
        assert wire.result(ident) == {"name": "a"}
    assert stage.ran == ["a"]


def test_a_call_that_runs_is_joined(live, stage):
    first, ident = holding(live, stage)
    first.close()
    wire, states = again(live, first, [ident])
    with wire:
        assert states == ["running"]
        # A copy of the request joins as well; there is one answer for both.
        wire.start(ident, "hold", "a")
        assert wire.call("ping") == {}
        stage.leave.set()
        assert wire.result(ident) == {"name": "a"}
        assert wire.call("ping") == {}
        assert wire.responses == {}
    assert stage.ran == ["a"]


def test_two_connections_of_one_client_are_both_told(live, stage):
    first, ident = holding(live, stage)
    with first:
        # The server has not noticed that the first is gone, because it is not.
        wire, states = again(live, first, [ident])
        with wire:
            assert states == ["running"]
            stage.leave.set()
            assert wire.result(ident) == first.result(ident) == {"name": "a"}
    assert stage.ran == ["a"]


def test_what_the_server_has_never_seen_is_sent_again(live, stage):
    with begun(live) as first:
        ident = first.ident(0)
    wire, states = again(live, first, [ident])
    with wire:
        assert states == ["new"]
        wire.start(ident, "work", "a")
        assert wire.result(ident) == {"name": "a"}
    assert stage.ran == ["a"]


@pytest.mark.parametrize("tool", ["look", "put"])
def test_what_may_run_twice_leaves_no_receipt(live, stage, tool):
    with begun(live) as first:
        ident = first.ident(0)
        first.start(ident, tool, "a")
        assert first.result(ident) == {"name": "a"}
    wire, states = again(live, first, [ident])
    with wire:
        assert states == ["new"]
    assert stage.ran == ["a"]


def test_who_has_not_resumed_is_served_and_leaves_no_receipt(live, stage):
    with Caller(live) as wire:
        ident = bytes(range(16))
        for _ in range(2):
            wire.start(ident, "work", "a")
            assert wire.result(ident) == {"name": "a"}
    assert stage.ran == ["a", "a"]


def test_an_id_of_another_line_is_not_run(live, stage):
    with begun(live) as mine, begun(live) as other:
        mine.start(mine.ident(0), "work", "a")
        mine.result(mine.ident(0))
        other.start(mine.ident(0), "work", "a")
        assert "not known" in other.unknown(mine.ident(0))["message"]
        other.start(bytes(16), "work", "a")
        other.unknown(bytes(16))
    assert stage.ran == ["a"]


def test_what_was_acknowledged_is_forgotten_and_not_run_again(live, stage):
    with begun(live) as first:
        idents = [first.ident(number) for number in range(3)]
        for ident in idents:
            first.start(ident, "work", ident.hex()[-1])
            first.result(ident)
        first.acknowledge(idents[1], idents[2:])
        assert first.call("ping") == {}, "so it has been read"
    wire, states = again(live, first, idents)
    with wire:
        assert states == ["unknown", "done", "unknown"]
        for ident in (idents[0], idents[2]):
            wire.start(ident, "work", "again")
            wire.unknown(ident)
    assert stage.ran == ["0", "1", "2"]


def test_a_result_that_was_too_large_to_be_kept_is_known_to_be_there(live, stage):
    with begun(live) as first:
        ident = first.ident(0)
        first.start(ident, "large", "a", size=MIB)
        assert first.answer(ident).success
    wire, states = again(live, first, [ident])
    with wire:
        assert states == ["dropped"]
        wire.start(ident, "large", "a", size=MIB)
        assert wire.unknown(ident)["state"] == "finished"
    assert stage.ran == ["a"]


def test_a_forgotten_line_becomes_another_one(live, stage):
    with Caller(live) as wire:
        asked = bytes(range(16))
        answer = wire.resume("00" * 8, "another epoch", asked, [asked])
        assert answer["line"] != "00" * 8
        assert answer["states"] == {id_text(asked): "unknown"}


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (b"[]", "JSON object"),
        (b"\xff", "JSON object"),
        ({}, "ids must be a list"),
        ({"ids": ["x"]}, "no request id"),
        ({"ids": [], "line": "zz"}, "hexadecimal"),
    ],
)
def test_a_malformed_resume_is_answered_and_may_be_said_again(live, params, text):
    with Caller(live) as wire:
        assert text in wire.failure("resume", params)
        assert wire.resume()["states"] == {}
        assert "resumed already" in wire.failure("resume", {"ids": []})
        assert wire.call("ping") == {}


@pytest.mark.parametrize("data", [b"[]", b'{"ids": 1}', b'{"ids": []}'])
def test_a_malformed_acknowledgement_ends_the_connection(live, data):
    with begun(live) as wire:
        wire.send(wire.peer.notification("acknowledge", data))
        ended = wire.until_end()
        assert ended.reason
    with begun(live) as wire:
        wire.send(wire.peer.notification("something else", data))
        assert wire.call("ping") == {}


def test_a_call_that_is_refused_for_being_one_too_many_may_be_joined_too(start, stage):
    wire, held = holding(start(limits=config.Limits(framed_calls=1)), stage)
    with wire:
        for _ in range(2):
            wire.start(wire.ident(1), "work", "b")
            response = wire.answer(wire.ident(1))
            result = json.loads(response.payload.decode("utf-8"))
            assert result["structuredContent"]["error"]["code"] == "host_busy"
        stage.leave.set()
        assert wire.result(held) == {"name": "a"}
    assert stage.ran == ["a"]


def test_a_silent_connection_is_kept_while_a_call_that_it_has_joined_runs(start, stage):
    live = start(limits=config.Limits(idle_timeout=0.8))
    first, ident = holding(live, stage)
    first.close()
    wire, states = again(live, first, [ident])
    with wire:
        assert states == ["running"]
        with Caller(live) as other:
            # Nobody waits for anything there, and it came later.
            assert other.until_end().reason
        assert wire.ended is None
        stage.leave.set()
        assert wire.result(ident) == {"name": "a"}


class Timers:
    """A loop's timers, fired by hand."""

    def __init__(self):
        self.set = []

    def call_at(self, when, function, *args):
        self.set.append((when, function, args))
        return self.set[-1]


def test_an_idle_server_lets_go_of_what_it_kept_and_then_sets_no_timer():
    # The time is the test's; everything else is the server's own.
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

        def token_bytes(self, count):
            return bytes(count)

    clock, timers = Clock(), Timers()
    shared = FramedShared(clock, bytes(32), 1, "", "epoch", False, print, Limits(ttl=10.0))
    shared.tidy(timers)
    assert timers.set == []
    receipts = shared._receipts
    line = b"12345678"
    ident = line + FIRST_NUMBER.to_bytes(8, "big")
    receipts.open_line(line, 0.0)
    receipts.accept(ident, "me", 0.0)
    receipts.finish(ident, True, b"x" * 100, None, 1.0)
    receipts.detach(line, 1.0)
    shared.tidy(timers)
    shared.tidy(timers)
    while timers.set:
        assert len(timers.set) == 1
        ((clock.now, function, args),) = timers.set
        timers.set.clear()
        function(*args)
    assert (len(receipts), len(lines_of(receipts)), receipts.result_bytes) == (0, 0, 0)
    assert 11.0 <= clock.now <= 21.0


def test_a_line_whose_connection_has_gone_waits_for_its_end(live):
    receipts = receipts_of(live)
    with begun(live) as wire:
        assert (len(lines_of(receipts)), receipts.next_sweep()) == (1, None)
    for _ in tries():
        if receipts.next_sweep() is not None:
            break
    assert receipts.next_sweep() > SystemClock().monotonic() + 1000
    with again(live, wire, [])[0]:
        assert (len(lines_of(receipts)), receipts.next_sweep()) == (1, None)
