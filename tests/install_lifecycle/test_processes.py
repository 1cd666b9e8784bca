"""Processes by number, with real ones: zombies have ended, and nobody else is signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from dcc_mcp_embed.install_lifecycle import processes
from dcc_mcp_embed.registry.liveness import process_lives
from fakes.waiting import until

#: No system gives so high a number.
NOBODY = 2**31 - 2
WAITING = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]


@pytest.fixture
def child():
    process = subprocess.Popen(WAITING, stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


@pytest.fixture(params=["handle", "number"])
def opened(request, child, monkeypatch):
    """The child, held by what the system has for that, or by its number alone (3.7, macOS)."""
    if request.param == "number":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = processes.open_process(child.pid)
    try:
        yield process
    finally:
        process.close()


def test_one_that_runs(child, opened):
    assert opened.runs()
    assert processes.runs(child.pid)
    assert processes.runs(os.getpid())


@pytest.mark.parametrize("pid", [NOBODY, 2**31, 2**40, 2**70])
def test_numbers_that_nobody_has(pid):
    assert processes.open_process(pid) is None
    assert not processes.runs(pid)
    assert not process_lives(pid)


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_zombie_does_not_run(child, opened):
    child.send_signal(signal.SIGKILL)
    until(lambda: not opened.runs())
    assert child.returncode is None
    assert not processes.runs(child.pid)
    assert not process_lives(child.pid)
    again = processes.open_process(child.pid)
    assert again is not None and not again.runs()
    again.close()
    child.wait()
    assert not opened.runs()
    assert processes.open_process(child.pid) is None


def test_it_began_between_now_and_then():
    before = time.time()
    child = subprocess.Popen(WAITING, stdin=subprocess.PIPE)
    try:
        process = processes.open_process(child.pid)
        started = process.started_at()
        after = time.time()
        process.close()
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
    # The system counts hundredths. (It is reckoned from two clocks, read one after the other.)
    assert before - 0.1 <= started <= after + 0.1


@pytest.mark.parametrize("way", ["terminate", "kill"])
def test_it_is_ended(child, opened, way):
    getattr(opened, way)()
    until(lambda: not opened.runs())
    code = child.wait()
    if os.name != "nt":
        assert code == -(signal.SIGTERM if way == "terminate" else signal.SIGKILL)
    getattr(opened, way)()  # of one that has ended: nothing to do


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_number_that_has_gone_to_another_is_not_signalled(child, monkeypatch):
    """Where there are no handles; the look at the process says that it began at another time."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = processes.open_process(child.pid)
    monkeypatch.setattr(processes, "_look", lambda pid: ("S", b"another", 1.0))
    assert not process.runs()
    process.terminate()
    process.kill()
    monkeypatch.undo()
    assert processes.runs(child.pid)
    process.close()


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_somebody_elses_process_runs_and_cannot_be_ended(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)

    def refuse(pid, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    process = processes.open_process(os.getpid())
    assert process.runs()
    with pytest.raises(PermissionError):
        process.terminate()
    process.close()


def test_one_that_we_may_not_even_look_at_runs(monkeypatch):
    """As Windows says of a service."""

    def refuse(pid):
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(processes, "open_process", refuse)
    assert processes.runs(4)


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_system_that_gives_no_handles_is_no_obstacle(child, monkeypatch):
    def refuse(pid):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    assert processes.runs(child.pid)


def test_a_system_that_tells_nothing_gives_no_start(child, monkeypatch):
    if os.name != "nt":

        def refuse(pid):
            raise FileNotFoundError(2, "No such file or directory")

        monkeypatch.setattr(processes, "_look_in_proc", refuse)
        process = processes.open_process(child.pid)
        assert process.started_at() is None
        assert process.runs()
        process.close()


def test_what_was_launched_is_waited_for_when_it_has_ended(child):
    processes.adopt(child)
    assert processes.runs(child.pid)
    child.stdin.close()
    # Nobody but the package waits for it.
    until(lambda: not processes.runs(child.pid))
    until(lambda: processes.reap() or child.returncode == 0)
    if os.name != "nt":
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)


def test_no_descriptor_is_left(child):
    if not os.path.isdir("/proc/self/fd"):
        return
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        processes.runs(child.pid)
        processes.runs(NOBODY)
    assert len(os.listdir("/proc/self/fd")) == before
