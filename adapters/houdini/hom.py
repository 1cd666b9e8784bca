"""The only way from here to ``hou``: on its own thread, and only as long as Houdini lives.

Python outlives the scene when Houdini exits: a reference into HOM that is used after that ends in
a crash rather than in an exception. So whoever needs ``hou`` asks for it here each time, and
nothing of it is kept from one call to the next.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from ...errors import HostError, HostShuttingDown, StartError

__all__ = ["Hom"]


class Hom:
    """Made on Houdini's main thread; calling it returns the module ``hou``."""

    def __init__(self) -> None:
        """Raises StartError in a Python that is not Houdini's, and off the main thread."""
        try:
            import hou
        except ImportError as error:
            raise StartError(
                "This Python is not Houdini's: {}. Use hython, or Houdini itself".format(error)
            ) from None
        from ..qt import on_main_thread

        if not on_main_thread():
            raise StartError("start() must be called on Houdini's main thread")
        self._hou: Any = hou
        self._main = threading.get_ident()
        self._gone = False

    def is_main_thread(self) -> bool:
        """Return whether the caller is on the thread this was made on. Any thread."""
        return threading.get_ident() == self._main

    def alive(self) -> bool:
        """Return whether HOM may still be used. Any thread; touches nothing of it."""
        return not (self._gone or sys.is_finalizing() or sys.modules.get("hou") is not self._hou)

    def end(self) -> None:
        """Houdini is going away: nobody gets ``hou`` any more. Any thread."""
        self._gone = True

    def __call__(self) -> Any:
        """Return ``hou``. Raises HostError off the main thread, HostShuttingDown after the end."""
        if not self.is_main_thread():
            # HOM locks itself against other threads, so such a call may wait for the main thread
            # while that waits for the caller.
            raise HostError(
                "Houdini was called from '{}', which is not its main thread.".format(
                    threading.current_thread().name
                ),
                hint="Declare the tool with thread='main'.",
                state="not_started",
            )
        if not self.alive():
            raise HostShuttingDown("Houdini is exiting.", state="not_started")
        return self._hou
