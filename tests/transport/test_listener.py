"""IpcListener and ListenerHandle: accept in time, count, really close, leave nothing behind."""

from __future__ import annotations

import errno
import gc
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

import pytest

from dcc_mcp_embed import IpcListener, ListenerHandle, TransportAddress, connect_ipc
from dcc_mcp_embed import address as addresses
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.host import guard
from dcc_mcp_embed.transport import arguments
from dcc_mcp_embed.transport.listener import bind_local
from dcc_mcp_embed.transport_errors import (
    ConnectionClosed,
    Internal,
    Io,
    IpcConnectionFailed,
    IpcNotSupported,
)
from fakes.caller import Caller
from fakes.channels import PATIENCE, Helper, ctrl_c, serve_echo, until
from helpers import ROOT

posix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
LOOPBACK = TransportAddress.tcp("127.0.0.1", 0)
GONE = "listener has been shut down"


@pytest.fixture
def folder(monkeypatch):
    # Short: a socket's path may have a hundred bytes, and pytest's own folders are longer.
    with tempfile.TemporaryDirectory(prefix="dcc") as path:
        monkeypatch.setattr(tempfile, "tempdir", path)
        yield path


@pytest.fixture(params=["tcp", pytest.param("unix", marks=posix)])
def listener(request, folder):
    address = LOOPBACK
    if request.param == "unix":
        address = TransportAddress.unix_socket(os.path.join(folder, "a.sock"))
    with IpcListener.bind(address) as one:
        yield one


def test_a_listener_accepts_channels(listener):
    server = Helper(lambda: serve_echo(listener.accept(PATIENCE)))
    with connect_ipc(listener.local_address()) as channel:
        assert channel.call("echo", b"hello", PATIENCE)["payload"] == b"hello"
        assert channel.ping(PATIENCE) >= 0
    assert server.result() == 1


def test_where_and_what_it_is(listener):
    address = listener.local_address()
    name = {"tcp": "tcp", "unix": "unix_socket"}[address.scheme]
    assert listener.transport_name == name
    assert repr(listener) == "IpcListener(transport={})".format(name)
    assert address.port != 0


def test_nobody_comes_in_time(listener):
    for timeout in (0, 20):
        with pytest.raises(Internal) as caught:
            listener.accept(timeout)
        assert str(caught.value) == "accept timed out after {}ms".format(timeout)


@pytest.mark.parametrize("timeout", ["1", 0.5])
def test_a_time_that_is_no_whole_number(listener, timeout):
    with pytest.raises(TypeError):
        listener.accept(timeout)


def test_several_threads_accept_one_each(listener):
    helpers = [Helper(lambda: listener.accept(PATIENCE)) for _ in range(4)]
    channels = [connect_ipc(listener.local_address()) for _ in helpers]
    accepted = [helper.result() for helper in helpers]
    for number, channel in enumerate(channels):
        channel.send_notify("t", [number])
    assert sorted(channel.recv(PATIENCE)["data"] for channel in accepted) == [
        bytes([number]) for number in range(4)
    ]
    for channel in (*channels, *accepted):
        channel.shutdown()


def test_shutting_down_wakes_whoever_accepts(listener):
    helpers = [Helper(lambda: listener.accept(PATIENCE)), Helper(listener.accept)]
    until(lambda: listener._door._polling == 2)
    listener.shutdown()
    for helper in helpers:
        with pytest.raises(Internal, match=GONE):
            helper.result()
    with pytest.raises(Internal, match=GONE):
        listener.accept(0)
    listener.shutdown()


def test_after_shutdown_nobody_listens_and_nothing_is_left(listener, folder):
    address = listener.local_address()
    listener.shutdown()
    with pytest.raises(IpcConnectionFailed):
        connect_ipc(address)
    assert os.listdir(folder) == []
    IpcListener.bind(address).shutdown()


def test_what_was_accepted_outlives_the_listener(listener):
    channel = connect_ipc(listener.local_address())
    server = listener.accept(PATIENCE)
    listener.shutdown()
    channel.send_notify("still")
    assert server.recv(PATIENCE)["topic"] == "still"
    channel.shutdown()
    with pytest.raises(ConnectionClosed):
        server.recv(PATIENCE)


def test_consumed_by_its_handle(listener):
    handle = listener.into_handle()
    texts = {
        "listener has been consumed (call into_handle() was made)": listener.local_address,
        "listener has been consumed": lambda: listener.transport_name,
        "listener has been consumed (into_handle() was called)": listener.accept,
        "listener has already been consumed": listener.into_handle,
    }
    for text, use in texts.items():
        with pytest.raises(RuntimeError, match="^{}$".format(re.escape(text))):
            use()
    assert repr(listener) == "IpcListener(consumed)"
    listener.shutdown()
    assert not handle.is_shutdown, "it is the handle's now"
    handle.shutdown()


