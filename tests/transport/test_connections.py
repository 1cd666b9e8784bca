"""Connections: lent live, waited for in line, checked, closed when there is reason to."""

from __future__ import annotations

import signal
import socket
import threading
from collections import deque

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.registry.entry import ServiceEntry
from dcc_mcp_embed.transport.config import PoolConfig, SessionConfig, TransportConfig
from dcc_mcp_embed.transport.connect import open_channel
from dcc_mcp_embed.transport.connections import Connections
from dcc_mcp_embed.transport_errors import (
    AcquireTimeout,
    CallFailed,
    CallTimeout,
    ConnectionClosed,
    ConnectionTimeout,
    IpcConnectionFailed,
    PoolExhausted,
    ServiceNotFound,
    Shutdown,
)
from fakes.clock import FakeClock
from fakes.framed_peer import DEADLINE, FramedPeer

KEY = b"k" * 32
FIRST, SECOND = ("{}0000000-0000-4000-8000-000000000000".format(n) for n in (1, 2))


def row_of(peer, instance=FIRST, dcc_type="maya"):
    return ServiceEntry(
        {
            "dcc_type": dcc_type,
            "instance_id": instance,
            "host": "127.0.0.1",
            "port": peer.port,
        }
    )


def until(condition):
    """Return once ``condition()`` holds; nobody tells us of what is looked at here."""
    deadline = SystemClock().monotonic() + DEADLINE
    while not condition():
        assert SystemClock().monotonic() < deadline
        threading.Event().wait(0.001)


class Bench:
    """A pool whose sense of time is a fake; its channels live in real time."""

    def __init__(self, key=None, connect_timeout=10.0, heartbeat_interval=5.0, **pool):
        self.clock = FakeClock()
        config = TransportConfig(
            PoolConfig(**dict({"max_connections_per_type": 1}, **pool)),
            SessionConfig(heartbeat_interval=heartbeat_interval),
            connect_timeout,
        )
        self.key = key
        self.dialled = []
        self.pool = Connections(config, self.clock, self.dial)

    def dial(self, row, timeout):
        self.dialled.append(timeout)
        return open_channel(
            row.effective_address(),
            timeout,
            SystemClock(),
            key=self.key,
            expect_instance=row.instance_id if self.key else None,
        )

    def use(self, row):
        """Borrow, call, give back."""
        lease = self.pool.borrow(row)
        assert lease.channel.call("echo", b"x")["payload"] == b"x"
        self.pool.give_back(lease)


@pytest.fixture
def peer():
    with FramedPeer() as one:
        yield one


@pytest.fixture
def bench():
    one = Bench()
    yield one
    one.pool.shut()


class Waiting:
    """A thread that borrows; ``result`` is the lease or what was raised."""

    def __init__(self, pool, row, timeout=DEADLINE):
        self.result = None
        self._thread = threading.Thread(target=self._run, args=(pool, row, timeout))
        self._thread.start()
        until(lambda: pool._table._lines.get(row.dcc_type) or not self._thread.is_alive())

    def _run(self, pool, row, timeout):
        try:
            self.result = pool.borrow(row, timeout)
        except Exception as error:
            self.result = error

    def join(self):
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        return self.result


def test_a_borrowed_connection_works(bench, peer):
    lease = bench.pool.borrow(row_of(peer))
    assert lease.channel.call("echo", b"x")["payload"] == b"x"
    assert lease.place.connection_id == lease.place.connection_id.lower()
    assert bench.pool.size() == 1
    assert bench.pool.in_flight("maya") == {FIRST: 1}


def test_what_was_given_back_is_lent_again(bench, peer):
    for _ in range(3):
        bench.use(row_of(peer))
    assert peer.connections == 1
    assert bench.pool.size() == 1


def test_what_is_not_sound_is_closed(bench, peer):
    bench.pool.give_back(bench.pool.borrow(row_of(peer)), sound=False)
    assert bench.pool.size() == 0
    peer.wait(lambda: peer.connections == 1 and peer.open == 0)


