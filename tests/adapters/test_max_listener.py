"""What other threads print in 3ds Max waits for its main thread."""

from __future__ import annotations

import sys
import threading

from dcc_mcp_embed.adapters.max import listener as module
from dcc_mcp_embed.adapters.max.listener import Listener

from dcc_mcp_embed.tools.capture import Capture
from fakes.max_host.listener import Listener as Shown


class Made:
    """A Listener over streams that show. Not in a fixture: pytest changes the streams after it."""

    def __enter__(self):
        self.before = sys.stdout, sys.stderr
        self.shown = sys.stdout = sys.stderr = Shown()
        self.woken = []
        self.listener = Listener(self.woken.append)
        return self

    def __exit__(self, *error):
        self.listener.close()
        sys.stdout, sys.stderr = self.before


def on_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_the_main_thread_writes_through():
    with Made() as made:
        print("here")
        sys.stderr.write("there\n")
        assert made.shown.text == "here\nthere\n"
        assert made.woken == []


def test_what_a_thread_prints_is_written_by_the_main_thread_in_order():
    with Made() as made:
        on_thread(lambda: print("one", "two"))
        on_thread(lambda: sys.stderr.writelines(["three\n", "four\n"]))
        assert made.shown.text == ""
        assert len(set(made.woken)) == 1
        made.woken[0]()
        assert made.shown.text == "one two\nthree\nfour\n"
        made.woken[0]()
        assert made.shown.text == "one two\nthree\nfour\n"
        assert made.shown.lost == []


def test_too_much_is_dropped_and_said(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    with Made() as made:
        on_thread(lambda: [sys.stdout.write("12345") for _ in range(4)])
        # For nothing that is dropped the main thread is woken.
        assert len(made.woken) == 2
        made.listener.flush()
        left_out = "1234512345\n[... 10 characters of other threads left out ...]\n"
        assert made.shown.text == left_out
        on_thread(lambda: sys.stdout.write("again"))
        made.listener.flush()
        assert made.shown.text == left_out + "again"


def test_of_one_text_that_is_too_long_the_beginning_is_kept(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 4)
    with Made() as made:
        on_thread(lambda: sys.stdout.write("abcdef"))
        made.listener.flush()
        assert made.shown.text.startswith("abcd\n[... 2 characters")


def test_a_thread_flushes_nothing_and_the_main_thread_does():
    with Made() as made:
        flushed = []
        made.shown.flush = lambda: flushed.append(threading.current_thread())
        on_thread(sys.stdout.flush)
        assert flushed == []
        sys.stdout.flush()
        assert flushed == [threading.current_thread()]


def test_a_stream_that_does_not_say_how_much_it_took_is_fine():
    with Made() as made:
        made.shown.write = lambda text: None
        assert sys.stdout.write("four") == 4


def test_a_thread_is_told_what_a_stream_does_not_take():
    caught = []

    def work():
        try:
            sys.stdout.write(b"bytes")
        except TypeError as error:
            caught.append(error)

    with Made():
        on_thread(work)
    assert len(caught) == 1


def test_what_is_captured_on_one_thread_leaves_the_others_marshalled():
    with Made() as made:
        capture = Capture(100, 100)
        with capture:
            print("caught")
            on_thread(lambda: print("beside"))
        assert capture.stdout.text() == "caught\n"
        assert made.shown.text == ""
        made.listener.flush()
        assert made.shown.text == "beside\n"


def test_the_streams_are_given_back_with_what_waits_written():
    with Made() as made:
        on_thread(lambda: print("late"))
        made.listener.close()
        made.listener.close()
        assert sys.stdout is made.shown and sys.stderr is made.shown
        assert made.shown.text == "late\n"


def test_a_stream_that_somebody_keeps_writes_through_afterwards():
    with Made() as made:
        kept = sys.stdout
        theirs = sys.stdout = Shown()
        made.listener.close()
        # Theirs stays, and what they put it over still leads somewhere.
        assert sys.stdout is theirs
        on_thread(lambda: kept.write("after\n"))
        kept.flush()
        assert made.shown.lost == ["after\n"]


def test_what_is_not_about_writing_is_the_stream_s_own():
    with Made() as made:
        assert sys.stdout is not made.shown
        assert sys.stdout.encoding == "utf-8"
        assert sys.stdout.isatty() is False


def test_no_stream_at_all_takes_everything():
    with Made() as made:
        made.listener.close()
        sys.stdout = None
        listener = Listener(made.woken.append)
        try:
            assert sys.stdout.write("nowhere") == 7
            on_thread(lambda: sys.stdout.write("nowhere"))
            sys.stdout.flush()
        finally:
            listener.close()
        assert sys.stdout is None
