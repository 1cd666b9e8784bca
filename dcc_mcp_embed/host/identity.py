"""Who we are: the block in every result, so that an agent with two hosts knows which it was."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Optional

__all__ = ["Instance"]


class Instance:
    """One running host. ``scene`` is pushed from the main thread; everything else is fixed.

    ``scene_changed()``, if there is one, is called there when it has changed.
    """

    def __init__(self, instance_id: str, dcc_type: str, version: str, pid: int) -> None:
        self.instance_id = instance_id
        self.dcc_type = dcc_type
        self.version = version
        self.pid = pid
        self.scene_changed: Optional[Callable[[], None]] = None
        self._scene = ""
        self._block = self._make()

    def _make(self) -> Dict[str, Any]:
        return {
            "id": self.instance_id[:8],
            "dcc": self.dcc_type,
            "version": self.version,
            "pid": self.pid,
            "scene": os.path.basename(self._scene),
        }

    @property
    def scene(self) -> str:
        return self._scene

    @scene.setter
    def scene(self, path: str) -> None:
        if path != self._scene:
            self._scene = path
            self._block = self._make()
            if self.scene_changed is not None:
                self.scene_changed()

    @property
    def block(self) -> Dict[str, Any]:
        """Return the block: replaced when the scene changes, never altered. Any thread."""
        return self._block