def test_a_dead_connection_is_replaced_before_it_is_lent(bench, peer):
    bench.use(row_of(peer))
    identity = bench.pool.borrow(row_of(peer)).place.connection_id
    bench.pool.give_back_oldest("maya", FIRST)
    peer.cut()
    peer.wait(lambda: peer.open == 0)
    second = bench.pool.borrow(row_of(peer))
    assert second.channel.call("echo", b"x")["payload"] == b"x"
    assert second.place.connection_id != identity
    assert peer.connections == 2
    assert bench.pool.size() == 1


def test_connecting_gets_the_connect_timeout_and_its_failure_gives_the_place_back(bench):
    with FramedPeer() as gone:
        row = row_of(gone)
    for _ in range(2):
        with pytest.raises(IpcConnectionFailed, match="tcp://127.0.0.1:{}".format(gone.port)):
            bench.pool.borrow(row, 0)
    assert bench.dialled == [10.0, 10.0]
    assert bench.pool.in_flight("maya") == {}


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
def test_a_peer_that_does_not_accept_is_given_up_after_the_connect_timeout(tmp_path):
    bench = Bench(connect_timeout=0.2)
    path = str(tmp_path / "s")
    held = []
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(path)
        deaf.listen(0)
        try:
            while True:
                one = socket.socket(socket.AF_UNIX)
                held.append(one)
                one.setblocking(False)
                one.connect(path)
        except BlockingIOError:
            pass
        address = {"type": "unix_socket", "path": path}
        row = ServiceEntry({"dcc_type": "maya", "instance_id": FIRST, "transport_address": address})
        with pytest.raises(ConnectionTimeout, match="connection timed out after 200ms"):
            bench.pool.borrow(row)
        for one in held:
            one.close()


def test_who_waits_gets_what_is_given_back(bench, peer):
    lease = bench.pool.borrow(row_of(peer))
    waiting = Waiting(bench.pool, row_of(peer))
    bench.pool.give_back(lease)
    assert waiting.join().channel is lease.channel


def test_who_waits_for_another_instance_gets_a_new_connection_in_place_of_the_old(bench, peer):
    with FramedPeer() as other:
        lease = bench.pool.borrow(row_of(peer))
        peer.wait(lambda: peer.open)
        waiting = Waiting(bench.pool, row_of(other, SECOND))
        bench.pool.give_back(lease)
        got = waiting.join()
        assert got.channel.call("echo", b"y")["payload"] == b"y"
        assert other.connections == 1
        peer.wait(lambda: peer.open == 0)
        assert bench.pool.size() == 1
        bench.pool.shut()


def test_who_waits_gets_the_place_of_a_failed_connect(peer):
    bench = Bench()
    begun, go = threading.Event(), threading.Event()
    dial = bench.pool._dial

    def failing(row, timeout):
        begun.set()
        go.wait(DEADLINE)
        bench.pool._dial = dial
        raise IpcConnectionFailed("tcp://x", "refused")

    bench.pool._dial = failing
    first = threading.Thread(
        target=lambda: pytest.raises(IpcConnectionFailed, bench.pool.borrow, row_of(peer))
    )
    first.start()
    assert begun.wait(DEADLINE)
    waiting = Waiting(bench.pool, row_of(peer))
    go.set()
    assert waiting.join().channel.call("echo", b"x")["payload"] == b"x"
    first.join(DEADLINE)
    bench.pool.shut()


def test_waiting_ends(bench, peer):
    bench.pool.borrow(row_of(peer))
    with pytest.raises(AcquireTimeout) as failed:
        bench.pool.borrow(row_of(peer), 0.02)
    assert str(failed.value) == "acquire timeout after 20ms for DCC type 'maya'"


@pytest.mark.parametrize("bad", [-1, "1", float("inf")])
def test_time_that_cannot_be_waited_is_refused(bench, peer, bad):
    bench.pool.borrow(row_of(peer))
    with pytest.raises(ConfigError, match="timeout is"):
        bench.pool.borrow(row_of(peer), bad)


