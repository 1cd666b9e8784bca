"""Bring what other threads print to the main thread, where the Listener may be written to.

3ds Max shows in its Listener what is written to ``sys.stdout`` and ``sys.stderr``. From a thread
it must not (Autodesk's documentation of pymxs, "Threading"), and a tool that runs on ours may
print. So while a server runs, both are stood in for: the main thread writes through, what the
others write waits for it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, Tuple

__all__ = ["Listener"]

#: Characters that may wait; of what comes beyond only the number is kept.
MAX_WAITING = 100000

_NAMES = ("stdout", "stderr")


class Listener:
    """Stand in for both streams until :meth:`close`. Made and closed on the main thread.

    ``wake(function)`` has ``function`` run on the main thread soon; called on any thread.
    """

    def __init__(self, wake: Callable[[Callable[[], None]], None]) -> None:
        self._wake = wake
        self._main = threading.get_ident()
        # What is printed while something is put in, by a finaliser, comes from the same thread.
        self._lock = threading.RLock()
        self._waiting: Deque[Tuple[Any, str]] = deque()
        self._size = 0
        self._dropped = 0
        self._closed = False
        self._write = self.flush
        self._streams = [(name, _Stream(self, getattr(sys, name))) for name in _NAMES]
        for name, stream in self._streams:
            setattr(sys, name, stream)

    def is_direct(self) -> bool:
        """Return whether the caller may write to the Listener itself. Any thread."""
        return self._closed or threading.get_ident() == self._main

    def put(self, original: Any, text: str) -> None:
        """Have ``text`` written to ``original`` on the main thread. Any thread."""
        with self._lock:
            kept = text[: MAX_WAITING - self._size]
            self._dropped += len(text) - len(kept)
            if not kept:
                return
            self._size += len(kept)
            self._waiting.append((original, kept))
        try:
            self._wake(self._write)
        except Exception:
            # Whoever prints is told of no trouble of ours: it waits for the next wake, or the end.
            return

    def flush(self) -> None:
        """Write what waits. Main thread."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            dropped, self._dropped = self._dropped, 0
            self._size = 0
        if dropped:
            # Only beside what is kept.
            lacks = "\n[... {} characters of other threads left out ...]\n".format(dropped)
            waiting.append((waiting[-1][0], lacks))
        for original, text in waiting:
            try:
                original.write(text)
            except Exception:
                # Who printed is gone, and the stream that could tell of it is the one that fails.
                continue

    def close(self) -> None:
        """Write what waits and give the streams back. Twice is fine.

        Where somebody has put another stream over ours, which then still leads here, ours becomes
        one that writes through.
        """
        if self._closed:
            return
        self.flush()
        self._closed = True
        for name, stream in self._streams:
            if getattr(sys, name) is stream:
                setattr(sys, name, stream.original)


class _Stream:
    """Stand in for one stream; what is not about writing is the original's."""

    def __init__(self, listener: Listener, original: Any) -> None:
        self._listener = listener
        self.original = original

    def write(self, text: str) -> int:
        if self.original is None:
            return len(text)
        if not self._listener.is_direct():
            if not isinstance(text, str):
                raise TypeError("write() argument must be str, not {}".format(type(text).__name__))
            self._listener.put(self.original, text)
            return len(text)
        written = self.original.write(text)
        return written if isinstance(written, int) else len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.original is not None and self._listener.is_direct() and self._can_flush():
            self.original.flush()

    def _can_flush(self) -> bool:
        return hasattr(self.original, "flush")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)
