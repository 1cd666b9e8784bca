"""Sessions: the reference's states, transitions, figures and texts; bounded, fast, replaced."""

from __future__ import annotations

import gc
import threading
import timeit

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.transport import sessions
from dcc_mcp_embed.transport.config import SessionConfig
from dcc_mcp_embed.transport.sessions import Peer, SessionState, SessionTable
from dcc_mcp_embed.transport_errors import (
    Internal,
    InvalidSessionState,
    ReconnectionFailed,
    SessionNotFound,
)
from fakes.clock import FakeClock

MAYA = Peer("maya", "i-1", "127.0.0.1", 7001, "tcp://127.0.0.1:7001")
OTHER = Peer("maya", "i-2", "127.0.0.1", 7002, "tcp://127.0.0.1:7002")
HOUDINI = Peer("houdini", "i-1", "127.0.0.1", 7003, "tcp://127.0.0.1:7003")
#: Of the reference, in its order.
TWELVE = (
    "id dcc_type instance_id host port transport_address state request_count error_count"
    " avg_latency_ms error_rate reconnect_attempts"
).split()


class Bench:
    """A table and its clock, with the arguments filled in."""

    def __init__(self, **config):
        self.clock = FakeClock()
        self.table = SessionTable(SessionConfig(**config), self.clock.uuid, self.clock.jitter)

    def open(self, peer=MAYA):
        return self.table.open(peer, self.clock.now)

    def get(self, session_id):
        return self.table.get(session_id, self.clock.now, self.clock.wall())

    def state(self, session_id):
        return self.get(session_id)["state"]

    def list(self, dcc_type=None):
        return self.table.list(self.clock.now, self.clock.wall(), dcc_type)

    def record(self, session_id, latency_ms, error=None):
        return self.table.record(session_id, latency_ms, self.clock.now, error)

    def succeed(self, session_id):
        self.table.reconnect_success(session_id, self.clock.now)

    def sweep(self):
        return self.table.sweep(self.clock.now)

    def exhaust(self, session_id):
        for _ in range(3):
            self.table.begin_reconnect(session_id)
        with pytest.raises(ReconnectionFailed):
            self.table.begin_reconnect(session_id)


@pytest.fixture
def bench():
    return Bench()


def test_session_state_shows_its_name():
    assert [state.value for state in SessionState] == "connected idle reconnecting closed".split()
    assert str(SessionState.IDLE) == "IDLE"
    assert repr(SessionState.IDLE) == "SessionState.IDLE"
    assert SessionState("closed") is SessionState.CLOSED


def test_a_new_session_is_connected_and_has_the_documented_keys_in_order(bench):
    facts = bench.get(bench.open())
    assert list(facts)[:12] == TWELVE
    assert facts["state"] == "connected"
    assert (facts["dcc_type"], facts["instance_id"]) == ("maya", "i-1")
    assert (facts["host"], facts["port"]) == ("127.0.0.1", 7001)
    assert facts["transport_address"] == "tcp://127.0.0.1:7001"
    assert facts["request_count"] == facts["error_count"] == facts["reconnect_attempts"] == 0
    assert facts["avg_latency_ms"] == facts["error_rate"] == 0.0
    assert facts["last_error"] is None
    assert facts["created_at"] == facts["last_active"] == bench.clock.wall()
    assert facts["latency_p50_ms"] == facts["latency_p95_ms"] == facts["latency_p99_ms"] == 0.0


def test_one_session_per_instance(bench):
    assert bench.open() == bench.open()
    assert len({bench.open(), bench.open(OTHER), bench.open(HOUDINI)}) == 3
    assert len(bench.table) == 3


def test_calls_are_counted_and_averaged_errors_included(bench):
    session = bench.open()
    assert bench.record(session, 10)
    assert bench.record(session, 20.0)
    assert bench.record(session, 60, "no such node")
    facts = bench.get(session)
    assert (facts["request_count"], facts["error_count"]) == (3, 1)
    assert facts["avg_latency_ms"] == 30.0
    assert facts["error_rate"] == pytest.approx(1 / 3)
    assert facts["last_error"] == "no such node"
    assert facts["latency_p50_ms"] == pytest.approx(20, rel=0.02)
    assert facts["latency_p99_ms"] == pytest.approx(60, rel=0.02)


def test_call_of_an_unknown_session_is_nothing(bench):
    assert bench.record("no such", 1) is False
    assert bench.record("no such", 1, "error") is False


def test_latency_that_is_none_changes_nothing(bench):
    session = bench.open()
    with pytest.raises(OverflowError):
        bench.record(session, -1, "error")
    assert bench.get(session)["request_count"] == 0


