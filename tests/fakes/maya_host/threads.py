"""``maya.utils``: the three routines of Autodesk's page "Python and threading"."""

from __future__ import annotations

import threading
import types
from typing import Any, List

from .host import MayaHost

__all__ = ["Utils"]


class Utils(types.ModuleType):
    """The module."""

    def __init__(self, host: MayaHost) -> None:
        super().__init__("maya.utils")
        self.__dict__["_host"] = host

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        text = "there is no maya.utils.{} in the fake".format(name)
        raise AttributeError(self._host.complaints.add(text))

    def processIdleEvents(self) -> None:
        """Force what is pending on the idle queue. Main thread."""
        self._host.require_main("maya.utils.processIdleEvents()")
        self._host.idle.process()

    def executeDeferred(self, code: Any, *arguments: Any, **named: Any) -> None:
        """Queue it. In batch mode "it does not execute at all" (pymel's documentation of it)."""
        host = self._host
        _checked(host, code, arguments, named)
        text = code if isinstance(code, str) else "<internal command>"
        host.idle.put(lambda: host.execute(code, *arguments, **named), text)

    def executeInMainThreadWithResult(self, code: Any, *arguments: Any, **named: Any) -> Any:
        """Run it at once on the main thread; from another, queue it and wait without an end.

        "Called from the main thread it runs immediately"; "not available in batch mode".
        """
        host = self._host
        _checked(host, code, arguments, named)
        if host.is_main():
            return host.execute(code, *arguments, **named)
        if host.batch:
            text = "executeInMainThreadWithResult in batch mode never returns"
            raise RuntimeError(host.complaints.add(text))
        over = threading.Event()
        box: List[Any] = []

        def work() -> None:
            try:
                box.append(host.execute(code, *arguments, **named))
            finally:
                over.set()

        host.idle.put(work, "<internal command>")
        while not over.wait(0.01):
            if host.ended.is_set():
                text = "executeInMainThreadWithResult waited when Maya ended"
                raise RuntimeError(host.complaints.add(text))
        if not box:
            # No source says what Maya does then: nobody may count on it.
            raise RuntimeError(host.complaints.add("a callable raised through Maya's primitive"))
        return box[0]


def _checked(host: MayaHost, code: Any, arguments: Any, named: Any) -> None:
    if isinstance(code, str):
        if arguments or named:
            raise TypeError(host.complaints.add("arguments are taken for a callable only"))
    elif not callable(code):
        raise TypeError(host.complaints.add("neither a script nor a callable: {!r}".format(code)))
