"""Notice changes: those a call of ours made, and those of others that no undo step holds yet.

Blender tells of what it evaluates anew through a handler. What it does not evaluate (new, renamed
and removed data, custom properties, markers) shows in a comparison of :meth:`ChangeWatch.look`.
Nothing tells of an undo step; but an operator that is over stands in Blender's own list of the
last operators, and has pushed its step. A change without a newer entry there is *open*: made by a
script that pushed nothing, through a slider, or by an operator that still runs, such as a drag.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional, Tuple

from .handlers import Handlers

__all__ = ["ChangeWatch"]

#: Seconds without a change after which nobody is thought to be dragging any more.
QUIET = 3.0
#: Changes that go on for longer, seconds, come from a script, not from a hand.
ENDLESS = 30.0
#: Arrays in custom properties that are longer are compared by their length only: some add-ons
#: keep whole meshes there, and this runs twice in every write.
LONG = 1000
#: What belongs to the user interface or holds everything once more.
_SKIPPED = frozenset(
    ("all_ids", "brushes", "libraries", "paint_curves", "screens", "window_managers", "workspaces")
)


class ChangeWatch:
    """Watch one Blender with a window. ``now`` returns monotonic seconds. Main thread."""

    def __init__(self, now: Callable[[], float]) -> None:
        import bpy

        self._now = now
        self._main = threading.get_ident()
        #: How often Blender evaluated a change, whoever made it.
        self.updates = 0
        self._ours = False
        #: Nobody knows what the scripts that ran before us have pushed.
        self._open = True
        self._last = self._run_since = now() - QUIET
        self._operator: Optional[Tuple[int, int]] = _last_operator()
        self._collections: List[str] = [
            member.identifier
            for member in bpy.data.bl_rna.properties
            if member.type == "COLLECTION" and member.identifier not in _SKIPPED
        ]
        self._handlers = Handlers()
        self._handlers.hang_on("depsgraph_update_post", self._updated)
        for name in ("undo_post", "redo_post"):
            self._handlers.hang_on(name, self._travelled)
        self._handlers.hang_on("load_post", self._loaded)

    def begin(self) -> None:
        """From here on changes are ours."""
        self._ours = True

    def end(self) -> None:
        """From here on they are not; and whatever was changed up to here has been pushed."""
        self._ours = False
        self._open = False
        self._operator = _last_operator()

    def is_open(self) -> bool:
        """Return whether there may be changes of others that no undo step holds."""
        self._explain()
        return self._open

    def in_motion(self) -> bool:
        """Return whether somebody seems to be in the middle of a change, such as a drag."""
        now = self._now()
        recent = now - self._last < QUIET and now - self._run_since < ENDLESS
        return recent and self.is_open()

    def look(self) -> Tuple[Any, ...]:
        """Return what is compared to find a change that Blender does not tell of.

        About a millisecond for a thousand datablocks.
        """
        import bpy

        found: List[Any] = []
        for collection in self._collections:
            for item in getattr(bpy.data, collection):
                keys = tuple(item.keys())
                values = [_value(item, key) for key in keys] if keys else None
                found.append((item.name, keys, values))
        for item in bpy.data.objects:
            groups = getattr(item, "vertex_groups", ())
            if len(groups):
                found.append([group.name for group in groups])
        for scene in bpy.data.scenes:
            markers = [(marker.name, marker.frame) for marker in scene.timeline_markers]
            found.append((scene.frame_current, markers))
        for text in bpy.data.texts:
            found.append(text.as_string())
        return tuple(found)

    def close(self) -> None:
        """Take the handlers back. Twice is fine."""
        self._handlers.close()

    # -- inside -------------------------------------------------------------------------------

    def _updated(self) -> None:
        if threading.get_ident() != self._main:
            return  # a render evaluates scenes of its own, on its own thread
        self.updates += 1
        if self._ours or self._explain():
            return
        now = self._now()
        if now - self._last >= QUIET or not self._open:
            self._run_since = now
        self._last = now
        self._open = True

    def _explain(self) -> bool:
        """Take a new entry in the list of operators as the end of all that was open."""
        operator = _last_operator()
        if operator == self._operator:
            return False
        self._operator = operator
        self._open = False
        return True

    def _travelled(self) -> None:
        # Where undo arrives is a state that was pushed; it is evaluated only after this.
        self._open = False
        self._operator = (-1, -1)

    def _loaded(self) -> None:
        # Blender begins a new undo stack with what it has loaded.
        self._travelled()


def _last_operator() -> Optional[Tuple[int, int]]:
    """Return what tells the operator that was last over from the one before it."""
    import bpy

    operators = bpy.context.window_manager.operators
    count = len(operators)
    # The one before is still in the list, so a new one is at another place in memory.
    return (count, operators[-1].as_pointer()) if count else None


def _value(item: Any, key: str) -> Any:
    try:
        value = item[key]
    except (KeyError, TypeError):
        return None
    if hasattr(value, "to_list"):
        return value.to_list() if len(value) <= LONG else len(value)
    if hasattr(value, "to_dict"):
        return repr(value.to_dict())
    return value if isinstance(value, (int, float, str, bytes)) else repr(value)
