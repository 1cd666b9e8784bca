"""The registry's thread: when it beats, what it survives, and that it can be ended."""

from __future__ import annotations

import gc
import os
import sys
import threading

import pytest

from dcc_mcp_embed import collector
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.heartbeat import Heartbeat
from fakes.channels import until
from fakes.registry import Opened, raw_row

LONG = 30.0


@pytest.fixture
def opened(tmp_path):
    with Opened(tmp_path / "registry") as one:
        yield one


@pytest.fixture
def heartbeat(opened):
    """One whose work is done by the test, under a clock that stands still."""
    return Heartbeat(opened.registry, 5.0, opened.clock, lambda *line: opened.logged.append(line))


@pytest.fixture
def running(tmp_path):
    """One whose thread runs."""
    with Opened(tmp_path / "registry", clock=SystemClock()) as opened:
        heart = Heartbeat(
            opened.registry, 0.01, opened.clock, lambda *line: opened.logged.append(line)
        )
        heart.opened = opened
        yield heart
        assert heart.stop(LONG)


def work(heartbeat, opened):
    return heartbeat.work(opened.clock.monotonic())


def beaten(opened):
    return [row["last_heartbeat"]["secs_since_epoch"] - 1_700_001_000 for row in opened.rows()]


def test_it_beats_on_its_own_schedule(heartbeat, opened):
    opened.registry.register("maya", "127.0.0.1", 1)
    assert work(heartbeat, opened) == 5.0
    for _ in range(7):
        opened.clock.advance(1)
        work(heartbeat, opened)
    assert beaten(opened) == [5]
    opened.clock.advance(100)
    assert work(heartbeat, opened) == 5.0
    assert beaten(opened) == [107], "once, and not for each beat that was missed"


def test_without_rows_it_sleeps_until_it_is_woken(heartbeat, opened):
    assert work(heartbeat, opened) is None
    entry = opened.registry.register("maya", "127.0.0.1", 1)
    assert work(heartbeat, opened) == 5.0
    opened.registry.deregister("maya", entry.instance_id)
    assert work(heartbeat, opened) is None


def test_it_sweeps_now_and_then(heartbeat, opened):
    opened.registry.register("maya", "127.0.0.1", 1)
    swept = []
    for _ in range(40):
        opened.write(*[r for r in opened.rows() if "pid" in r and r["pid"] == os.getpid()])
        opened.write(*opened.rows(), raw_row(pid=2**31 - 2))
        work(heartbeat, opened)
        if len(opened.rows()) == 1:
            swept.append(opened.clock.monotonic() - 1000)
        opened.clock.advance(1)
    assert swept == [0, 15, 30]


def test_a_failed_beat_is_said_once_and_tried_again_soon(heartbeat, opened):
    opened.registry.register("maya", "127.0.0.1", 1)
    work(heartbeat, opened)
    opened.clock.advance(5)
    good = opened.rows()
    opened.write(raw_row(schema_version=2))
    for _ in range(3):
        assert work(heartbeat, opened) <= 1.0
        opened.clock.advance(1)
    opened.write(*good)
    assert work(heartbeat, opened) == pytest.approx(5.0, abs=0.1)
    said = [text for _, text in opened.logged if "heartbeat" in text]
    assert len(said) == 2
    assert "fails" in said[0] and "left alone" in said[0]
    assert "works again" in said[1]


def test_deferred_work_is_done_in_order_and_may_fail(heartbeat, opened, monkeypatch):
    monkeypatch.setattr(heartbeat, "start", lambda: None)
    done = []
    heartbeat.defer(done.append, 1)
    heartbeat.defer(lambda: 1 / 0)
    heartbeat.defer(done.append, 2)
    work(heartbeat, opened)
    assert done == [1, 2]
    assert any("ZeroDivisionError" in text for _, text in opened.logged)


