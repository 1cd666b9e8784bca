"""Lines cut out of bytes, and the two threads at the descriptors."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.bridge.main import Log
from dcc_mcp_embed.bridge.stdio import LineReader, Lines, LineWriter, TooLong
from dcc_mcp_embed.clock import SystemClock

DEADLINE = 10.0


def cut(data, sizes):
    """Return ``data`` in pieces of these sizes, the rest as one."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def plain(lines):
    return [None if isinstance(line, TooLong) else line for line in lines]


@given(
    st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=8),
    st.lists(st.integers(1, 12), max_size=20),
)
def test_lines_do_not_depend_on_how_they_came(wanted, sizes):
    data = b"\n".join(wanted)
    lines = Lines(100)
    found = []
    for piece in cut(data, sizes):
        found.extend(lines.feed(piece))
    found.extend(lines.rest())
    whole = [line.strip() for line in wanted]
    if whole and whole[0].startswith(b"\xef\xbb\xbf"):
        whole[0] = whole[0][3:]
    assert plain(found) == [line for line in whole if line]


@given(st.lists(st.integers(0, 25), max_size=8), st.lists(st.integers(1, 12), max_size=20))
def test_a_line_over_the_limit_is_told_once_and_the_next_is_read(lengths, sizes):
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    lines = Lines(10)
    found = []
    for piece in cut(data, sizes):
        found.extend(lines.feed(piece))
    assert plain(found) == [None if length > 10 else b"x" * length for length in lengths if length]


def test_what_is_too_long_is_told_before_it_ends():
    lines = Lines(10)
    assert plain(lines.feed(b"x" * 11)) == [None]
    assert lines.feed(b"x" * 1000) == []
    assert plain(lines.feed(b"\nnext\n")) == [b"next"]


@pytest.mark.parametrize(
    ("data", "line"), [(b"\xef\xbb\xbf{}\n", b"{}"), (b"{}\r\n", b"{}"), (b" {} \n", b"{}")]
)
def test_what_shells_add_is_taken_off(data, line):
    assert Lines().feed(data) == [line]


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    ends = [reading, writing]
    yield ends
    for end in ends:
        if end is not None:
            os.close(end)


def test_the_reader_reads_no_further_than_there_is_room(pipe):
    got, over = [], threading.Event()
    arrived = threading.Semaphore(0)

    def deliver(line):
        got.append(line)
        arrived.release()

    # However short they are, each costs something.
    reader = LineReader(pipe[0], deliver, over.set, unread=600)
    reader.start()
    os.write(pipe[1], b"12345\n12345\n12345\n" + b"x" * 700 + b"\n")
    for _ in range(2):
        assert arrived.acquire(timeout=DEADLINE)
    assert not arrived.acquire(timeout=0.1)
    reader.done(b"12345")
    assert arrived.acquire(timeout=DEADLINE)
    # One that is longer than the room comes when there is nothing else.
    reader.done(b"12345")
    assert not arrived.acquire(timeout=0.1)
    reader.done(b"12345")
    assert arrived.acquire(timeout=DEADLINE)
    os.close(pipe[1])
    pipe[1] = None
    assert over.wait(DEADLINE)
    assert got == [b"12345"] * 3 + [b"x" * 700]


def test_the_reader_finds_the_end_also_when_there_is_no_room(pipe):
    """Who makes room may wait for the client, and the client has gone."""
    got, over = [], threading.Event()
    reader = LineReader(pipe[0], got.append, over.set, unread=0)
    reader.start()
    os.write(pipe[1], b"12345\n" * 1000)
    os.close(pipe[1])
    pipe[1] = None
    assert over.wait(DEADLINE)
    assert got == [b"12345"] * 1000


def test_who_reads_nothing_for_long_counts_as_gone(pipe):
    broken = threading.Event()
    writer = LineWriter(pipe[1], broken.set, SystemClock(), unsent=1000, patience=0.1)
    writer.start()
    for _ in range(400):
        writer.put(b"x" * 1000)
    assert broken.is_set()
    assert writer.flush(DEADLINE) is False


def test_the_writer_makes_whoever_writes_wait_until_the_end_comes(pipe):
    broken = threading.Event()
    writer = LineWriter(pipe[1], broken.set, SystemClock(), unsent=1000)
    writer.start()
    written = []

    def write():
        for number in range(400):
            writer.put(b"x" * 1000)
            written.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join(0.3)
    # A pipe holds 64 KiB, on Linux.
    assert thread.is_alive() and len(written) < 200
    writer.hurry()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert writer.flush(0.05) is False
    data = b""
    while data.count(b"\n") < 400:
        data += os.read(pipe[0], 65536)
    assert writer.flush(DEADLINE) is True
    writer.stop()
    assert data == (b"x" * 1000 + b"\n") * 400 and not broken.is_set()


def test_the_writer_tells_when_nobody_reads_any_more(pipe):
    broken = threading.Event()
    writer = LineWriter(pipe[1], broken.set, SystemClock())
    writer.start()
    os.close(pipe[0])
    pipe[0] = None
    writer.put(b"{}")
    assert broken.wait(DEADLINE)
    writer.put(b"{}")
    assert writer.flush(DEADLINE) is False


def test_a_log_that_nobody_reads_keeps_nobody_waiting(pipe):
    log = Log(SystemClock(), False, pipe[1])
    log("debug", "nothing for everybody")
    done = threading.Event()

    def chatter():
        for number in range(5000):
            log("warning", "{} {}\nand more".format(number, "x" * 100))
        done.set()

    thread = threading.Thread(target=chatter)
    thread.start()
    assert done.wait(DEADLINE)
    thread.join()
    data = b""
    while b"more" not in data:
        data += os.read(pipe[0], 65536)
    # There is room again; what was left out is told.
    while b"left out" not in data:
        log("error", "last")
        data += os.read(pipe[0], 65536)
    log.close()
    lines = data.split(b"\n")
    assert lines[0] == b"dcc_mcp_embed bridge: warning: 0 " + b"x" * 100 + b" and more"
