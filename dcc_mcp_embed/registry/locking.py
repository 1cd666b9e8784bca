"""Locks that other processes and other programs see: on the registry as a whole, and one per row.

``flock`` on POSIX and a lock of the first byte on Windows, which are what dcc-mcp-core takes there
(``LockFileEx`` over the whole file overlaps the first byte). The system lets go of both when the
process ends, however it ends.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import Iterator, Optional

from .. import collector
from ..clock import Clock
from ..transport_errors import RegistryFile
from . import forks

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["FileLock", "Sentinel", "open_plain", "try_lock", "unlock"]

#: Another holder, in the words of flock and of Windows.
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


def open_plain(path: str, flags: int, mode: int = 0o600) -> int:
    """Open a file that is no link; a pipe or a device in its place does not block the caller."""
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"):
        flags |= getattr(os, name, 0)
    return os.open(path, flags, mode)


def try_lock(handle: int, shared: bool = False) -> bool:
    """Lock without waiting; return whether that worked. Raises OSError where nothing can be locked.

    ``shared`` (for looking only; Windows has no such kind here) does not get in the way of others
    who look at the same time.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def unlock(handle: int) -> None:
    """Unlock, for every process that shares the open file; closing would leave it to the last."""
    if sys.platform == "win32":
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _same_file(handle: int, path: str) -> bool:
    """Return whether ``path`` still names the open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


class FileLock:
    """The lock that every writer of the registry takes. One thread at a time."""

    def __init__(self, path: str, backoff: float, clock: Clock, mode: int) -> None:
        self._path = path
        self._backoff = backoff
        self._clock = clock
        self._mode = mode
        self._handle: Optional[int] = None

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold it. Raises RegistryFile after ``timeout`` seconds, or when it cannot be locked."""
        self._acquire(timeout)
        try:
            yield
        finally:
            self._release()

    def _acquire(self, timeout: float) -> None:
        deadline = self._clock.monotonic() + timeout
        while True:
            try:
                if self._attempt():
                    return
            except OSError as error:
                raise RegistryFile("failed to lock {}: {}".format(self._path, error)) from error
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise RegistryFile(
                    "timed out waiting for registry lock file after {:.0f}ms".format(timeout * 1000)
                )
            # Spread, so that hosts that started together do not ask together for ever.
            with collector.blocking():
                self._clock.sleep(min(left, self._backoff * (0.5 + self._clock.jitter())))

    def _attempt(self) -> bool:
        with forks.undisturbed():
            handle = self._open()
            try:
                # A lock on a file that somebody has deleted meanwhile keeps nobody out.
                if try_lock(handle) and _same_file(handle, self._path):
                    self._handle, handle = handle, -1
                    return True
                return False
            finally:
                if handle >= 0:
                    os.close(handle)

    def _open(self) -> int:
        try:
            return open_plain(self._path, os.O_RDWR | os.O_CREAT, self._mode)
        except PermissionError:
            # Another user's, in a directory that several share: reading is enough for a lock.
            return open_plain(self._path, os.O_RDONLY)

    def _release(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                # A child that was forked meanwhile shares the lock; it must not hold on to it.
                unlock(handle)
            finally:
                os.close(handle)

    def disown(self) -> None:
        """Close the inherited descriptor in a forked child; the parent's lock stays."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


class Sentinel:
    """A file that is locked for as long as a row's owner lives. One thread at a time."""

    def __init__(self, path: str, handle: int) -> None:
        self.path = path
        self._handle: Optional[int] = handle

    @classmethod
    def hold(cls, path: str, mode: int, make: bool = True) -> Sentinel:
        """Lock the file, made if it is not there. Raises OSError, also when another holds it."""
        with forks.undisturbed():
            handle = open_plain(path, os.O_RDWR | (os.O_CREAT if make else 0), mode)
            try:
                if not try_lock(handle) or not _same_file(handle, path):
                    raise BlockingIOError(errno.EAGAIN, "it is held by another", path)
                sentinel, handle = cls(path, handle), -1
                forks.in_child(sentinel, first=True)
                return sentinel
            finally:
                if handle >= 0:
                    os.close(handle)

    def intact(self) -> bool:
        """Return whether those who look at the path find the file that is locked."""
        return self._handle is not None and _same_file(self._handle, self.path)

    def release(self) -> None:
        """Delete the file if it is still ours, and unlock it."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            if os.name != "nt" and _same_file(handle, self.path):
                os.unlink(self.path)
            unlock(handle)
        finally:
            os.close(handle)
        if os.name == "nt" and os.path.exists(self.path):
            os.unlink(self.path)  # what is open cannot be deleted there

    def disown(self) -> None:
        """Close the inherited descriptor in a forked child; the parent's lock stays."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
