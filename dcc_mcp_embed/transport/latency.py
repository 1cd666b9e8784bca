"""How long calls took: percentiles over all of them, in bounded memory, O(1) per call.

A histogram over microseconds with buckets that grow with the value, 32 to a power of two (the
layout of HdrHistogram): what it tells is within 1.6 % of what was recorded. Buckets are kept only
where something fell, some dozens for a real peer, 2 200 at the very worst. Pure; the owner locks.
"""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

__all__ = ["LONGEST_MS", "Latencies", "bucket_of"]

#: What the reference takes for a latency at most: an unsigned 64-bit count of milliseconds.
LONGEST_MS = 2**64 - 1

_BITS = 5


def bucket_of(latency_ms: float) -> int:
    """Return the bucket for a latency. Raises OverflowError for what is no span of time."""
    if not 0 <= latency_ms <= LONGEST_MS:
        raise OverflowError("latency_ms is {!r}; it takes 0 to 2**64-1".format(latency_ms))
    microseconds = int(latency_ms * 1000)
    shift = microseconds.bit_length() - _BITS - 1
    if shift <= 0:
        return microseconds
    return (shift << _BITS) + (microseconds >> shift)


def _middle_ms(bucket: int) -> float:
    """Return the latency in the middle of a bucket."""
    shift = (bucket >> _BITS) - 1
    if shift <= 0:
        return bucket / 1000.0
    lowest = (bucket - (shift << _BITS)) << shift
    return (lowest + ((1 << shift) - 1) / 2.0) / 1000.0


class Latencies:
    """A histogram of latencies."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Dict[int, int] = {}

    def add(self, bucket: int) -> None:
        """Count one more latency, by :func:`bucket_of`."""
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + 1

    def percentiles(self, shares: Sequence[int]) -> Tuple[float, ...]:
        """Return the latency in ms that each of ``shares`` (percent, ascending) stayed within.

        Zeros when nothing was recorded, as for the average.
        """
        ordered = sorted(self._counts.items())
        total = sum(count for _, count in ordered)
        found = []
        seen, steps = 0, iter(ordered)
        bucket = 0
        for share in shares:
            # Nearest rank, in whole numbers: a float product may fall short of the rank by a hair.
            rank = -(-share * total // 100)
            while seen < rank:
                bucket, count = next(steps)
                seen += count
            found.append(_middle_ms(bucket))
        return tuple(found)
