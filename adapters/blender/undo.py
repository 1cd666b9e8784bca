"""One undo step per write, in a Blender with a window.

Blender's undo stack holds states: a step is pushed *after* a change, and undo goes back to the
state before. Whatever the user did with Blender's own operators has been pushed by them, so our
step holds our change only.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from ...errors import ToolError
from ...host.adapter import UndoChunk
from .scene import BlenderScene

__all__ = ["ChangeWatch", "Step"]


class ChangeWatch:
    """Notice whether anything was changed, so that a call that changed nothing leaves no step.

    What Blender evaluates anew tells through a handler; what it does not evaluate (names, new and
    removed data) shows in a comparison of all names.
    """

    def __init__(self) -> None:
        import bpy

        self.updates = 0
        self._handlers: Any = bpy.app.handlers.depsgraph_update_post
        # Handlers are dropped when a file is opened unless they are marked as persistent, and
        # only functions take that mark.
        watch = self

        @bpy.app.handlers.persistent  # type: ignore[misc]
        def updated(scene: Any, depsgraph: Any = None) -> None:
            watch.updates += 1

        self._handler = updated
        self._handlers.append(updated)

    def fingerprint(self) -> Tuple[Any, ...]:
        """Return what differs when something was made, removed, renamed, linked or parented."""
        import bpy

        data = bpy.data
        return tuple(
            tuple(item.name for item in collection)
            for collection in (
                data.objects,
                data.meshes,
                data.materials,
                data.collections,
                data.scenes,
                data.images,
                data.node_groups,
                data.actions,
                data.curves,
                data.lights,
                data.cameras,
            )
        )

    def close(self) -> None:
        """Take the handler back."""
        if self._handler in self._handlers:
            self._handlers.remove(self._handler)


class Step(UndoChunk):
    """See UndoChunk. A tool that refused (ToolError) has changed nothing and leaves no step.

    One that broke half-way is pushed as a step of its own, so that one undo gets rid of it.
    """

    def __init__(self, label: str, scene: BlenderScene, watch: ChangeWatch) -> None:
        self._label = label
        self._scene = scene
        self._watch = watch

    def __enter__(self) -> Step:
        self._scene.settle()
        self._scene.touched = False
        self._updates = self._watch.updates
        self._before = self._watch.fingerprint()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        import bpy

        self._scene.settle()
        changed = (
            self._scene.touched
            or self._watch.updates != self._updates
            or self._watch.fingerprint() != self._before
        )
        if changed and not (isinstance(error, ToolError) and not self._scene.touched):
            label = self._label if kind is None else self._label + " (failed)"
            bpy.ops.ed.undo_push(message=label)
            self.steps = 1
        return None
