"""What runs on Windows only, with the system's calls faked: which they are, and what they mean.

The real ones are tried where there is a Windows.
"""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import sys
import types

import pytest

from dcc_mcp_embed.registry import liveness, locking

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the real thing is there")


class FakeMsvcrt(types.ModuleType):
    """Locks of one byte, by open file, as ``_locking`` has them."""

    LK_UNLCK, LK_NBLCK = 0, 2

    def __init__(self):
        super().__init__("msvcrt")
        self.holder = None
        self.failure = None

    def locking(self, handle, mode, size):
        assert size == 1
        assert os.lseek(handle, 0, os.SEEK_CUR) == 0, "only the first byte is everybody's"
        if self.failure:
            raise self.failure
        if mode == self.LK_UNLCK:
            assert self.holder == handle
            self.holder = None
        elif self.holder is not None:
            raise PermissionError(errno.EACCES, "Permission denied")
        else:
            self.holder = handle


@pytest.fixture
def msvcrt(monkeypatch):
    fake = FakeMsvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    return fake


@pytest.fixture
def windows_locking(msvcrt, monkeypatch):
    """The module as it is on Windows."""
    spec = importlib.util.spec_from_file_location(locking.__name__, locking.__file__)
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        spec.loader.exec_module(module)
    return module


def test_the_first_byte_is_locked_and_unlocked(windows_locking, msvcrt, tmp_path):
    lock = windows_locking
    first, second = (lock.open_plain(str(tmp_path / "x"), os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "platform", "win32")
            assert lock.try_lock(first)
            assert not lock.try_lock(second)
            assert not lock.try_lock(second, shared=True)
            os.write(first, b"x")
            lock.unlock(first)
            assert lock.try_lock(second, shared=True)
            lock.unlock(second)
            msvcrt.failure = OSError(errno.EBADF, "Bad file descriptor")
            with pytest.raises(OSError):
                lock.try_lock(second)
    finally:
        os.close(first)
        os.close(second)


class FakeKernel:
    """kernel32 with one process, number 7, that runs or has ended."""

    def __init__(self, ended, error=0):
        self.ended, self.error = ended, error
        self.opened = 0
        self.OpenProcess = lambda access, inherit, pid: self.open(access, pid)
        self.CloseHandle = self.close

    def open(self, access, pid):
        assert access == 0x00100000
        if self.error or pid != 7:
            return None
        self.opened += 1
        return 4242

    def close(self, handle):
        assert handle.value == 4242
        self.opened -= 1

    def WaitForSingleObject(self, handle, milliseconds):
        assert (handle.value, milliseconds) == (4242, 0)
        return 0 if self.ended else 0x102


@pytest.mark.parametrize(
    ("pid", "ended", "error", "lives"),
    [(7, False, 0, True), (7, True, 0, False), (8, False, 87, False), (7, False, 5, True)],
    ids=["runs", "ended", "no such process", "access denied"],
)
def test_a_process_is_asked_for_by_its_handle(monkeypatch, pid, ended, error, lives):
    kernel = FakeKernel(ended, error)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, use_last_error: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: error, raising=False)
    assert liveness.process_lives(pid) is lives
    assert kernel.opened == 0
