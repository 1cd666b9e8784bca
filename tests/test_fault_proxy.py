"""The proxy that tests put between two ends: what passes is whole, what is cut is cut.

Once is enough, as in test_helpers: it is about a fake, not about the package on some Python.
"""

from __future__ import annotations

import itertools
import os
import socket
import tempfile
import threading
import time

import pytest

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.transport.connect import open_channel
from dcc_mcp_embed.transport_errors import ConnectionFailed, TransportError
from fakes.fault_proxy import DOWN, KINDS, UP, Fault, FaultProxy, random_faults
from fakes.framed_peer import FramedPeer

pytestmark = pytest.mark.heavy

DEADLINE = 20.0
#: Seconds in which nothing comes that would come otherwise.
SILENCE = 0.1
KEY = b"k" * 32


class Echo:
    """Sends back whatever comes, byte by byte as it comes; keeps the size of each read."""

    def __init__(self, address):
        if address is None:
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
            self.address = TransportAddress.tcp(*self._listener.getsockname())
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(address)
            self.address = TransportAddress.unix_socket(address)
        self._listener.listen(16)
        self.reads = []
        self.ended = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                sock = self._listener.accept()[0]
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock):
        with sock:
            try:
                while True:
                    data = sock.recv(65536)
                    if not data:
                        break
                    self.reads.append(len(data))
                    sock.sendall(data)
            except OSError:
                pass
        self.ended.release()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for thread in self._threads:
            thread.join(DEADLINE)


def connected(address):
    sock = socket.socket() if address.is_tcp else socket.socket(socket.AF_UNIX)
    sock.settimeout(DEADLINE)
    try:
        sock.connect((address.host, address.port) if address.is_tcp else address.path)
    except BaseException:
        sock.close()
        raise
    return sock


def exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError(data)
        data += piece
    return data


def silent(sock):
    """Return whether nothing comes for a while."""
    sock.settimeout(SILENCE)
    try:
        return sock.recv(1) is None
    except socket.timeout:
        return True
    finally:
        sock.settimeout(DEADLINE)


@pytest.fixture(params=["tcp", "unix"])
def both(request):
    with tempfile.TemporaryDirectory(prefix="dcc") as folder:
        unix = request.param == "unix"
        echo = Echo(os.path.join(folder, "echo") if unix else None)
        with FaultProxy(echo.address, os.path.join(folder, "proxy") if unix else None) as proxy:
            yield proxy, echo
        echo.close()


def test_what_is_sent_arrives_and_so_does_the_end(both):
    proxy, echo = both
    with connected(proxy.address) as sock:
        sent = os.urandom(1 << 20)
        writer = threading.Thread(target=sock.sendall, args=(sent,))
        writer.start()
        assert exactly(sock, len(sent)) == sent
        writer.join(DEADLINE)
        sock.shutdown(socket.SHUT_WR)
        assert echo.ended.acquire(timeout=DEADLINE)
        assert sock.recv(1) == b""
    assert proxy.counts["bytes up"] == proxy.counts["bytes down"] == len(sent)
    assert proxy.counts["connections"] == 1


def test_kill_ends_both_sides(both):
    proxy, echo = both
    with connected(proxy.address) as one, connected(proxy.address) as two:
        for sock in (one, two):
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"x"
        assert proxy.kill_all() == 2
        for sock in (one, two):
            assert sock.recv(1) == b""
            assert echo.ended.acquire(timeout=DEADLINE)
        assert (proxy.open, proxy.counts["kills"]) == (0, 2)


def test_reset_is_no_end_in_order(both):
    proxy, echo = both
    if not proxy.address.is_tcp:
        # A unix socket knows none, but for data that nobody has read.
        return
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"
        proxy.kill_all(reset=True)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert echo.ended.acquire(timeout=DEADLINE)


@pytest.mark.parametrize("ways", [(UP,), (DOWN,), ()])
def test_stall_holds_what_is_sent_until_it_goes_on(both, ways):
    proxy, echo = both
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"
        proxy.stall(*ways)
        sock.sendall(b"abc")
        assert silent(sock)
        assert sum(echo.reads) == (4 if ways == (DOWN,) else 1)
        proxy.go_on()
        assert exactly(sock, 3) == b"abc"


def test_stall_ends_by_itself(both):
    proxy, _ = both
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        exactly(sock, 1)
        begun = time.monotonic()
        proxy.stall(UP, seconds=SILENCE)
        sock.sendall(b"y")
        assert exactly(sock, 1) == b"y"
        assert time.monotonic() - begun >= SILENCE


def test_what_was_stalled_when_it_was_killed_never_arrives(both):
    proxy, echo = both
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        exactly(sock, 1)
        proxy.stall(UP)
        sock.sendall(b"lost")
        proxy.kill_all()
        assert echo.ended.acquire(timeout=DEADLINE)
        assert echo.reads == [1]


def test_split_sends_tiny_pieces(both):
    proxy, echo = both
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        exactly(sock, 1)
        proxy.split()
        sent = bytes(range(200))
        sock.sendall(sent)
        assert exactly(sock, len(sent)) == sent
    assert len(echo.reads) > 10


