"""The thread that has started a server and has nothing to do but to wait for its end."""

from __future__ import annotations

import gc
import threading

from ..net.readiness import SLICE_S

__all__ = ["Standby"]

#: So many small collections, and then one of everything.
_FULL_EVERY = 64


class Standby:
    """See the module. :meth:`wait` on that thread, the others on any.

    Garbage of the workers is collected here: they must not do it, and nobody else may be there.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._ended = False
        self._littered = False

    def end(self) -> None:
        """End the wait."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def litter(self) -> None:
        """Have a collection run."""
        with self._condition:
            self._littered = True
            self._condition.notify_all()

    def wait(self) -> None:
        """Wait for the end."""
        for number in range(1, 1 << 62):
            with self._condition:
                while not (self._ended or self._littered):
                    # In slices where Ctrl-C does not interrupt a wait.
                    self._condition.wait(SLICE_S)
                if self._ended:
                    return
                self._littered = False
            gc.collect(2 if number % _FULL_EVERY == 0 else 0)
