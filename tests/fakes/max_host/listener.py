"""3ds Max's Listener as Python's standard output.

Autodesk's documentation of Python threading in 3ds Max: what a thread prints does not show.
"""

from __future__ import annotations

import threading
from typing import List

__all__ = ["Listener"]


class Listener:
    """A stream without a descriptor. What other threads write is lost, and kept in ``lost``."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self.shown: List[str] = []
        self.lost: List[str] = []

    def write(self, text: str) -> int:
        target = self.shown if threading.get_ident() == self._main else self.lost
        target.append(text)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    @property
    def text(self) -> str:
        return "".join(self.shown)
