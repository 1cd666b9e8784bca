"""One undo step per write: Houdini's own undo group."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from ...host.adapter import UndoChunk
from .hom import Hom

__all__ = ["Step"]


class Step(UndoChunk):
    """See UndoChunk. Whether anything was recorded shows in Houdini's undo stack.

    With undos disabled, and inside a parameter callback (where Houdini's documentation says that a
    group has no effect), nothing is recorded for us and no step is counted.
    """

    def __init__(self, label: str, hom: Hom) -> None:
        self._label = label
        self._hom = hom
        self._group: Any = None
        self._before: Tuple[Any, ...] = ()

    def __enter__(self) -> Step:
        hou = self._hom()
        self._before = _stack(hou)
        group = hou.undos.group(self._label)
        group.__enter__()
        # Last: only a group that was entered is left.
        self._group = group
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        group, self._group = self._group, None
        group.__exit__(kind, error, trace)
        hou = self._hom()
        if not hou.undos.areEnabled():
            return None
        after = _stack(hou)
        labels = after[0]
        # The tool may have opened a file, which empties the stack, or moved on it.
        if not labels or labels[0] != self._label or after == self._before:
            return None
        self.steps = 1
        if kind is not None:
            self._take_back(hou)
        return None

    def _take_back(self, hou: Any) -> None:
        try:
            if hou.undos.performUndo():
                self.steps = 0
        except hou.Error:
            pass  # the step stays for the user to undo, and the tool's own error is what counts


def _stack(hou: Any) -> Tuple[Any, ...]:
    """Return what shows that a step was recorded.

    A full stack drops its oldest step for a new one, so equal labels alone prove nothing.
    """
    return (tuple(hou.undos.undoLabels()), hou.undos.memoryUsage())
