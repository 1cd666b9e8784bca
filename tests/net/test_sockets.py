"""Sockets for addresses: private, nobody else's, never taken from the living."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import sys
import tempfile
import threading
from contextlib import contextmanager

import pytest

from dcc_mcp_embed import address as addresses
from dcc_mcp_embed.address import TransportAddress, private_directories
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.net import sockets
from dcc_mcp_embed.net.sockets import bind_address, connect_address, is_own_user
from dcc_mcp_embed.transport_errors import ConnectionTimeout, IpcConnectionFailed, IpcNotSupported
from fakes.burst import burst
from fakes.clock import FakeClock
from helpers import has_ipv6

posix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
CLOCK = SystemClock()
LOOPBACK = TransportAddress.tcp("127.0.0.1", 0)


def bind(address):
    return bind_address(address, CLOCK)


def connect(address, timeout=10.0):
    return connect_address(address, timeout, CLOCK)


@pytest.fixture
def folder():
    # Short: a socket's path may have a hundred bytes, and pytest's own folders are longer.
    with tempfile.TemporaryDirectory(prefix="dcc") as path:
        yield path


@contextmanager
def bound(address):
    one = bind(address)
    try:
        yield one
    finally:
        one.close()


def accept(one, deadline=30.0):
    waited = threading.Event()
    for _ in range(int(deadline / 0.01)):
        sock = one.accept()
        if sock is not None:
            return sock
        waited.wait(0.01)
    raise AssertionError("nobody came")


def exhaust(address):
    """Connect until nobody takes it in time; return what was connected, and the error."""
    waiting = []
    for _ in range(100):
        try:
            waiting.append(connect(address, 0.05))
        except ConnectionTimeout as error:
            return waiting, error
    raise AssertionError("the queue is never full")


def meet(one):
    """Connect to a bound socket and return both ends after a byte each way."""
    near = connect(one.address)
    far = accept(one)
    for sender, receiver in ((near, far), (far, near)):
        sender.sendall(b"x")
        assert receiver.recv(1) == b"x"
    return near, far


# TCP.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("::1", marks=ipv6)])
def test_two_ends_meet_over_tcp(host):
    with bound(TransportAddress.tcp(host, 0)) as one:
        assert one.address.port != 0
        assert one.address.host in ("127.0.0.1", "::1")
        near, far = meet(one)
        with near, far:
            for end in (near, far):
                assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert end.gettimeout() is None
                assert not end.get_inheritable()


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=ipv6)])
def test_localhost_is_found_wherever_it_listens(host):
    with bound(TransportAddress.tcp(host, 0)) as one:
        connect(TransportAddress.tcp("localhost", one.address.port)).close()


def test_nobody_waits():
    with bound(LOOPBACK) as one:
        assert one.accept() is None


def test_a_port_where_nobody_listens():
    with bound(LOOPBACK) as one:
        address = one.address
    with pytest.raises(IpcConnectionFailed) as caught:
        connect(address)
    assert caught.value.address == str(address)
    assert str(caught.value) == "IPC connection failed to {}: {}".format(
        address, os.strerror(errno.ECONNREFUSED)
    )


def test_a_port_that_is_taken():
    with bound(LOOPBACK) as one:
        with pytest.raises(IpcConnectionFailed, match="bind failed: "):
            bind(one.address)


def test_a_name_that_does_not_exist():
    with pytest.raises(IpcConnectionFailed):
        connect(TransportAddress.tcp("no-such-host.invalid", 1))
    with pytest.raises(IpcConnectionFailed, match="bind failed"):
        bind(TransportAddress.tcp("no-such-host.invalid", 1))


def test_a_connection_that_is_not_taken_is_given_up_in_time():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        address = TransportAddress.tcp(*busy.getsockname())
        waiting, error = exhaust(address)
        for sock in waiting:
            sock.close()
    assert str(error) == "connection timed out after 50ms"


def test_no_time_at_all():
    with bound(LOOPBACK) as one, pytest.raises(ConnectionTimeout):
        connect(one.address, 0)


def test_a_connection_to_itself_is_none(monkeypatch):
    """A free ephemeral port may be given to the very socket that tries to connect to it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        with pytest.raises(OSError, match=os.strerror(errno.ECONNREFUSED)):
            sockets._check_far_end(sock, TransportAddress.tcp(*sock.getsockname()))


