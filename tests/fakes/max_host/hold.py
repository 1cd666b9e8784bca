"""What can be undone: a table of immutable values, changed in one place, and its history.

Autodesk's MAXScript Help, "thehold": Begin opens what is to be undone as one, Accept leaves the
changes and puts an entry with a label on the undo stack, Cancel restores the former state. The
context ``undo`` is the same with a label; what is changed outside of both cannot be undone here.
"How to Enable Undo and Redo" of the SDK: Begin and Accept nest, and count as the outermost pair; a
Cancel in between takes back what the outer ones have recorded, too.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .faults import Faults

__all__ = ["Hold"]

Step = Tuple[str, Dict[Any, Tuple[Any, Any]]]


class Hold:
    """The table and its undo stack."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.table: Dict[Any, Any] = {}
        self.done: List[Step] = []
        self.undone: List[Step] = []
        self._depth = 0
        #: What was there before the outermost Begin, of all that was changed since.
        self._before: Dict[Any, Any] = {}
        self._off = 0
        #: Whether anything was changed since the scene was saved, opened or made anew.
        self.dirty = False
        #: Restore objects that were ever put: theHold.GetGlobalPutCount().
        self.puts = 0

    def put(self, key: Any, value: Any) -> None:
        """Change one value; None removes it."""
        if self._depth and not self._off:
            self._before.setdefault(key, self.table.get(key))
            self.puts += 1
        self._store(key, value)

    def _store(self, key: Any, value: Any) -> None:
        self.dirty = True
        if value is None:
            self.table.pop(key, None)
        else:
            self.table[key] = value

    @property
    def depth(self) -> int:
        return self._depth

    def begin(self) -> None:
        self._depth += 1

    def accept(self, label: str) -> None:
        self._end("Accept")
        if self._depth == 0 and self._before:
            before, self._before = self._before, {}
            changed = {key: (value, self.table.get(key)) for key, value in before.items()}
            self.done.append((label, changed))
            del self.undone[:]

    def cancel(self) -> None:
        self._end("Cancel")
        before, self._before = self._before, {}
        for key, value in before.items():
            self._store(key, value)

    def _end(self, what: str) -> None:
        if self._depth == 0:
            raise self._faults.wrong(what + " without Begin")
        self._depth -= 1

    def switch(self, on: bool) -> None:
        """Record again, or not for now."""
        self._off += -1 if on else 1

    def undo(self) -> Optional[str]:
        """Take back one entry and return its label, None if there is none."""
        return self._go(self.done, self.undone, 0)

    def redo(self) -> Optional[str]:
        return self._go(self.undone, self.done, 1)

    def _go(self, source: List[Step], target: List[Step], side: int) -> Optional[str]:
        if self._depth:
            raise self._faults.wrong("undo or redo while the hold is open")
        if not source:
            return None
        step = source.pop()
        for key, values in step[1].items():
            self._store(key, values[side])
        target.append(step)
        return step[0]

    def flush(self) -> None:
        del self.done[:], self.undone[:]

    def replace(self, table: Dict[Any, Any]) -> None:
        """Have another scene, which is as it was saved."""
        self.table = dict(table)
        # What an open hold has recorded belongs to a scene that is gone.
        self._before = {}
        self.flush()
        self.dirty = False
