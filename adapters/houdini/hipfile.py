"""Houdini's events about the hip file."""

from __future__ import annotations

import sys
from typing import Any, Callable, List, Sequence

from .hom import Hom

__all__ = ["FileEvents"]

#: After these the open file is another, or has another name.
_CHANGES = ("AfterLoad", "AfterSave", "AfterClear")
#: What a Houdini that exits may do on its way. Not the saving that it asks about before.
_ENDS = ("BeforeClear", "AfterClear")


class FileEvents:
    """Call back when a file was opened, saved or cleared. Main thread."""

    def __init__(self, hom: Hom, ended: Callable[[], None]) -> None:
        """``ended()`` is called instead when Houdini clears its scene because it exits."""
        self._hom = hom
        self._ended = ended
        self._callbacks: List[Callable[[], None]] = []
        self._hung = False
        # Kept, because Houdini knows a callback by being the same object.
        self._callback = self._happened

    def add(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` from now on."""
        self._callbacks.append(callback)
        if not self._hung:
            self._hom().hipFile.addEventCallback(self._callback)
            self._hung = True

    def _happened(self, event: Any) -> None:
        if not self._hom.alive() or not self._hom.is_main_thread():
            return
        hou = self._hom()
        exiting = getattr(hou.hipFile, "isShuttingDown", None)
        if _is_one(hou, event, _ENDS) and exiting is not None and exiting():
            self._ended()
        elif _is_one(hou, event, _CHANGES):
            for callback in list(self._callbacks):
                try:
                    callback()
                except Exception:
                    # Of anybody's code; neither Houdini nor the other callbacks are to suffer.
                    sys.excepthook(*sys.exc_info())

    def close(self) -> None:
        """Take the callback back. Twice is fine."""
        self._callbacks = []
        if not self._hung:
            return
        self._hung = False
        if not self._hom.alive():
            return
        hou = self._hom()
        try:
            hou.hipFile.removeEventCallback(self._callback)
        except hou.OperationFailed:
            pass  # somebody cleared all of them (hou.hipFile.clearEventCallbacks)


def _is_one(hou: Any, event: Any, names: Sequence[str]) -> bool:
    return event in [getattr(hou.hipFileEventType, name) for name in names]
