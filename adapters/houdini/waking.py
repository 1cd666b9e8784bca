"""Reach Houdini's main thread where no Qt can be had.

Second best: both ways go through HOM, whose lock the main thread may hold for as long as it cooks.

``hdefereval.executeInMainThreadWithResult`` is never used: it has no timeout, waits for ever when
the main thread itself calls it, and passes results through variables of its module, so that two
callers may get each other's.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable

from .hom import Hom

__all__ = ["DeferredWake", "IdleWake"]

Pump = Callable[[], Any]


class _Wake:
    """Ask once, however often woken before the pump ran. Subclasses say how to ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._closed = False
        self._pump: Any = None

    def wake(self, pump: Pump) -> None:
        """Have ``pump`` run on the main thread soon. Any thread, never blocks."""
        with self._lock:
            if self._asked or self._closed:
                return
            self._asked = True
            self._pump = pump
        try:
            self._ask()
        except BaseException:
            # The next wake has to try again.
            with self._lock:
                self._asked = False
            raise

    def close(self) -> None:
        """Take back what was asked for. Main thread; twice is fine."""
        with self._lock:
            self._closed = True
            self._pump = None

    def _ask(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        """Run the pump. Main thread; raises nothing, which would end in Houdini's console."""
        with self._lock:
            # Before the pump runs: what comes in between asks again, and is never lost.
            self._asked = False
            pump = self._pump
        if pump is None:
            return
        try:
            pump()
        except BaseException:
            sys.excepthook(*sys.exc_info())


class DeferredWake(_Wake):
    """By ``hdefereval.executeDeferred``, which any thread may call and which waits for nothing."""

    def __init__(self) -> None:
        import hdefereval

        super().__init__()
        self._execute: Callable[[Pump], None] = hdefereval.executeDeferred

    def _ask(self) -> None:
        self._execute(self._run)


class IdleWake(_Wake):
    """By a callback of Houdini's event loop, which is there only while there is work.

    Houdini calls such a callback every 50 ms for as long as it is there. ``hdefereval``, SideFX's
    own, adds and removes it on whichever thread it is called, so adding it is not held to the main
    thread.
    """

    def __init__(self, hom: Hom) -> None:
        import hou

        super().__init__()
        self._hou: Any = hou
        self._hom = hom
        # Kept, because Houdini knows a callback by being the same object.
        self._callback = self._run_once

    def _ask(self) -> None:
        self._hou.ui.addEventLoopCallback(self._callback)

    def _run_once(self) -> None:
        self._remove()
        self._run()

    def close(self) -> None:
        super().close()
        self._remove()

    def _remove(self) -> None:
        if not self._hom.alive():
            return
        try:
            self._hou.ui.removeEventLoopCallback(self._callback)
        except self._hou.OperationFailed:
            pass  # it is not there
