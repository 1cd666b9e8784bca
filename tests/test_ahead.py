"""Modules are loaded by a thread until somebody needs them; what cannot be is nobody's trouble."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from dcc_mcp_embed import ahead, collector

TELLING = "import threading\nname = threading.current_thread().name\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(collector, "_held", False)
    # A busy machine may not let a thread begin in the second that a host waits.
    monkeypatch.setattr(ahead, "_PATIENCE", 20.0)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("ahead_first", "ahead_second"):
        sys.modules.pop(name, None)


def test_modules_are_loaded_by_a_thread(folder) -> None:
    for name in ("ahead_first", "ahead_second"):
        (folder / (name + ".py")).write_text(TELLING, encoding="utf-8")
    loading = ahead.Loading("ahead_first", "ahead_second")
    loading.begin()
    loading.end()
    assert sys.modules["ahead_first"].name == "dcc-mcp-embed loading"
    assert sys.modules["ahead_second"].name == "dcc-mcp-embed loading"
    assert collector.held()


@pytest.mark.parametrize("text", ["raise RuntimeError('spoilt')", "import sys; sys.exit(1)", "((("])
def test_what_cannot_be_loaded_is_left_to_whoever_needs_it(folder, text, capsys) -> None:
    (folder / "ahead_first.py").write_text(text, encoding="utf-8")
    loading = ahead.Loading("ahead_first", "ahead_second")
    loading.begin()
    loading.end()
    assert not {"ahead_first", "ahead_second"} & set(sys.modules)
    assert capsys.readouterr() == ("", "")


def test_a_host_that_is_ready_at_once_loads_for_itself(folder) -> None:
    (folder / "ahead_first.py").write_text(TELLING, encoding="utf-8")
    loading = ahead.Loading("ahead_first")
    loading.end()
    loading.begin()
    assert "ahead_first" not in sys.modules
    assert not [one for one in threading.enumerate() if one.name == "dcc-mcp-embed loading"]


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_no_thread_is_no_error(folder, monkeypatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    loading = ahead.Loading("ahead_first")
    loading.begin()
    loading.end()


def test_the_wait_for_what_does_not_come_has_an_end(folder, monkeypatch) -> None:
    text = "import sys, threading\nsys.ahead_gate.wait(60)\n"
    (folder / "ahead_first.py").write_text(text, encoding="utf-8")
    gate = threading.Event()
    monkeypatch.setattr(sys, "ahead_gate", gate, raising=False)
    monkeypatch.setattr(ahead, "_PATIENCE", 0.01)
    loading = ahead.Loading("ahead_first")
    loading.begin()
    loading.end()
    assert not gate.is_set()
    gate.set()
    for one in threading.enumerate():
        if one.name == "dcc-mcp-embed loading":
            one.join(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_is_forked_meanwhile_can_load_it(folder) -> None:
    (folder / "ahead_first.py").write_text("import time\ntime.sleep(0.2)\n", encoding="utf-8")
    loading = ahead.Loading("ahead_first")
    loading.begin()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        try:
            __import__("ahead_first")
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    loading.end()


@pytest.mark.parametrize("needed", ["afterwards", "before", "without a thread"])
def test_what_is_to_be_done_then_is_done_once(folder, monkeypatch, needed) -> None:
    (folder / "ahead_first.py").write_text(TELLING, encoding="utf-8")
    done = []
    loading = ahead.Loading("ahead_first", then=lambda: done.append(threading.current_thread()))
    if needed == "before":
        loading.end()
    elif needed == "without a thread":
        monkeypatch.setattr(threading.Thread, "start", no_thread)
    loading.begin()
    loading.end()
    (thread,) = done
    assert (thread is threading.current_thread()) == (needed != "afterwards")
    assert ("ahead_first" in sys.modules) == (needed == "afterwards")


def test_what_cannot_be_loaded_keeps_nothing_from_being_done(folder) -> None:
    (folder / "ahead_first.py").write_text("raise RuntimeError('spoilt')", encoding="utf-8")
    done = []
    loading = ahead.Loading("ahead_first", then=lambda: done.append(1))
    loading.begin()
    loading.end()
    assert done == [1]
