"""The framed wire between real processes and Pythons: calls, crowds, deaths, strangers."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import ExitStack

import pytest

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.rpc import peer as rpc
from dcc_mcp_embed.rpc.hello import ClientHello, place
from dcc_mcp_embed.transport.connect import connect_ipc, open_channel
from dcc_mcp_embed.transport_errors import (
    ConnectionClosed,
    ConnectionFailed,
    TransportError,
)
from dcc_mcp_embed.wire.messages import Notify, Request, decode
from fakes.channels import DEADLINE, PATIENCE, Helper, Wire, framed
from helpers import TESTS, python
from real.processes import Process

pytestmark = pytest.mark.edges

PEER = os.path.join(TESTS, "real", "framed_peer.py")
KEY = b"k" * 32
INSTANCE = "0f0e0d0c-0b0a-4908-8706-050403020100"
MIB = 1 << 20
#: Seconds in which a thread that waits is told that its peer was killed.
AT_ONCE = 1.0
#: The oldest and the newest, whichever runs the test.
OTHER = "3.7" if sys.version_info >= (3, 10) else "3.13"


class Peer(Process):
    """A process that answers calls; ``key`` None: anybody's."""

    def __init__(self, kind="tcp", where="0", key=None, version=None):
        executable = sys.executable if version is None else python(version)
        super().__init__([executable, PEER, kind, str(where), key.hex() if key else "-"])
        try:
            self.address = TransportAddress.parse(self.json_line()["address"])
        except BaseException:
            self.close()
            raise

    def connect(self):
        return connect_ipc(self.address)


def answer(channel, method, params=None):
    return channel.call(method, params, PATIENCE)["payload"]


@pytest.fixture
def folder():
    # Short: a socket's path may have a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="dcc") as path:
        yield path


@pytest.fixture
def peer():
    with Peer() as one:
        yield one


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_two_processes_of_different_pythons_exchange_calls(kind, folder):
    where = os.path.join(folder, "a.sock") if kind == "unix" else "0"
    with Peer(kind, where, version=OTHER) as peer, peer.connect() as channel:
        for params in (b"", b"\x00\x7f\x80\xff", bytes(range(256)) * 4096):
            assert answer(channel, "echo", params) == params
        assert 0 < channel.round_trip(PATIENCE) < AT_ONCE


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_two_processes_of_different_pythons_are_sure_of_each_other(kind, folder):
    where = os.path.join(folder, "a.sock") if kind == "unix" else "0"
    with Peer(kind, where, KEY, OTHER) as peer:
        clock = SystemClock()
        with open_channel(peer.address, DEADLINE, clock, KEY, INSTANCE) as channel:
            assert channel.hello.instance_id == INSTANCE
            params = bytes(range(256)) * 4096
            assert answer(channel, "echo", params) == params
        with pytest.raises(TransportError, match="does not know this user's secret"):
            open_channel(peer.address, DEADLINE, clock, b"x" * 32)


# Crowds.


def crowd(channels, threads, calls):
    """Make ``calls`` calls on each of ``threads`` threads; return the seconds each one took."""

    def work(number):
        channel = channels[number % len(channels)]
        begun = time.monotonic()
        for count in range(calls):
            params = b"%d:%d" % (number, count)
            assert answer(channel, "echo", params) == params
        return time.monotonic() - begun

    helpers = [Helper(lambda n=n: work(n), patience=600.0) for n in range(threads)]
    return [helper.result() for helper in helpers]


@pytest.mark.heavy
@pytest.mark.parametrize("connections", [64, 10])
def test_64_threads_lose_and_double_nothing_of_64000_calls(peer, connections):
    with ExitStack() as stack:
        channels = [stack.enter_context(peer.connect()) for _ in range(connections)]
        seconds = crowd(channels, 64, 1000)
        assert max(seconds) <= 3 * min(seconds)
        assert json.loads(answer(channels[0], "count").decode()) == [64000, 64000]
        assert [channel.try_recv() for channel in channels] == [None] * connections


