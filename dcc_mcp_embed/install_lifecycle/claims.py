"""Only one process at a time changes a tree: a lock that ends with whoever holds it.

It is a file in the folder that the tree is in, so that whoever can change the tree meets it, on
another machine too. It is deleted in the end; what a killed process leaves of it keeps nobody out.
"""

from __future__ import annotations

import os

from .disk import extended
from .exclusive import Exclusive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

__all__ = ["Claim"]

_NAME = ".dcc-mcp-embed.lock"
_PAUSE = 0.05


class Claim:
    """The right to change what is in ``folder``. For one ``with`` statement."""

    def __init__(self, folder: str, sleep: Callable[[float], None], patience: float = 2.0) -> None:
        """``patience``: seconds to wait for another process."""
        self._path = extended(os.path.join(folder, _NAME))
        self._lock = Exclusive(self._path, vanishing=True)
        self._sleep = sleep
        self._attempts = 1 + int(patience / _PAUSE)

    def __enter__(self) -> bool:
        """Return whether nobody else has it. Raises OSError where no lock can be made."""
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(_PAUSE)
            if self._take():
                return True
        return False

    def __exit__(self, *_: object) -> None:
        try:
            self._lock.release()
        except OSError:
            pass  # the file is closed, which lets go as well

    def _take(self) -> bool:
        try:
            return self._lock.acquire(0, lambda: 0.0, self._sleep)
        except PermissionError:
            if os.path.lexists(self._path):
                return False  # another user's
            raise
