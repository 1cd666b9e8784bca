"""Maya's undo queue, as ``undoInfo``, ``undo`` and ``redo`` show it.

Autodesk's documentation of ``undoInfo``: all undoable operations between ``openChunk`` and
``closeChunk`` "will undo as a single undo operation"; ``chunkName`` names it. It does not say what
a chunk leaves in which nothing was done: :attr:`UndoQueue.empty_steps` plays either.
"""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional

from .complaints import Complaints

__all__ = ["UndoQueue"]


class Step(NamedTuple):
    name: str
    #: The scene before and after.
    before: Any
    after: Any


class UndoQueue:
    """``snapshot()`` returns the scene's state, ``restore(state)`` brings it back. Main thread."""

    def __init__(
        self,
        complaints: Complaints,
        snapshot: Callable[[], Any],
        restore: Callable[[Any], None],
        state: bool,
    ) -> None:
        self._complaints = complaints
        self._snapshot = snapshot
        self._restore = restore
        self.state = state
        self.length = 50
        self.infinity = False
        #: Whether a chunk in which nothing was done is a step.
        self.empty_steps = False
        #: Whether ``undoInfo(query=True, chunkName=True)`` says which chunk is open. The flag can
        #: be queried; the documentation does not say what it answers.
        self.tells_chunk = True
        self.undone: List[Step] = []
        self.done: List[Step] = []
        #: Names of the chunks that are open, outermost first.
        self.chunks: List[str] = []
        self._before: Any = None
        self._changed = False

    def record(self, name: str, change: Callable[[], Any]) -> Any:
        """Run an undoable command's ``change`` and put it on the queue."""
        before = self._snapshot()
        value = change()
        if self.state:
            if self.chunks:
                self._changed = True
            else:
                self._push(Step(name, before, self._snapshot()))
        return value

    def _push(self, step: Step) -> None:
        self.done.append(step)
        if not self.infinity:
            del self.done[: -self.length]
        self.undone = []

    def open(self, name: str) -> None:
        if not self.chunks:
            self._before, self._changed = self._snapshot(), False
        self.chunks.append(name)

    def close(self) -> None:
        if not self.chunks:
            self._complaints.add("undoInfo(closeChunk=True) without a chunk that is open")
            return
        # Of nested chunks the outermost is the step, and names it: the last to be closed.
        name = self.chunks.pop()
        if not self.chunks and self.state and (self._changed or self.empty_steps):
            self._push(Step(name, self._before, self._snapshot()))
        if not self.chunks:
            self._before = None

    def undo(self) -> None:
        self._move(self.done, self.undone, "undo")

    def redo(self) -> None:
        self._move(self.undone, self.done, "redo")

    def _move(self, source: List[Step], target: List[Step], verb: str) -> None:
        if self.chunks:
            self._complaints.add("{} inside an open chunk".format(verb))
        if not self.state or not source:
            raise RuntimeError("There are no more commands to {}.".format(verb))
        step = source.pop()
        self._restore(step.before if verb == "undo" else step.after)
        target.append(step)

    def flush(self) -> None:
        """Forget all steps, also what a chunk that is open holds so far: a file was opened."""
        self.done, self.undone = [], []
        self._before, self._changed = self._snapshot(), False

    def open_name(self) -> str:
        return self.chunks[-1] if self.chunks and self.tells_chunk else ""

    def name(self, steps: List[Step]) -> Optional[str]:
        return steps[-1].name if steps else ""