def test_times_tell_when_it_began_and_was_used_last(bench):
    session = bench.open()
    began = bench.clock.wall()
    bench.clock.advance(7)
    bench.record(session, 1)
    used = bench.clock.wall()
    bench.clock.advance(100)
    facts = bench.get(session)
    assert (facts["created_at"], facts["last_active"]) == (began, used)


def test_unused_session_becomes_idle_and_using_it_connects_it(bench):
    session = bench.open()
    bench.clock.advance(300)
    assert bench.sweep() == 0, "exactly the limit is not over it"
    bench.clock.advance(0.001)
    assert bench.sweep() == 1
    assert bench.state(session) == "idle"
    assert bench.sweep() == 0
    bench.record(session, 1)
    assert bench.state(session) == "idle", "a record alone does not connect"
    assert bench.open() == session
    assert bench.state(session) == "connected"


def test_recording_keeps_a_session_from_becoming_idle(bench):
    session = bench.open()
    bench.clock.advance(299)
    bench.record(session, 1, "failed")
    bench.clock.advance(299)
    assert bench.sweep() == 0


def test_old_session_is_closed_however_busy(bench):
    session = bench.open()
    bench.clock.advance(3600)
    bench.record(session, 1)
    assert bench.sweep() == 0
    bench.clock.advance(0.001)
    bench.record(session, 1)
    assert bench.sweep() == 1
    assert bench.get(session) is None
    assert bench.open() != session


def test_reconnecting_waits_longer_each_time_and_then_fails_for_good(bench):
    session = bench.open()
    assert [bench.table.begin_reconnect(session) for _ in range(3)] == [1000, 2000, 4000]
    assert bench.state(session) == "reconnecting"
    assert bench.get(session)["reconnect_attempts"] == 3
    with pytest.raises(ReconnectionFailed) as failed:
        bench.table.begin_reconnect(session)
    assert str(failed.value) == (
        "reconnection failed for session {} after 3 retries: max retries exceeded".format(session)
    )
    assert bench.state(session) == "closed"
    with pytest.raises(InvalidSessionState) as invalid:
        bench.table.begin_reconnect(session)
    assert str(invalid.value) == (
        "session {} is in state closed, expected connected or idle".format(session)
    )
    with pytest.raises(InvalidSessionState) as invalid:
        bench.succeed(session)
    assert str(invalid.value) == "session {} is in state closed, expected connected".format(session)


def test_success_begins_a_new_count(bench):
    session = bench.open()
    bench.table.begin_reconnect(session)
    bench.table.begin_reconnect(session)
    bench.succeed(session)
    assert bench.state(session) == "connected"
    assert bench.get(session)["reconnect_attempts"] == 0
    assert bench.table.begin_reconnect(session) == 1000


def test_reconnecting_is_allowed_from_idle_and_is_no_use(bench):
    session = bench.open()
    bench.clock.advance(301)
    bench.sweep()
    used = bench.get(session)["last_active"]
    bench.table.begin_reconnect(session)
    assert bench.get(session)["last_active"] == used
    assert bench.open() == session
    assert bench.state(session) == "reconnecting", "asking for it does not connect it"
    assert bench.get(session)["last_active"] == used
    assert bench.sweep() == 0, "only a connected one becomes idle"


def test_a_closed_session_is_replaced(bench):
    session = bench.open()
    bench.exhaust(session)
    assert len(bench.table) == 1
    fresh = bench.open()
    assert fresh != session
    assert bench.get(session) is None
    assert bench.state(fresh) == "connected"
    assert len(bench.table) == 1


def test_no_retries_fail_the_first():
    bench = Bench(reconnect_max_retries=0)
    session = bench.open()
    with pytest.raises(ReconnectionFailed, match="after 0 retries"):
        bench.table.begin_reconnect(session)
    assert bench.state(session) == "closed"


def test_back_off_has_a_base_a_cap_and_jitter():
    bench = Bench(reconnect_max_retries=6, reconnect_backoff_base=0.5, reconnect_backoff_cap=3)
    session = bench.open()
    waits = [bench.table.begin_reconnect(session) for _ in range(6)]
    assert waits == [500, 1000, 2000, 3000, 3000, 3000]
    bench = Bench(reconnect_backoff_jitter=0.5)
    assert bench.table.begin_reconnect(bench.open()) == 750, "half of the half: chance is 0.5"


