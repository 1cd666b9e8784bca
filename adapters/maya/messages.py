"""What Maya tells of: a file opened or saved, its own end; and how it is taken back."""

from __future__ import annotations

import sys
from typing import Any, Callable, List

from .session import api

__all__ = ["SCENE_CHANGES", "Messages"]

#: After these the scene's file is, or may be, another.
SCENE_CHANGES = ("kAfterOpen", "kAfterNew", "kAfterSave")


class Messages:
    """Callbacks with ``MSceneMessage``. Main thread.

    One that stays registered when its code goes away crashes Maya, so :meth:`close` is a must.
    """

    def __init__(self) -> None:
        self._ids: List[Any] = []

    def hang_on(self, name: str, callback: Callable[[], None]) -> None:
        """Call ``callback()`` at the message ``name``."""
        scene = api().MSceneMessage

        def told(*_: Any) -> None:
            try:
                callback()
            except Exception:
                sys.excepthook(*sys.exc_info())

        self._ids.append(scene.addCallback(getattr(scene, name), told))

    def close(self) -> None:
        """Take them back. Twice is fine."""
        while self._ids:
            api().MMessage.removeCallback(self._ids.pop())
