"""The daemon thread that owns a loop: start, stop within a grace, and what happens after a fork.

Everything the loop will ever call is imported before the thread starts: an import on this thread
while the host's main thread holds an import lock would wait for it, and the host for us.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Callable, List

from .. import collector
from .loop import Loop

__all__ = ["LoopThread"]

_threads: weakref.WeakSet[LoopThread] = weakref.WeakSet()
_hooked = False


def _after_fork_in_child() -> None:
    for thread in list(_threads):
        thread.abandon()


class LoopThread:
    """Run one loop on one daemon thread."""

    def __init__(self, loop: Loop, name: str = "dcc-mcp-embed") -> None:
        self.loop = loop
        self._owner = os.getpid()
        self._inherited: List[Callable[[], Any]] = []
        #: Taken by whoever is to close the loop: the thread, or who gives up on it before it runs.
        self._claim = threading.Lock()
        self._thread = collector.Thread(self._run, name)

    def start(self) -> None:
        """Start the thread; it is running when this returns. Any thread."""
        global _hooked
        if not _hooked and hasattr(os, "register_at_fork"):
            _hooked = True
            os.register_at_fork(after_in_child=_after_fork_in_child)
        _threads.add(self)
        self._thread.start()

    def give_up(self) -> bool:
        """Close the loop, unless the thread has it: then return False. Any thread.

        For a :meth:`start` that has raised: Ctrl-C may come while the thread begins to run.
        """
        if not self._claim.acquire(False):
            return False
        self.loop.close()
        return True

    @property
    def alive(self) -> bool:
        return self._owner == os.getpid() and self._thread.is_alive()

    def on_fork(self, close: Callable[[], Any]) -> None:
        """Have ``close`` called in a forked child, which must not keep our sockets open."""
        self._inherited.append(close)

    def _run(self) -> None:
        if not self._claim.acquire(False):
            return
        try:
            self.loop.run()
        finally:
            self.loop.close()

    def finish(self, grace: float) -> bool:
        """Wait for the loop to end, for which somebody has arranged; after ``grace`` make it end.

        Return whether the thread has ended. Not on the loop thread. Starts nothing and imports
        nothing, so it is safe in an exit handler (3.12 refuses new threads there). A loop that
        does not end is left behind: its thread is a daemon.
        """
        if self._owner != os.getpid() or self._thread is threading.current_thread():
            return True
        if self._thread.ident is None:
            # It was never started.
            return True
        self._thread.join(grace)
        if self._thread.is_alive():
            self.loop.stop()
            self._thread.join(grace)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Close what a forked child inherited; the thread itself does not exist there."""
        _threads.discard(self)
        for close in self._inherited:
            close()
        self.loop.close()
