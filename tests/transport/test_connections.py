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
from dcc_mcp_embed.transport import channel as channel_module
from dcc_mcp_embed.transport import connections, loan, places, pool
from dcc_mcp_embed.transport.config import PoolConfig, SessionConfig, TransportConfig
from dcc_mcp_embed.transport.connect import open_channel, raw_channel
from dcc_mcp_embed.transport.connections import Connections
from dcc_mcp_embed.transport_errors import (
    AcquireTimeout,
    CallFailed,
    CallTimeout,
    ConnectionClosed,
    ConnectionTimeout,
    Internal,
    IpcConnectionFailed,
    PoolExhausted,
    ServiceNotFound,
    Shutdown,
    TransportError,
)
from dcc_mcp_embed.wire.frames import frame
from dcc_mcp_embed.wire.messages import Notify, encode
from fakes.channels import ctrl_c, until
from fakes.clock import FakeClock
from fakes.framed_peer import DEADLINE, FramedPeer
from fakes.interrupt import Interrupt

KEY = b"k" * 32
FIRST, SECOND = ("{}0000000-0000-4000-8000-000000000000".format(n) for n in (1, 2))
#: For connections that are made by the test.
HERE = ServiceEntry({"dcc_type": "maya", "instance_id": FIRST, "host": "127.0.0.1", "port": 1})


def row_of(peer, instance=FIRST, dcc_type="maya"):
    return ServiceEntry(
        {
            "dcc_type": dcc_type,
            "instance_id": instance,
            "host": "127.0.0.1",
            "port": peer.port,
        }
    )


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
        assert lease.handle.call("echo", b"x")["payload"] == b"x"
        self.give_back(row)

    def reserve(self, row):
        """Borrow and give back: the other end is sent nothing."""
        self.pool.borrow(row, 0)
        self.give_back(row)

    def give_back(self, row):
        self.pool.give_back_oldest(row.dcc_type, row.instance_id)


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
    assert lease.handle.call("echo", b"x")["payload"] == b"x"
    assert lease.connection_id == lease.connection_id.lower()
    assert bench.pool.size() == 1
    assert bench.pool.in_flight("maya") == {FIRST: 1}


def test_what_was_given_back_is_lent_again(bench, peer):
    for _ in range(3):
        bench.use(row_of(peer))
    assert peer.connections == 1
    assert bench.pool.size() == 1


def test_a_dead_connection_is_replaced_before_it_is_lent(bench, peer):
    bench.use(row_of(peer))
    identity = bench.pool.borrow(row_of(peer)).connection_id
    bench.give_back(row_of(peer))
    peer.cut()
    peer.wait(lambda: peer.open == 0)
    second = bench.pool.borrow(row_of(peer))
    assert second.handle.call("echo", b"x")["payload"] == b"x"
    assert second.connection_id != identity
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
    channel = bench.pool.borrow(row_of(peer)).handle
    waiting = Waiting(bench.pool, row_of(peer))
    bench.give_back(row_of(peer))
    assert waiting.join().handle is channel


def test_who_waits_for_another_instance_gets_a_new_connection_in_place_of_the_old(bench, peer):
    with FramedPeer() as other:
        bench.pool.borrow(row_of(peer))
        peer.wait(lambda: peer.open)
        waiting = Waiting(bench.pool, row_of(other, SECOND))
        bench.give_back(row_of(peer))
        got = waiting.join()
        assert got.handle.call("echo", b"y")["payload"] == b"y"
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
    assert waiting.join().handle.call("echo", b"x")["payload"] == b"x"
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
    channel = bench.pool.borrow(row_of(peer)).handle
    waiting = Waiting(bench.pool, row_of(peer))
    end(bench.pool)
    assert type(waiting.join()) is failure
    assert not channel.alive()
    peer.wait(lambda: peer.open == 0)
    bench.give_back(row_of(peer))
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
    channel = bench.pool.borrow(row_of(peer)).handle
    line = bench.pool._table._lines.setdefault("maya", deque())
    with pytest.raises(KeyboardInterrupt), ctrl_c(lambda: line):
        bench.pool.borrow(row_of(peer), DEADLINE)
    assert not line
    bench.give_back(row_of(peer))
    assert bench.pool.borrow(row_of(peer), 0).handle is channel


