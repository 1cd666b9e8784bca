"""One undo step per write: Maya's own chunks, closed on every path.

Maya says neither whether a chunk is open nor whether one held anything. What it does say is how
many steps there are and what the last is called, so that is compared. Autodesk's documentation of
``undoInfo``: a query without another flag returns the number of items on the queue.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from ...host.adapter import UndoChunk
from .session import cmds

__all__ = ["Chunk", "last_label"]

#: A tool that leaves more chunks open than this is beyond help.
MOST_OPEN = 32


def last_label(which: str) -> Optional[str]:
    """Return the label of the step that ``which`` ("undo" or "redo") would move over, or None."""
    if cmds().undoInfo(query=True, **{which + "QueueEmpty": True}):
        return None
    name = cmds().undoInfo(query=True, **{which + "Name": True})
    # The blank is Chunk's.
    return str(name).rstrip(" ") or None


class Chunk(UndoChunk):
    """See UndoChunk. While the user has undo switched off there is none."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._on = False

    def __enter__(self) -> Chunk:
        self._on = bool(cmds().undoInfo(query=True, state=True))
        if not self._on:
            return self
        self._before = _top()
        # Never called as the step before: a full queue keeps its length, and then only another
        # name shows that there is a new step.
        self._name = self._label + (" " if self._before[1] == self._label else "")
        self._outer = _open_name()
        cmds().undoInfo(openChunk=True, chunkName=self._name)
        #: Whether Maya tells what chunk is open; documented is only that it can be asked.
        self._told = _open_name() == self._name != self._outer
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        if not self._on:
            return None
        if not cmds().undoInfo(query=True, state=True):
            # The tool switched it off and left it so. The flag keeps the user's steps.
            cmds().undoInfo(stateWithoutFlush=True)
        self._close()
        if self._is_recorded():
            self.steps = 1 if kind is None else self._take_back()
        return None

    def _close(self) -> None:
        """Close our chunk, and before it those that the tool left open: they would take in all
        that the user does from here on.
        """
        if self._told and _open_name() == self._outer:
            return  # the tool has closed ours
        for _ in range(MOST_OPEN):
            try:
                cmds().undoInfo(closeChunk=True)
            except RuntimeError:
                return  # none is open
            if self._is_recorded() or not self._told or _open_name() == self._outer:
                return

    def _is_recorded(self) -> bool:
        count, name = _top()
        return name == self._name or count > self._before[0]

    def _take_back(self) -> int:
        """Undo what a failed tool did; return how many steps of it are left."""
        try:
            cmds().undo()
        except RuntimeError:
            return 1
        return 0


def _top() -> Tuple[int, str]:
    """Return how many steps there are to undo, and the last one's name."""
    count = cmds().undoInfo(query=True)
    if cmds().undoInfo(query=True, undoQueueEmpty=True):
        return 0, ""
    return count if isinstance(count, int) else 0, str(cmds().undoInfo(query=True, undoName=True))


def _open_name() -> str:
    try:
        return str(cmds().undoInfo(query=True, chunkName=True) or "")
    except RuntimeError:
        # What is asked where no chunk is open is not documented; without it steps are counted.
        return ""
