"""Run the pump from Blender's own loop, in a Blender with a window.

Blender documents one way to reach its main thread: a timer that looks into a queue. Registering a
timer from another thread works most of the time and is common, but the list of timers has no lock,
and Blender walks through it in C without holding the interpreter. So the timer is registered once,
on the main thread, and looks at a flag: in every round of Blender's loop (about every 5 ms) while
calls are coming, ten times a second when none has come for a while.

Measured with tests/soak/blender_wake.py (Blender 3.4.1 under Xvfb, 30 s of two threads calling):
neither way lost a call. A call in a burst took 5.1 ms at the median either way; the first one after
two seconds of silence 3 ms by registering and 81 ms by the flag. An idle Blender took 0.9 % of a
processor with the ticker and 1.1 % without. So the price of what is documented is up to 0.1 s once
per burst, and the other way has a race in its source (BLI_timer.c) whether or not it shows.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

__all__ = ["Ticker"]

#: Seconds between two looks while calls are coming: 0 means every round of Blender's loop.
BUSY = 0.0
#: Seconds between two looks when nobody calls. What a look costs: a few microseconds.
IDLE = 0.1
#: How long after a call the next one is expected at once: an agent thinks for some seconds, but
#: a script calls again within milliseconds.
LINGER = 1.0


class Ticker:
    """One persistent timer. Made and closed on the main thread; ``now``: monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        import bpy

        self._now = now
        self._pump: Optional[Callable[[], None]] = None
        self._woken = False
        self._busy_until = 0.0
        self._timers: Any = bpy.app.timers
        # The bound method is kept: Blender knows a timer by the identity of its function.
        self._function = self._tick
        # Persistent: others are dropped when a file is opened.
        self._timers.register(self._function, first_interval=0.0, persistent=True)

    def wake(self, pump: Callable[[], None]) -> None:
        """Have ``pump`` run in Blender's next round. Any thread: it only leaves a note."""
        self._pump = pump
        self._woken = True

    def _tick(self) -> float:
        if not self._woken:
            return BUSY if self._now() < self._busy_until else IDLE
        # Taken down before the pump runs: a note that comes in between is never lost.
        self._woken = False
        pump = self._pump
        try:
            if pump is not None:
                pump()
        except BaseException:
            # Blender drops a timer that raises; nobody would be served any more.
            sys.excepthook(*sys.exc_info())
        finally:
            self._busy_until = self._now() + LINGER
        return BUSY

    def close(self) -> None:
        """Unregister the timer. Main thread."""
        if self._timers.is_registered(self._function):
            self._timers.unregister(self._function)
