"""A clock that stands still until a test moves it."""

from __future__ import annotations

import hashlib

from dcc_mcp_embed.clock import Clock


class FakeClock(Clock):
    """Time is ``now``; randomness is a counter, so every run of a test is the same."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list = []
        self._drawn = 0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def token_bytes(self, count: int) -> bytes:
        self._drawn += 1
        digest = hashlib.sha512(str(self._drawn).encode()).digest()
        return (digest * (count // 64 + 1))[:count]

    def jitter(self) -> float:
        return 0.5

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def advance(self, seconds: float) -> None:
        self.now += seconds