def test_a_handle_counts_and_really_shuts_down(listener):
    address, name = listener.local_address(), listener.transport_name
    with connect_ipc(address), listener.accept(PATIENCE):
        handle = listener.into_handle()
        assert isinstance(handle, ListenerHandle)
        assert handle.accept_count == 1
        with connect_ipc(address), handle.accept(PATIENCE):
            assert handle.accept_count == 2
    assert (handle.local_address(), handle.transport_name) == (address, name)
    text = "ListenerHandle(transport={}, accept_count=2, shutdown={{}})".format(name)
    assert repr(handle) == text.format("false")
    waiting = Helper(handle.accept)
    until(lambda: handle._door._polling)
    assert not handle.is_shutdown
    handle.shutdown()
    assert handle.is_shutdown and repr(handle) == text.format("true")
    with pytest.raises(Internal, match=GONE):
        waiting.result()
    with pytest.raises(IpcConnectionFailed):
        connect_ipc(address)
    handle.shutdown()


def test_a_handle_is_a_block_too(listener):
    with listener.into_handle() as handle:
        pass
    assert handle.is_shutdown


def test_a_listener_that_is_forgotten_is_closed(folder):
    listener = IpcListener.bind(LOOPBACK)
    address = listener.local_address()
    del listener
    gc.collect()
    with pytest.raises(IpcConnectionFailed):
        connect_ipc(address)


def test_ctrl_c_ends_an_accept(listener):
    with ctrl_c(lambda: listener._door._polling), pytest.raises(KeyboardInterrupt):
        listener.accept(PATIENCE)
    with connect_ipc(listener.local_address()):
        listener.accept(PATIENCE).shutdown()


class _Exhausted:
    """A listening socket of a process that can open no more files."""

    def __init__(self, sock):
        self._sock = sock

    def accept(self):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def __getattr__(self, name):
        return getattr(self._sock, name)


def test_a_system_that_is_out_of_files(listener, monkeypatch):
    bound = listener._door._bound
    with connect_ipc(listener.local_address()):
        with monkeypatch.context() as patch:
            patch.setattr(bound, "sock", _Exhausted(bound.sock))
            with pytest.raises(Io, match="IO error: " + os.strerror(errno.EMFILE)):
                listener.accept(PATIENCE)
        listener.accept(PATIENCE).shutdown()


class _Host:
    """The test's own thread is the host's main thread."""

    def is_main_thread(self):
        return threading.current_thread() is threading.main_thread()


def test_on_a_hosts_main_thread_there_is_always_an_end(listener, monkeypatch):
    monkeypatch.setattr(arguments, "HOST_WAIT_MS", 20)
    guard.publish(("127.0.0.1", 5), _Host(), Caller().dispatcher)
    try:
        with pytest.raises(Internal, match="accept timed out after 20ms"):
            listener.accept()
    finally:
        guard.withdraw(("127.0.0.1", 5))


@pytest.mark.parametrize("addr", ["tcp://127.0.0.1:0", None])
def test_an_address_that_is_none(addr):
    with pytest.raises(TypeError):
        IpcListener.bind(addr)


@posix
def test_a_program_that_ends_leaves_no_socket_file(folder):
    path = os.path.join(folder, "a.sock")
    program = (
        "import dcc_mcp_embed as d\n"
        "listener = d.IpcListener.bind(d.TransportAddress.unix_socket({!r}))\n"
        "import os; assert os.path.exists({!r})\n"
    ).format(path, path)
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
    assert os.listdir(folder) == []


# The default place.


@posix
def test_two_listeners_of_one_process_have_two_places(folder):
    clock = SystemClock()
    with bind_local("maya", 7, clock) as first, bind_local("maya", 7, clock) as second:
        assert first.local_address() == TransportAddress.default_local("maya", 7)
        assert second.local_address().path == first.local_address().path[:-5] + "-2.sock"
        for one in (first, second):
            with connect_ipc(one.local_address()):
                one.accept(PATIENCE).shutdown()
    with bind_local("maya", 7, clock) as third:
        assert third.local_address() == TransportAddress.default_local("maya", 7)


@posix
def test_the_same_place_twice_by_name_is_an_error(folder):
    address = TransportAddress.default_local("maya", 7)
    with IpcListener.bind(address):
        with pytest.raises(IpcConnectionFailed, match="bind failed: another listener is at"):
            IpcListener.bind(address)


@posix
def test_where_the_users_directory_cannot_be_had_it_is_tcp(folder):
    # Something else is in its place.
    with open(addresses.private_directories()[0], "w"):
        pass
    with bind_local("maya", 7, SystemClock()) as listener:
        assert listener.local_address().host == "127.0.0.1"


def test_where_there_are_no_unix_sockets_it_is_tcp(monkeypatch):
    monkeypatch.setattr(addresses, "_WINDOWS", True)
    with bind_local("maya", 7, SystemClock()) as listener:
        assert listener.transport_name == "tcp"
    with pytest.raises(IpcNotSupported):
        IpcListener.bind(TransportAddress.default_local("maya", 7))
