"""What an OSError says about who holds a file, and how long it is worth waiting.

``winerror`` decides where there is one. The built-in ``open`` of Windows tells errno 13 and nothing
else. Other systems lock no file that is in use: there a refusal is one of permissions.
"""

from __future__ import annotations

import errno
import os

from .._compat import RETRY_DELAYS
from .disk import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence, TypeVar

    Value = TypeVar("Value")

__all__ = ["GAP_DELAYS", "RETRY_DELAYS", "Patience", "is_lock", "kind_of", "locked_path"]

# What an error can mean.
LOCKED = "locked"
DENIED = "denied"
NO_SPACE = "no_space"
READ_ONLY = "read_only"
MOUNTED = "mounted"
ABSENT = "absent"
EXISTS = "exists"
OTHER_VOLUME = "other_volume"
OTHER = "other"

#: Windows: access denied (also a folder with an open file below), sharing and lock violation,
#: folder not empty (what is in it is being deleted), deletion pending, mapped into memory.
_LOCKED_WINERRORS = frozenset((5, 32, 33, 145, 303, 1224))
_KINDS_OF_WINERRORS = {
    2: ABSENT,
    3: ABSENT,
    17: OTHER_VOLUME,
    19: READ_ONLY,
    39: NO_SPACE,
    80: EXISTS,
    112: NO_SPACE,
    183: EXISTS,
    206: ABSENT,
}
_KINDS = {
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.ENOSPC: NO_SPACE,
    getattr(errno, "EDQUOT", errno.ENOSPC): NO_SPACE,
    errno.EROFS: READ_ONLY,
    errno.EBUSY: MOUNTED,
    errno.ENOENT: ABSENT,
    errno.EEXIST: EXISTS,
    errno.ENOTEMPTY: EXISTS,
    errno.EXDEV: OTHER_VOLUME,
}

#: The same, three seconds in all, where nothing is at the path of a tree: there every other way out
#: is dearer than waiting.
GAP_DELAYS = (*RETRY_DELAYS, 1.0, 1.0)


def kind_of(error: OSError, windows: bool = os.name == "nt") -> str:
    """Return what ``error`` means: one of the words of this module."""
    winerror = getattr(error, "winerror", None)
    if winerror is not None:
        if winerror in _LOCKED_WINERRORS:
            return LOCKED
        if winerror in _KINDS_OF_WINERRORS:
            return _KINDS_OF_WINERRORS[winerror]
    elif windows and isinstance(error, PermissionError) and error.errno == errno.EACCES:
        return LOCKED
    return _KINDS.get(error.errno or 0, OTHER)


def is_lock(error: OSError, windows: bool = os.name == "nt") -> bool:
    """Say whether somebody holds what ``error`` is about, so that time or a restart helps."""
    return kind_of(error, windows) == LOCKED


def locked_path(error: OSError, otherwise: str) -> str:
    """Return the path that ``error`` names."""
    for name in (error.filename, getattr(error, "filename2", None)):
        if isinstance(name, (str, bytes)) and name:
            return plain(os.fsdecode(name))
    return otherwise


class Patience:
    """The waiting of one step: its delays are spent once, not once for every file."""

    def __init__(
        self, sleep: Callable[[float], None], delays: Sequence[float] = RETRY_DELAYS
    ) -> None:
        """``sleep`` takes seconds."""
        self._sleep = sleep
        self._left = list(delays)

    def anew(self, delays: Sequence[float] = RETRY_DELAYS) -> Patience:
        """Return the patience for another step, which sleeps the same way."""
        return Patience(self._sleep, delays)

    def wait(self, error: OSError) -> bool:
        """Wait a moment if ``error`` may pass; return False if it is not worth another attempt."""
        if not self._left or not is_lock(error):
            return False
        self._sleep(self._left.pop(0))
        return True

    def attempt(self, action: Callable[[], Value]) -> Value:
        """Return what ``action`` returns; again while it is worth it. Raises its last OSError."""
        while True:
            try:
                return action()
            except OSError as error:
                if not self.wait(error):
                    raise