def test_acquire_timeout_is_the_default_and_zero_is_no_wait(peer):
    bench = Bench(acquire_timeout=0.03)
    bench.pool.borrow(row_of(peer))
    with pytest.raises(AcquireTimeout, match="after 30ms"):
        bench.pool.borrow(row_of(peer))
    with pytest.raises(PoolExhausted):
        bench.pool.borrow(row_of(peer), 0)
    bench.pool.shut()
    bench = Bench(acquire_timeout=0, max_connections_per_type=2)
    bench.pool.borrow(row_of(peer))
    bench.pool.borrow(row_of(peer))
    with pytest.raises(PoolExhausted) as failed:
        bench.pool.borrow(row_of(peer))
    assert str(failed.value) == "connection pool exhausted for DCC type 'maya' (max: 2)"
    bench.pool.shut()


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        (lambda pool: pool.shut(), Shutdown),
        (lambda pool: pool.drop("maya", FIRST), ServiceNotFound),
    ],
)
def test_waiting_and_working_end_when_the_manager_or_the_instance_does(bench, peer, end, failure):
    lease = bench.pool.borrow(row_of(peer))
    waiting = Waiting(bench.pool, row_of(peer))
    end(bench.pool)
    assert type(waiting.join()) is failure
    assert not lease.channel.alive()
    peer.wait(lambda: peer.open == 0)
    bench.pool.give_back(lease)
    assert bench.pool.size() == 0


