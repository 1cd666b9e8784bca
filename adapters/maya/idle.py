"""Maya's idle queue: what is begun there, and the gate that keeps calls out until then.

While Maya starts and while a plug-in is being initialised, work that another thread hands to the
main thread waits for an end that may be waiting for that very thread (Maya 2022 and 2023 dead-lock
so). Idle comes only after both, so nothing of ours runs on the main thread before it.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Optional

from ..qt import application, binding
from .session import cmds, is_batch

__all__ = ["DeferredWake", "Gate", "on_idle", "when_idle"]

Pump = Callable[[], Any]

#: Milliseconds.
PATIENCE = 1000


def on_idle(function: Callable[[], Any]) -> Callable[[], None]:
    """Have ``function`` called once when Maya is idle, after all else that waits. Main thread.

    Returns what takes it back. A standing idle callback of somebody's keeps the lowest priority
    from its turn for good; then it is called :data:`PATIENCE` after Maya was idle for others.
    """
    over: List[bool] = []

    def once() -> None:
        if not over:
            over.append(True)
            function()

    def idle_for_others() -> None:
        qt = None if over or application() is None else binding()
        if qt is not None:
            qt.QtCore.QTimer.singleShot(PATIENCE, once)

    # Only from the main thread: elsewhere evalDeferred fails on its flags.
    cmds().evalDeferred(once, lowestPriority=True)
    cmds().evalDeferred(idle_for_others, lowPriority=True)
    return lambda: over.append(True)


def when_idle(start: Callable[..., Any], options: Dict[str, Any]) -> None:
    """See ``start_when_idle``."""
    if is_batch():
        start(**options)
        return

    def begin() -> None:
        try:
            start(**options)
        except Exception:
            # Nobody calls us; what Maya does with an exception here is not documented.
            sys.excepthook(*sys.exc_info())

    on_idle(begin)


class Gate:
    """Keep wakes until :meth:`open`, then pass them on. One that was kept is passed on at once."""

    def __init__(self, wake: Callable[[Pump], None]) -> None:
        self._wake = wake
        self._is_open = False
        self._closed = False
        self._kept: Optional[Pump] = None

    def wake(self, pump: Pump) -> None:
        """Pass the wake on, now or when the gate opens. Any thread, never blocks."""
        # Kept first and looked at second, the other way round than in open(): whichever comes
        # last sees what the other has left, so no wake gets lost and no lock is needed.
        self._kept = pump
        if self._is_open:
            self._wake(pump)

    def open(self) -> None:
        """Open it for good, unless it was closed for good. Main thread."""
        if self._closed:
            return
        self._is_open = True
        pump = self._kept
        if pump is not None:
            self._wake(pump)

    def close(self) -> None:
        """Stay shut if it is: what Maya still calls when it is idle finds nothing to do."""
        self._closed = True


class DeferredWake:
    """Wake through ``maya.utils.executeDeferred``, where there is no binding of Qt.

    It may be called from any thread and returns at once; Maya runs it when it is idle, so not
    while it plays back or shows a modal dialog.
    """

    def __init__(self) -> None:
        import maya.utils

        self._defer = maya.utils.executeDeferred
        self._pump: Optional[Pump] = None
        self._queued = False
        self._closed = False

    def wake(self, pump: Pump) -> None:
        """Have ``pump`` run when Maya is idle. Any thread, never blocks."""
        self._pump = pump
        if not self._queued and not self._closed:
            self._queued = True
            try:
                self._defer(self._run)
            except BaseException:
                # The next wake has to try again.
                self._queued = False
                raise

    def _run(self) -> None:
        # Taken down before the pump runs: a wake that comes meanwhile is queued anew.
        self._queued = False
        pump = self._pump
        if pump is not None and not self._closed:
            pump()

    def close(self) -> None:
        """Run nothing any more. What Maya has queued comes back empty."""
        self._closed = True
