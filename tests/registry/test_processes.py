"""Real processes: what dies leaves no row for long, and a forked child keeps none alive."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

import helpers
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry import forks
from dcc_mcp_embed.registry.locking import Sentinel
from fakes.registry import Opened
from real.processes import Process

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "registry_process.py")


@pytest.fixture
def opened(tmp_path):
    with Opened(tmp_path / "registry", clock=SystemClock()) as one:
        yield one


def registrant(opened):
    return Process([sys.executable, SCRIPT, opened.directory, helpers.ROOT], name="registrant")


def tell(process, command):
    process._child.stdin.write(command.encode() + b"\n")
    process._child.stdin.flush()


def test_a_killed_process_has_no_row_after_one_sweep(opened):
    with registrant(opened) as process:
        row = process.json_line()
        assert opened.registry.sweep() == []
        assert len(opened.registry.entries()) == 1
        process.end(signal.SIGKILL)
        assert [one.instance_id for one in opened.registry.sweep()] == [row["id"]]
    assert opened.rows() == []
    assert not os.path.exists(row["sentinel"])


@pytest.mark.parametrize("command", ["end", "raise"])
def test_a_process_that_ends_takes_its_row_along(opened, command):
    with registrant(opened) as process:
        process.json_line()
        tell(process, command)
        process.wait()
        assert opened.rows() == []
        assert os.listdir(os.path.join(opened.directory, "locks")) == []


def test_a_forked_child_neither_has_nor_keeps_the_row(opened):
    with registrant(opened) as process:
        row = process.json_line()
        tell(process, "fork")
        forked = process.json_line()
        assert forked["own_in_child"] == []
        assert opened.registry.sweep() == [], "the child's leaving must not free the parent's lock"
        process.send_signal(signal.SIGKILL)
        process.wait()
        try:
            assert [one.instance_id for one in opened.registry.sweep()] == [row["id"]]
            assert os.path.isdir("/proc") is False or os.path.exists(
                "/proc/{}".format(forked["child"])
            ), "the child was to live on"
        finally:
            os.kill(forked["child"], signal.SIGKILL)


def in_child(function):
    """Run ``function`` in a forked child; return its exit status."""
    pid = os.fork()
    if not pid:
        status = 99
        try:
            status = function() or 0
        finally:
            os._exit(status)
    return os.WEXITSTATUS(os.waitpid(pid, 0)[1])


def test_a_forked_child_has_no_sentinel_open_whoever_holds_it(tmp_path):
    path = str(tmp_path / "a.lock")
    sentinel = Sentinel.hold(path, 0o600)

    def child():
        assert not sentinel.intact()
        assert path not in helpers.open_descriptors().values()

    assert in_child(child) == 0
    assert sentinel.intact()
    sentinel.release()


def test_a_forked_child_can_have_rows_of_its_own(opened):
    entry = opened.registry.register("maya", "127.0.0.1", 1)

    def child():
        other = opened.registry.register("houdini", "127.0.0.1", 2)
        opened.registry.beat()
        assert opened.registry.own() == [("houdini", other.instance_id)]
        assert len(opened.registry.entries()) == 2
        opened.registry.close()

    assert in_child(child) == 0
    assert opened.registry.entries() == [entry]
    opened.registry.beat()
    assert opened.registry.sweep() == []


def test_a_descriptor_that_somebody_closed_keeps_a_child_from_nothing(opened):
    """As whoever closes all descriptors does, which then are not there to be given back."""
    first, second = (Sentinel.hold(opened.directory + name, 0o600) for name in ("/a", "/b"))
    opened.registry.register("maya", "127.0.0.1", 1)
    held = helpers.open_descriptors()

    def child():
        assert not first.intact() and not second.intact()
        assert opened.registry.own() == []
        opened.registry.register("houdini", "127.0.0.1", 2)
        opened.registry.close()

    handle = next(number for number, path in held.items() if path == opened.directory + "/a")
    kept = os.dup(handle)
    os.close(handle)
    try:
        assert in_child(child) == 0
    finally:
        os.dup2(kept, handle)
        os.close(kept)
        first.release()
        second.release()
    assert [one.dcc_type for one in opened.registry.entries()] == ["maya"]


def test_a_child_lets_go_of_sentinels_first_and_of_all_in_order():
    class Thing:
        def __init__(self, name):
            self.name = name

        def disown(self):
            order.append(self.name)
            if self.name.startswith("bad"):
                raise OSError(9, "Bad file descriptor")

    order = []
    things = [Thing(name) for name in ("a", "bad b", "c", "first d", "bad first e", "first f")]
    for thing in things:
        forks.in_child(thing, first="first" in thing.name)

    def child():
        assert order == ["first d", "bad first e", "first f", "a", "bad b", "c"]

    assert in_child(child) == 0


def test_a_fork_in_the_middle_of_a_change_holds_nobody_up(opened):
    """The child inherits the open lock and the mutex of a thread that does not exist there."""
    opened.registry.register("maya", "127.0.0.1", 1)
    inside, leave = threading.Event(), threading.Event()
    real = os.fsync

    def slow_disk(handle):
        inside.set()
        leave.wait(30.0)
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", slow_disk)
        thread = threading.Thread(target=opened.registry.beat)
        thread.start()
        assert inside.wait(30.0)
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(writer)
            os.read(reader, 1)
            os.fsync = real
            opened.registry.register("houdini", "127.0.0.1", 2)
            os._exit(0)
        os.close(reader)
        leave.set()
        thread.join()
    # The child still lives, with what it inherited; the parent's lock is free all the same.
    opened.registry.beat()
    os.close(writer)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 0
    assert [one.dcc_type for one in opened.registry.sweep()] == ["houdini"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_that_did_not_wait_long_enough_leaves_the_lock_of_another():
    holding, over, forked, end = [threading.Event() for _ in range(4)]

    def fork_slowly():
        forks._before()
        holding.set()
        over.wait(30)
        forks._after()
        forked.set()
        # Its number must not be given to the next thread, who would then be taken for it.
        end.wait(60)

    slow = threading.Thread(target=fork_slowly, name="slow")
    slow.start()
    assert holding.wait(30)
    # Another thread forks meanwhile, waits in vain, and must not release what is not its own.
    forks._before()
    forks._after()
    over.set()
    assert forked.wait(30)
    entered = threading.Event()

    def enter():
        with forks.undisturbed():
            entered.set()

    other = threading.Thread(target=enter, name="other", daemon=True)
    other.start()
    free = entered.wait(10)
    end.set()
    slow.join(30)
    other.join(30)
    assert free, "the lock has an owner that will never release it"
