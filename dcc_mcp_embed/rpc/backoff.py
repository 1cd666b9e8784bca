"""How long to wait before trying again: a decision, not a sleep."""

from __future__ import annotations

from ..records import NamedTuple

__all__ = ["Backoff"]

# 2.0 ** 1024 overflows a float; no cap is reached later than this.
_MAX_DOUBLINGS = 62


class Backoff(NamedTuple):
    """Doubling delays, in seconds: ``base``, twice that, …, never more than ``cap``.

    ``jitter`` (0..1) is the part of a delay that chance may take off, so that many clients of one
    server do not come back at the same moment. The reference: base 1 s, cap 30 s, no jitter.
    """

    base: float = 1.0
    cap: float = 30.0
    jitter: float = 0.25

    def delay(self, attempt: int, random: float) -> float:
        """Return the seconds to wait before the ``attempt``-th retry; the first is number 1.

        ``random`` is from [0, 1), as ``Clock.jitter`` gives it. Attempt 0 is not waited for.
        """
        if attempt < 1:
            return 0.0
        full = min(self.cap, self.base * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS))
        return full * (1.0 - self.jitter * random)
