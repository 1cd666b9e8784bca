"""A lock between processes that ends with the process that holds it, however that ends.

``flock`` on POSIX, a lock of the file's first byte on Windows. The file is opened to be written,
without which a network file system locks for its own machine only.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

__all__ = ["Exclusive", "open_plain", "try_lock", "unlock"]

#: Another holder, in the words of flock, of Windows and of Wine (none at all).
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK, 0)
#: Seconds between two attempts. Whoever holds it for others to wait has it for some milliseconds.
_PAUSE = 0.01


def open_plain(path: str, flags: int) -> int:
    """Open a file that is no link, private to the user if it is made. Raises OSError."""
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"):
        flags |= getattr(os, name, 0)
    return os.open(path, flags, 0o600)


def try_lock(handle: int, shared: bool = False) -> bool:
    """Lock without waiting; return whether that worked. Raises OSError where nothing can lock.

    ``shared`` keeps out only whoever wants it alone; on Windows it is as good as alone.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def unlock(handle: int) -> None:
    """Unlock for a forked child too, which shares the open file."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_UN)


def _open_to_all(handle: int) -> None:
    """Let other users lock the file too, once it is free or its maker was killed."""
    if os.name != "nt":
        try:
            os.fchmod(handle, 0o666)
        except OSError:
            pass  # another user's, or a file system without modes


class Exclusive:
    """One lock file. Each thread that wants it makes its own; they keep each other out too."""

    def __init__(self, path: str, vanishing: bool = False) -> None:
        """``vanishing``: the file is deleted when it is let go, for places that are not ours."""
        self._path = path
        self._vanishing = vanishing
        self._handle: Optional[int] = None

    def acquire(
        self, timeout: float, now: Callable[[], float], sleep: Callable[[float], None]
    ) -> bool:
        """Lock; return whether that worked within ``timeout`` seconds (0: one attempt).

        The directory must be there. Raises OSError where the file cannot be opened or locked.
        """
        deadline = now() + timeout
        while not self._take():
            left = deadline - now()
            if left <= 0:
                return False
            sleep(min(left, _PAUSE))
        return True

    def _take(self) -> bool:
        while True:
            handle = self._open()
            if handle is None:
                return False
            try:
                if not try_lock(handle):
                    return False
                # What was deleted before it was locked keeps nobody out.
                if not self._vanishing or self._is_in_place(handle):
                    if self._vanishing:
                        _open_to_all(handle)
                    self._handle, handle = handle, -1
                    return True
            finally:
                if handle >= 0:
                    os.close(handle)

    def _open(self) -> Optional[int]:
        """Open the file; None: it is about to vanish."""
        try:
            return open_plain(self._path, os.O_RDWR | os.O_CREAT)
        except PermissionError:
            # Windows says that of a file which is being deleted, and of one that nobody may make.
            if not self._vanishing or os.name != "nt":
                raise
            if os.path.lexists(self._path):
                return None
            return open_plain(self._path, os.O_RDWR | os.O_CREAT)

    def _is_in_place(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.lstat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Unlock; nothing if it is not held."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            if self._vanishing and os.name != "nt":
                self._delete()
            unlock(handle)
        finally:
            os.close(handle)
        if self._vanishing and os.name == "nt":
            self._delete()  # nobody can while another has it open

    def _delete(self) -> None:
        try:
            os.unlink(self._path)
        except OSError:
            pass  # it stays, and is as good the next time