@pytest.mark.parametrize("calls", [20, pytest.param(1000, marks=pytest.mark.heavy)])
def test_64_threads_share_one_channel(peer, calls):
    with peer.connect() as channel:
        crowd([channel], 64, calls)
        assert json.loads(answer(channel, "count").decode()) == [64 * calls, 64 * calls]
        assert channel.in_flight == 0 and channel.try_recv() is None


# Deaths.


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_peer_that_is_killed_in_mid_call_is_told_of_at_once(kind, folder):
    where = os.path.join(folder, "a.sock") if kind == "unix" else "0"
    with Peer(kind, where) as peer, peer.connect() as channel:
        uses = [lambda: channel.call("hang", timeout_ms=PATIENCE)] * 3 + [
            channel.recv,
            lambda: channel.recv(PATIENCE),
        ]
        helpers = [Helper(use) for use in uses]
        for _ in range(3):
            assert peer.json_line() == {"hangs": True}
        killed = time.monotonic()
        peer.send_signal(signal.SIGKILL)
        for helper in helpers:
            with pytest.raises(ConnectionClosed):
                helper.result()
        assert time.monotonic() - killed < AT_ONCE
        assert not channel.is_running
        peer.wait()
        with pytest.raises(TransportError):
            peer.connect()


def test_a_client_that_is_killed_costs_its_peer_nothing(peer):
    program = (
        "import sys; sys.path[:0] = [{!r}]\n"
        "from dcc_mcp_embed import TransportAddress, connect_ipc\n"
        "connect_ipc(TransportAddress.parse({!r})).call('hang')\n"
    ).format(os.path.dirname(TESTS), str(peer.address))
    with Process([sys.executable, "-c", program]) as client:
        assert peer.json_line() == {"hangs": True}
        client.end(signal.SIGKILL)
    assert peer.json_line() == {"gone": "connection closed by peer"}
    with peer.connect() as channel:
        assert answer(channel, "echo", b"x") == b"x"


# Strangers.


def stranger(peer):
    return Wire(socket.create_connection((peer.address.host, peer.address.port), DEADLINE))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_header_of_200_mib_from_a_stranger_allocates_nothing(peer):
    with peer.connect() as channel:
        before = int(answer(channel, "memory"))
        strangers = [stranger(peer) for _ in range(5)]
        for one in strangers:
            one.sock.sendall((200 * MIB).to_bytes(4, "big") + b"\x94\xa7request")
        for _ in range(50):
            assert answer(channel, "echo", b"x") == b"x"
        assert int(answer(channel, "memory")) - before < 10 * MIB
        for one in strangers:
            one.close()
        for _ in strangers:
            assert peer.json_line() == {"gone": "connection closed by peer"}


def test_slow_readers_and_slow_writers_stall_only_themselves(peer):
    stop = threading.Event()
    reader, writer = stranger(peer), stranger(peer)

    def ask_and_never_read():
        request = framed(Request(bytes(16), "echo", b"x" * 100_000))
        reader.sock.settimeout(0.3)
        try:
            while True:
                reader.sock.sendall(request)
        except socket.timeout:
            stop.wait(DEADLINE)

    def send_a_byte_at_a_time():
        data = framed(Request(bytes(16), "echo", b"y" * 100_000))
        for at in range(len(data)):
            if stop.wait(0.001):
                return
            writer.sock.sendall(data[at : at + 1])

    helpers = [Helper(ask_and_never_read), Helper(send_a_byte_at_a_time)]
    try:
        with peer.connect() as channel:
            end, slowest = time.monotonic() + 0.7, 0.0
            while time.monotonic() < end:
                begun = time.monotonic()
                assert answer(channel, "echo", b"z" * 1000) == b"z" * 1000
                slowest = max(slowest, time.monotonic() - begun)
            assert slowest < 0.5
    finally:
        stop.set()
        for helper in helpers:
            helper.result()
        reader.close()
        writer.close()


