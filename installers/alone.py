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


@contextmanager
def alone(patience: float) -> Iterator[bool]:
    """Yield whether nobody else installs or cleans up, waiting up to ``patience`` seconds.

    Where nothing can be locked, as without a home that can be written, nobody is kept out.
    """
    folder = data_directory(os.environ, sys.platform)
    lock = Exclusive(os.path.join(folder, _LOCK), vanishing=True)
    made = False
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder, 0o700)
            made = True
        ours = lock.acquire(patience, time.monotonic, time.sleep)
    except OSError:
        ours = True
    try:
        yield ours
    finally:
        lock.release()
        if made:
            _unmake(folder)


def _unmake(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        # Something of ours is in it by now.
        return
