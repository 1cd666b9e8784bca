"""The stream: what is written arrives, what cannot be written waits, a slow reader stops us."""

from __future__ import annotations

import socket

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.net.loop import Loop
from dcc_mcp_embed.net.stream import Protocol, Stream


class Recorder(Protocol):
    def __init__(self):
        self.data = b""
        self.eof = False
        self.lost = []
        self.writable = 0

    def receive_data(self, data):
        self.data += data

    def receive_eof(self):
        self.eof = True

    def writable_again(self):
        self.writable += 1

    def connection_lost(self, error):
        self.lost.append(error)


class Pair:
    def __init__(self, high_water=100_000):
        failures = self.failures = []
        self.loop = Loop(SystemClock(), lambda where, error: failures.append(error))
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.protocol = Recorder()
        self.stream = Stream(self.loop, near, self.protocol, high_water)

    def turn(self, times=1):
        for _ in range(times):
            self.loop.call_soon(lambda: None)
            self.loop.turn()

    def read_all(self):
        got = b""
        while True:
            try:
                piece = self.far.recv(1 << 20)
            except BlockingIOError:
                return got
            if not piece:
                return got
            got += piece


@pytest.fixture
def pair():
    one = Pair()
    yield one
    one.stream.abort()
    one.far.close()
    one.loop.close()
    assert one.failures == []


def test_bytes_come_and_go(pair):
    pair.far.send(b"hello")
    pair.turn()
    assert pair.protocol.data == b"hello"
    pair.stream.write(b"back")
    assert pair.read_all() == b"back"


def test_what_has_come_can_be_looked_for_between_the_loops_turns(pair):
    pair.stream.look()
    pair.far.send(b"hello")
    pair.stream.look()
    assert pair.protocol.data == b"hello"
    pair.stream.pause_reading()
    pair.far.send(b"later")
    pair.stream.look()
    assert pair.protocol.data == b"hello"
    pair.stream.resume_reading()
    pair.stream.look()
    pair.far.shutdown(socket.SHUT_WR)
    pair.stream.look()
    pair.stream.look()
    assert (pair.protocol.data, pair.protocol.eof) == (b"hellolater", True)
    pair.stream.abort()
    pair.stream.look()
    assert pair.protocol.lost == [None]


def test_what_the_socket_does_not_take_waits_in_order(pair):
    sent = bytes(range(256)) * 20_000
    pair.stream.write(sent)
    pair.stream.write(b"end")
    assert pair.stream.unsent > 0
    got = b""
    while len(got) < len(sent) + 3:
        got += pair.read_all()
        pair.turn()
    assert got == sent + b"end"
    assert pair.stream.unsent == 0


def test_a_peer_that_does_not_read_is_not_read_either(pair):
    pair.stream.write(b"x" * 5_000_000)
    pair.turn()
    pair.far.send(b"more requests")
    pair.turn(3)
    assert pair.protocol.data == b""
    drained = 0
    while pair.stream.unsent:
        drained += len(pair.read_all())
        pair.turn()
    pair.turn()
    assert pair.protocol.data == b"more requests"
    assert pair.protocol.writable == 1


def test_pausing_leaves_bytes_with_the_peer(pair):
    pair.stream.pause_reading()
    pair.far.send(b"wait")
    pair.turn(3)
    assert pair.protocol.data == b""
    pair.stream.resume_reading()
    pair.turn()
    assert pair.protocol.data == b"wait"


def test_the_end_of_the_peers_side_is_told_once_and_costs_no_more_turns(pair):
    pair.far.shutdown(socket.SHUT_WR)
    pair.turn(5)
    assert pair.protocol.eof
    pair.stream.write(b"still")
    assert pair.read_all() == b"still"
    assert pair.protocol.lost == []


def test_closing_sends_what_is_left_first(pair):
    sent = b"y" * 3_000_000
    pair.stream.write(sent)
    pair.stream.close()
    got = b""
    while not pair.protocol.lost:
        got += pair.read_all()
        pair.turn()
    assert got + pair.read_all() == sent
    assert pair.protocol.lost == [None]


def test_a_polite_end_lets_the_peer_finish_sending_and_read_our_answer(pair):
    pair.stream.write(b"413")
    pair.stream.close_politely()
    for _ in range(50):
        try:
            pair.far.send(b"z" * 50_000)
        except BlockingIOError:
            pass
        pair.turn()
    assert pair.protocol.data == b"", "what comes now is dropped, not kept"
    assert pair.read_all() == b"413"
    pair.far.shutdown(socket.SHUT_WR)
    while not pair.protocol.lost:
        pair.turn()
    assert pair.protocol.lost == [None]


def test_a_reset_is_a_loss_and_no_failure(pair):
    pair.far.close()
    pair.stream.write(b"a")
    pair.stream.write(b"b")
    pair.turn(3)
    pair.stream.abort()
    assert pair.protocol.lost == [None]
    assert pair.stream.closed
    pair.stream.write(b"into the void")
    pair.stream.close()


@pytest.mark.parametrize("end", ["close", "abort", "close_politely"])
def test_ending_twice_is_fine(pair, end):
    getattr(pair.stream, end)()
    getattr(pair.stream, end)()
    pair.stream.abort()
    assert pair.protocol.lost == [None]
