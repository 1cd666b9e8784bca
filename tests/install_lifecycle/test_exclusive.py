"""One holder at a time, among threads and processes; a killed one holds nothing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from types import ModuleType

import pytest

from dcc_mcp_embed.install_lifecycle.exclusive import Exclusive, open_plain, try_lock, unlock

HOLD = """
import sys, time
from dcc_mcp_embed.install_lifecycle.exclusive import Exclusive
lock = Exclusive(sys.argv[1])
assert lock.acquire(0, time.monotonic, time.sleep)
print("held", flush=True)
sys.stdin.read()
"""


class Time:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self):
        self.seconds = 100.0
        self.slept = []

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.seconds += seconds


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


def take(path, timeout=0.0, fake=None, vanishing=False):
    fake = fake or Time()
    lock = Exclusive(path, vanishing)
    return lock if lock.acquire(timeout, fake.now, fake.sleep) else None


def test_second_is_refused_until_the_first_lets_go(path) -> None:
    first = take(path)
    assert first is not None
    assert take(path) is None
    first.release()
    first.release()
    second = take(path)
    assert second is not None
    second.release()
    assert os.path.exists(path)  # the next one locks the same file


def test_waiting_ends_in_time(path) -> None:
    first, fake = take(path), Time()
    assert take(path, 0.5, fake) is None
    assert fake.seconds == pytest.approx(100.5)
    assert max(fake.slept) <= 0.05
    first.release()


def test_one_attempt_does_not_sleep(path) -> None:
    first, fake = take(path), Time()
    assert take(path, 0.0, fake) is None
    assert fake.slept == []
    first.release()


def test_who_waits_gets_it_when_it_is_free(path) -> None:
    first, got = take(path), []
    waits = threading.Event()

    def wait(seconds):
        waits.set()
        time.sleep(seconds)

    def other():
        lock = Exclusive(path)
        got.append(lock.acquire(30.0, time.monotonic, wait))
        lock.release()

    thread = threading.Thread(target=other)
    thread.start()
    assert waits.wait(30.0)
    first.release()
    thread.join(30.0)
    assert got == [True]


@pytest.mark.parametrize("how", ["kill", "end"])
def test_holder_that_ends_leaves_nothing_behind(path, how) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline().strip() == b"held"
        assert take(path) is None
        process.kill() if how == "kill" else process.stdin.close()
        process.wait(30.0)
        lock = take(path)
        assert lock is not None
        lock.release()


def test_link_in_its_place_is_not_followed(path, tmp_path) -> None:
    os.symlink(str(tmp_path / "precious"), path)
    with pytest.raises(OSError, match="."):
        take(path)
    assert not (tmp_path / "precious").exists()


def test_missing_directory_is_an_os_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        take(str(tmp_path / "no" / "lock"))


def test_file_is_the_users_own(path) -> None:
    take(path).release()
    assert os.stat(path).st_mode & 0o077 == 0


def test_those_who_share_keep_out_who_wants_it_alone(path) -> None:
    handles = [open_plain(path, os.O_RDWR | os.O_CREAT) for _ in range(3)]
    assert try_lock(handles[0], shared=True)
    assert try_lock(handles[1], shared=True)
    assert not try_lock(handles[2])
    unlock(handles[0])
    assert not try_lock(handles[2])
    unlock(handles[1])
    assert try_lock(handles[2])
    assert not try_lock(handles[0], shared=True)
    for handle in handles:
        os.close(handle)


# A lock file in a folder that is not ours.


def test_vanishing_file_is_gone_when_it_is_let_go(path) -> None:
    first = take(path, vanishing=True)
    assert take(path, vanishing=True) is None
    assert os.path.exists(path)
    first.release()
    assert not os.path.exists(path)


def test_who_has_opened_a_file_that_vanishes_locks_the_next_one(path, monkeypatch) -> None:
    first, real, opened = take(path, vanishing=True), os.open, []

    def slow_open(*args, **keywords):
        handle = real(*args, **keywords)
        opened.append(handle)
        if len(opened) == 1:
            first.release()
        return handle

    monkeypatch.setattr(os, "open", slow_open)
    second = take(path, vanishing=True)
    assert second is not None
    assert len(opened) == 2
    assert take(path, vanishing=True) is None  # and that keeps others out
    second.release()
    assert not os.path.exists(path)


def test_file_that_a_killed_process_left_keeps_nobody_out(path) -> None:
    os.close(open_plain(path, os.O_RDWR | os.O_CREAT))
    lock = take(path, vanishing=True)
    assert lock is not None
    lock.release()
    assert not os.path.exists(path)


@pytest.mark.parametrize("there", [True, False])
def test_windows_refuses_a_file_that_vanishes_as_one_that_nobody_may_make(
    there, path, monkeypatch
) -> None:
    if there:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT))

    def refused(*args, **keywords):
        raise PermissionError(errno.EACCES, "refused", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        patch.setattr(os, "name", "nt")
        if there:
            assert take(path, vanishing=True) is None
        else:
            with pytest.raises(PermissionError):
                take(path, vanishing=True)
        with pytest.raises(PermissionError):
            take(path)


class FakeMsvcrt(ModuleType):
    """Locks of one byte, by open file, as Windows has them; ``word`` is what it says of one."""

    LK_UNLCK, LK_NBLCK = 0, 2

    def __init__(self, word):
        super().__init__("msvcrt")
        self.word = word
        self.holder = None

    def locking(self, handle, mode, size):
        assert size == 1
        assert os.lseek(handle, 0, os.SEEK_CUR) == 0, "only the first byte is everybody's"
        if mode == self.LK_UNLCK:
            assert self.holder == handle
            self.holder = None
        elif self.holder is not None:
            raise OSError(self.word, "no")
        else:
            self.holder = handle


if os.name != "nt":

    @pytest.mark.parametrize(
        ("word", "held"), [(errno.EACCES, True), (0, True), (errno.EBADF, False)]
    )
    def test_windows_locks_the_first_byte(path, word, held, monkeypatch) -> None:
        # 0 is what Wine says.
        monkeypatch.setitem(sys.modules, "msvcrt", FakeMsvcrt(word))
        monkeypatch.setattr(sys, "platform", "win32")
        first = take(path)
        assert first is not None
        if held:
            assert take(path) is None
        else:
            with pytest.raises(OSError, match="no"):
                take(path)
        first.release()
        second = take(path)
        assert second is not None
        second.release()
