"""SocketServer: what is sent again does not run again, and what becomes of it is told."""

from __future__ import annotations

import json
import threading

import pytest

from dcc_mcp_embed.ipc import SocketServer
from dcc_mcp_embed.rpc.receipts import Limits
from dcc_mcp_embed.wire.messages import id_text
from fakes.ipc_raw import DEADLINE, SECRET, Raw, on_asyncio, until


class Counter:
    """A handler that counts its runs, and waits to be let if it is told to."""

    def __init__(self):
        self.runs = 0
        self.entered = threading.Event()
        self.let = threading.Event()

    def add(self, data):
        self.runs += 1
        if data == "fail":
            raise ValueError("no")
        return data

    def wait(self, data):
        self.runs += 1
        self.entered.set()
        assert self.let.wait(DEADLINE)
        return data


@pytest.fixture
def counter():
    one = Counter()
    yield one
    one.let.set()


def server(counter, **options):
    one = SocketServer(port=0, secret=SECRET, **options)
    one.register_handler("add", counter.add)
    one.register_handler("wait", counter.wait)
    return one


def value(answer):
    assert answer.success, answer.error
    return json.loads(answer.payload.decode())


def test_what_is_sent_twice_runs_once_and_is_answered_from_what_was_kept(counter):
    one = server(counter)
    with one, Raw(one) as raw:
        ident = raw.ask("add", 5)
        assert value(raw.answer(ident)) == 5
        raw.ask("add", 5, ident)
        assert value(raw.answer(ident)) == 5
        assert counter.runs == 1
        assert one.get_stats()["replayed"] == 1


def test_a_failure_is_kept_too(counter):
    one = server(counter)
    with one, Raw(one) as raw:
        ident = raw.ask("add", "fail")
        assert raw.failed(ident)["error"] == "ValueError: no"
        raw.ask("add", "fail", ident)
        assert raw.failed(ident)["error"] == "ValueError: no"
        assert counter.runs == 1


def test_what_is_sent_twice_while_it_runs_is_answered_once(counter):
    one = server(counter)
    with one, Raw(one) as raw:
        ident = raw.ask("wait", 5)
        assert counter.entered.wait(DEADLINE)
        raw.ask("wait", 5, ident)
        raw.ask("wait", 5, ident)
        counter.let.set()
        assert value(raw.answer(ident)) == 5
        raw.ping()  # whatever else there was would have come before
        assert raw.responses == {}
        assert counter.runs == 1


@pytest.mark.parametrize("awaits", [False, True])
def test_a_running_request_is_joined_by_the_next_connection(counter, awaits):
    one = server(counter)
    if awaits:
        one.register_handler("later", lambda data: _later(counter, data))
    with on_asyncio(one):
        with Raw(one) as first:
            ident = first.ask("later" if awaits else "wait", 5)
            assert counter.entered.wait(DEADLINE)
        with Raw(one, before=first, ids=[ident]) as second:
            assert second.states == {id_text(ident): "running"}
            assert second.line == first.line
            counter.let.set()
            assert value(second.answer(ident)) == 5
        assert counter.runs == 1
        assert one.get_stats()["joined"] == 1


async def _later(counter, data):
    import asyncio

    return await asyncio.get_event_loop().run_in_executor(None, counter.wait, data)


def test_what_has_ended_meanwhile_is_answered_after_a_reconnect(counter):
    one = server(counter)
    with one:
        with Raw(one) as first:
            done = first.ask("add", 1)
            lost = first.ask("wait", 2)
            assert counter.entered.wait(DEADLINE)
        counter.let.set()
        until(lambda: one.get_stats()["in_flight"] == 0)
        never = first.new_id()
        with Raw(one, before=first, ids=[done, lost, never]) as second:
            states = {id_text(done): "done", id_text(lost): "done", id_text(never): "new"}
            assert second.states == states
            assert value(second.answer(done)) == 1
            assert value(second.answer(lost)) == 2
            second.ask("add", 3, never)
            assert value(second.answer(never)) == 3
        assert counter.runs == 3
        assert one.get_stats()["replayed"] == 2


