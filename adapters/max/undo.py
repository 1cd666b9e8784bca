"""One undo step per write.

``theHold`` is used, and not ``pymxs.undo``: how a step ends is ours to say that way. Left by an
exception, ``pymxs.undo`` decides by itself what becomes of the step and of the exception, which
differs between versions. ``theHold`` takes the label, tells what was recorded, and cancels
(Autodesk's documentation of MAXScript, "thehold").
"""

from __future__ import annotations

from typing import Any, Optional

from ...host.adapter import UndoChunk
from .runtime import Runtime

__all__ = ["Step"]


class Step(UndoChunk):
    """See UndoChunk.

    Where it ``shows``, the viewports are drawn anew when it is over, not at each change in it.
    Within a step that somebody else has open it makes none of its own: what it records is theirs.
    """

    def __init__(self, runtime: Runtime, label: str, shows: bool) -> None:
        self._runtime = runtime
        self._label = label
        self._shows = shows
        self._ours = False
        self._puts = 0

    def __enter__(self) -> Step:
        pymxs = self._runtime.pymxs
        self._redraw = pymxs.redraw(False)
        self._redraw.__enter__()
        try:
            hold = pymxs.runtime.theHold
            self._puts = hold.GetGlobalPutCount()
            if not hold.Holding():
                hold.Begin()
                self._ours = True
        except BaseException:
            self._redraw.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        rt = self._runtime.rt
        changed = True
        try:
            changed = rt.theHold.GetGlobalPutCount() != self._puts
            if self._ours:
                self._end(rt.theHold, changed, failed=kind is not None)
        finally:
            # Neither told of the exception nor asked what to do with it: it goes on to the caller.
            self._redraw.__exit__(None, None, None)
        if changed and self._shows:
            # Outside of its own evaluations MAXScript draws nothing by itself.
            rt.redrawViews()
        return None

    def _end(self, hold: Any, changed: bool, failed: bool) -> None:
        # What the call has begun and not ended ends here: it counts as one with ours.
        for _ in range(hold.GetBeginDepth() - 1):
            hold.Accept("")
        if not hold.Holding():
            # The call has ended our step too, or opened a file, which begins a new history.
            return
        if failed or not changed:
            hold.Cancel()
        else:
            hold.Accept(self._label)
            self.steps = 1
