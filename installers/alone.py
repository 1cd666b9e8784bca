"""One at a time: who installs and who cleans up, on one account, keep each other out."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import Iterator

from ..install_lifecycle.exclusive import Exclusive
from ..install_lifecycle.home import data_directory

__all__ = ["alone"]

_LOCK = "installing.lock"
#: More often than that nobody takes a folder away between two steps.
_TRIES = 50


@contextmanager
def alone(patience: float) -> Iterator[bool]:
    """Yield whether nobody else installs or cleans up, waiting up to ``patience`` seconds.

    Where nothing can be locked, as without a home that can be written, nobody is kept out.
    """
    folder = data_directory(os.environ, sys.platform)
    lock = Exclusive(os.path.join(folder, _LOCK), vanishing=True)
    there = os.path.isdir(folder)
    try:
        ours = _acquire(lock, folder, patience)
    except OSError:
        ours = True
    try:
        yield ours
    finally:
        lock.release()
        if not there:
            _unmake(folder)


def _acquire(lock: Exclusive, folder: str, patience: float) -> bool:
    """Lock in a folder that others make for their lock, too, and take away again meanwhile."""
    deadline = time.monotonic() + patience
    for left in reversed(range(_TRIES)):
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            return lock.acquire(deadline - time.monotonic(), time.monotonic, time.sleep)
        except (FileExistsError, FileNotFoundError):
            if not left:
                raise
    return False


def _unmake(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        # Something of ours is in it by now.
        return
