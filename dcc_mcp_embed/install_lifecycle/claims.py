"""Only one process at a time changes a tree: a lock that ends with whoever holds it.

POSIX locks the folder that the tree is in, which leaves nothing behind. Windows locks a file there;
nobody can delete it while another has it open, so deleting it in the end is safe.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

__all__ = ["LOCK_NAME", "Claim"]

LOCK_NAME = ".dcc-mcp-embed.lock"
#: What flock, Windows and Wine (nothing) say of another holder.
_HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK, 0}
_PAUSE = 0.05


class Claim:
    """The right to change what is in ``folder``. For one ``with`` statement."""

    def __init__(self, folder: str, sleep: Callable[[float], None], patience: float = 2.0) -> None:
        """``patience``: seconds to wait for another process."""
        self._folder = folder
        self._sleep = sleep
        self._attempts = 1 + int(patience / _PAUSE)
        self._handle: Optional[int] = None

    def __enter__(self) -> bool:
        """Return whether nobody else has it. Where nothing can be locked, nobody has."""
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(_PAUSE)
            if self._take():
                return True
        return False

    def __exit__(self, *_: object) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        os.close(handle)
        if os.name == "nt":
            try:
                os.remove(os.path.join(self._folder, LOCK_NAME))
            except OSError:
                pass  # somebody waits for it

    def _take(self) -> bool:
        try:
            if os.name == "nt":
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOINHERIT", 0)
                handle = os.open(os.path.join(self._folder, LOCK_NAME), flags)
            else:
                handle = os.open(self._folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            # Windows: the file is about to vanish. Elsewhere the folder cannot be read.
            return not (os.name == "nt" and isinstance(error, PermissionError))
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            return error.errno not in _HELD
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True
