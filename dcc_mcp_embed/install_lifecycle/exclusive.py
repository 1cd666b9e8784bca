"""A lock between processes that ends with the process that holds it, however that ends.

``flock`` on POSIX, a lock of the file's first byte on Windows. The file stays where it is: to
delete a file that others are about to lock would let two of them in.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

__all__ = ["Exclusive", "open_plain"]

#: Another holder, in the words of flock, of Windows and of Wine (none at all).
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK, 0)
#: Seconds between two attempts. Whoever holds it for others to wait has it for some milliseconds.
_PAUSE = 0.01


def open_plain(path: str, flags: int) -> int:
    """Open a file that is no link, private to the user if it is made. Raises OSError."""
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"):
        flags |= getattr(os, name, 0)
    return os.open(path, flags, 0o600)


def _try_lock(handle: int) -> bool:
    """Lock without waiting; return whether that worked. Raises OSError where nothing can lock."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def _unlock(handle: int) -> None:
    """Unlock for a forked child too, which shares the open file."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_UN)


class Exclusive:
    """One lock file. Each thread that wants it makes its own; they keep each other out too."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: Optional[int] = None

    def acquire(
        self, timeout: float, now: Callable[[], float], sleep: Callable[[float], None]
    ) -> bool:
        """Lock; return whether that worked within ``timeout`` seconds (0: one attempt).

        The directory must be there. Raises OSError where the file cannot be opened or locked.
        """
        deadline = now() + timeout
        handle = open_plain(self._path, os.O_RDWR | os.O_CREAT)
        try:
            while not _try_lock(handle):
                left = deadline - now()
                if left <= 0:
                    return False
                sleep(min(left, _PAUSE))
            self._handle, handle = handle, -1
        finally:
            if handle >= 0:
                os.close(handle)
        return True

    def release(self) -> None:
        """Unlock; nothing if it is not held."""
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                _unlock(handle)
            finally:
                os.close(handle)
