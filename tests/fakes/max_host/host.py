"""One running 3ds Max: everything its modules share."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from .events import Events
from .faults import Faults
from .hold import Hold
from .scene import Scene

__all__ = ["MaxHost"]


class MaxHost:
    """Made on the thread that is its main one. ``batch``: 3dsmaxbatch, which has no window."""

    def __init__(self, batch: bool = False, year: int = 2025) -> None:
        self.batch = batch
        self.year = year
        self.faults = Faults()
        self.hold = Hold(self.faults)
        self.events = Events(self.faults)
        self.scene = Scene(self.hold)
        self.main_window: Any = None
        #: The main window as the system knows it; 0 without one.
        self.window_id = 0
        self.redraws = 0
        #: The folder with its scripts and settings; globals that scripts have made; what
        #: messageBox has shown, and errors of scripts; where Python's code is run.
        self.user_folder = ""
        self.globals: Dict[str, Any] = {}
        self.messages: List[str] = []
        self.has_python = True
        self.python: Dict[str, Any] = {"__name__": "__main__"}
        #: 3dsmaxbatch 2023 undoes without saying so, by a test that somebody has for the real one.
        self.tells_undo = True
        #: Name of each context that is open -> how often; their values.
        self.contexts: Dict[str, int] = {}
        self.times: List[float] = []
        self.animating: List[bool] = []

    @property
    def time(self) -> float:
        return self.times[-1] if self.times else float(self.scene.settings["time"])

    def key(self, node: int, parts: Sequence[str]) -> None:
        """Set keys for what was just changed, where 3ds Max animates.

        The first key of a part brings one at frame 0, which holds what was.
        """
        if not (self.animating and self.animating[-1]):
            return
        for part in parts:
            if not self.scene.data(node)["keys"].get(part):
                self.add_keys(node, (part,), 0.0)
            self.add_keys(node, (part,), self.time)

    def add_keys(self, node: int, parts: Sequence[str], frame: float) -> None:
        keys = dict(self.scene.data(node)["keys"])
        for part in parts:
            keys[part] = tuple(sorted({*keys.get(part, ()), frame}))
        self.scene.change(node, keys=keys)

    def undo(self) -> None:
        """Undo as the menu does: it says so, with the entry's label, if there was one."""
        self._tell("sceneUndo", self.hold.undo())

    def redo(self) -> None:
        self._tell("sceneRedo", self.hold.redo())

    def _tell(self, event: str, label: Optional[str]) -> None:
        if label is not None and self.tells_undo:
            self.events.fire(event, label)

    def quit(self) -> None:
        """Say that the system shuts down, as its exit begins with."""
        self.events.fire("preSystemShutdown")

    def check(self) -> None:
        """Fail for wrong calls, and for what was left in a host that goes on to live."""
        if self.hold.depth:
            self.faults.wrong("the hold was left open, {} deep".format(self.hold.depth))
        for name, count in self.contexts.items():
            if count:
                self.faults.wrong("the context '{}' was left open".format(name))
        for one in self.events.left:
            self.faults.wrong("a callback was left: {}".format(one))
        self.faults.check()
