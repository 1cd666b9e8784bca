"""What was sent on streams of sessions, kept for a while for clients that lost it. Pure.

A client that comes back names the last event it has (``Last-Event-ID``) and gets those that came
after it. Three bounds, whichever is met first: events and bytes of one session, and bytes of all
sessions together; what is beyond them is merely lost, the oldest first. Loop thread.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Deque, Dict, List, Tuple

__all__ = ["Replays"]


class Replays:
    """Events of all sessions. ``size`` (also of one event) and ``total`` in bytes."""

    def __init__(
        self, count: int = 128, size: int = 2 * 1024 * 1024, total: int = 32 * 1024 * 1024
    ) -> None:
        self._count = count
        self._size = size
        self._total = total
        #: (session, number) -> (stream, event), the oldest first.
        self._kept: OrderedDict[Tuple[str, int], Tuple[int, bytes]] = OrderedDict()
        #: Session -> the numbers of its events, the oldest first.
        self._numbers: Dict[str, Deque[int]] = {}
        self._sizes: Dict[str, int] = {}
        #: Bytes of all that is kept.
        self.held = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, session: str, stream: int, number: int, event: bytes) -> None:
        """Keep one event; ``number`` grows within a session."""
        if len(event) > self._size:
            return
        numbers = self._numbers.setdefault(session, deque())
        self._sizes[session] = self._sizes.get(session, 0) + len(event)
        self.held += len(event)
        numbers.append(number)
        self._kept[session, number] = (stream, event)
        while len(numbers) > self._count or self._sizes[session] > self._size:
            self._drop(session)
        while self.held > self._total:
            self._drop(next(iter(self._kept))[0])

    def after(self, session: str, stream: int, number: int) -> List[bytes]:
        """Return the events of one stream that are newer than ``number`` and still there."""
        found = []
        for one in self._numbers.get(session, ()):
            of, event = self._kept[session, one]
            if one > number and of == stream:
                found.append(event)
        return found

    def forget(self, session: str) -> None:
        """Let go of all that was kept for one session."""
        while session in self._numbers:
            self._drop(session)

    def _drop(self, session: str) -> None:
        numbers = self._numbers[session]
        size = len(self._kept.pop((session, numbers.popleft()))[1])
        self.held -= size
        self._sizes[session] -= size
        if not numbers:
            del self._numbers[session], self._sizes[session]
