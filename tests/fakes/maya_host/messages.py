"""Maya's messages: callbacks with ids.

Autodesk's reference of MSceneMessage: "An id is returned and is used to remove the callback. All
callbacks that are registered by a plug-in must be removed by that plug-in when it is unloaded.
Failure to do so will result in a fatal error." The numbers are those of the Python API reference.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Tuple

from .complaints import Complaints

__all__ = ["SCENE_MESSAGES", "Messages"]

#: https://help.autodesk.com/cloudhelp/2027/ENU/MAYA-API-REF/py_ref/
#: class_open_maya_1_1_m_scene_message.html
SCENE_MESSAGES = {
    "kSceneUpdate": 0,
    "kBeforeNew": 1,
    "kAfterNew": 2,
    "kBeforeImport": 3,
    "kAfterImport": 4,
    "kBeforeOpen": 5,
    "kAfterOpen": 6,
    "kBeforeFileRead": 7,
    "kAfterFileRead": 8,
    "kAfterSceneReadAndRecordEdits": 9,
    "kBeforeExport": 10,
    "kAfterExport": 11,
    "kBeforeSave": 12,
    "kAfterSave": 13,
    "kBeforeReference": 14,
    "kAfterReference": 15,
    "kMayaInitialized": 29,
    "kMayaExiting": 30,
}

Key = Tuple[str, Any]


class Messages:
    """Ids are never given twice. Main thread."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._last = 0
        self._callbacks: Dict[int, Tuple[Key, Callable[..., Any], Any]] = {}

    def add(self, key: Key, function: Callable[..., Any], data: Any) -> int:
        if not callable(function):
            raise TypeError(self.complain("a callback that cannot be called: {!r}", function))
        self._last += 1
        self._callbacks[self._last] = (key, function, data)
        return self._last

    def remove(self, ident: Any) -> None:
        if self._callbacks.pop(ident, None) is None:
            raise RuntimeError(self.complain("no callback with the id {!r}", ident))

    def complain(self, text: str, what: Any) -> str:
        return self._complaints.add(text.format(what))

    def ids(self) -> List[int]:
        return sorted(self._callbacks)

    def count(self, key: Key) -> int:
        return sum(1 for one in self._callbacks.values() if one[0] == key)

    def send(self, key: Key) -> None:
        """Call whoever waits for this message; each gets its client data."""
        for ident in self.ids():
            entry = self._callbacks.get(ident)
            if entry is None or entry[0] != key:
                continue
            try:
                entry[1](entry[2])
            except Exception as error:
                self._complaints.add("the callback {} raised: {!r}".format(ident, error))
                sys.excepthook(*sys.exc_info())
