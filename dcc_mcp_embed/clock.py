"""The only reader of time and randomness.

Everything that decides takes ``now`` (seconds, float, monotonic) as an argument or a clock as a
constructor argument, so that tests own time. Wall-clock time appears only in rows and logs.
"""

from __future__ import annotations

import os
import time

# What ``random`` is made of; itself it loads its distributions, and OpenSSL on 3.7.
from _random import Random
from typing import Callable

__all__ = ["Clock", "SystemClock", "in_utc"]


class Clock:
    """What the rest of the package may ask about time and chance. Any thread."""

    #: Return seconds since some fixed point; never goes back.
    monotonic: Callable[[], float]
    #: Return seconds since the Unix epoch, for rows and logs only.
    wall: Callable[[], float]
    #: Return so many bytes fit for secrets.
    token_bytes: Callable[[int], bytes]
    #: Return a number in [0, 1) for spreading retries; not fit for secrets.
    jitter: Callable[[], float]
    #: Block the calling thread for so many seconds; never the loop's, never a host's for more than
    #: a blink.
    sleep: Callable[[float], None]

    def uuid(self) -> str:
        """Return a random UUID (version 4) in text form."""
        # ``uuid`` loads a library of the system's for the versions that we do not make.
        octets = bytearray(self.token_bytes(16))
        octets[6] = octets[6] & 0x0F | 0x40
        octets[8] = octets[8] & 0x3F | 0x80
        digits = octets.hex()
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return "-".join(parts)


class SystemClock(Clock):
    """The real thing."""

    def __init__(self) -> None:
        # Bound to the instance: each is asked per request, and this spares it a method call.
        self.monotonic = time.monotonic
        self.wall = time.time
        self.token_bytes = os.urandom
        chance = Random()
        # By hand: before 3.10 all that are made without a seed have the same one (bpo-42008).
        chance.seed(int.from_bytes(os.urandom(16), "big"))
        self.jitter = chance.random
        self.sleep = time.sleep


def in_utc(wall: float) -> str:
    """Return seconds since the Unix epoch as ISO 8601 writes them, in milliseconds."""
    millis = int(wall * 1000)
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000))
    return "{}.{:03d}Z".format(second, millis % 1000)
