"""What Maya would not have taken: remembered, so that it fails the test also where it is caught."""

from __future__ import annotations

import threading
from typing import List

__all__ = ["Complaints"]


class Complaints:
    """Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: List[str] = []

    def add(self, text: str) -> str:
        """Remember ``text`` and return it, for the error that the caller gets as well."""
        with self._lock:
            self._found.append(text)
        return text

    def take(self, part: str) -> int:
        """Forget those with ``part`` in them, which a test brought about; return how many."""
        with self._lock:
            taken = [one for one in self._found if part in one]
            self._found = [one for one in self._found if part not in one]
        return len(taken)

    def all(self) -> List[str]:
        with self._lock:
            return list(self._found)

    def check(self) -> None:
        """Raise AssertionError if there are any."""
        found = self.all()
        assert not found, "Maya would not have taken:\n  " + "\n  ".join(found)