# Unix sockets.


@posix
def test_two_ends_meet_over_a_unix_socket(folder):
    path = os.path.join(folder, "a.sock")
    with bound(TransportAddress.unix_socket(path)) as one:
        assert one.address == TransportAddress.unix_socket(path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        near, far = meet(one)
        with near, far:
            assert near.gettimeout() is far.gettimeout() is None
    assert os.listdir(folder) == []


@posix
@pytest.mark.parametrize("before", [None, 0o755, 0o700])
def test_the_default_directory_is_the_users_alone(folder, monkeypatch, before):
    monkeypatch.setattr(tempfile, "tempdir", folder)
    directory = private_directories()[0]
    if before is not None:
        os.mkdir(directory)
        os.chmod(directory, before)
    with bound(TransportAddress.default_unix_socket("maya", 1)) as one:
        assert os.path.dirname(one.address.path) == directory
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


@posix
def test_a_default_directory_that_somebody_has_prepared_is_not_used(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", folder)
    elsewhere = os.path.join(folder, "elsewhere")
    os.mkdir(elsewhere)
    os.symlink(elsewhere, private_directories()[0])
    with pytest.raises(IpcConnectionFailed, match="is a link or belongs to somebody else"):
        bind(TransportAddress.default_unix_socket("maya", 1))
    os.unlink(private_directories()[0])
    os.mkdir(private_directories()[0])
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(IpcConnectionFailed, match="is a link or belongs to somebody else"):
        bind(TransportAddress.default_unix_socket("maya", 1))
    assert os.listdir(elsewhere) == []


@posix
def test_a_living_listener_keeps_its_path(folder):
    address = TransportAddress.unix_socket(os.path.join(folder, "a.sock"))
    with bound(address) as one:
        with pytest.raises(IpcConnectionFailed, match="bind failed: another listener is at"):
            bind(address)
        near, far = meet(one)
        near.close()
        far.close()


@posix
def test_nobody_in_a_burst_is_turned_away(folder):
    path = os.path.join(folder, "a.sock")
    with bound(TransportAddress.unix_socket(path)) as one:
        clients = burst(path, socket.AF_UNIX)
        for end in clients + [accept(one) for _ in clients]:
            end.close()


@posix
def test_a_living_listener_with_a_full_queue_keeps_its_path(folder):
    path = os.path.join(folder, "a.sock")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        waiting, _ = exhaust(TransportAddress.unix_socket(path))
        try:
            with pytest.raises(IpcConnectionFailed, match="another listener"):
                bind(TransportAddress.unix_socket(path))
        finally:
            for sock in waiting:
                sock.close()
    assert os.path.exists(path)


@posix
def test_a_stale_socket_of_ours_is_replaced(folder):
    path = os.path.join(folder, "a.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert os.path.exists(path)
    with bound(TransportAddress.unix_socket(path)) as one:
        near, far = meet(one)
        near.close()
        far.close()
    assert not os.path.exists(path)


@posix
@pytest.mark.parametrize("kind", ["file", "folder", "link", "foreign socket"])
def test_what_is_not_ours_to_remove_stays(folder, monkeypatch, kind):
    path = os.path.join(folder, "a.sock")
    if kind == "file":
        with open(path, "w") as stream:
            stream.write("precious")
    elif kind == "folder":
        os.mkdir(path)
    elif kind == "link":
        os.symlink(os.path.join(folder, "nowhere"), path)
    else:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    before = os.lstat(path)
    with pytest.raises(IpcConnectionFailed, match=r"bind failed: .* (not a|another user's) socket"):
        bind(TransportAddress.unix_socket(path))
    assert os.lstat(path).st_ino == before.st_ino


@posix
def test_a_path_that_was_taken_over_is_not_removed_on_close(folder):
    path = os.path.join(folder, "a.sock")
    one = bind(TransportAddress.unix_socket(path))
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        one.close()
        assert os.path.exists(path)
    one.close()
    assert os.path.exists(path)


@posix
def test_whoever_only_looks_is_not_accepted_and_whoever_speaks_is(folder):
    with bound(TransportAddress.unix_socket(os.path.join(folder, "a.sock"))) as one:
        connect(one.address).close()
        assert one.accept() is None
        with connect(one.address) as near:
            near.sendall(b"last words")
        with accept(one) as far:
            assert far.recv(100) == b"last words"


@posix
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there sockets have names")
def test_whoever_only_looks_is_known_before_it_has_gone(folder, monkeypatch):
    class Slow(socket.socket):
        """Is accepted between its connect and its close."""

        def connect(self, path):
            super().connect(path)
            assert one.accept() is None

    path = os.path.join(folder, "a.sock")
    with bound(TransportAddress.unix_socket(path)) as one:
        monkeypatch.setattr(sockets.socket, "socket", Slow)
        with pytest.raises(IpcConnectionFailed, match="another listener is at"):
            bind(one.address)
        monkeypatch.undo()
        near, far = meet(one)
        near.close()
        far.close()


@posix
def test_closing_twice_and_without_the_file_is_fine(folder):
    one = bind(TransportAddress.unix_socket(os.path.join(folder, "a.sock")))
    os.unlink(one.address.path)
    one.close()
    one.close()


@posix
def test_a_relative_path_is_removed_wherever_the_process_went(folder, monkeypatch):
    monkeypatch.chdir(folder)
    one = bind(TransportAddress.unix_socket("a.sock"))
    monkeypatch.chdir("/")
    one.close()
    assert os.listdir(folder) == []


@posix
def test_a_forked_child_does_not_remove_its_parents_socket(folder):
    path = os.path.join(folder, "a.sock")
    with bound(TransportAddress.unix_socket(path)) as one:
        child = os.fork()
        if not child:
            one.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        near, far = meet(one)
        near.close()
        far.close()


@posix
def test_of_many_that_want_one_stale_path_exactly_one_gets_it(folder):
    path = os.path.join(folder, "a.sock")
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        results, start = [], threading.Barrier(6)

        def try_it(results=results, start=start):
            start.wait(30.0)
            try:
                results.append(bind(TransportAddress.unix_socket(path)))
            except IpcConnectionFailed:
                results.append(None)

        threads = [threading.Thread(target=try_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
        (winner,) = [one for one in results if one is not None]
        near, far = meet(winner)
        near.close()
        far.close()
        winner.close()


@posix
def test_a_locked_directory_is_waited_for_and_then_given_up(folder):
    import fcntl

    clock = FakeClock()
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(IpcConnectionFailed, match="is locked by another process"):
            bind_address(TransportAddress.unix_socket(os.path.join(folder, "a.sock")), clock)
        assert clock.slept
    finally:
        os.close(handle)


@posix
def test_a_file_system_that_locks_no_directories(folder, monkeypatch):
    import fcntl

    def refuse(handle, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    bind(TransportAddress.unix_socket(os.path.join(folder, "a.sock"))).close()


@posix
@pytest.mark.parametrize(
    ("path", "reason"),
    [("", "the path is empty"), ("/tmp/" + "x" * 120, "too long"), ("/no/such", "No such")],
)
def test_paths_that_cannot_be(path, reason):
    with pytest.raises(IpcConnectionFailed, match="bind failed: .*" + reason):
        bind(TransportAddress.unix_socket(path))


@posix
def test_connecting_to_a_path_where_nobody_is(folder):
    path = os.path.join(folder, "a.sock")
    with pytest.raises(IpcConnectionFailed, match=os.strerror(errno.ENOENT)):
        connect(TransportAddress.unix_socket(path))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(IpcConnectionFailed, match=os.strerror(errno.ECONNREFUSED)):
        connect(TransportAddress.unix_socket(path))


@posix
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_connecting_to_what_is_no_socket(folder, kind):
    path = os.path.join(folder, kind)
    if kind == "file":
        open(path, "w").close()
    elif kind == "folder":
        os.mkdir(path)
    else:
        os.symlink(folder, path)
    with pytest.raises(IpcConnectionFailed, match="socket"):
        connect(TransportAddress.unix_socket(path))


@posix
def test_connecting_through_a_link_to_where_nobody_is_any_more(folder):
    path = os.path.join(folder, "a.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    os.symlink(path, path + "-link")
    with pytest.raises(IpcConnectionFailed, match=os.strerror(errno.ECONNREFUSED)):
        connect(TransportAddress.unix_socket(path + "-link"))


@posix
@pytest.mark.parametrize("step", ["chmod", "lstat"])
def test_a_bind_that_fails_half_way_leaves_no_file(folder, monkeypatch, step):
    def fail(*arguments, **options):
        raise OSError(errno.EIO, "broken")

    path = os.path.join(folder, "a.sock")
    # The first lstat looks whether something is there already.
    monkeypatch.setattr(sockets.os.path, "lexists", lambda path: False)
    monkeypatch.setattr(sockets.os, step, fail)
    with pytest.raises(IpcConnectionFailed, match="bind failed: broken"):
        bind(TransportAddress.unix_socket(path))
    monkeypatch.undo()
    assert os.listdir(folder) == []


HOPELESS = ["a" * 70, "a..b", "x\0y", "\ud800"]


@pytest.mark.parametrize("host", HOPELESS)
def test_names_of_hosts_that_cannot_be(host):
    with pytest.raises(IpcConnectionFailed, match="bind failed: "):
        bind(TransportAddress.tcp(host, 0))
    with pytest.raises(IpcConnectionFailed):
        connect(TransportAddress.tcp(host, 1), 0.5)


@posix
def test_a_path_that_no_file_can_have(folder):
    address = TransportAddress.unix_socket(os.path.join(folder, "\ud800"))
    with pytest.raises(IpcConnectionFailed, match="bind failed: "):
        bind(address)
    with pytest.raises(IpcConnectionFailed):
        connect(address)
    assert os.listdir(folder) == []


# Whose is the other end.


@posix
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")
def test_other_users_are_turned_away_on_both_sides(folder, monkeypatch):
    address = TransportAddress.unix_socket(os.path.join(folder, "a.sock"))
    with bound(address) as one:
        with connect(address):
            monkeypatch.setattr(os, "geteuid", lambda: 12345)
            assert one.accept() is None
            monkeypatch.undo()
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(IpcConnectionFailed, match="the other end belongs to another user"):
            connect(address)
        monkeypatch.undo()


class _Told:
    """A unix socket of a system that answers ``raw``."""

    family = getattr(socket, "AF_UNIX", None)

    def __init__(self, raw):
        self.raw = raw
        self.asked = None

    def getsockopt(self, *question):
        self.asked = question
        return self.raw


@posix
@pytest.mark.parametrize("platform", ["darwin", "freebsd13"])
def test_macos_and_freebsd_are_asked_in_their_own_way(platform):
    def answer(version, uid):
        return struct.pack("=IIh", version, uid, 1) + bytes(66)

    sock = _Told(answer(0, os.geteuid()))
    assert is_own_user(sock, platform)
    assert sock.asked == (0, 1, 76)
    assert not is_own_user(_Told(answer(0, os.geteuid() + 1)), platform)
    assert not is_own_user(_Told(answer(1, os.geteuid())), platform)


@posix
def test_a_system_that_does_not_tell_is_trusted():
    assert is_own_user(_Told(None), "sunos5")


def test_tcp_tells_nothing():
    with bound(LOOPBACK) as one:
        near, far = meet(one)
        with near, far:
            assert is_own_user(near) and is_own_user(far)


# What a system has not.


@pytest.mark.parametrize("function", [bind, connect])
@pytest.mark.skipif(os.name == "nt", reason="has pipes")
def test_named_pipes_are_for_windows(function):
    with pytest.raises(IpcNotSupported) as caught:
        function(TransportAddress.named_pipe("maya"))
    assert str(caught.value) == (
        "IPC transport 'named_pipe' not supported: Named Pipes are only supported on Windows "
        "(attempted path: \\\\.\\pipe\\maya)"
    )


@pytest.mark.parametrize("function", [bind, connect])
@pytest.mark.parametrize(
    ("address", "text"),
    [
        (
            TransportAddress.unix_socket("/x"),
            "Unix Domain Sockets are only supported on macOS/Linux (attempted path: /x)",
        ),
        (TransportAddress.named_pipe("maya"), "use tcp"),
    ],
)
def test_windows_has_only_tcp(monkeypatch, function, address, text):
    monkeypatch.setattr(sockets, "_WINDOWS", True)
    with pytest.raises(IpcNotSupported) as caught:
        function(address)
    assert text in str(caught.value)


def test_the_default_of_windows_is_a_pipe(monkeypatch):
    monkeypatch.setattr(addresses, "_WINDOWS", True)
    assert TransportAddress.default_local("maya", 1).is_named_pipe
