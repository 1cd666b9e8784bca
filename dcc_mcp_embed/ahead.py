"""Do on a thread what a host's main thread will need done, while that has other things to do."""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import Callable, Optional

from . import collector

__all__ = ["Loading"]

#: Seconds that the main thread waits for it before it goes on without. Loading takes a twentieth of
#: one; longer only if it needs what that very thread is just importing.
_PATIENCE = 1.0


class Loading:
    """Load modules, by their full names, until somebody needs them. Host's main thread.

    What cannot be loaded is left to whoever needs it: there it is raised and told. ``then`` is
    called afterwards on the same thread; it raises nothing.
    """

    def __init__(self, *names: str, then: Optional[Callable[[], object]] = None) -> None:
        self._names = names
        self._then = then
        self._wanted = False
        self._thread: Optional[threading.Thread] = None

    def begin(self) -> None:
        """Begin, unless they are needed by now: then there is only ``then`` to do, at once."""
        if self._wanted:
            self._do_the_rest()
            return
        # Whatever modules it has: it is a host, beside which a thread of ours works.
        collector.hold()
        thread = collector.Thread(self._run, "dcc-mcp-embed loading")
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread left.
            self._do_the_rest()
            return
        self._thread = thread
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before_fork)

    def _before_fork(self) -> None:
        """Wait: what is half loaded then stays locked in the child, for whoever needs it there."""
        if threading.current_thread() is not self._thread:
            self.end()

    def end(self) -> None:
        """Wait until all of it is done, or could not be."""
        self._wanted = True
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        self._load()
        self._do_the_rest()

    def _load(self) -> None:
        collector.pause()
        try:
            for name in self._names:
                import_module(name)
        except (Exception, SystemExit):
            return
        finally:
            collector.resume()

    def _do_the_rest(self) -> None:
        if self._then is not None:
            self._then()
