"""The only reader of time and randomness.

Everything that decides takes ``now`` (seconds, float, monotonic) as an argument or a clock as a
constructor argument, so that tests own time. Wall-clock time appears only in rows and logs.
"""

from __future__ import annotations

import os
import random
import time
import uuid

__all__ = ["Clock", "SystemClock"]


class Clock:
    """What the rest of the package may ask about time and chance. Any thread."""

    def monotonic(self) -> float:
        """Return seconds since some fixed point; never goes back."""
        raise NotImplementedError

    def wall(self) -> float:
        """Return seconds since the Unix epoch, for rows and logs only."""
        raise NotImplementedError

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes fit for secrets."""
        raise NotImplementedError

    def jitter(self) -> float:
        """Return a number in [0, 1) for spreading retries; not fit for secrets."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Block the calling thread; never the loop's, never a host's for more than a blink."""
        raise NotImplementedError

    def uuid(self) -> str:
        """Return a random UUID (version 4) in text form."""
        return str(uuid.UUID(bytes=self.token_bytes(16), version=4))


class SystemClock(Clock):
    """The real thing."""

    # Bound once: each is called per request, and an attribute of a class costs a method call less.
    monotonic = staticmethod(time.monotonic)  # type: ignore[assignment]
    wall = staticmethod(time.time)  # type: ignore[assignment]
    token_bytes = staticmethod(os.urandom)  # type: ignore[assignment]
    jitter = staticmethod(random.random)  # type: ignore[assignment]
    sleep = staticmethod(time.sleep)  # type: ignore[assignment]
