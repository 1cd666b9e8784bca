"""Connecting: raw to whoever is there, or only to who proves to be the one that was meant."""

from __future__ import annotations

import socket
import threading

import pytest

from dcc_mcp_embed import TransportAddress, connect_ipc
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.rpc.hello import Facts, ServerHello, place
from dcc_mcp_embed.rpc.peer import Peer, Quotas
from dcc_mcp_embed.transport import connect
from dcc_mcp_embed.transport.connect import open_channel
from dcc_mcp_embed.transport_errors import (
    CallTimeout,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionTimeout,
    IpcConnectionFailed,
)
from dcc_mcp_embed.wire.messages import Request, Response, Shutdown
from fakes.channels import DEADLINE, PATIENCE, Helper, Wire, framed

KEY = b"k" * 32
INSTANCE = "0f0e0d0c-0b0a-4908-8706-050403020100"
FACTS = Facts(INSTANCE, "epoch", 0)
CLOCK = SystemClock()


class Server:
    """One of us, for one connection: says hello, answers with the params, remembers the end."""

    def __init__(self, key=KEY, facts=FACTS, mute=False):
        self._key, self._facts, self._mute = key, facts, mute
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(1)
        self.address = TransportAddress.tcp(*self._listening.getsockname())
        self.heard = b""
        self.peer = None
        #: Cleared: requests are heard, and answered once it is set again.
        self.answering = threading.Event()
        self.answering.set()
        self.helper = Helper(self._serve)

    def _serve(self):
        sock, _ = self._listening.accept()
        with sock:
            sock.settimeout(DEADLINE)
            hello = ServerHello(self._key, place(sock.getsockname()), self._facts, CLOCK)
            self.peer = Peer(CLOCK, hello=hello, quotas=Quotas(refuse=True))
            while True:
                try:
                    data = sock.recv(65536)
                except ConnectionResetError:
                    return
                if not data:
                    return
                self.heard += data
                if self._mute:
                    continue
                events = self.peer.receive_data(data)
                out = self.peer.data_to_send()
                for event in events:
                    if isinstance(event, Request):
                        self.answering.wait(DEADLINE)
                        out += self.peer.answer(event.id, True, event.params)
                if out:
                    sock.sendall(out)

    def close(self):
        self.helper.result()
        self._listening.close()


@pytest.fixture
def start():
    servers = []

    def make(*arguments, **options):
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def open_to(address, timeout=DEADLINE, key=KEY, **options):
    return open_channel(address, timeout, CLOCK, key=key, **options)


def test_a_peer_that_proves_itself(start):
    server = start()
    with open_to(server.address, expect_instance=INSTANCE) as channel:
        assert channel.hello == FACTS
        assert channel.call("echo", b"\xff" * 100, PATIENCE)["payload"] == b"\xff" * 100
        assert channel.call("echo", bytes(100_000), PATIENCE)["payload"] == bytes(100_000)
        assert channel.ping(PATIENCE) >= 0
    server.close()
    assert b"\xc4\x64" + b"\xff" * 100 in server.heard, "byte fields are bin"
    assert KEY not in server.heard and KEY.hex().encode() not in server.heard
    assert server.heard.endswith(framed(Shutdown(None))), "the peer is told of the end"


def test_without_a_key_nothing_is_sent(start):
    server = start(mute=True)
    with open_channel(server.address, DEADLINE, CLOCK) as channel:
        assert channel.hello is None
    server.close()
    assert server.heard == b""


def test_whoever_does_not_know_the_secret_is_refused_and_told_nothing(start):
    server = start(key=b"x" * 32)
    with pytest.raises(ConnectionFailed) as caught:
        open_to(server.address, client="a name")
    assert str(caught.value) == (
        "connection failed to 127.0.0.1:{}: whoever answers does not know this user's secret"
    ).format(server.address.port)
    server.close()
    assert b"proof" not in server.heard and b"a name" not in server.heard


def test_another_instance_is_refused(start):
    server = start()
    with pytest.raises(ConnectionFailed, match="another instance answers: " + INSTANCE):
        open_to(server.address, expect_instance="11111111-1111-4111-8111-111111111111")


def test_whoever_says_no_hello_is_given_up(start, monkeypatch):
    monkeypatch.setattr(connect, "HELLO_TIMEOUT", 0.05)
    server = start(mute=True)
    with pytest.raises(ConnectionFailed, match="no hello within 0.05 s"):
        open_to(server.address)


def test_the_hello_is_part_of_the_time_to_connect(start):
    server = start(mute=True)
    with pytest.raises(ConnectionTimeout) as caught:
        open_to(server.address, 0.05)
    assert str(caught.value) == "connection timed out after 50ms"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        (4097).to_bytes(4, "big"),
        framed(Response(bytes(16), True, b"{}", None)),
        framed(Request(bytes(16), "hello", b"{}")),
        framed(Shutdown(None)),
        b"",
    ],
    ids=["HTTP", "too large", "another's answer", "a request", "a shutdown", "nothing"],
)
def test_whoever_speaks_otherwise_is_refused(answer):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)

        def squat():
            sock, _ = listening.accept()
            wire = Wire(sock)
            wire.hear()
            sock.sendall(answer)
            if not answer:
                sock.shutdown(socket.SHUT_WR)
            rest = sock.recv(65536)
            wire.close()
            return rest

        helper = Helper(squat)
        with pytest.raises(ConnectionFailed):
            open_to(TransportAddress.tcp(*listening.getsockname()))
        assert helper.result() == b"", "nothing more is said"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
def test_over_a_unix_socket_a_refusal_names_the_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a.sock")
        listening.listen(1)
        helper = Helper(lambda: listening.accept()[0].close())
        with pytest.raises(IpcConnectionFailed) as caught:
            open_to(TransportAddress.unix_socket("a.sock"))
        assert caught.value.address == "unix://a.sock"
        helper.result()


def test_late_answers_to_an_authenticated_channel_are_dropped(start):
    server = start()
    with open_to(server.address) as channel:
        server.answering.clear()
        with pytest.raises(CallTimeout):
            channel.call("slow", timeout_ms=20)
        server.answering.set()
        assert channel.call("next", timeout_ms=PATIENCE)["success"]
        assert channel.try_recv() is None


def test_the_end_of_an_authenticated_peer(start):
    server = start()
    channel = open_to(server.address)
    server.peer.shutdown("stopping")
    channel.send_notify("wake")
    with pytest.raises(ConnectionClosed):
        channel.recv(PATIENCE)
    channel.shutdown()


def test_connect_ipc_takes_an_address_and_a_time():
    with pytest.raises(TypeError):
        connect_ipc("tcp://127.0.0.1:1")
    with pytest.raises(OverflowError):
        connect_ipc(TransportAddress.tcp("127.0.0.1", 1), -1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = TransportAddress.tcp(*free.getsockname())
    with pytest.raises(IpcConnectionFailed) as caught:
        connect_ipc(address)
    assert caught.value.address == str(address)
    with pytest.raises(ConnectionTimeout):
        connect_ipc(address, 0)


def test_a_server_that_refuses_before_it_knows_in_which_protocol_is_understood():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)

        def refuse():
            sock = listening.accept()[0]
            with sock:
                sock.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                sock.recv(65536)

        helper = Helper(refuse)
        with pytest.raises(ConnectionFailed) as caught:
            open_to(TransportAddress.tcp(*listening.getsockname()))
        assert "too many connections" in caught.value.reason
        helper.result()