def test_release_gives_back_the_oldest_of_this_thread(peer):
    bench = Bench(max_connections_per_type=3)
    mine = [bench.pool.borrow(row_of(peer)).handle for _ in range(2)]
    with Reserving(bench, row_of(peer)):
        releasing(bench, row_of(peer), mine)
    bench.pool.shut()


def releasing(bench, row, mine):
    bench.pool.give_back_oldest("maya", FIRST)
    assert bench.pool.borrow(row, 0).handle is mine[0]
    for _ in range(4):
        bench.pool.give_back_oldest("maya", FIRST)
    assert bench.pool.in_flight("maya") == {FIRST: 1}, "the other thread's"


class Reserving:
    """A thread that has reserved a connection and lives until the end of the block."""

    def __init__(self, bench, row):
        self._bench = bench
        self._row = row
        self._reserved, self._go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        self._bench.pool.borrow(self._row)
        self._reserved.set()
        self._go.wait(DEADLINE)

    def __enter__(self):
        self._thread.start()
        assert self._reserved.wait(DEADLINE)
        return self

    def __exit__(self, *_):
        self._go.set()
        self._thread.join(DEADLINE)


# Threads that end with what they had reserved.


def test_what_a_thread_had_reserved_is_there_again_when_it_has_ended(bench, peer):
    with Reserving(bench, row_of(peer)):
        with pytest.raises(PoolExhausted):
            bench.pool.borrow(row_of(peer), 0)
        bench.pool.give_back_oldest("maya", FIRST)
        with pytest.raises(PoolExhausted):
            bench.pool.borrow(row_of(peer), 0)
    bench.reserve(row_of(peer))
    # The peer has been sent nothing: it may still be about to take the connection.
    until(lambda: peer.connections == 1)


def test_whoever_is_in_line_notices_the_end_of_a_thread(bench, peer, monkeypatch):
    monkeypatch.setattr(connections, "_LOOK", 0.002)
    with Reserving(bench, row_of(peer)):
        waiting = Waiting(bench.pool, row_of(peer))
    assert waiting.join().handle.call("echo", b"x")["payload"] == b"x"


def test_release_gives_back_what_a_thread_that_has_ended_had(bench, peer):
    with Reserving(bench, row_of(peer)):
        pass
    assert bench.pool.in_flight("maya") == {FIRST: 1}
    bench.pool.give_back_oldest("maya", SECOND)
    assert bench.pool.in_flight("maya") == {FIRST: 1}
    bench.pool.give_back_oldest("maya", FIRST)
    assert bench.pool.in_flight("maya") == {}


def test_sweep_gives_back_what_threads_that_have_ended_had(bench, peer):
    with Reserving(bench, row_of(peer)):
        assert bench.pool.sweep() == 0
        assert bench.pool.in_flight("maya") == {FIRST: 1}
    bench.pool.sweep()
    assert bench.pool.in_flight("maya") == {}


def test_a_block_may_be_left_on_another_thread_and_is_not_released(bench, peer):
    block = lent(bench, peer)
    entered = []
    thread = threading.Thread(target=lambda: entered.append(block.__enter__()))
    thread.start()
    thread.join(DEADLINE)
    with pytest.raises(PoolExhausted):
        bench.pool.borrow(row_of(peer), 0)
    bench.pool.give_back_oldest("maya", FIRST)
    assert entered[0].call("echo", b"x")["payload"] == b"x"
    block.__exit__(None, None, None)
    assert bench.pool.in_flight("maya") == {}


def test_one_of_us_is_asked_after_a_long_rest():
    bench = Bench(key=KEY)
    with FramedPeer(key=KEY, instance_id=FIRST) as peer:
        bench.reserve(row_of(peer))
        bench.clock.advance(5)
        heard = len(peer.received[0])
        bench.reserve(row_of(peer))
        assert len(peer.received[0]) == heard, "it has just been in use"
        bench.clock.advance(5.001)
        bench.reserve(row_of(peer))
        peer.wait(lambda: len(peer.received[0]) > heard)
        assert peer.connections == 1
        bench.pool.shut()


