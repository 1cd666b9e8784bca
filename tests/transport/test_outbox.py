"""The outbox: frames leave in order, whole or not at all, and its size is what is not out."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from dcc_mcp_embed.transport.outbox import Outbox
from helpers import ROOT


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    near.setblocking(False)
    far.setblocking(False)
    yield Outbox(near), far
    near.close()
    far.close()


def drain(far):
    data = b""
    while True:
        try:
            piece = far.recv(1 << 20)
        except BlockingIOError:
            return data
        if not piece:
            return data
        data += piece


def test_what_the_socket_takes_leaves_no_trace(pair):
    outbox, far = pair
    assert outbox.send(b"abc", None) is None
    assert (len(outbox), outbox.size) == (0, 0)
    assert drain(far) == b"abc"
    assert outbox.flush() == []


def test_the_rest_follows_in_order(pair):
    outbox, far = pair
    frames = [bytes([number]) * 100_000 for number in range(3)]
    waiting = [outbox.send(frame, None) for frame in frames]
    assert [one.begun for one in waiting] == [True, False, False]
    assert len(outbox) == 3
    data, out = b"", []
    while outbox:
        data += drain(far)
        out += outbox.flush()
        assert len(data) + outbox.size <= 300_000
    assert data + drain(far) == b"".join(frames)
    assert out == waiting and all(one.done for one in waiting)
    assert outbox.size == 0
    assert outbox.send(b"next", None) is None


def test_only_what_has_not_begun_can_be_taken_back(pair):
    outbox, far = pair
    first, second, third = [outbox.send(bytes([n]) * 100_000, None) for n in range(3)]
    assert not outbox.withdraw(first)
    assert outbox.withdraw(second)
    data = b""
    while outbox:
        data += drain(far)
        outbox.flush()
    assert data + drain(far) == bytes(100_000) + b"\2" * 100_000
    assert first.done and third.done and not second.done


def test_forgetting(pair):
    outbox, _ = pair
    waiting = [outbox.send(bytes(100_000), None) for _ in range(2)]
    assert outbox.clear() == waiting
    assert (len(outbox), outbox.size) == (0, 0)


def test_a_peer_that_is_gone(pair):
    outbox, far = pair
    outbox.send(bytes(100_000), None)
    far.close()
    with pytest.raises(OSError):
        outbox.flush()
    outbox.clear()
    with pytest.raises(OSError):
        outbox.send(b"x", None)


@pytest.mark.skipif(not hasattr(socket, "MSG_NOSIGNAL"), reason="no such flag here")
def test_a_host_that_has_not_ignored_sigpipe_survives_a_peer_that_is_gone():
    """An embedded interpreter may be told to leave signals alone."""
    program = (
        "import signal, socket\n"
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "from dcc_mcp_embed.transport.outbox import Outbox\n"
        "near, far = socket.socketpair()\n"
        "far.close()\n"
        "try:\n"
        "    Outbox(near).send(b'x', None)\n"
        "except BrokenPipeError:\n"
        "    print('alive')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, timeout=60
    )
    assert done.returncode != -signal.SIGPIPE
    assert done.stdout.split() == [b"alive"]