class Between:
    """Passes a client's bytes on to a server and keeps what either has said."""

    def __init__(self, address):
        self._far = address
        self._near = socket.socket()
        self._near.bind(("127.0.0.1", 0))
        self._near.listen(1)
        self.address = TransportAddress.tcp(*self._near.getsockname())
        self.said = {"client": b"", "server": b""}
        self._helper = Helper(self._run)

    def _run(self):
        client, _ = self._near.accept()
        server = socket.create_connection((self._far.host, self._far.port), DEADLINE)
        pumps = [
            Helper(lambda: self._pump(client, server, "client")),
            Helper(lambda: self._pump(server, client, "server")),
        ]
        for pump in pumps:
            pump.result()
        client.close()
        server.close()

    def _pump(self, source, target, who):
        while True:
            try:
                data = source.recv(65536)
                self.said[who] += data
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
            except OSError:
                return

    def close(self):
        self._helper.result()
        self._near.close()


def test_a_relay_to_another_port_fails():
    with Peer(key=KEY) as peer:
        between = Between(peer.address)
        with pytest.raises(ConnectionFailed, match="does not know this user's secret"):
            open_channel(between.address, DEADLINE, SystemClock(), KEY, INSTANCE)
        between.close()
        assert between.said["server"] and b"instance_id" not in between.said["server"]


def record(address):
    """Say hello to a server; return what the client has said, and what the server has."""
    clock, said = SystemClock(), ([], [])
    with socket.create_connection((address.host, address.port), DEADLINE) as sock:
        sock.settimeout(DEADLINE)
        machine = rpc.Peer(clock, hello=ClientHello(KEY, place(sock.getpeername()), clock))
        while machine.facts is None:
            said[0].append(machine.data_to_send())
            sock.sendall(said[0][-1])
            said[1].append(sock.recv(65536))
            machine.receive_data(said[1][-1])
    return said


def squat(listening, answers):
    """Answer one client with what was recorded, under its own ids; return what it has said."""
    sock, _ = listening.accept()
    wire, heard = Wire(sock), []
    try:
        for data in answers:
            heard.append(wire.hear())
            recorded, _ = decode(data[4:])
            wire.say(recorded._replace(id=heard[-1].id))
        heard.append(wire.hear())
    except (EOFError, OSError):
        pass
    wire.close()
    return heard


def test_who_replays_a_recorded_hello_is_refused_and_learns_nothing():
    with Peer(key=KEY) as peer:
        address = peer.address
        client_said, server_said = record(address)
    # A squatter where the instance was, with the server's part.
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(1)
        squatter = Helper(lambda: squat(listening, server_said))
        with pytest.raises(ConnectionFailed, match="does not know this user's secret"):
            open_channel(address, DEADLINE, SystemClock(), KEY, INSTANCE)
        heard = squatter.result()
    assert [sorted(json.loads(message.params.decode())) for message in heard] == [["nonce", "wire"]]
    # A client where a server is again, with the client's part.
    with Peer(where=address.port, key=KEY) as peer:
        wire = stranger(peer)
        wire.sock.sendall(client_said[0])
        assert wire.hear().success
        wire.sock.sendall(client_said[1])
        refusal = wire.hear()
        assert not refusal.success and "the proof is wrong" in refusal.error
        with pytest.raises(EOFError):
            wire.hear()
        wire.close()
        assert "the proof is wrong" in peer.json_line()["gone"]
        with open_channel(address, DEADLINE, SystemClock(), KEY, INSTANCE) as channel:
            assert answer(channel, "echo", b"x") == b"x"


@pytest.mark.heavy
def test_who_says_no_hello_is_closed_in_two_seconds():
    with Peer(key=KEY) as peer:
        silent, chatty = stranger(peer), stranger(peer)
        begun = time.monotonic()
        chatty.say(Notify(None, "t", b""))
        with pytest.raises(EOFError):
            chatty.hear()
        assert time.monotonic() - begun < AT_ONCE
        with pytest.raises(EOFError):
            silent.hear()
        assert 1.5 < time.monotonic() - begun < 2.0 + AT_ONCE
        silent.close()
        chatty.close()