def test_what_was_evicted_does_not_run_again(counter):
    one = server(counter, limits=Limits(entries=1))
    with one, Raw(one) as raw:
        evicted = raw.ask("add", 1)
        assert value(raw.answer(evicted)) == 1
        assert raw.call("add", 2) == 2
        raw.ask("add", 1, evicted)
        told = raw.failed(evicted)
        assert told["code"] == "unknown_outcome"
        assert counter.runs == 2
        assert one.get_stats()["unknown_outcomes"] == 1
        assert one.get_stats()["receipts"] == 1
        assert raw.peer.facts.receipt_horizon == 1


def test_a_result_that_is_too_large_to_keep_has_an_unknown_outcome_that_is_finished(counter):
    one = server(counter, limits=Limits(one_result=100))
    with one, Raw(one) as raw:
        ident = raw.ask("add", "x" * 200)
        assert value(raw.answer(ident)) == "x" * 200
        raw.ask("add", "x" * 200, ident)
        told = raw.failed(ident)
        assert (told["code"], told["state"]) == ("unknown_outcome", "finished")
        assert counter.runs == 1


def test_another_client_s_ids_tell_nothing(counter):
    one = server(counter)
    with one, Raw(one) as raw, Raw(one) as other:
        ident = raw.ask("add", "private")
        raw.answer(ident)
        other.ask("add", "mine", ident)
        assert other.failed(ident)["code"] == "unknown_outcome"
        assert counter.runs == 1


def test_a_server_that_was_started_anew_is_another_one(counter):
    one = server(counter)
    with one:
        with Raw(one) as first:
            ident = first.ask("add", 1)
            first.answer(ident)
    with one:
        with Raw(one, before=first, ids=[ident]) as second:
            assert second.epoch != first.epoch
            assert second.peer.facts.instance_id == first.peer.facts.instance_id
            assert second.line != first.line
            assert second.states == {id_text(ident): "unknown"}


def test_a_client_that_does_not_resume_is_served_without_receipts(counter):
    one = server(counter)
    with one, Raw(one, resume=False) as raw:
        assert raw.call("add", 1) == 1
        assert raw.failure("add", "fail")["code"] == "host_error"
        assert one.get_stats()["receipts"] == 0


def test_receipts_expire_by_themselves(counter):
    one = server(counter, limits=Limits(ttl=0.1))
    with one, Raw(one) as raw:
        for number in range(10):
            raw.call("add", number)
        assert one.get_stats()["receipts"] > 0
        until(lambda: one.get_stats()["receipts"] == 0)
        raw.call("add", 1)
        until(lambda: one.get_stats()["receipts"] == 0)


def test_a_line_that_nobody_comes_back_to_is_forgotten(counter):
    one = server(counter, limits=Limits(ttl=0.1))
    with one:
        Raw(one).close()
        until(lambda: one._run.serving.calls.receipts.lines == 0)
        # There are no timers left that would wake it up.
        until(lambda: one._run.serving.loop._timers.timeout(0.0) is None)


def test_what_was_acknowledged_is_let_go(counter):
    one = server(counter)
    with one, Raw(one) as raw:
        ident = raw.ask("add", "x" * 1000)
        raw.answer(ident)
        assert one.get_stats()["receipt_bytes"] == 1002
        said = {"line": raw.line.hex(), "below": id_text(raw.new_id()), "ids": [id_text(ident)]}
        raw.send(raw.peer.notification("acknowledge", json.dumps(said).encode()))
        raw.ping()
        assert one.get_stats()["receipts"] == one.get_stats()["receipt_bytes"] == 0
        raw.ask("add", 1, ident)
        assert raw.failed(ident)["code"] == "unknown_outcome"
        assert counter.runs == 1
