"""The one way to ``pymxs``: for the main thread of 3ds Max and no other.

A call from another thread fails or worse in 3ds Max, whatever the call (Autodesk's documentation
of pymxs, "Threading"). So everything here is asked for through :class:`Runtime`, which refuses
before the host is touched.
"""

from __future__ import annotations

import threading
from typing import Any, List

from ...errors import HostError, StartError

__all__ = ["Runtime", "items", "text"]


class Runtime:
    """``pymxs`` for the thread that made this."""

    def __init__(self) -> None:
        """Raises StartError off the main thread."""
        from ..qt import on_main_thread

        if not on_main_thread():
            raise StartError("start() must be called on the main thread of 3ds Max")
        import pymxs

        self._pymxs = pymxs
        self._main = threading.get_ident()

    def is_main_thread(self) -> bool:
        """Return whether the caller runs on the thread that made this. Any thread."""
        return threading.get_ident() == self._main

    @property
    def pymxs(self) -> Any:
        """The module. Raises HostError on any other thread."""
        if not self.is_main_thread():
            raise HostError(
                "3ds Max was asked for something on a thread that is not its main thread.",
                hint='Leave out thread="worker" where the tool is declared.',
            )
        return self._pymxs

    @property
    def rt(self) -> Any:
        """The globals of MAXScript. Raises HostError on any other thread."""
        return self.pymxs.runtime


def items(value: Any) -> List[Any]:
    """Return the parts of one of MAXScript's arrays; none for ``undefined``."""
    return [] if value is None else list(value)


def text(value: Any) -> str:
    """Return the text of a name or a class, as MAXScript prints it but for the ``#``."""
    return str(value).lstrip("#")
