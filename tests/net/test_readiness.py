"""Waiting for one socket: what is possible, in time, and awake when told."""

from __future__ import annotations

import select
import socket
import threading

import pytest

from dcc_mcp_embed.net.readiness import READ, WRITE, Readiness


@pytest.fixture(params=["poll", "select"])
def make(request):
    if request.param == "poll" and not hasattr(select, "poll"):
        pytest.skip("this system has no poll()")
    poll = select.poll if request.param == "poll" else None
    return lambda sock, waker=None: Readiness(sock, waker, poll)


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


def fill(sock):
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        pass


def test_says_what_is_possible(make, pair):
    near, far = pair
    one = make(near)
    assert one.wait(READ, 0) == 0
    assert one.wait(READ | WRITE, 0) == WRITE
    far.send(b"a")
    assert one.wait(READ, 5.0) == READ
    assert one.wait(READ | WRITE, 5.0) == READ | WRITE
    near.recv(10)
    fill(near)
    assert one.wait(WRITE, 0) == 0
    assert one.wait(READ | WRITE, 0.01) == 0


def test_the_end_of_a_connection_can_be_read(make, pair):
    near, far = pair
    far.close()
    assert make(near).wait(READ, 5.0) & READ


def test_a_connection_that_another_thread_shuts_down_wakes_whoever_waits(make, pair):
    near, _ = pair
    found = []
    thread = threading.Thread(target=lambda: found.append(make(near).wait(READ, 30.0)))
    thread.start()
    near.shutdown(socket.SHUT_RDWR)
    thread.join(30.0)
    assert found and found[0] & READ


def test_the_waker_wakes(make, pair):
    near, _ = pair
    waker, other = socket.socketpair()
    with waker:
        one = make(near, waker)
        assert one.wait(READ, 0) == 0
        other.close()
        assert one.wait(READ, 30.0) == READ | WRITE


def test_times_longer_than_the_kernel_takes(make, pair):
    near, far = pair
    far.send(b"a")
    assert make(near).wait(READ, 1e30) == READ
    assert make(near).wait(READ, None) == READ
