"""Which port a server gets, and whom a port's holder turns out to be."""

from __future__ import annotations

import socket
import threading

import pytest

from dcc_mcp_embed import embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import StartError
from dcc_mcp_embed.secret import Secret, open_secret
from dcc_mcp_embed.server import ports
from fakes.clock import FakeClock
from fakes.live import Live

MINE = Secret(b"m" * 32, {})


class Holder:
    """A listening socket whose first visitor is treated as ``behave(sock)`` says."""

    def __init__(self, behave):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(8)
        self.port = self.sock.getsockname()[1]
        self.seen = b""
        self._over = threading.Event()
        self._behave = behave
        self._thread = threading.Thread(target=self._run, name="holder", daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                visitor, _ = self.sock.accept()
            except OSError:
                return
            with visitor:
                visitor.settimeout(10.0)
                try:
                    self.seen += visitor.recv(65536)
                    self._behave(visitor, self._over)
                except OSError:
                    continue

    def close(self):
        self._over.set()
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self._thread.join(10.0)
        assert not self._thread.is_alive()


def silent(visitor, over):
    over.wait(10.0)


def trickling(visitor, over):
    visitor.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.wait(0.05):
        visitor.sendall(b"a")


def other_program(visitor, over):
    visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def forger(visitor, over):
    visitor.sendall(
        b"HTTP/1.1 200 OK\r\nX-DCC-MCP-Kind: standalone\r\nX-DCC-MCP-Proof: "
        + b"0" * 64
        + b"\r\nContent-Length: 0\r\n\r\n"
    )


def no_http(visitor, over):
    visitor.sendall(b"220 smtp ready\r\n")


def closing(visitor, over):
    return


@pytest.fixture
def holder(request):
    one = Holder(request.param)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("holder", "wanted", "patience", "within"),
    [
        # All of it is waited for; what trickles has to have begun by then.
        (silent, "silent", 0.3, 5.0),
        (trickling, "stranger", 1.0, 6.0),
        (other_program, "stranger", 10.0, 5.0),
        (forger, "stranger", 10.0, 5.0),
        (no_http, "stranger", 10.0, 5.0),
        (closing, "stranger", 10.0, 5.0),
    ],
    indirect=["holder"],
)
def test_whoever_holds_a_port_is_seen_through_in_time(holder, wanted, patience, within):
    clock = SystemClock()
    begun = clock.monotonic()
    assert ports.who_answers(holder.port, MINE, clock, patience).state == wanted
    assert clock.monotonic() - begun < within
    assert b"m" * 8 not in holder.seen
    for place in ("standalone", "maya"):
        assert MINE.token(place, holder.port).encode() not in holder.seen


def test_nobody_is_nobody():
    sock = ports.bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    sock.close()
    assert ports.who_answers(port, MINE, SystemClock(), 0.3).state == "nobody"


def test_one_of_ours_proves_itself_and_another_users_does_not(tmp_path, monkeypatch):
    live = Live(str(tmp_path), monkeypatch)
    try:
        clock = SystemClock()
        found = ports.who_answers(live.port, open_secret(str(tmp_path), clock), clock, 5.0)
        assert found == ports.Occupant("ours", "standalone")
        assert ports.who_answers(live.port, MINE, clock, 5.0).state == "stranger"
    finally:
        live.close()


def test_a_port_that_is_being_given_up_is_waited_for():
    sock = ports.bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    clock = FakeClock()

    def occupant(asked):
        # Gone by the third look.
        if len(clock.slept) == 2:
            sock.close()
        return ports.Occupant("nobody")

    bound = ports.listen(port, False, occupant, clock)
    assert bound.port == port
    assert len(clock.slept) == 3
    bound.sock.close()


@pytest.mark.parametrize("state", ["ours", "silent", "stranger"])
def test_a_port_that_somebody_uses_is_left_alone_at_once(state):
    with ports.bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        clock = FakeClock()
        bound = ports.listen(port, False, lambda asked: ports.Occupant(state), clock)
        bound.sock.close()
        assert bound.port != port
        assert clock.slept == []
        with pytest.raises(OSError):
            ports.listen(port, True, lambda asked: ports.Occupant(state), clock)


@pytest.mark.parametrize("holder", [other_program], indirect=True)
def test_a_stranger_on_the_port_costs_that_port_its_token(holder, tmp_path, monkeypatch):
    before = open_secret(str(tmp_path), SystemClock()).token("standalone", holder.port)
    with pytest.raises(StartError):
        Live(str(tmp_path), monkeypatch, port=holder.port)
    after = open_secret(str(tmp_path), SystemClock()).token("standalone", holder.port)
    assert after != before


def test_a_start_that_fails_late_leaves_nothing(tmp_path, monkeypatch):
    from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

    from dcc_mcp_embed.host import guard

    class Broken(StandaloneAdapter):
        def on_exit(self, callback):
            raise ValueError("no exit here")

    threads = set(threading.enumerate())
    with pytest.raises(ValueError, match="no exit here"):
        Live(str(tmp_path), monkeypatch, adapter=Broken)
    assert {t for t in threading.enumerate() if t.is_alive()} <= threads
    assert guard._served == {}
    assert embed.PLACE.server is None
