"""What happened lately: a ring of log lines that any thread may write and nobody waits for.

The loop thread must not call the host's logging handlers (some of them touch the user interface),
so everything of ours is written here; ``get_log`` reads it, and a command line drains it to stderr
from a thread of its own.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from .clock import Clock
from .records import NamedTuple

__all__ = ["LEVELS", "Line", "LogBook"]

LEVELS = ("debug", "info", "warning", "error")


class Line(NamedTuple):
    """One entry. ``number`` grows by one from entry to entry and is what ``since`` refers to."""

    number: int
    wall: float
    level: str
    source: str
    text: str

    def to_dict(self) -> Dict[str, Any]:
        return {
            "number": self.number,
            "time": round(self.wall, 3),
            "level": self.level,
            "source": self.source,
            "text": self.text,
        }


class LogBook:
    """A bounded log; the oldest lines go first. Any thread."""

    def __init__(self, clock: Clock, limit: int = 2000) -> None:
        self._clock = clock
        self._lines: Deque[Line] = deque(maxlen=limit)
        self._count = 0
        self._sink: Optional[Callable[[Line], Any]] = None

    def forward(self, sink: Optional[Callable[[Line], Any]]) -> None:
        """Also hand every new line to ``sink``, which must not block; None ends it."""
        self._sink = sink

    def add(self, level: str, source: str, text: str) -> None:
        """Write one line. Never blocks and never raises for the text's sake."""
        # deque.append is atomic; two threads may at worst share a number.
        self._count += 1
        line = Line(self._count, self._clock.wall(), level, source, text[:4000])
        self._lines.append(line)
        sink = self._sink
        if sink is not None:
            sink(line)

    def info(self, source: str, text: str) -> None:
        self.add("info", source, text)

    def warning(self, source: str, text: str) -> None:
        self.add("warning", source, text)

    def error(self, source: str, text: str) -> None:
        self.add("error", source, text)

    def read(self, lines: int = 100, level: str = "debug", since: int = 0) -> List[Line]:
        """Return the newest lines at or above ``level`` and after ``since``, oldest first."""
        wanted = LEVELS[LEVELS.index(level) :]
        found = [line for line in list(self._lines) if line.number > since and line.level in wanted]
        return found[-lines:] if lines > 0 else []
