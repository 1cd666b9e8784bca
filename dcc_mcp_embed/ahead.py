"""Load on a thread what a host's main thread will need, while that has other things to do."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Optional

from . import collector

__all__ = ["Loading"]

#: Seconds that the main thread waits for what is being loaded before it loads it itself. It takes a
#: twentieth of one; longer only if it needs what that very thread is just importing.
_PATIENCE = 1.0


class Loading:
    """Load modules, by their full names, until somebody needs them. Host's main thread.

    What cannot be loaded is left to whoever needs it: there it is raised and told.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._wanted = False
        self._thread: Optional[threading.Thread] = None

    def begin(self) -> None:
        """Begin, unless they are needed by now."""
        if self._wanted:
            return
        # Whatever modules it has: it is a host, beside which a thread of ours works.
        collector.hold()
        thread = threading.Thread(target=self._run, name="dcc-mcp-embed loading", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread left.
            return
        self._thread = thread

    def end(self) -> None:
        """Wait until they are loaded, or could not be."""
        self._wanted = True
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        collector.guard()
        collector.pause()
        try:
            for name in self._names:
                import_module(name)
        except (Exception, SystemExit):
            return
        finally:
            collector.resume()
            collector.unguard()
