"""Callbacks by event and id.

Autodesk's MAXScript Help, "General Event Callback Mechanism": functions take no parameters, or
only such with defaults; they are removed by their id. A script as text is none of ours.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, List, Optional, Tuple

from .faults import Faults

__all__ = ["EVENTS", "Events"]

#: "System Notifications", "File Notifications", "Undo System Notifications" of the same help.
EVENTS = (
    *("preSystemShutdown", "postSystemShutdown", "postSystemStartup"),
    *("systemPreReset", "systemPostReset", "systemPreNew", "systemPostNew"),
    *("filePreOpen", "filePostOpen", "filePreSave", "filePostSave", "filePostOpenProcess"),
    *("sceneUndo", "sceneRedo"),
)
_KNOWN = {name.lower(): name for name in EVENTS}


class Events:
    """What is called when."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._all: List[Tuple[str, str, Callable[[], Any]]] = []
        #: What notificationParam() returns while the functions of an event run.
        self.param: Any = None

    def add(self, event: str, function: Any, ident: Optional[str]) -> None:
        if event.lower() not in _KNOWN:
            raise self._faults.wrong("there is no event '{}'".format(event))
        if ident is None:
            raise self._faults.wrong("a callback without an id cannot be removed alone")
        if not callable(function):
            raise self._faults.wrong("a callback is {!r}, not a function".format(function))
        needed = [
            one
            for one in inspect.signature(function).parameters.values()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]
        if needed:
            raise self._faults.wrong("a callback has parameters without defaults")
        self._all.append((_KNOWN[event.lower()], ident.lower(), function))

    def remove(self, event: Optional[str], ident: Optional[str]) -> None:
        if ident is None:
            raise self._faults.wrong("callbacks of others would be removed, too: no id")
        self._all = [
            one
            for one in self._all
            if one[1] != ident.lower() or (event is not None and one[0].lower() != event.lower())
        ]

    def fire(self, event: str, param: Any = None) -> None:
        """Call what waits for an event; MAXScript reports an error, and goes on."""
        for name, _, function in list(self._all):
            if name != event:
                continue
            before, self.param = self.param, param
            try:
                function()
            except Exception as error:
                self._faults.wrong("a callback of {} raised {!r}".format(event, error))
            finally:
                self.param = before

    @property
    def left(self) -> List[str]:
        return ["{} ({})".format(event, ident) for event, ident, _ in self._all]
