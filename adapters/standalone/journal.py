"""Undo for any table of values: what was there before, what is there now.

The journal neither knows nor cares what the values are, as long as they are never changed in
place and compare by value. One *step* is one undo of the user's. Chunks nest: an inner one becomes
part of the outer; one that fails puts back everything since it was opened, and leaves no step.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from ...records import NamedTuple

__all__ = ["DEPTH", "Journal", "Step"]

#: How many steps can be taken back; the oldest goes first.
DEPTH = 200


class Step(NamedTuple):
    """One undo step: key -> value before and after, None for a key that was not there."""

    label: str
    before: Dict[Any, Any]
    after: Dict[Any, Any]


class _Open(NamedTuple):
    label: str
    before: Dict[Any, Any]


class Journal:
    """Record changes made through :meth:`put` and take them back.

    ``read(key)`` returns a value or None; ``write(key, value)`` stores it, None removes it. Not
    for several threads.
    """

    def __init__(
        self,
        read: Callable[[Any], Any],
        write: Callable[[Any, Any], None],
        depth: int = DEPTH,
    ) -> None:
        self._read = read
        self._write = write
        self._open: List[_Open] = []
        self._done: Deque[Step] = deque(maxlen=depth)
        self._undone: List[Step] = []

    @property
    def is_open(self) -> bool:
        """Whether a chunk is open."""
        return bool(self._open)

    @property
    def done(self) -> List[str]:
        """The labels of the steps that can be undone, oldest first."""
        return [step.label for step in self._done]

    @property
    def undone(self) -> List[str]:
        """The labels of the steps that can be redone, the next one last."""
        return [step.label for step in self._undone]

    def put(self, key: Any, value: Any) -> None:
        """Store ``value`` under ``key``, inside an open chunk."""
        before = self._open[-1].before
        if key not in before:
            before[key] = self._read(key)
        self._write(key, value)

    def open(self, label: str) -> None:
        """Begin a chunk."""
        self._open.append(_Open(label, {}))

    def close(self) -> int:
        """End the innermost chunk; return how many undo steps the user has from it (0 or 1).

        Nothing changed in the end: no step, and what was undone before can still be redone.
        """
        chunk = self._open.pop()
        if self._open:
            outer = self._open[-1].before
            for key, value in chunk.before.items():
                outer.setdefault(key, value)
            return 0
        after = {key: self._read(key) for key in chunk.before}
        changed = [key for key, value in chunk.before.items() if value != after[key]]
        if not changed:
            return 0
        before = {key: chunk.before[key] for key in changed}
        self._done.append(Step(chunk.label, before, {key: after[key] for key in changed}))
        self._undone.clear()
        return 1

    def roll_back(self) -> None:
        """End the innermost chunk and put back everything that was changed in it."""
        self._restore(self._open.pop().before)

    def undo(self) -> Optional[Step]:
        """Take back the last step and return it, None if there is none."""
        return self._move(self._done, self._undone, lambda step: step.before)

    def redo(self) -> Optional[Step]:
        """Bring back the step undone last and return it, None if there is none."""
        return self._move(self._undone, self._done, lambda step: step.after)

    def _move(self, source: Any, target: Any, values: Callable[[Step], Any]) -> Optional[Step]:
        if not source:
            return None
        step: Step = source.pop()
        self._restore(values(step))
        target.append(step)
        return step

    def _restore(self, values: Dict[Any, Any]) -> None:
        for key, value in values.items():
            self._write(key, value)