def test_delay_makes_it_late(both):
    proxy, _ = both
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        exactly(sock, 1)
        proxy.delay(SILENCE, UP)
        begun = time.monotonic()
        for number in range(10):
            sock.sendall(bytes([number]))
        assert exactly(sock, 10) == bytes(range(10))
        assert time.monotonic() - begun >= SILENCE
        proxy.go_on()
        begun = time.monotonic()
        sock.sendall(b"y")
        assert exactly(sock, 1) == b"y"
        assert time.monotonic() - begun < SILENCE


def test_nothing_overtakes_what_is_late(both):
    proxy, _ = both
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        exactly(sock, 1)
        sent = b""
        proxy.follow(
            Fault(0.002, "delay", (UP,), seconds) for seconds in itertools.cycle((0.02, 0.0))
        )
        for number in range(50):
            sock.sendall(bytes([number]))
            sent += bytes([number])
            threading.Event().wait(0.001)
        assert exactly(sock, len(sent)) == sent


def refused(address):
    try:
        with connected(address) as sock:
            return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_refuse_ends_new_ones_and_keeps_the_old(both):
    proxy, _ = both
    with connected(proxy.address) as old:
        old.sendall(b"x")
        exactly(old, 1)
        proxy.refuse()
        assert refused(proxy.address)
        old.sendall(b"y")
        assert exactly(old, 1) == b"y"
        proxy.accept()
        with connected(proxy.address) as new:
            new.sendall(b"z")
            assert exactly(new, 1) == b"z"
    assert proxy.counts["refused"] == 1


def test_next_connections_can_be_cut_soon(both):
    proxy, _ = both
    proxy.cut_next(0.0, 0.01)
    for _ in range(2):
        assert refused(proxy.address)
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"


def test_target_may_change_and_may_be_gone(both):
    proxy, echo = both
    other = Echo(None)
    proxy.target = other.address
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"
    assert (sum(echo.reads), sum(other.reads)) == (0, 1)
    other.close()
    assert refused(proxy.address)
    assert proxy.counts["unreachable"] == 1


def test_one_seed_is_one_plan():
    first, again, other = (list(itertools.islice(random_faults(seed), 200)) for seed in (7, 7, 8))
    assert first == again != other
    assert {one.kind for one in first} == set(KINDS)


def test_plan_is_followed_until_calm(both):
    proxy, _ = both
    killed = Fault(0.0, "stall, kill", (DOWN,), 0.01)
    plan = iter([killed, killed])
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        exactly(sock, 1)
        proxy.follow(plan)
        assert sock.recv(1) == b""
    proxy.follow(itertools.repeat(Fault(0.001, "stall", (UP,), 0.001)))
    with connected(proxy.address) as sock:
        sent = os.urandom(100_000)
        writer = threading.Thread(target=sock.sendall, args=(sent,))
        writer.start()
        assert exactly(sock, len(sent)) == sent
        writer.join(DEADLINE)
    proxy.calm()
    stalls = proxy.counts["stalls"]
    with connected(proxy.address) as sock:
        assert silent(sock)
    assert proxy.counts["stalls"] == stalls


def test_plan_can_kill_the_next_one_too_and_let_nobody_in(both):
    proxy, _ = both
    for kind in ("kill, kill", "kill, refuse"):
        with connected(proxy.address) as sock:
            sock.sendall(b"x")
            exactly(sock, 1)
            proxy.follow(iter([Fault(0.0, kind, seconds=0.05)]))
            assert sock.recv(1) == b""
        assert refused(proxy.address)
    assert (proxy.counts["kills"], proxy.counts["refused"]) == (3, 1)
    proxy.calm()
    with connected(proxy.address) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"


def test_hello_passes_with_the_key_only():
    with FramedPeer(key=KEY, instance_id="peer") as peer:
        with FaultProxy(peer.address) as proxy:
            with pytest.raises(TransportError, match="does not know this user's secret"):
                open_channel(proxy.address, DEADLINE, SystemClock(), KEY, "peer")
        with FaultProxy(peer.address, key=KEY) as proxy:
            with open_channel(proxy.address, DEADLINE, SystemClock(), KEY, "peer") as channel:
                sent = os.urandom(100_000)
                assert channel.call("echo", sent)["payload"] == sent
            with pytest.raises(ConnectionFailed, match="does not know this user's secret"):
                open_channel(proxy.address, DEADLINE, SystemClock(), b"x" * 32, "peer")


def test_hello_passes_in_tiny_pieces():
    with FramedPeer(key=KEY, instance_id="peer") as peer:
        with FaultProxy(peer.address, key=KEY) as proxy:
            proxy.follow(itertools.repeat(Fault(0.0005, "split")))
            with open_channel(proxy.address, DEADLINE, SystemClock(), KEY, "peer") as channel:
                assert channel.call("echo", b"sent")["payload"] == b"sent"
            proxy.calm()
