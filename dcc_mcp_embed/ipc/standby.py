"""Where the garbage of a server's workers is collected if they must not do it (see ``collector``).

That is a thread of the user's own: the one that has started the server and has nothing to do but
to wait for its end, or that of the asyncio loop.
"""

from __future__ import annotations

import gc
import threading
from typing import Any

from .. import collector
from ..net.readiness import SLICE_S

__all__ = ["OnLoop", "Standby"]

#: So many small collections, and then one of everything.
_FULL_EVERY = 64


class Standby:
    """The thread that waits. :meth:`wait` on that thread, the others on any."""

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
            if number % _FULL_EVERY:
                collector.catch_up()
            else:
                gc.collect()


class OnLoop:
    """An asyncio loop's thread. Any thread."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._asked = False

    def litter(self) -> None:
        """Have a collection run."""
        if self._asked:
            return
        self._asked = True
        try:
            self._loop.call_soon_threadsafe(self._collect)
        except RuntimeError:
            pass  # closed: its thread has other things to do, and collects by itself

    def _collect(self) -> None:
        self._asked = False
        collector.catch_up()
