"""Undo and redo of 3ds Max, which does not say whether there was a step: its events do."""

from __future__ import annotations

from typing import Any, Callable, List

from ...errors import Unsupported
from .events import Events
from .runtime import Runtime

__all__ = ["redo", "undo"]


def undo(runtime: Runtime) -> bool:
    """Take back one step; False when there is none."""
    return _move(runtime, "sceneUndo", runtime.pymxs.run_undo)


def redo(runtime: Runtime) -> bool:
    """Bring back one step; False when there is none."""
    return _move(runtime, "sceneRedo", runtime.pymxs.run_redo)


def _move(runtime: Runtime, event: str, run: Callable[[], Any]) -> bool:
    if runtime.rt.theHold.Holding():
        raise Unsupported(
            "Something in 3ds Max has an undo step open; nothing can be undone before its end.",
            state="not_started",
        )
    told: List[bool] = []
    events = Events(runtime)
    # Sent after an undo or a redo was performed, and only then.
    events.hang_on((event,), lambda: told.append(True))
    try:
        run()
    finally:
        events.close()
    return bool(told)
