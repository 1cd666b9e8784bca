"""``hou.undos``: every change is a step of its own unless a group is open around it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .strict import hom, ledger

__all__ = ["Undos", "undos"]

_Moment = Dict[int, Any]


class Undos:
    """The stacks: (label, the scene before), and (label, the scene after) of what was undone."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        #: Whether hython records undo no source tells, so an adapter has to ask (areEnabled).
        self.enabled = True
        self.disabled = 0
        self.groups: List[str] = []
        self._open: Optional[Tuple[str, _Moment]] = None
        self.clear()

    def clear(self) -> None:
        self.undo: List[Tuple[str, _Moment]] = []
        self.redo: List[Tuple[str, _Moment]] = []
        self._open = None

    @property
    def are_enabled(self) -> bool:
        return self.enabled and not self.disabled

    def before(self, label: str) -> None:
        if not self.are_enabled:
            return
        self.redo.clear()
        if not self.groups:
            self.undo.append((label, self._scene.snapshot()))
        elif self._open is None:
            self._open = (self.groups[0], self._scene.snapshot())

    def enter(self, label: str) -> None:
        self.groups.append(label)

    def leave(self) -> None:
        self.groups.pop()
        if not self.groups and self._open is not None:
            self.undo.append(self._open)
            self._open = None

    def step(self, taken: List[Tuple[str, _Moment]], given: List[Tuple[str, _Moment]]) -> bool:
        if self.groups:
            ledger().blame("undo or redo inside an open undo group")
        if not taken:
            return False
        label, moment = taken.pop()
        given.append((label, self._scene.snapshot()))
        born = self._scene.restore(moment)
        if born:
            from .scene import renumbered

            for stack in (self.undo, self.redo):
                stack[:] = [(one, renumbered(there, born)) for one, there in stack]
        return True


class UndosGroup:
    """ "all changes to Houdini are recorded as a single action"; nested ones join the outermost."""

    def __init__(self, owner: Undos, label: str) -> None:
        self._owner = owner
        self._label = label

    def __enter__(self) -> UndosGroup:
        ledger().enter("hou.UndosGroup.__enter__")
        self._owner.enter(self._label)
        return self

    def __exit__(self, *error: Any) -> None:
        ledger().enter("hou.UndosGroup.__exit__")
        self._owner.leave()


class UndosDisabler:
    def __init__(self, owner: Undos) -> None:
        self._owner = owner

    def __enter__(self) -> UndosDisabler:
        self._owner.disabled += 1
        return self

    def __exit__(self, *error: Any) -> None:
        self._owner.disabled -= 1


@hom("undos")
class undos:
    def __init__(self, owner: Undos) -> None:
        self._owner = owner

    def areEnabled(self) -> bool:
        return self._owner.are_enabled

    def disabler(self) -> UndosDisabler:
        return UndosDisabler(self._owner)

    def group(self, label: str, editor: Any = None) -> UndosGroup:
        if not isinstance(label, str):
            raise TypeError("label")
        return UndosGroup(self._owner, label)

    def clear(self) -> None:
        self._owner.clear()

    def memoryUsage(self) -> int:
        owner = self._owner
        return sum(100 + 10 * len(moment) for _, moment in owner.undo + owner.redo)

    def memoryUsageLimit(self) -> int:
        return 256 * 1024 * 1024

    def performUndo(self) -> bool:
        return self._owner.step(self._owner.undo, self._owner.redo)

    def performRedo(self) -> bool:
        return self._owner.step(self._owner.redo, self._owner.undo)

    def undoLabels(self) -> Tuple[str, ...]:
        """ "the first item (ie. undoLabels()) is the next operation that will be undone"."""
        return tuple(label for label, _ in reversed(self._owner.undo))

    def redoLabels(self) -> Tuple[str, ...]:
        return tuple(label for label, _ in reversed(self._owner.redo))
