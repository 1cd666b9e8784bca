"""Locks that other programs see, and what a look at a row's owner finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry import liveness
from dcc_mcp_embed.registry.locking import FileLock, Sentinel, open_plain, try_lock
from dcc_mcp_embed.transport_errors import RegistryFile
from fakes.clock import FakeClock
from fakes.registry import ID, raw_row

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "services.lock")


def held_by_others(path):
    """Return whether flock, as any other program calls it, finds the file locked."""
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def test_others_see_the_lock_and_it_sees_theirs(path):
    lock = FileLock(path, 0.01, FakeClock(), 0o600)
    with lock.held(0.0):
        assert held_by_others(path)
    assert not held_by_others(path)
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RegistryFile, match="registry lock file after 500ms"):
            with lock.held(0.5):
                pass
    with lock.held(0.0):
        pass


def test_waiting_is_bounded_and_spread(path):
    clock = FakeClock()
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RegistryFile):
            with FileLock(path, 0.01, clock, 0o600).held(0.1):
                pass
    assert sum(clock.slept) == pytest.approx(0.1)
    assert 9 <= len(clock.slept) <= 12


def test_a_waiting_thread_gets_the_lock_once_it_is_free(path):
    first, second = (FileLock(path, 0.001, SystemClock(), 0o600) for _ in range(2))
    got = threading.Event()

    def take():
        with second.held(30.0):
            got.set()

    with first.held(0.0):
        thread = threading.Thread(target=take)
        thread.start()
        assert not got.wait(0.02)
    assert got.wait(30.0)
    thread.join()


def test_a_lock_on_a_deleted_file_is_no_lock(path):
    first, second = (FileLock(path, 0.01, FakeClock(), 0o600) for _ in range(2))
    with first.held(0.0):
        os.unlink(path)
        with second.held(0.0):
            assert held_by_others(path)


def test_a_file_that_is_deleted_while_it_is_opened_is_not_taken_for_the_lock(path, monkeypatch):
    real, opened = os.open, []

    def deleted_at_once(name, *rest):
        handle = real(name, *rest)
        opened.append(name)
        if len(opened) == 1:
            os.unlink(name)
        return handle

    monkeypatch.setattr(os, "open", deleted_at_once)
    with FileLock(path, 0.01, FakeClock(), 0o600).held(1.0):
        assert len(opened) == 2
        assert held_by_others(path)


def test_a_child_that_shares_the_lock_does_not_keep_it(path):
    """A fork that runs no hooks, as native code forks: the child has the descriptor, and stays."""
    lock = FileLock(path, 0.01, FakeClock(), 0o600)
    with lock.held(0.0):
        shared = os.dup(lock._handle)
    try:
        assert not held_by_others(path)
    finally:
        os.close(shared)


def test_a_link_is_not_locked(tmp_path, path):
    (tmp_path / "other").write_bytes(b"")
    os.symlink(str(tmp_path / "other"), path)
    with pytest.raises(RegistryFile, match="failed to lock"):
        with FileLock(path, 0.01, FakeClock(), 0o600).held(0.0):
            pass


def test_a_pipe_in_a_files_place_does_not_block(path):
    os.mkfifo(path)
    handle = open_plain(path, os.O_RDONLY)
    os.close(handle)


def test_a_file_that_is_only_readable_can_be_locked(path, monkeypatch):
    with open(path, "w"):
        pass
    real = os.open

    def only_reading(name, flags, mode=0o777):
        if flags & os.O_RDWR:
            raise PermissionError(13, "it is another user's")
        return real(name, flags, mode)

    lock = FileLock(path, 0.01, FakeClock(), 0o600)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", only_reading)
        with lock.held(0.0):
            assert not try_probe(real, path)


def try_probe(open_file, path):
    handle = open_file(path, os.O_RDONLY)
    try:
        return try_lock(handle)
    finally:
        os.close(handle)


# Sentinels.


def test_a_sentinel_is_held_until_it_is_released(tmp_path):
    path = str(tmp_path / "a.lock")
    sentinel = Sentinel.hold(path, 0o600)
    assert sentinel.intact()
    assert held_by_others(path)
    with pytest.raises(OSError):
        Sentinel.hold(path, 0o600)
    sentinel.release()
    assert not os.path.exists(path)
    assert not sentinel.intact()
    sentinel.release()


def test_a_sentinel_notices_that_its_file_is_gone_and_spares_the_next(tmp_path):
    path = str(tmp_path / "a.lock")
    sentinel = Sentinel.hold(path, 0o600)
    os.unlink(path)
    assert not sentinel.intact()
    other = Sentinel.hold(path, 0o600)
    assert not sentinel.intact()
    sentinel.release()
    assert other.intact()
    other.release()


@pytest.mark.parametrize(
    ("dcc_type", "name"),
    [
        ("maya", "maya"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a/b\\c:d\0e\nf", "a_b_c_d_e_f"),
        ("ü" * 3, "___"),
        ("x" * 300, "x" * 64),
        ("", ""),
    ],
)
def test_no_name_leads_out_of_the_folder(dcc_type, name):
    assert liveness.sentinel_name((dcc_type, ID)) == "{}-{}.lock".format(name, ID)


# Who is alive.


@pytest.fixture
def locks(tmp_path):
    path = tmp_path / "locks"
    path.mkdir()
    return path


def is_dead(tmp_path, **row):
    return liveness.is_dead(raw_row(**row), str(tmp_path))


def ended_pid():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_row_that_gives_no_proof_lives(tmp_path):
    assert not is_dead(tmp_path)
    for pid in (None, 0, -1, True, "7", 2**40 + 1.5):
        assert not is_dead(tmp_path, pid=pid)
    assert not is_dead(tmp_path, sentinel_path="")
    assert not is_dead(tmp_path, sentinel_path=7)


def test_a_process_counts_where_there_is_no_sentinel(tmp_path):
    assert not is_dead(tmp_path, pid=os.getpid())
    assert is_dead(tmp_path, pid=ended_pid())
    assert is_dead(tmp_path, pid=2**31 - 2)
    assert is_dead(tmp_path, pid=2**32 - 1)


def test_a_process_that_nobody_waited_for_is_dead(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert not is_dead(tmp_path, pid=child.pid)
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(tmp_path, pid=child.pid)
    finally:
        child.stdin.close()
        child.wait()


def test_a_held_sentinel_outweighs_a_dead_process(tmp_path, locks):
    sentinel = Sentinel.hold(str(locks / "a.lock"), 0o600)
    row = {"sentinel_path": sentinel.path, "pid": ended_pid()}
    assert not is_dead(tmp_path, **row)
    sentinel.release()
    assert is_dead(tmp_path, sentinel_path=sentinel.path, pid=os.getpid())


def test_a_free_or_missing_sentinel_outweighs_a_living_process(tmp_path, locks):
    (locks / "free.lock").write_bytes(b"")
    for name in ("free.lock", "missing.lock"):
        assert is_dead(tmp_path, sentinel_path=str(locks / name), pid=os.getpid())


def test_looking_leaves_the_sentinel_free(tmp_path, locks):
    path = str(locks / "free.lock")
    (locks / "free.lock").write_bytes(b"")
    assert is_dead(tmp_path, sentinel_path=path)
    assert not held_by_others(path)


def test_two_who_look_at_once_see_the_same(tmp_path, locks):
    (locks / "free.lock").write_bytes(b"")
    with open(str(locks / "free.lock")) as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert is_dead(tmp_path, sentinel_path=str(locks / "free.lock"))


@pytest.mark.parametrize("spell", ["/mnt/elsewhere/locks/{}", "locks/{}", "C:\\regs\\locks\\{}"])
def test_another_spelling_of_our_folder_is_understood(tmp_path, locks, spell):
    sentinel = Sentinel.hold(str(locks / "a.lock"), 0o600)
    assert not is_dead(tmp_path, sentinel_path=spell.format("a.lock"))
    sentinel.release()
    (locks / "a.lock").write_bytes(b"")
    assert is_dead(tmp_path, sentinel_path=spell.format("a.lock"))


@pytest.mark.parametrize("where", ["/dev/watchdog", "/etc/passwd", "/nowhere/x.lock", "/"])
def test_what_is_outside_our_folder_is_not_opened_and_the_process_counts(
    tmp_path, locks, where, monkeypatch
):
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: opened.append(path) or real(path, *rest))
    assert not is_dead(tmp_path, sentinel_path=where, pid=os.getpid())
    assert is_dead(tmp_path, sentinel_path=where, pid=2**31 - 2)
    assert not is_dead(tmp_path, sentinel_path=where)
    assert opened == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_in_our_folder_proves_nothing(tmp_path, locks, kind):
    path = locks / "a.lock"
    (tmp_path / "target").write_bytes(b"")
    if kind == "link":
        os.symlink(str(tmp_path / "target"), str(path))
    elif kind == "pipe":
        os.mkfifo(str(path))
    else:
        path.mkdir()
    assert not is_dead(tmp_path, sentinel_path=str(path), pid=os.getpid())
    assert is_dead(tmp_path, sentinel_path=str(path), pid=2**31 - 2)
