"""Undo and redo of 3ds Max, which does not say whether there was a step: its events do.

In 3dsmaxbatch these have been seen to come late or not at all. There the nodes are looked at before
and after, which costs a walk through the scene, and no artist has to wait for it.
"""

from __future__ import annotations

from typing import Any, Callable, List

from ...errors import Unsupported
from . import nodes
from .events import Events
from .runtime import Runtime, items

__all__ = ["redo", "undo"]


def undo(runtime: Runtime, batch: bool) -> bool:
    """Take back one step; False when there is none."""
    return _move(runtime, batch, "sceneUndo", runtime.pymxs.run_undo)


def redo(runtime: Runtime, batch: bool) -> bool:
    """Bring back one step; False when there is none."""
    return _move(runtime, batch, "sceneRedo", runtime.pymxs.run_redo)


def _move(runtime: Runtime, batch: bool, event: str, run: Callable[[], Any]) -> bool:
    if runtime.rt.theHold.Holding():
        raise Unsupported(
            "Something in 3ds Max has an undo step open; nothing can be undone before its end.",
            state="not_started",
        )
    before = _look(runtime) if batch else None
    told: List[bool] = []
    events = Events(runtime)
    # Sent after an undo or a redo was performed, and only then.
    events.hang_on((event,), lambda: told.append(True))
    try:
        run()
    finally:
        events.close()
    return bool(told) or (batch and _look(runtime) != before)


def _look(runtime: Runtime) -> List[Any]:
    """Return what most steps change something of: which nodes there are, where, and of what."""
    found: List[Any] = []
    for one in nodes.walk(runtime.rt):
        modifiers = len(items(one.node.modifiers))
        # A value prints all that it is.
        place = str(one.node.transform)
        found.append((nodes.handle_of(one.node), one.path, place, modifiers))
    return found