def test_what_is_postponed_comes_after_the_next_beat_however_often_it_was(heartbeat, opened):
    opened.registry.register("maya", "127.0.0.1", 1)
    work(heartbeat, opened)
    done = []

    def again():
        done.append(beaten(opened))
        if len(done) < 2:
            heartbeat.postpone(again)

    for _ in range(100):
        heartbeat.postpone(again)
    for seconds in range(16):
        assert done == [[5], [10]][: seconds // 5]
        opened.clock.advance(1)
        work(heartbeat, opened)


def test_what_is_postponed_is_dropped_at_the_end(heartbeat, opened):
    opened.registry.register("maya", "127.0.0.1", 1)
    work(heartbeat, opened)
    done = []
    heartbeat.postpone(heartbeat.stop)
    heartbeat.postpone(lambda: done.append(1))
    opened.clock.advance(5)
    work(heartbeat, opened)
    assert done == []


# The real thread.


def test_the_thread_starts_late_beats_and_ends(running):
    opened = running.opened
    names = {thread.name for thread in threading.enumerate()}
    assert "dcc-mcp-embed-registry" not in names
    opened.registry.register("maya", "127.0.0.1", 1)
    first = opened.rows()
    running.start()
    running.start()
    threads = [t for t in threading.enumerate() if t.name == "dcc-mcp-embed-registry"]
    assert len(threads) == 1
    assert threads[0].daemon
    until(lambda: opened.rows() != first)
    assert running.stop(LONG)
    assert not threads[0].is_alive()
    running.start()
    running.defer(print)
    assert not [t for t in threading.enumerate() if t.name == "dcc-mcp-embed-registry"]


def test_a_busy_worker_does_not_starve_it(running):
    """The tools' worker is another thread: as long as it lets go of the interpreter, it may run."""
    opened = running.opened
    opened.registry.register("maya", "127.0.0.1", 1)
    over = threading.Event()

    def tool():
        while not over.is_set():
            sum(range(1000))

    worker = threading.Thread(target=tool)
    worker.start()
    try:
        running.start()
        for _ in range(3):
            before = opened.rows()
            until(lambda before=before: opened.rows() != before)
    finally:
        over.set()
        worker.join()


def test_deferred_work_runs_on_the_thread(running):
    told = []
    done = threading.Event()
    running.defer(lambda: (told.append(threading.current_thread().name), done.set()))
    assert done.wait(LONG)
    assert told == ["dcc-mcp-embed-registry"]


def test_it_can_be_stopped_from_itself(running):
    done = threading.Event()
    running.defer(lambda: (running.stop(LONG), done.set()))
    assert done.wait(LONG)


def test_a_deferred_call_that_hangs_does_not_hold_up_the_end(running):
    inside, leave = threading.Event(), threading.Event()
    running.defer(lambda: (inside.set(), leave.wait(LONG)))
    assert inside.wait(LONG)
    assert not running.stop(0.01)
    leave.set()
    assert running.stop(LONG)


def test_no_garbage_is_collected_while_it_works_only_while_it_waits(running, monkeypatch):
    opened = running.opened
    opened.registry.register("maya", "127.0.0.1", 1)
    states = {}
    monkeypatch.setattr(collector, "_held", True)
    real, synced = os.fsync, threading.Event()

    def fsync(handle):
        states["waiting"] = gc.isenabled()
        real(handle)
        synced.set()

    monkeypatch.setattr(os, "fsync", fsync)
    running.defer(lambda: states.update(working=gc.isenabled()))
    assert synced.wait(LONG)
    assert states == {"working": False, "waiting": True}
    assert running.stop(LONG)
    assert gc.isenabled()


def test_a_call_from_a_thread_of_the_hosts_leaves_the_collector_alone(opened, monkeypatch):
    opened.registry.register("maya", "127.0.0.1", 1)
    states = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: states.append(gc.isenabled()) or real(handle))
    opened.clock.advance(5)
    opened.registry.beat()
    opened.clock.advance(5)
    gc.disable()
    try:
        opened.registry.beat()
    finally:
        gc.enable()
    assert states == [True, False]


def test_what_would_end_a_program_does_not_end_the_thread(running):
    done = threading.Event()
    running.defer(sys.exit, 3)
    running.defer(done.set)
    assert done.wait(LONG)
    assert any("SystemExit" in text for _, text in running.opened.logged)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_a_forked_child_can_start_it_anew(running):
    running.opened.registry.register("maya", "127.0.0.1", 1)
    running.start()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            done = threading.Event()
            running.defer(done.set)
            status = 0 if done.wait(LONG) and running.stop(LONG) else 2
        finally:
            os._exit(status)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 0


def test_a_signal_handler_may_end_what_it_interrupted_the_start_of(opened, monkeypatch):
    heart = Heartbeat(opened.registry, 5.0, opened.clock, lambda *line: None)
    real_start = threading.Thread.start

    def interrupted(thread):
        # What a handler does that comes while the system makes the thread.
        heart.stop(0.0)
        real_start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    caller = threading.Thread(target=heart.start, name="caller", daemon=True)
    real_start(caller)
    caller.join(LONG)
    assert not caller.is_alive(), "it waits for itself"
    assert heart.stop(LONG)


def test_a_system_without_threads_is_told_of_and_tried_again(opened, monkeypatch):
    logged = []
    heart = Heartbeat(opened.registry, 5.0, opened.clock, lambda *line: logged.append(line))

    def none_left(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        heart.start()
    assert [level for level, _ in logged] == ["warning"]
    done = threading.Event()
    heart.defer(done.set)
    assert done.wait(LONG)
    assert heart.stop(LONG)
