"""Houdini's undo stack, and one step on it per write: Houdini's own undo group."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

from ...host.adapter import UndoChunk
from .hom import Hom

__all__ = ["Stack", "Step"]

#: The labels of the steps, and the bytes that all of them take.
Look = Tuple[Tuple[str, ...], int]


class Stack:
    """What HOM tells of its undo stack.

    "The first item is the next operation that will be undone", says the documentation of
    ``hou.undos.undoLabels``; people have seen the newest last. So which end grows is learned from
    our own steps, and until one told it the documentation holds.
    """

    def __init__(self) -> None:
        self._newest_is_last = False

    def look(self, hou: Any) -> Look:
        """Return what a recorded step changes.

        A full stack drops its oldest step for a new one, so equal labels alone prove nothing.
        """
        return tuple(hou.undos.undoLabels()), int(hou.undos.memoryUsage())

    def grew(self, before: Look, after: Look, label: str) -> bool:
        """Return whether a step called ``label`` was put on the stack between two looks."""
        was, now = before[0], after[0]
        if not now or before == after:
            return False
        # As far as the oldest ones were kept.
        kept = len(now) - 1
        first = now[0] == label and now[1:] == was[:kept]
        last = now[-1] == label and now[:-1] == was[len(was) - kept :]
        if first != last:
            self._newest_is_last = last
        return first or last

    def newest(self, labels: Sequence[str]) -> Optional[str]:
        """Return the label of the step that comes next, None if there is none."""
        if not labels:
            return None
        return str(labels[-1] if self._newest_is_last else labels[0])


class Step(UndoChunk):
    """See UndoChunk. Whether anything was recorded shows in Houdini's undo stack.

    Nothing is recorded with undos disabled, in most versions of hython, and inside a parameter
    callback, where Houdini's documentation says that a group has no effect: no step is counted.
    """

    def __init__(self, label: str, hom: Hom, stack: Stack) -> None:
        self._label = label
        self._hom = hom
        self._stack = stack
        self._group: Any = None
        self._before: Look = ((), 0)

    def __enter__(self) -> Step:
        hou = self._hom()
        self._before = self._stack.look(hou)
        group = hou.undos.group(self._label)
        group.__enter__()
        # Last: only a group that was entered is left.
        self._group = group
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        group, self._group = self._group, None
        group.__exit__(kind, error, trace)
        hou = self._hom()
        # The tool may also have opened a file, which empties the stack.
        if self._stack.grew(self._before, self._stack.look(hou), self._label):
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
