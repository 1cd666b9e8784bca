"""Whether the threads of plain handlers are all taken, and by handlers that do not return."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Callable, Dict, Optional

from ..net.loop import Loop
from ..net.timers import Timer
from .calling import Deliveries
from .functions import report

__all__ = ["Threads"]

#: Seconds in which one of them has to come free.
_PATIENCE = 5.0
#: So many names are logged.
_NAMES = 64


class Threads:
    """See the module. Loop thread, but for :meth:`begin` and :meth:`end`, which any thread calls.

    ``waiting()`` is how many wait for one; ``stuck()`` is called when they have for some seconds,
    and nothing has come free.
    """

    def __init__(
        self, most: int, loop: Loop, waiting: Callable[[], int], stuck: Callable[[], None]
    ) -> None:
        self._most = most
        self._loop = loop
        self._waiting = waiting
        self._stuck = stuck
        #: What holds a thread, and its name; entered and removed in one step each.
        self._held: Dict[Any, str] = {}
        self._freed = False
        self._timer: Optional[Timer] = None
        self._is_stuck = False
        # A host's log handlers may take their time, and the workers have none.
        self._log = Deliveries("dcc-mcp-embed ipc log")

    def begin(self, holder: Any, name: str) -> None:
        """Enter who has got a thread."""
        self._held[holder] = name

    def end(self, holder: Any) -> None:
        """Remove it."""
        self._freed = True
        self._held.pop(holder, None)

    @property
    def held(self) -> int:
        """How many are taken. Any thread."""
        return len(self._held)

    def are_stuck(self) -> bool:
        """Return whether it was found so, and none has come free since."""
        if self._freed:
            self._is_stuck = False
        return self._is_stuck

    def watch(self) -> None:
        """Look in some seconds whether one has come free, if somebody has to wait for that."""
        # Who waits may be about to get one.
        if self._timer is None and self.held + self._waiting() > self._most:
            self._freed = False
            self._timer = self._loop.call_later(_PATIENCE, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._freed or self.held < self._most:
            self.watch()
            return
        self._is_stuck = True
        self._report()
        self._stuck()

    def _report(self) -> None:
        # Copied in one step: workers may be changing it.
        names = list(self._held.values())
        self._log.use_thread()
        warn = partial(
            report,
            "none of the %d threads for plain handlers has come free for %g s, requests are "
            "refused until one does; they are held by: %s",
            self._most,
            _PATIENCE,
            ", ".join(repr(name[:100]) for name in sorted(set(names))[:_NAMES]),
            level=logging.WARNING,
        )
        self._log.put("the log", warn)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._log.end()
