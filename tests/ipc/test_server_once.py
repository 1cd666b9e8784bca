"""SocketServer: what is sent again does not run again, and what becomes of it is told."""

from __future__ import annotations

import json

import pytest

from dcc_mcp_embed.ipc import handling
from dcc_mcp_embed.rpc.receipts import Limits
from dcc_mcp_embed.wire.messages import id_text
from fakes.ipc_raw import Raw, on_asyncio, until
from fakes.receipts import lines_of
from ipc.stages import Gate, Timed, server


class Counter(Gate):
    """A gate, and a handler that does not wait: ``times`` counts the runs of both."""

    def add(self, data):
        self.times += 1
        if data == "fail":
            raise ValueError("no")
        return data


@pytest.fixture
def counter():
    one = Counter()
    yield one
    one.let.set()


def counting(counter, **arguments):
    return server(arguments, add=counter.add, wait=counter)


def value(answer):
    assert answer.success, answer.error
    return json.loads(answer.payload.decode())


def test_what_is_sent_twice_runs_once_and_is_answered_from_what_was_kept(counter):
    with counting(counter) as one, Raw(one) as raw:
        ident = raw.ask("add", 5)
        assert value(raw.answer(ident)) == 5
        raw.ask("add", 5, ident)
        assert value(raw.answer(ident)) == 5
        assert counter.times == 1
        assert one.get_stats()["replayed"] == 1


def test_a_failure_is_kept_too(counter):
    with counting(counter) as one, Raw(one) as raw:
        ident = raw.ask("add", "fail")
        assert raw.failed(ident)["error"] == "ValueError: no"
        raw.ask("add", "fail", ident)
        assert raw.failed(ident)["error"] == "ValueError: no"
        assert counter.times == 1


def test_what_is_sent_twice_while_it_runs_is_answered_once(counter):
    with counting(counter) as one, Raw(one) as raw:
        ident = raw.ask("wait", 5)
        counter.demand()
        raw.ask("wait", 5, ident)
        raw.ask("wait", 5, ident)
        raw.ping()  # both have been read: it still runs
        counter.let.set()
        assert value(raw.answer(ident)) == 5
        raw.ping()  # whatever else there was would have come before
        assert raw.responses == {}
        assert counter.times == 1


@pytest.mark.parametrize("awaits", [False, True])
def test_a_running_request_is_joined_by_the_next_connection(counter, awaits):
    one = counting(counter)
    if awaits:
        one.register_handler("later", lambda data: _later(counter, data))
    with on_asyncio(one):
        with Raw(one) as first:
            ident = first.ask("later" if awaits else "wait", 5)
            counter.demand()
        with Raw(one, before=first, ids=[ident]) as second:
            assert second.states == {id_text(ident): "running"}
            assert second.line == first.line
            counter.let.set()
            assert value(second.answer(ident)) == 5
        assert counter.times == 1
        assert one.get_stats()["joined"] == 1


async def _later(counter, data):
    import asyncio

    return await asyncio.get_event_loop().run_in_executor(None, counter, data)


def test_what_has_ended_meanwhile_is_answered_after_a_reconnect(counter):
    with counting(counter) as one:
        with Raw(one) as first:
            done = first.ask("add", 1)
            lost = first.ask("wait", 2)
            counter.demand()
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
        assert counter.times == 3
        assert one.get_stats()["replayed"] == 2


@pytest.fixture(params=["plain", "coroutine"])
def busy(request, counter, monkeypatch):
    """A server that is busy with the first ``wait``, and only then comes to the others."""
    monkeypatch.setattr(handling, "_MOST_THREADS", 1)

    async def wait(data):
        return counter(data)

    with on_asyncio(server(wait=counter if request.param == "plain" else wait)) as one:
        yield one
        counter.let.set()


def test_what_has_not_begun_when_its_client_leaves_is_let_go_of(counter, busy):
    with Raw(busy) as first:
        begun = first.ask("wait", 1)
        counter.demand()
        waiting = [first.ask("wait", 2), first.ask("wait", 3)]
        until(lambda: busy.get_stats()["in_flight"] == 3)
        size = busy._run.serving.calls._under_way.size
    until(lambda: busy.get_stats()["in_flight"] == 1)
    assert (size, busy._run.serving.calls._under_way.size) == (3, 1)
    assert busy.get_stats()["receipts"] == 1
    ids = [begun, *waiting]
    with Raw(busy, before=first, ids=ids) as second:
        assert [second.states[id_text(ident)] for ident in ids] == ["running", "new", "new"]
        for data, ident in enumerate(waiting, 2):
            second.ask("wait", data, ident)
        until(lambda: busy.get_stats()["in_flight"] == 3)
        counter.let.set()
        assert [value(second.answer(ident)) for ident in ids] == [1, 2, 3]
    assert counter.times == 3


