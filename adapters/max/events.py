"""What we have hung on the events of 3ds Max, and how it is taken back."""

from __future__ import annotations

import sys
from typing import Any, Callable, Iterable, List

from .runtime import Runtime

__all__ = ["Events"]


class Events:
    """Callbacks under an id of our own. Main thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        #: Of this object, so that another copy of this package takes away its own only.
        self._id = "dccMcpEmbed{:x}".format(id(self))
        #: 3ds Max may know a function by nothing but its place in memory.
        self._kept: List[Callable[[], None]] = []

    def hang_on(self, events: Iterable[str], method: Callable[[], Any]) -> None:
        """Call ``method()`` at each of these events, until :meth:`close`."""
        rt = self._runtime.rt

        # Only functions that can be called without arguments are taken.
        def handler() -> None:
            try:
                method()
            except Exception:
                # Of anybody's code; raised into 3ds Max it would open a dialog there.
                sys.excepthook(*sys.exc_info())

        self._kept.append(handler)
        for event in events:
            rt.callbacks.addScript(rt.Name(event), handler, id=rt.Name(self._id))

    def parameter(self) -> Any:
        """Return what 3ds Max tells with the event that is being handled."""
        return self._runtime.rt.callbacks.notificationParam()

    def close(self) -> None:
        """Take them back. Twice is fine."""
        if self._kept:
            rt = self._runtime.rt
            rt.callbacks.removeScripts(id=rt.Name(self._id))
            self._kept = []
