"""Keep for a while, within bounds, what was too large to be sent. Any thread."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import Optional

from ..clock import Clock

__all__ = ["KeptResults", "Whole", "uri_of"]

#: Bytes of one text, in memory.
ONE = 8 * 1024 * 1024
#: Of all together; the oldest go first.
ALL = 16 * 1024 * 1024
ENTRIES = 64
#: Seconds.
KEPT_FOR = 600.0


class Whole:
    """A result that was cut: its text as it would have been sent. ``until``: monotonic seconds."""

    __slots__ = ("mime_type", "size", "text", "until", "weight")

    def __init__(self, text: str, mime_type: str, size: int, weight: int, until: float) -> None:
        self.text = text
        self.mime_type = mime_type
        self.size = size
        self.weight = weight
        self.until = until


class KeptResults:
    """Texts by a random id. What is over goes when something is kept or read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Whole] = OrderedDict()
        self._bytes = 0

    def keep(self, text: str, mime_type: str, size: int) -> Optional[str]:
        """Keep ``text`` of ``size`` bytes; return its id, None if it is too large."""
        # One character beyond Latin makes all of them take more.
        weight = max(size, sys.getsizeof(text))
        if weight > ONE:
            return None
        now = self._clock.monotonic()
        ident = self._clock.token_bytes(8).hex()
        with self._lock:
            self._sweep(now)
            self._kept[ident] = Whole(text, mime_type, size, weight, now + KEPT_FOR)
            self._bytes += weight
            while len(self._kept) > ENTRIES or self._bytes > ALL:
                self._drop(next(iter(self._kept)))
        return ident

    def get(self, ident: str) -> Optional[Whole]:
        """Return what is kept under an id, None if it is not there, or no more."""
        with self._lock:
            self._sweep(self._clock.monotonic())
            return self._kept.get(ident)

    def __len__(self) -> int:
        return len(self._kept)

    def _sweep(self, now: float) -> None:
        # All are kept for the same time, so the oldest come first.
        while self._kept:
            ident, whole = next(iter(self._kept.items()))
            if whole.until > now:
                return
            self._drop(ident)

    def _drop(self, ident: str) -> None:
        self._bytes -= self._kept.pop(ident).weight


def uri_of(ident: str) -> str:
    """Return the resource with the result of a job, or with one that was cut."""
    return "job://{}/result".format(ident)
