"""The thread for tools that need neither the host's main thread nor a quick end."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from .. import collector
from .adapter import UndoChunk

__all__ = ["Worker"]


class Worker:
    """An executor with a daemon thread of its own, started by the first wake.

    Automatic garbage collection is off while a tool runs here (see ``collector``): a tool must not
    be the one on whose thread the host's objects are finalised. ``litter()`` is called here when
    its garbage has made a collection due, which an idle host would never run by itself. Whatever
    is raised here goes to ``log(level, text)``, and the thread goes on.
    """

    def __init__(
        self,
        litter: Callable[[], None] = lambda: None,
        name: str = "dcc-mcp-embed tools",
        log: Callable[[str, str], None] = lambda level, text: None,
    ) -> None:
        self._litter = litter
        self._log = log
        self._name = name
        self._condition = threading.Condition()
        self._thread: Optional[threading.Thread] = None
        self._pump: Optional[Callable[[], None]] = None
        self._stopping = False

    def wake(self, pump: Callable[[], None]) -> None:
        """Have ``pump`` run on the worker thread soon. Any thread, never blocks."""
        with self._condition:
            if self._stopping:
                return
            self._pump = pump
            if self._thread is None:
                thread = collector.Thread(self._run, self._name)
                thread.start()
                self._thread = thread
            self._condition.notify()

    def is_main_thread(self) -> bool:
        """Return whether the caller is the worker thread: the thread a blocking call would need."""
        return threading.current_thread() is self._thread

    def modal_state(self) -> Optional[str]:
        return None

    def undo_chunk(self, label: str) -> UndoChunk:
        return UndoChunk()

    def stop(self, grace: float) -> bool:
        """End the thread and wait at most ``grace`` seconds; return whether it ended.

        A tool that is still running keeps its thread, which ends with it.
        """
        with self._condition:
            self._stopping = True
            self._condition.notify()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(grace)
        return not thread.is_alive()

    def _run(self) -> None:
        while True:
            pump = self._wait()
            if pump is None:
                return
            collector.pause()
            try:
                pump()
                if collector.due():
                    self._litter()
            except BaseException as error:
                # Also what ends a program: nobody sits at this thread to have it ended.
                self._log("error", "The tools' thread goes on after {!r}".format(error))
            finally:
                collector.resume()

    def _wait(self) -> Optional[Callable[[], None]]:
        """Return the pump once it is wanted, None at the end.

        One that was wanted before the end still runs: it has to close what nobody waits for.
        """
        with self._condition:
            while self._pump is None and not self._stopping:
                self._condition.wait()
            pump, self._pump = self._pump, None
            return pump
