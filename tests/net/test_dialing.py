"""Connecting without holding up the loop, and functions that block, on threads of their own."""

from __future__ import annotations

import errno
import os
import socket
import threading
import warnings

import pytest

from dcc_mcp_embed.net import dialing
from dcc_mcp_embed.net.dialing import apart, dial
from dcc_mcp_embed.net.tasks import Cut, Wait
from fakes.driving import Driver, left_behind
from helpers import has_ipv6, require

DEADLINE = 20.0


@pytest.fixture
def it():
    one = Driver()
    yield one
    one.close()


@pytest.fixture
def listener():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(8)
        yield sock


@pytest.fixture
def closed_port():
    """Return a port at which nobody listens, as long as the test lasts."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def port_of(sock):
    return sock.getsockname()[1]


def names(monkeypatch, *targets):
    """Have every name lead to (family, address) pairs."""
    found = [(family, socket.SOCK_STREAM, 6, "", target) for family, target in targets]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_connected_socket_blocks_nobody_and_sends_at_once(it, listener, host):
    sock = it.run(dial(it.loop, host, port_of(listener)))
    with sock, listener.accept()[0] as far:
        assert sock.getpeername() == listener.getsockname()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        far.sendall(b"x")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nobody_there_is_told_as_the_system_has_it(it, closed_port, host):
    with pytest.raises(ConnectionRefusedError) as caught:
        it.run(dial(it.loop, host, closed_port))
    assert caught.value.errno == errno.ECONNREFUSED and caught.value.strerror


def test_localhost_is_looked_for_at_both_addresses(it):
    require(has_ipv6(), "IPv6")
    with socket.socket(socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::1", 0))
        sock.listen(1)
        it.run(dial(it.loop, "localhost", port_of(sock))).close()
        it.run(dial(it.loop, "::1", port_of(sock))).close()


def test_names_are_looked_up_while_the_loop_goes_on(it, listener, monkeypatch):
    looked_up, asked = threading.Event(), threading.Event()

    def look_up(*arguments, **_):
        asked.set()
        assert arguments[0] == b"some.where"
        assert looked_up.wait(DEADLINE)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    _, ends = it.begin(dial(it.loop, "some.where", port_of(listener)))
    it.until(asked.is_set)
    it.turn(10)
    assert ends == []
    looked_up.set()
    it.until(lambda: ends)
    ends[0][0].close()


def test_a_name_that_leads_nowhere(it, monkeypatch):
    def look_up(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(socket.gaierror, match="no such name"):
        it.run(dial(it.loop, "no.where", 80))
    names(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        it.run(dial(it.loop, "no.where", 80))


def test_what_is_no_name_at_all(it):
    with pytest.raises(UnicodeError):
        it.run(dial(it.loop, "\u00fc" * 100 + ".x", 80))


def test_of_several_addresses_one_is_enough(it, listener, closed_port, monkeypatch):
    bad = (socket.AF_INET, ("127.0.0.1", closed_port))
    names(monkeypatch, bad, (socket.AF_INET, listener.getsockname()))
    it.run(dial(it.loop, "some.where", 1)).close()
    names(monkeypatch, bad, (9999, "of no family that there is"))
    with pytest.raises(ConnectionRefusedError):
        it.run(dial(it.loop, "some.where", 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_closes_what_is_being_dialed(it, monkeypatch):
    """Which nobody has yet."""
    made = []

    async def forever(loop, sock, name):
        made.append(sock)
        await Wait()

    monkeypatch.setattr(dialing, "_connect", forever)
    task, _ = it.begin(dial(it.loop, "127.0.0.1", 1))
    it.until(lambda: made)
    with warnings.catch_warnings():
        # Of other threads, from 3.12 on.
        warnings.simplefilter("ignore", DeprecationWarning)
        ident = os.fork()
    if not ident:
        number = made[0].fileno()
        dialing.disown()
        try:
            os.fstat(number)
        except OSError:
            os._exit(7)
        os._exit(1)
    assert os.WEXITSTATUS(os.waitpid(ident, 0)[1]) == 7
    assert made[0].fileno() > 0
    task.cancel()
    it.turn(2)
    assert made[0].fileno() == -1


def test_an_address_of_a_kind_that_this_machine_does_not_have(it, listener, monkeypatch):
    names(monkeypatch, (9999, None), (socket.AF_INET, listener.getsockname()))
    it.run(dial(it.loop, "some.where", 1)).close()


def test_an_address_that_answers_nothing_is_left_for_the_next(it, listener, monkeypatch):
    silent, connect = ("127.0.0.1", 1), dialing._connect

    async def patient(loop, sock, name):
        await (Wait() if name == silent else connect(loop, sock, name))

    monkeypatch.setattr(dialing, "_connect", patient)
    monkeypatch.setattr(dialing, "_ATTEMPT", 0.05)
    names(monkeypatch, (socket.AF_INET, silent), (socket.AF_INET, listener.getsockname()))
    it.run(dial(it.loop, "some.where", 1)).close()
    names(monkeypatch, *[(socket.AF_INET, silent)] * 2)
    with pytest.raises(TimeoutError) as caught:
        it.run(dial(it.loop, "some.where", 1))
    assert caught.value.errno == errno.ETIMEDOUT
    names(monkeypatch, (socket.AF_INET, silent))
    task, ends = it.begin(dial(it.loop, "some.where", 1))
    it.until(lambda: task._waiting is not None and threading.active_count() == 1)
    it.turn(2)
    assert it.timers() == [], "the only one is given all the time there is"
    task.cancel()
    it.until(lambda: ends)


def test_our_own_end_is_nobody_there(it, monkeypatch):
    class Own(socket.socket):
        """A socket that was given its own address: TCP lets one shake hands with itself."""

        def connect_ex(self, name):
            return 0

        def getpeername(self):
            return self.getsockname()

    monkeypatch.setattr(socket, "socket", Own)
    with pytest.raises(ConnectionRefusedError):
        it.run(dial(it.loop, "127.0.0.1", 1))


def test_being_cut_short_anywhere_leaves_nothing(it, listener, monkeypatch):
    names(monkeypatch, (socket.AF_INET, listener.getsockname()))
    cuts = 0
    while True:
        try:
            it.run(dial(it.loop, "some.where", 1), stop_at=cuts).close()
        except Cut:
            # The thread that looks the name up ends by itself, and wakes nobody.
            assert it.left() == {}
            cuts += 1
        else:
            break
    assert cuts >= 1


def test_no_circle_is_left_by_what_fails(it, closed_port, listener, monkeypatch):
    def refused():
        with pytest.raises(OSError):
            it.run(dial(it.loop, "localhost", closed_port))

    def second_is_good():
        it.run(dial(it.loop, "some.where", 1)).close()
        listener.accept()[0].close()

    assert left_behind(refused, 5) == 0
    bad = (socket.AF_INET, ("127.0.0.1", closed_port))
    names(monkeypatch, bad, (socket.AF_INET, listener.getsockname()))
    assert left_behind(second_is_good, 5) == 0


# -- apart ----------------------------------------------------------------------------------------


def test_a_function_that_blocks_holds_up_only_its_own_thread(it):
    go, on = threading.Event(), []

    def block():
        on.append(threading.current_thread())
        assert go.wait(DEADLINE)
        return "value"

    _, ends = it.begin(apart(it.loop, block, "its name"))
    it.until(lambda: on)
    assert on[0] is not threading.current_thread()
    assert on[0].name == "its name" and on[0].daemon
    it.turn(5)
    assert ends == []
    go.set()
    it.until(lambda: ends)
    assert ends == [("value", None)]


def test_what_a_function_raises_is_raised_where_it_is_waited_for(it):
    with pytest.raises(ZeroDivisionError):
        it.run(apart(it.loop, lambda: 1 // 0))


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Cut])
def test_what_would_end_a_program_is_an_error_like_any(it, kind):
    def leave():
        raise kind("out")

    with pytest.raises(RuntimeError, match=kind.__name__ + ": out"):
        it.run(apart(it.loop, leave))


@pytest.mark.parametrize("fails", [False, True])
def test_who_is_cut_short_leaves_the_thread_to_itself(it, fails):
    go, threads = threading.Event(), []

    def block():
        threads.append(threading.current_thread())
        assert go.wait(DEADLINE)
        if fails:
            raise KeyError("nobody hears")

    task, ends = it.begin(apart(it.loop, block))
    it.until(lambda: threads)
    task.cancel()
    it.turn(2)
    assert isinstance(ends[0][1], Cut)
    go.set()
    threads[0].join(DEADLINE)
    assert it.left() == {}


def test_a_loop_that_is_closed_meanwhile_is_told_nothing():
    it, go, threads = Driver(), threading.Event(), []

    def block():
        threads.append(threading.current_thread())
        assert go.wait(DEADLINE)

    task, ends = it.begin(apart(it.loop, block))
    it.until(lambda: threads)
    it.close()
    go.set()
    threads[0].join(DEADLINE)
    task.throw(Cut())
    assert isinstance(ends[0][1], Cut)
    assert not threads[0].is_alive()


def test_no_circle_is_left_by_a_function_that_fails(it):
    def fails():
        with pytest.raises(ZeroDivisionError):
            it.run(apart(it.loop, lambda: 1 // 0))

    assert left_behind(fails, 5) == 0
