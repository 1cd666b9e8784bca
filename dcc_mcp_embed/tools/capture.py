"""Catch what one thread prints, for one call, within bounds.

``sys.stdout`` and ``sys.stderr`` are replaced only while the call runs; what other threads print
meanwhile goes where it always went. Bytes that native code writes to the process's own
descriptors are not seen.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any, Deque, List

__all__ = ["Capture", "Stream"]


class Stream:
    """Keep the beginning and the end of what the owning thread writes; pass on the rest.

    ``limit`` counts characters; half of it is for each end. After :meth:`release` everything is
    passed on: a logging handler made meanwhile may hold on to this object.
    """

    def __init__(self, original: Any, limit: int) -> None:
        self._original = original
        self._owner = threading.get_ident()
        self._half = max(limit // 2, 1)
        self._head: List[str] = []
        self._head_room = self._half
        self._tail: Deque[str] = deque()
        self._tail_size = 0
        self._dropped = 0

    def write(self, text: str) -> int:
        if threading.get_ident() != self._owner:
            return self._pass_on(text)
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not {}".format(type(text).__name__))
        self._keep(text)
        return len(text)

    def _pass_on(self, text: str) -> int:
        if self._original is None:
            return len(text)
        written = self._original.write(text)
        return len(text) if written is None else int(written)

    def _keep(self, text: str) -> None:
        if self._head_room > 0:
            self._head.append(text[: self._head_room])
            text = text[len(self._head[-1]) :]
            self._head_room -= len(self._head[-1])
        if text:
            self._dropped += max(len(text) - self._half, 0)
            self._tail.append(text[-self._half :])
            self._tail_size += len(self._tail[-1])
        while self._tail_size > self._half:
            over = self._tail_size - self._half
            first = self._tail.popleft()
            if len(first) > over:
                self._tail.appendleft(first[over:])
            gone = min(len(first), over)
            self._tail_size -= gone
            self._dropped += gone

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if threading.get_ident() != self._owner and self._original is not None:
            self._original.flush()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def release(self) -> None:
        """Catch nothing any more."""
        self._owner = -1

    def text(self) -> str:
        """Return what was kept; a line in the middle says how much was left out."""
        gap = ""
        if self._dropped:
            gap = "\n[... {} characters left out ...]\n".format(self._dropped)
        return "".join(self._head) + gap + "".join(self._tail)


class Capture:
    """A context in which this thread's prints are caught. The host's streams come back after it."""

    def __init__(self, stdout_limit: int, stderr_limit: int) -> None:
        self.stdout = Stream(sys.stdout, stdout_limit)
        self.stderr = Stream(sys.stderr, stderr_limit)

    def __enter__(self) -> Capture:
        self._before = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = self.stdout, self.stderr  # type: ignore[assignment]
        return self

    def __exit__(self, *failure: Any) -> None:
        # Also when the code put something else there: a host that stays mute helps nobody.
        sys.stdout, sys.stderr = self._before
        self.stdout.release()
        self.stderr.release()
