"""Who wants a client connected, when to try again, and when to give it up. Pure."""

from __future__ import annotations

from typing import Any, List

from ..clock import Clock
from .actions import Options
from .utils import BackoffStrategy

__all__ = ["Attempts"]

#: Delays between attempts grow like this, and chance takes off up to a quarter.
_FIRST_DELAY, _GROWTH, _JITTER = 0.5, 1.5, 0.25


class _Waiting:
    """A ``connect`` that waits; ``left``: attempts that may still fail."""

    def __init__(self, waiter: Any, left: int) -> None:
        self.waiter = waiter
        self.left = left


class Attempts:
    """From the first ``connect`` to the end of all connections.

    ``number``: which attempt it is; what comes of an earlier one is not wanted any more.
    ``been_ready``: whether there has been a connection since the beginning or the last
    :meth:`give_up`.
    """

    def __init__(self, options: Options, clock: Clock) -> None:
        longest = max(options.reconnect_interval, 0.001)
        self._backoff = BackoffStrategy(
            min(_FIRST_DELAY, longest), longest, _GROWTH, _JITTER, clock=clock
        )
        self._reconnects = options.auto_reconnect
        self._most = options.max_reconnect_attempts
        self._waiting: List[_Waiting] = []
        #: Those that failed in a row.
        self._failures = 0
        self.number = 0
        self.been_ready = False

    @property
    def wanted(self) -> bool:
        """Whether anybody wants a connection: a ``connect``, or those who had one before."""
        return bool(self._waiting) or self.been_ready

    def want(self, waiter: Any, retries: int) -> None:
        """Wait for a connection; ``retries`` attempts may fail and one more."""
        self._waiting.append(_Waiting(waiter, retries))

    def withdraw(self, waiter: Any) -> None:
        """Let one wait no longer."""
        self._waiting = [one for one in self._waiting if one.waiter is not waiter]

    def begin(self) -> int:
        """Begin the next attempt and return its number."""
        self.number += 1
        return self.number

    def failed(self, final: bool) -> List[Any]:
        """One came to nothing: return who waits no longer. ``final``: nor would the next."""
        self._failures += 1
        for one in self._waiting:
            one.left -= 1
        gone = [one for one in self._waiting if final or one.left < 0]
        self._waiting = [one for one in self._waiting if one not in gone]
        return [one.waiter for one in gone]

    @property
    def go_on(self) -> bool:
        """Whether there is to be another one after a failure.

        Who has been let in before tries on also after a refusal: it may be somebody else who has
        the place for the moment.
        """
        few = self._most == 0 or self._failures < self._most
        return bool(self._waiting) or (self.been_ready and self._reconnects and few)

    def delay(self) -> float:
        """Return the seconds to wait before the next one; the one after waits longer."""
        return self._backoff.get_delay()

    def succeeded(self) -> List[Any]:
        """There is a connection: return who has waited for it."""
        self.been_ready = True
        return self._begin_anew()

    def give_up(self) -> List[Any]:
        """No connection is wanted any more: return who has waited for one."""
        self.been_ready = False
        return self._begin_anew()

    def _begin_anew(self) -> List[Any]:
        self._failures = 0
        self._backoff.reset()
        waiting, self._waiting = self._waiting, []
        return [one.waiter for one in waiting]
