"""One undo step per write, in a Blender with a window.

Blender's undo stack holds states: a step is pushed *after* a change, and undo goes back to the
state before. What the user did with Blender's own operators has been pushed by them. What a script
changed without pushing has not, and going back over our step would take it away too (tried in
3.4.1): so where there may be such a change, a step for it is pushed before ours.
"""

from __future__ import annotations

from typing import Any, Optional

from ...host.adapter import UndoChunk
from .scene import BlenderScene
from .watch import ChangeWatch

__all__ = ["Step"]


class Step(UndoChunk):
    """See UndoChunk. A call that changed nothing leaves no step, whether it went well or not.

    One that broke half-way is pushed as a step of its own, so that one undo gets rid of it.
    """

    def __init__(self, label: str, scene: BlenderScene, watch: ChangeWatch) -> None:
        self._label = label
        self._scene = scene
        self._watch = watch

    def __enter__(self) -> Step:
        import bpy

        self._scene.settle()
        if self._watch.is_open():
            bpy.ops.ed.undo_push(message="Before " + self._label)
        self._scene.touched = False
        self._updates = self._watch.updates
        self._before = self._watch.look()
        # Last: what raises before it leaves nobody to say that changes are not ours any more.
        self._watch.begin()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        import bpy

        try:
            self._scene.settle()
            changed = (
                self._scene.touched
                or self._watch.updates != self._updates
                or self._watch.look() != self._before
            )
            if changed:
                label = self._label if kind is None else self._label + " (failed)"
                # A call that opened a file has begun a new history: there is nothing to push onto.
                if bpy.ops.ed.undo_push.poll():
                    bpy.ops.ed.undo_push(message=label)
                    self.steps = 1
        finally:
            self._watch.end()
        return None
