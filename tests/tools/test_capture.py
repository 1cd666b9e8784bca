"""What one thread prints is caught, within bounds; everybody else's is left alone."""

from __future__ import annotations

import io
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.tools.capture import Capture, Stream


@given(st.lists(st.text("ab\n", max_size=30)), st.integers(2, 40))
def test_the_beginning_and_the_end_are_kept(parts, limit):
    stream = Stream(None, limit)
    for part in parts:
        assert stream.write(part) == len(part)
    whole, half, shown = "".join(parts), limit // 2, stream.text()
    if len(whole) <= 2 * half:
        assert shown == whole
    else:
        gap = "\n[... {} characters left out ...]\n".format(len(whole) - 2 * half)
        assert shown == whole[:half] + gap + whole[-half:]


def test_other_threads_print_where_they_always_did(monkeypatch):
    host = io.StringIO()
    monkeypatch.setattr(sys, "stdout", host)
    with Capture(100, 100) as capture:
        print("mine")
        thread = threading.Thread(target=lambda: print("theirs", flush=True))
        thread.start()
        thread.join()
        sys.stderr.write("oops")
    print("after")
    assert capture.stdout.text() == "mine\n"
    assert capture.stderr.text() == "oops"
    assert host.getvalue() == "theirs\nafter\n"


def test_the_streams_come_back_whatever_the_code_did():
    before = sys.stdout, sys.stderr

    def code():
        with Capture(10, 10):
            sys.stdout = None
            raise KeyError

    with pytest.raises(KeyError):
        code()
    assert (sys.stdout, sys.stderr) == before


def test_who_kept_the_stream_writes_to_the_host_afterwards(monkeypatch):
    host = io.StringIO()
    monkeypatch.setattr(sys, "stdout", host)
    with Capture(10, 10):
        kept = sys.stdout
    kept.write("late")
    kept.flush()
    assert host.getvalue() == "late"


def test_a_host_without_streams(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with Capture(10, 10) as capture:
        print("x")
        kept = sys.stdout
    assert capture.stdout.text() == "x\n"
    assert sys.stdout is None
    assert kept.write("gone") == 4
    kept.flush()


def test_a_stream_refuses_what_a_stream_refuses():
    with pytest.raises(TypeError, match="must be str, not bytes"):
        Stream(None, 10).write(b"x")
