"""Reading an answer from a blocking socket: whatever its pieces, by one deadline."""

from __future__ import annotations

import socket
import threading

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.net.reading import events

CLOCK = SystemClock()


class Letters:
    """A machine whose events are letters; at the end of the stream it says so."""

    def __init__(self):
        self._come = []

    def next_event(self):
        return self._come.pop(0) if self._come else None

    def receive_data(self, data):
        self._come += data.decode("ascii")

    def receive_eof(self):
        self._come.append("end")


@pytest.fixture
def pair():
    both = socket.socketpair()
    yield both
    for sock in both:
        sock.close()


def test_events_come_as_their_bytes_do_and_after_the_last_one_nothing_is_read(pair):
    ours, theirs = pair
    theirs.sendall(b"ab")
    found = events(ours, Letters(), CLOCK.monotonic() + 5, CLOCK)
    assert next(found) == "a"
    assert next(found) == "b"
    theirs.sendall(b"c")
    theirs.close()
    assert next(found) == "c"
    assert next(found) == "end"


def test_the_deadline_counts_for_all_of_it_together(pair):
    ours, theirs = pair
    over = threading.Event()

    def trickle():
        try:
            while not over.wait(0.02):
                theirs.sendall(b"x")
        except OSError:
            return

    writer = threading.Thread(target=trickle, name="trickle")
    writer.start()
    begun = CLOCK.monotonic()
    try:
        with pytest.raises(socket.timeout):
            for _ in events(ours, Letters(), begun + 0.2, CLOCK):
                pass
        assert 0.2 <= CLOCK.monotonic() - begun < 2.0
    finally:
        over.set()
        writer.join()


def test_a_deadline_that_has_passed_is_over_at_once(pair):
    with pytest.raises(socket.timeout):
        next(events(pair[0], Letters(), CLOCK.monotonic(), CLOCK))