def test_one_of_us_that_does_not_answer_is_connected_to_anew():
    bench = Bench(key=KEY, connect_timeout=0.2)
    # The short time is for the ping; connecting may take longer on a busy machine.
    bench.pool._dial = lambda row, timeout: bench.dial(row, DEADLINE)
    with FramedPeer(key=KEY, instance_id=FIRST) as peer:
        bench.reserve(row_of(peer))
        bench.clock.advance(6)
        peer.deaf = 1
        waiting = Waiting(bench.pool, row_of(peer))
        peer.wait(lambda: peer.connections == 2)
        assert waiting.join().handle.call("echo", b"x")["payload"] == b"x"
        bench.pool.shut()


def test_a_stranger_is_sent_nothing_that_nobody_asked_for(bench, peer):
    for _ in range(3):
        bench.reserve(row_of(peer))
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
        again.call("echo", b"z")
    assert len(calls) == 2, "another block's calls are not this one's"
    assert peer.connections == 1


def failing(method, params):
    raise ValueError("no such node")


@pytest.mark.parametrize("own", [ValueError, LookupError])
def test_error_of_the_block_leaves_a_sound_connection(bench, peer, own):
    with pytest.raises(own), lent(bench, peer) as channel:  # noqa: PT012
        channel.call("echo", b"x")
        raise own
    assert bench.pool.size() == 1
    bench.use(row_of(peer))
    assert peer.connections == 1


def test_answer_that_is_a_failure_leaves_a_sound_connection(bench):
    calls = []
    with FramedPeer(answer=failing) as peer:
        with pytest.raises(CallFailed), lent(bench, peer, calls) as channel:
            channel.call("select", b"x")
        assert bench.pool.size() == 1
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


# Nothing of one borrower is left to the next.


def test_a_former_borrower_has_nothing_in_hand(bench, peer):
    calls = []
    with lent(bench, peer, calls) as former:
        former.call("echo", b"x")
    assert not former
    assert not former.alive()
    for use in (
        lambda: former.call("echo", b"x"),
        lambda: former.send_request("echo"),
        lambda: former.send_notify("topic"),
        lambda: former.recv(0),
        former.try_recv,
        former.ping,
    ):
        with pytest.raises(Internal, match="was given back"):
            use()
    assert len(calls) == 1
    with lent(bench, peer) as channel:
        former.shutdown()
        former.close()
        assert channel.call("echo", b"y")["payload"] == b"y"
    assert peer.connections == 1


def test_an_answer_that_nobody_waited_for_is_not_the_next_ones(bench, peer):
    with lent(bench, peer) as channel:
        channel.send_request("echo", b"mine")
    assert bench.pool.size() == 0
    with lent(bench, peer) as channel:
        request = channel.send_request("echo", b"answered")
        assert channel.recv(int(DEADLINE * 1000))["id"] == request
    assert bench.pool.size() == 1, "it was waited for"
    with lent(bench, peer) as channel:
        assert channel.try_recv() is None
        assert channel.recv(0) is None
    assert peer.connections == 2


def test_an_answer_that_has_not_come_is_not_the_next_ones(bench):
    go = threading.Event()
    with FramedPeer(answer=lambda method, params: b"late" if go.wait(DEADLINE) else b"") as peer:
        with lent(bench, peer) as channel:
            channel.send_request("render")
        assert bench.pool.size() == 0
        go.set()


def test_a_message_that_came_and_was_not_taken_is_not_the_next_ones(bench):
    one, other = socket.socketpair()
    bench.pool._dial = lambda row, timeout: raw_channel(one, row.effective_address(), SystemClock())
    with bench.pool.lent(HERE, 0, lambda latency_ms, error: None):
        other.sendall(frame(encode(Notify(None, "selection", b"a secret"))))
    assert bench.pool.size() == 0
    other.close()


def test_a_caught_timeout_leaves_no_answer_to_the_next(bench):
    go = threading.Event()
    with FramedPeer(answer=lambda method, params: b"late" if go.wait(DEADLINE) else b"") as peer:
        with lent(bench, peer) as channel, pytest.raises(CallTimeout):
            channel.call("render", timeout_ms=30)
        go.set()
        assert bench.pool.size() == 0


def test_an_argument_that_was_never_sent_costs_nothing(bench, peer):
    with lent(bench, peer) as channel, pytest.raises(TypeError):
        channel.call("echo", object())
    assert bench.pool.size() == 1


def test_whoever_still_receives_gets_nothing_of_the_next(bench, peer):
    results = []
    with lent(bench, peer) as channel:

        def receive():
            try:
                results.append(channel.recv())
            except Internal as error:
                results.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        until(lambda: channel._link._receivers)
    thread.join(DEADLINE)
    assert [type(one) for one in results] == [Internal]
    assert bench.pool.size() == 0