def test_many_retries_overflow_nothing():
    bench = Bench(reconnect_max_retries=5000)
    session = bench.open()
    waits = [bench.table.begin_reconnect(session) for _ in range(5000)]
    assert all(isinstance(wait, int) for wait in waits)
    assert waits == sorted(waits)


def test_unknown_session_cannot_reconnect(bench):
    for attempt in (bench.table.begin_reconnect, bench.succeed):
        with pytest.raises(SessionNotFound, match="session not found: no such"):
            attempt("no such")


def test_closing_forgets(bench):
    session = bench.open()
    assert bench.table.close(session) is True
    assert bench.get(session) is None
    assert bench.table.close(session) is False
    assert bench.open() != session


def test_closing_by_instance(bench):
    session, other = bench.open(), bench.open(OTHER)
    assert bench.table.close_peer("maya", "i-1") is True
    assert bench.table.close_peer("maya", "i-1") is False
    assert [facts["id"] for facts in bench.list()] == [other]
    bench.table.close_all()
    assert bench.list() == []
    assert bench.get(session) is None


def test_forked_child_has_no_sessions_and_finds_a_free_lock(bench):
    bench.open()
    bench.table._lock.acquire()  # some thread of the parent was in the middle of something
    bench.table.disown()
    assert bench.list() == []
    bench.open()


def test_lists_are_in_order_and_by_exact_type(bench):
    ids = [bench.open(peer) for peer in (MAYA, HOUDINI, OTHER)]
    assert [facts["id"] for facts in bench.list()] == ids
    assert [facts["id"] for facts in bench.list("maya")] == [ids[0], ids[2]]
    assert bench.list("Maya") == []


def test_a_record_costs_little_and_keeps_nothing():
    clock = SystemClock()
    table = SessionTable(SessionConfig(), clock.uuid, clock.jitter)
    session = table.open(MAYA, 0.0)

    def record():
        for latency in range(1000):
            table.record(session, latency, 0.0)

    spent = min(timeit.repeat(record, number=1, repeat=20)) / 1000
    # The budget is 2 µs on an idle machine; a busy one and coverage get room.
    assert spent < 10e-6
    assert len(table._by_id[session].latencies._counts) < 400


def test_records_of_many_threads_are_all_counted(bench):
    session = bench.open()

    def work():
        for _ in range(2000):
            bench.record(session, 1, "e")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    facts = bench.get(session)
    assert facts["request_count"] == facts["error_count"] == 8000
    assert facts["avg_latency_ms"] == 1.0


# In the middle of itself.


class Meddling(float):
    """A latency that is added up under the lock, where it does something else."""

    def __radd__(self, other):
        self.meddle()
        return other + float(self)


def everything(bench, session):
    return (
        lambda: bench.open(),
        lambda: bench.get(session),
        lambda: bench.list(),
        lambda: bench.record(session, 1),
        lambda: bench.table.begin_reconnect(session),
        lambda: bench.succeed(session),
        lambda: bench.table.close(session),
        lambda: bench.table.close_peer(*MAYA[:2]),
        lambda: bench.sweep(),
    )


def test_a_call_in_the_middle_of_another_is_an_error_and_no_hang(bench):
    session = bench.open()
    latency = Meddling(5)
    tried = []

    def meddle():
        for call in everything(bench, session):
            with pytest.raises(Internal, match="in the middle of another call of this thread"):
                call()
            tried.append(call)
        assert len(bench.table) == 1
        bench.table.close_all()

    latency.meddle = meddle
    assert bench.record(session, latency)
    assert len(tried) == 9
    assert bench.get(session)["request_count"] == 1
    assert bench.list(), "to forget everything under somebody's hands was left undone"


@pytest.mark.edges
def test_finaliser_in_the_middle_of_a_call_hangs_nothing():
    failed = []

    class Tool:
        def __init__(self):
            self.me = self

        def __del__(self):
            try:
                table.sweep(0.0)
            except Internal as error:
                failed.append(str(error))

    def new_id():
        Tool()
        gc.collect()
        return "id"

    table = SessionTable(SessionConfig(), new_id, lambda: 0.5)
    assert table.open(MAYA, 0.0) == "id"
    assert len(failed) == 1


def test_the_end_does_not_wait_for_whoever_never_ends(bench, monkeypatch):
    monkeypatch.setattr(sessions, "_PATIENCE", 0.01)
    bench.open()
    held, go = threading.Event(), threading.Event()

    def hold():
        with bench.table._lock:
            held.set()
            go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    bench.table.close_all()
    go.set()
    holder.join(20)
    assert len(bench.table) == 1
    bench.table.close_all()
    assert len(bench.table) == 0
