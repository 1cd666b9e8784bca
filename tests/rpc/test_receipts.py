"""The server's memory of finished calls: verdicts, limits, horizon, waiters, memory."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from dcc_mcp_embed.errors import LocalProtocolError
from dcc_mcp_embed.rpc.receipts import (
    DROPPED,
    FIRST_NUMBER,
    JOIN,
    REPLAY,
    RUN,
    UNKNOWN,
    Limits,
    Outcome,
    Receipts,
    split,
)
from fakes.receipts import lines_of

LINE, OTHER = b"line one", b"line two"
TTL = 10.0


def ident(number, line=LINE):
    return line + (FIRST_NUMBER + number).to_bytes(8, "big")


class Served:
    """A store with one line, its time, and short names for what is done to it."""

    def __init__(self, **limits):
        self.now = 0.0
        limits.setdefault("ttl", TTL)
        self.store = Receipts(Limits(**limits))
        self.store.open_line(LINE, self.now)

    def accept(self, number, waiter="w", line=LINE):
        return self.store.accept(ident(number, line), waiter, self.now).action

    def ask(self, number, waiter="w"):
        return self.store.ask(ident(number), waiter, self.now).action

    def finish(self, number, payload=b"result", line=LINE):
        return self.store.finish(ident(number, line), True, payload, None, self.now)

    def done(self, number, payload=b"result", line=LINE):
        assert self.accept(number, line=line) == RUN
        self.finish(number, payload, line)

    def ack(self, *numbers):
        self.store.ack(ident(number) for number in numbers)

    def release(self, below):
        self.store.release(LINE, FIRST_NUMBER + below)


@pytest.fixture
def it():
    return Served()


# The life of a call.


def test_a_call_runs_once_is_joined_while_it_runs_and_replayed_after(it):
    assert it.ask(1) == RUN
    assert it.accept(1, "first") == RUN
    assert it.accept(1, "second") == JOIN
    assert it.accept(1, "first") == JOIN
    assert it.ask(1, "third") == JOIN
    assert it.store.finish(ident(1), False, b"", "no", it.now) == ["first", "second", "third"]
    for judge in (it.store.accept, it.store.ask):
        assert judge(ident(1), "late", it.now) == (REPLAY, Outcome(False, b"", "no"))
    assert it.accept(2) == RUN


def test_asking_enters_nothing(it):
    assert it.ask(1) == RUN
    assert len(it.store) == 0
    with pytest.raises(LocalProtocolError, match="is not running"):
        it.finish(1)


def test_a_call_finishes_once(it):
    it.done(1)
    for number in (1, 2):
        with pytest.raises(LocalProtocolError, match="is not running"):
            it.finish(number)
    with pytest.raises(LocalProtocolError, match="is not running"):
        it.finish(1, line=OTHER)


def test_a_waiter_that_has_left_is_not_told(it):
    it.accept(1, "gone")
    it.accept(1, "there")
    it.accept(2, "gone")
    it.store.leave("gone")
    it.store.leave("never was")
    assert it.finish(1) == ["there"]
    assert it.finish(2) == []
    it.store.leave("there")


# Acknowledgement and release.


def test_a_call_that_is_withdrawn_before_it_begins_is_new_again(it):
    assert it.accept(1, "first") == RUN
    with pytest.raises(LocalProtocolError, match="cannot be withdrawn"):
        it.store.withdraw(ident(1))
    it.store.leave("first")
    assert not it.store.is_awaited(ident(1))
    it.store.withdraw(ident(1))
    assert len(it.store) == it.store.running == 0
    assert it.accept(1, "second") == RUN
    assert it.store.is_awaited(ident(1))
    assert it.finish(1) == ["second"]
    for number in (1, 2):
        assert not it.store.is_awaited(ident(number))
        with pytest.raises(LocalProtocolError, match="cannot be withdrawn"):
            it.store.withdraw(ident(number))


def test_an_acknowledged_result_is_gone_and_its_call_still_does_not_run(it):
    it.done(1, b"x" * 100)
    it.ack(1, 1, 7)
    assert it.store.result_bytes == 0
    assert it.accept(1) == it.ask(1) == UNKNOWN
    it.release(2)
    assert len(it.store) == 0
    assert it.accept(1) == UNKNOWN
    assert it.accept(7) == RUN  # was not known when it was acknowledged


def test_what_is_acknowledged_while_it_runs_leaves_no_result(it):
    it.accept(1, "w")
    it.ack(1)
    assert it.accept(1, "w") == JOIN
    assert it.finish(1) == ["w"]
    assert it.store.result_bytes == 0
    assert it.accept(1) == UNKNOWN


def test_what_is_released_while_it_runs_leaves_nothing(it):
    it.accept(1)
    it.release(5)
    assert it.accept(1) == JOIN
    it.finish(1)
    assert len(it.store) == 0
    assert it.accept(1) == it.accept(4) == UNKNOWN
    assert it.accept(5) == RUN


def test_a_release_never_goes_back_and_may_skip_any_number(it):
    for number in (3, 1, 2, 1_000_000_000):
        it.done(number)
    it.release(3)
    it.release(1)
    assert [it.ask(number) for number in (1, 2, 3)] == [UNKNOWN, UNKNOWN, REPLAY]
    it.release(10**15)
    assert len(it.store) == it.store.result_bytes == 0
    it.store.release(OTHER, FIRST_NUMBER + 5)
    assert len(lines_of(it.store)) == 1


def test_numbers_below_the_first_are_in_nobodys_future(it):
    assert it.store.accept(LINE + bytes(8), "w", it.now).action == UNKNOWN


# Limits.


def test_an_oversized_result_is_dropped_and_its_call_known():
    it = Served(one_result=10)
    it.done(1, b"x" * 10)
    it.done(2, b"x" * 11)
    assert (it.ask(1), it.ask(2)) == (REPLAY, DROPPED)
    assert it.store.result_bytes == 10
    it.ack(2)
    assert it.ask(2) == UNKNOWN


def test_too_many_bytes_cost_the_oldest_results_not_what_is_known_of_them():
    it = Served(result_bytes=25, one_result=10)
    for number in range(4):
        it.done(number, b"x" * 10)
    assert [it.ask(number) for number in range(4)] == [DROPPED, DROPPED, REPLAY, REPLAY]
    assert it.store.result_bytes == 20
    assert len(it.store) == 4


def test_an_error_text_counts_as_a_result():
    it = Served(one_result=10)
    it.accept(1)
    it.store.finish(ident(1), False, b"", "x" * 11, it.now)
    assert it.ask(1) == DROPPED


def test_one_receipt_too_many_evicts_the_oldest_and_the_horizon_passes_it():
    it = Served(entries=2)
    for number in (5, 3, 9):
        it.done(number)
    assert [it.ask(number) for number in (5, 3, 9)] == [UNKNOWN, REPLAY, REPLAY]
    # Below what was evicted nobody can tell; above it everybody can.
    assert it.ask(4) == UNKNOWN
    assert it.ask(6) == RUN


def test_a_running_call_is_never_evicted():
    it = Served(entries=2)
    it.accept(1)
    for number in range(2, 10):
        it.done(number)
    it.now += 100 * TTL
    assert it.accept(1) == JOIN
    it.finish(1)
    assert it.ask(1) == REPLAY


def test_one_lines_eviction_leaves_the_others_horizon_alone():
    it = Served(entries=1)
    it.store.open_line(OTHER, it.now)
    it.done(5)
    it.done(1, line=OTHER)
    assert it.ask(5) == UNKNOWN
    assert it.accept(0, line=OTHER) == RUN


def test_a_receipt_is_gone_at_the_end_of_its_time():
    it = Served()
    it.done(1)
    it.now += TTL - 0.5
    assert it.ask(1) == REPLAY
    it.now += 0.5
    it.store.sweep(it.now)
    assert len(it.store) == it.store.result_bytes == 0
    assert it.ask(1) == UNKNOWN


# Lines.


def test_a_line_is_opened_once_and_nothing_runs_in_another(it):
    with pytest.raises(LocalProtocolError):
        it.store.open_line(LINE, it.now)
    with pytest.raises(LocalProtocolError):
        it.store.open_line(b"short", it.now)
    assert it.accept(1, line=OTHER) == UNKNOWN


def test_an_attached_line_is_kept_for_ever_and_a_detached_one_for_its_time(it):
    it.now += 100 * TTL
    assert it.accept(1) == RUN
    assert it.store.attach(LINE, it.now)  # the new connection, before the old one is known dead
    it.store.detach(LINE, it.now)
    it.now += 100 * TTL
    assert LINE in lines_of(it.store)
    it.store.detach(LINE, it.now)
    it.now += TTL
    it.store.sweep(it.now)
    assert LINE in lines_of(it.store), "its call runs"
    it.finish(1)
    it.now += 2 * TTL
    it.store.sweep(it.now)
    assert LINE not in lines_of(it.store)
    assert not it.store.attach(LINE, it.now)
    assert it.accept(1) == it.accept(2) == UNKNOWN


def test_one_line_too_many_costs_an_idle_one_without_running_calls():
    it = Served(lines=2)
    it.accept(1)
    it.store.detach(LINE, it.now)
    it.store.open_line(OTHER, it.now)
    it.done(1, line=OTHER)
    it.store.detach(OTHER, it.now)
    it.store.open_line(b"line new", it.now)
    assert LINE in lines_of(it.store), "its call runs"
    assert OTHER not in lines_of(it.store)
    assert it.store.result_bytes == 0
    it.store.open_line(b"one more", it.now)
    assert len(lines_of(it.store)) == 3, "none of them can go"
    it.finish(1)
    assert it.ask(1) == REPLAY


# Memory and time.


@pytest.mark.edges
def test_twenty_thousand_calls_leave_memory_flat():
    it = Served(entries=200)
    it.accept(0)  # and one that runs all the time
    gc.collect()
    tracemalloc.start()
    try:
        peaks = []
        for block in range(4):
            for number in range(1 + block * 5_000, 1 + (block + 1) * 5_000):
                it.done(number)
                if number % 32 == 0:
                    it.ack(*range(number - 31, number + 1))
            peaks.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert peaks[-1] < peaks[0] * 1.2
    assert it.accept(0) == JOIN
    assert len(it.store) == 201


def test_split_is_the_inverse_of_putting_together():
    assert split(ident(7)) == (LINE, FIRST_NUMBER + 7)