def test_what_came_between_two_borrowers_is_nobodys():
    one, other = socket.socketpair()
    bench = Bench()
    made = [one]

    def dial(row, timeout):
        return raw_channel(made.pop(), row.effective_address(), SystemClock())

    bench.pool._dial = dial
    bench.reserve(HERE)
    other.sendall(frame(encode(Notify(None, "selection", b"a secret"))))
    with pytest.raises(IndexError):
        bench.pool.borrow(HERE)
    assert bench.pool.size() == 0
    other.close()


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        (lambda pool: pool.shut(), Shutdown),
        (lambda pool: pool.drop("maya", FIRST), ServiceNotFound),
    ],
)
def test_a_call_under_way_is_told_of_the_end(bench, end, failure):
    go, heard = threading.Event(), threading.Event()

    def answer(method, params):
        heard.set()
        go.wait(DEADLINE)
        return b""

    failed = []
    with FramedPeer(answer=answer) as peer:

        def call():
            try:
                with lent(bench, peer) as channel:
                    channel.call("render")
            except TransportError as error:
                failed.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        assert heard.wait(DEADLINE)
        end(bench.pool)
        thread.join(DEADLINE)
        go.set()
    assert [type(error) for error in failed] == [failure]


# Ctrl-C anywhere.

TRACED = (connections, places, pool, loan, channel_module)


def use_block(bench, peer):
    with lent(bench, peer) as channel:
        assert channel.call("echo", b"x")["payload"] == b"x"


def reserve(bench, peer):
    bench.pool.borrow(row_of(peer), 0)


def fail_to_reserve(bench, peer):
    with FramedPeer() as gone:
        row = row_of(gone)
    try:
        bench.pool.borrow(row, 0)
    except IpcConnectionFailed:
        return


@pytest.mark.edges
@pytest.mark.parametrize("scenario", [use_block, reserve, fail_to_reserve])
@pytest.mark.parametrize("before", ["nothing", "idle", "dead"])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_ctrl_c_at_any_line_gives_the_place_back(peer, scenario, before):
    for number in range(1000):
        bench = Bench()
        if before != "nothing":
            bench.use(row_of(peer))
        if before == "dead":
            peer.cut()
            peer.wait(lambda: peer.open == 0)
        try:
            with Interrupt(number, TRACED) as interrupt:
                scenario(bench, peer)
        except KeyboardInterrupt:
            table = bench.pool._table
            assert bench.pool.in_flight("maya") == {}, number
            assert not table._lines.get("maya"), number
            assert len(table._places.get("maya", ())) <= 1
            bench.pool._do()
            bench.use(row_of(peer))
        bench.pool.shut()
        if interrupt.left >= 0:
            break
    assert 20 < number < 1000


@pytest.mark.edges
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_ctrl_c_at_any_line_of_giving_back_leaves_nobody_in_line(peer, monkeypatch):
    monkeypatch.setattr(connections, "_LOOK", 0.02)
    for number in range(1000):
        bench = Bench()
        interrupt = Interrupt(number, TRACED)
        block = lent(bench, peer)
        block.__enter__()
        waiting = Waiting(bench.pool, row_of(peer))
        try:
            with interrupt:
                block.__exit__(None, None, None)
        except KeyboardInterrupt:
            pass
        assert waiting.join().handle.call("echo", b"x")["payload"] == b"x"
        bench.pool.shut()
        if interrupt.left >= 0:
            break
    assert 30 < number < 1000


def test_a_block_that_a_finaliser_ends_in_the_middle_of_another_is_ended(bench, peer):
    bench = Bench(max_connections_per_type=2)
    block = lent(bench, peer)
    block.__enter__()
    make = bench.pool._table._new_id

    def new_id():
        # Under the lock: as the collector would, which finds the block forgotten in a circle.
        nonlocal block
        block = None
        with pytest.raises(Internal, match="in the middle of another call"):
            bench.pool.size()
        return make()

    bench.pool._table._new_id = new_id
    with lent(bench, peer):
        assert bench.pool.in_flight("maya") == {FIRST: 1}
    assert bench.pool.in_flight("maya") == {}
    bench.pool.shut()
