"""The listener: batches, exclusive ports, and a rest when the process is out of files."""

from __future__ import annotations

import errno
import socket

import pytest

from dcc_mcp_embed.net.listener import PER_TURN, Listener, bind
from dcc_mcp_embed.net.loop import Loop
from fakes.burst import burst
from fakes.clock import FakeClock


@pytest.fixture
def loop():
    one = Loop(FakeClock(), lambda where, error: pytest.fail(repr(error)))
    yield one
    one.close()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 5.0)


def test_a_burst_is_accepted_in_one_turn_and_sends_at_once(loop):
    accepted = []
    sock = bind("127.0.0.1", 0)
    listener = Listener(loop, sock, lambda one, peer: accepted.append((one, peer)), pytest.fail)
    clients = [connect(sock.getsockname()[1]) for _ in range(50)]
    loop.turn()
    assert len(accepted) == 50
    assert {client.getsockname() for client in clients} == {peer for _, peer in accepted}
    for one, _ in accepted:
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not one.get_inheritable()
        one.close()
    for client in clients:
        client.close()
    listener.close()
    listener.close()


def test_more_come_at_once_than_one_turn_takes_and_none_has_to_try_again(loop):
    accepted = []
    sock = bind("127.0.0.1", 0)
    listener = Listener(loop, sock, lambda one, peer: accepted.append(one), pytest.fail)
    clients = burst(sock.getsockname())
    loop.turn()
    assert len(accepted) == min(PER_TURN, len(clients))
    while len(accepted) < len(clients):
        loop.turn()
    for one in accepted + clients:
        one.close()
    listener.close()


def test_a_port_in_use_is_an_error_and_leaves_nothing_open():
    with bind("127.0.0.1", 0) as sock, pytest.raises(OSError) as caught:
        bind("127.0.0.1", sock.getsockname()[1])
    assert caught.value.errno == errno.EADDRINUSE


def test_out_of_files_it_rests_a_second_and_goes_on(loop):
    accepted, told = [], []

    class Exhausted:
        """A listening socket whose process has no descriptor left, until ``free`` is set."""

        free = False

        def __init__(self, sock):
            self._sock = sock

        def fileno(self):
            return self._sock.fileno()

        def accept(self):
            if not self.free:
                raise OSError(errno.EMFILE, "Too many open files")
            return self._sock.accept()

        def close(self):
            self._sock.close()

    real = bind("127.0.0.1", 0)
    sock = Exhausted(real)
    listener = Listener(loop, sock, lambda one, peer: accepted.append(one), told.append)
    client = connect(real.getsockname()[1])
    loop.turn()
    assert [error.errno for error in told] == [errno.EMFILE]
    sock.free = True
    loop.call_soon(lambda: None)
    loop.turn()
    assert accepted == [], "it must not spin on a socket that cannot be accepted"
    loop.clock.advance(1.0)
    loop.turn()
    loop.turn()
    assert len(accepted) == 1
    accepted[0].close()
    client.close()
    listener.close()