def test_what_was_sent_again_before_its_first_connection_ends_is_kept(counter, busy):
    with Raw(busy) as first:
        first.ask("wait", 1)
        counter.demand()
        waiting = first.ask("wait", 2)
        until(lambda: busy.get_stats()["in_flight"] == 2)
        second = Raw(busy, before=first, ids=[waiting])
    with second:
        assert second.states == {id_text(waiting): "running"}
        until(lambda: busy.get_stats()["connections"] == 1)
        counter.let.set()
        assert value(second.answer(waiting)) == 2
    assert counter.times == 2


def test_a_client_without_receipts_leaves_nothing_waiting_either(counter, busy):
    with Raw(busy, resume=False) as raw:
        raw.ask("wait", 1)
        counter.demand()
        for data in (2, 3):
            raw.ask("wait", data)
        until(lambda: busy.get_stats()["in_flight"] == 3)
    until(lambda: busy.get_stats()["in_flight"] == 1)


def test_what_was_evicted_does_not_run_again(counter):
    with counting(counter, limits=Limits(entries=1)) as one, Raw(one) as raw:
        evicted = raw.ask("add", 1)
        assert value(raw.answer(evicted)) == 1
        assert raw.call("add", 2) == 2
        raw.ask("add", 1, evicted)
        told = raw.failed(evicted)
        assert told["code"] == "unknown_outcome"
        assert counter.times == 2
        assert one.get_stats()["unknown_outcomes"] == 1
        assert one.get_stats()["receipts"] == 1
        assert raw.peer.facts.receipt_horizon == 1


def test_a_result_that_is_too_large_to_keep_has_an_unknown_outcome_that_is_finished(counter):
    with counting(counter, limits=Limits(one_result=100)) as one, Raw(one) as raw:
        ident = raw.ask("add", "x" * 200)
        assert value(raw.answer(ident)) == "x" * 200
        raw.ask("add", "x" * 200, ident)
        told = raw.failed(ident)
        assert (told["code"], told["state"]) == ("unknown_outcome", "finished")
        assert counter.times == 1


def test_another_client_s_ids_tell_nothing(counter):
    with counting(counter) as one, Raw(one) as raw, Raw(one) as other:
        ident = raw.ask("add", "private")
        raw.answer(ident)
        other.ask("add", "mine", ident)
        assert other.failed(ident)["code"] == "unknown_outcome"
        assert counter.times == 1


def test_a_server_that_was_started_anew_is_another_one(counter):
    with counting(counter) as one:
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
    with counting(counter) as one, Raw(one, resume=False) as raw:
        assert raw.call("add", 1) == 1
        assert raw.failure("add", "fail")["code"] == "host_error"
        assert one.get_stats()["receipts"] == 0


def test_receipts_expire_by_themselves(counter):
    with Timed({"limits": Limits(ttl=20.0)}, add=counter.add) as timed, Raw(timed.server) as raw:
        for _ in range(2):
            for number in range(10):
                raw.call("add", number)
                timed.advance(0.125)
            assert timed.server.get_stats()["receipts"] == 10
            timed.advance(18.75)
            assert timed.server.get_stats()["receipts"] == 9
            timed.advance(1.25)
            assert timed.server.get_stats()["receipts"] == 0


def test_a_line_that_nobody_comes_back_to_is_forgotten():
    with Timed({"limits": Limits(ttl=20.0)}) as timed:
        Raw(timed.server).close()
        until(lambda: timed.server.get_stats()["connections"] == 0)
        running = timed.server._run.serving
        timed.advance(19.0)
        assert len(lines_of(running.calls.receipts)) == 1
        timed.advance(1.0)
        assert not lines_of(running.calls.receipts)
        # There are no timers left that would wake it up.
        assert running.loop._timers.timeout(0.0) is None


def test_what_was_acknowledged_is_let_go(counter):
    with counting(counter) as one, Raw(one) as raw:
        ident = raw.ask("add", "x" * 1000)
        raw.answer(ident)
        assert one.get_stats()["receipt_bytes"] == 1002
        said = {"line": raw.line.hex(), "below": id_text(raw.new_id()), "ids": [id_text(ident)]}
        raw.send(raw.peer.notification("acknowledge", json.dumps(said).encode()))
        raw.ping()
        assert one.get_stats()["receipts"] == one.get_stats()["receipt_bytes"] == 0
        raw.ask("add", 1, ident)
        assert raw.failed(ident)["code"] == "unknown_outcome"
        assert counter.times == 1
