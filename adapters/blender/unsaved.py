"""Whether a Blender without a window holds changes that no file has.

With a window Blender tells of it itself: every undo step marks the file as changed. In background
mode it keeps no undo steps, and takes its file for unchanged whatever scripts do (tried in 3.4.1).
"""

from __future__ import annotations

from .handlers import Handlers

__all__ = ["Unsaved"]


class Unsaved:
    """Note what Blender evaluates anew, until a file is opened or saved. Main thread.

    What it does not evaluate (custom properties) does not show.
    """

    def __init__(self) -> None:
        self.changed = False
        self._handlers = Handlers()
        self._handlers.hang_on("depsgraph_update_post", self._updated)
        for name in ("load_post", "save_post"):
            self._handlers.hang_on(name, self._settled)

    def close(self) -> None:
        """Take the handlers back. Twice is fine."""
        self._handlers.close()

    def _updated(self) -> None:
        self.changed = True

    def _settled(self) -> None:
        self.changed = False