def test_connection_made_while_the_end_came_is_closed(peer):
    bench = Bench()
    dial = bench.pool._dial

    def slow(row, timeout):
        channel = dial(row, timeout)
        bench.pool.shut()
        return channel

    bench.pool._dial = slow
    with pytest.raises(Shutdown):
        bench.pool.borrow(row_of(peer))
    peer.wait(lambda: peer.connections == 1 and peer.open == 0)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_ctrl_c_ends_a_wait_and_leaves_the_line(bench, peer):
    lease = bench.pool.borrow(row_of(peer))
    line = bench.pool._table._lines.setdefault("maya", deque())
    main = threading.get_ident()

    def interrupt():
        until(lambda: line)
        signal.pthread_kill(main, signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        bench.pool.borrow(row_of(peer), DEADLINE)
    other.join(DEADLINE)
    assert not line
    bench.pool.give_back(lease)
    assert bench.pool.borrow(row_of(peer), 0).channel is lease.channel


def test_release_gives_back_the_oldest_of_this_thread(peer):
    bench = Bench(max_connections_per_type=3)
    mine = [bench.pool.borrow(row_of(peer)) for _ in range(2)]
    others = threading.Thread(target=lambda: bench.pool.borrow(row_of(peer)))
    others.start()
    others.join(DEADLINE)
    bench.pool.give_back_oldest("maya", FIRST)
    assert bench.pool.borrow(row_of(peer), 0).channel is mine[0].channel
    for _ in range(4):
        bench.pool.give_back_oldest("maya", FIRST)
    assert bench.pool.in_flight("maya") == {FIRST: 1}, "the other thread's"
    bench.pool.shut()


def test_one_of_us_is_asked_after_a_long_rest():
    bench = Bench(key=KEY)
    with FramedPeer(key=KEY, instance_id=FIRST) as peer:
        bench.pool.give_back(bench.pool.borrow(row_of(peer)))
        bench.clock.advance(5)
        heard = len(peer.received[0])
        bench.pool.give_back(bench.pool.borrow(row_of(peer)))
        assert len(peer.received[0]) == heard, "it has just been in use"
        bench.clock.advance(5.001)
        bench.pool.give_back(bench.pool.borrow(row_of(peer)))
        peer.wait(lambda: len(peer.received[0]) > heard)
        assert peer.connections == 1
        bench.pool.shut()


def test_one_of_us_that_does_not_answer_is_connected_to_anew():
    bench = Bench(key=KEY, connect_timeout=0.2)
    with FramedPeer(key=KEY, instance_id=FIRST) as peer:
        bench.pool.give_back(bench.pool.borrow(row_of(peer)))
        bench.clock.advance(6)
        peer.deaf = 1
        waiting = Waiting(bench.pool, row_of(peer))
        peer.wait(lambda: peer.connections == 2)
        assert waiting.join().channel.call("echo", b"x")["payload"] == b"x"
        bench.pool.shut()


def test_a_stranger_is_sent_nothing_that_nobody_asked_for(bench, peer):
    for _ in range(3):
        bench.pool.give_back(bench.pool.borrow(row_of(peer)))
        bench.clock.advance(100)
    bench.pool.shut()
    peer.wait(lambda: peer.connections == 1 and peer.open == 0)
    assert peer.received == [b""]


def test_sweep_closes_what_is_over_its_time_and_what_is_dead(peer):
    bench = Bench(max_connections_per_type=2, max_idle_time=100)
    with FramedPeer() as other:
        for one, instance in ((peer, FIRST), (other, SECOND)):
            bench.use(row_of(one, instance))
        peer.cut()
        peer.wait(lambda: peer.open == 0)
        assert bench.pool.sweep() == 0, "it has just been in use"
        bench.clock.advance(5.001)
        assert bench.pool.sweep() == 1
        assert bench.pool.size() == 1
        bench.clock.advance(95)
        assert bench.pool.sweep() == 1
        other.wait(lambda: other.open == 0)
    assert bench.pool.sweep() == 0


# A ``with`` block.


def lent(bench, peer, calls=None):
    def observe(latency_ms, error):
        if calls is not None:
            calls.append((latency_ms, error))

    return bench.pool.lent(row_of(peer), 0, observe)


def test_block_tells_of_its_calls_and_gives_back(bench, peer):
    calls = []
    with lent(bench, peer, calls) as channel:
        channel.call("echo", b"x")
        channel.call("echo", b"y")
    assert [error for _, error in calls] == [None, None]
    assert all(0 < latency < DEADLINE * 1000 for latency, _ in calls)
    assert bench.pool.in_flight("maya") == {}
    with lent(bench, peer) as again:
        assert again is channel
        channel.call("echo", b"z")
    assert len(calls) == 2, "another block's calls are not this one's"


def failing(method, params):
    raise ValueError("no such node")


@pytest.mark.parametrize("own", [ValueError, LookupError])
def test_error_of_the_block_leaves_a_sound_connection(bench, peer, own):
    with pytest.raises(own), lent(bench, peer) as channel:  # noqa: PT012
        channel.call("echo", b"x")
        raise own
    assert channel.alive()
    assert bench.pool.size() == 1


def test_answer_that_is_a_failure_leaves_a_sound_connection(bench):
    calls = []
    with FramedPeer(answer=failing) as peer:
        with pytest.raises(CallFailed), lent(bench, peer, calls) as channel:
            channel.call("select", b"x")
        assert channel.alive()
        assert [error for _, error in calls] == ["call 'select' failed: no such node"]
        bench.pool.shut()


def test_call_that_was_not_answered_in_time_costs_the_connection(bench):
    calls = []
    go = threading.Event()
    with FramedPeer(answer=lambda method, params: b"late" if go.wait(DEADLINE) else b"") as peer:
        with pytest.raises(CallTimeout), lent(bench, peer, calls) as channel:
            channel.call("render", timeout_ms=30)
        go.set()
        assert [error for _, error in calls] == ["call 'render' timed out after 30ms"]
        assert bench.pool.size() == 0
        peer.wait(lambda: peer.open == 0)


def test_caught_failure_that_broke_the_connection_costs_it_too(bench, peer):
    with lent(bench, peer) as channel:
        peer.wait(lambda: peer.open)
        peer.cut()
        with pytest.raises(ConnectionClosed):
            channel.call("echo", b"x")
    assert bench.pool.size() == 0


def test_interrupted_block_costs_the_connection(bench, peer):
    with pytest.raises(KeyboardInterrupt), lent(bench, peer):
        raise KeyboardInterrupt
    assert bench.pool.size() == 0
    peer.wait(lambda: peer.open == 0)


def test_connection_that_is_closed_in_the_block_is_not_lent_again(bench, peer):
    with lent(bench, peer) as channel:
        channel.shutdown()
    assert bench.pool.size() == 0
    with lent(bench, peer) as channel:
        assert channel.call("echo", b"x")["payload"] == b"x"
