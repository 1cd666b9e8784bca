"""What a client's session wants done now, and what it will look at later. Pure."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from ..net.timers import Timer, Timers
from .actions import Action

__all__ = ["Agenda"]


class Agenda:
    """One for all parts of a session. ``at``: monotonic seconds."""

    def __init__(self) -> None:
        self._timers = Timers()
        self._actions: List[Action] = []

    def add(self, *actions: Action) -> None:
        """Have this done, after what was added before."""
        self._actions += actions

    def take(self) -> List[Action]:
        """Return what is to be done, in order, and forget it."""
        actions, self._actions = self._actions, []
        return actions

    def at(self, when: float, callback: Callable[..., None], *args: Any) -> Timer:
        """Have ``callback(now, *args)`` called once it is ``when``."""
        return self._timers.add(when, callback, *args)

    def next_timer(self, now: float) -> Optional[float]:
        """Return in how many seconds to call :meth:`tick`; None: there is nothing to wait for."""
        return self._timers.timeout(now)

    def tick(self, now: float) -> None:
        """Call what is due."""
        for timer in self._timers.due(now):
            # One that is due together with it may have cancelled it.
            if timer.callback is not None:
                timer.callback(now, *timer.args)
