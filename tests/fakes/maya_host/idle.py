"""Maya's idle queue: what ``executeDeferred`` and ``evalDeferred`` put there, and when it runs.

Autodesk, "Python and threading": the routines of ``maya.utils`` are implemented with idle events;
"idle events do not work in batch mode". ``evalDeferred``: lowestPriority runs "when no other idle
events are scheduled", evaluateNext goes to the head of the queue.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable, List, NamedTuple, Optional

from .complaints import Complaints

__all__ = ["LOW", "LOWEST", "NEXT", "NORMAL", "IdleQueue"]

NEXT, NORMAL, LOW, LOWEST = range(4)


class Entry(NamedTuple):
    priority: int
    #: What ``evalDeferred(list=True)`` shows.
    text: str
    run: Callable[[], Any]


class IdleQueue:
    """Any thread puts in; the main thread runs one entry per turn of its event loop."""

    def __init__(self, complaints: Complaints, batch: bool) -> None:
        self._complaints = complaints
        self._batch = batch
        self._lock = threading.Lock()
        self._entries: List[Entry] = []
        #: Tells the event loop that there is something; set by whoever has one. Any thread.
        self.poke: Callable[[], None] = lambda: None
        #: Returns whether a modal dialog is open. Main thread.
        self.modal: Callable[[], bool] = lambda: False
        #: While Maya is in initializePlugin or userSetup nothing that was deferred runs.
        self.gated = False
        #: Playback, or idle callbacks of others that never stop: the queue gets no turn.
        self.starved = False
        #: Somebody's idle callback stands and never ends: "idle callbacks should be removed
        #: immediately after running", else what has the lowest priority gets no turn.
        self.standing = False
        #: How many entries have run.
        self.turns = 0

    def put(self, run: Callable[[], Any], text: str, priority: int = NORMAL) -> None:
        with self._lock:
            entry = Entry(priority, text, run)
            if priority == NEXT:
                self._entries.insert(0, entry)
            else:
                self._entries.append(entry)
        if not self._batch:
            self.poke()

    def pending(self, priority: Optional[int] = None) -> List[str]:
        with self._lock:
            return [one.text for one in self._entries if priority in (None, one.priority)]

    @property
    def frozen(self) -> bool:
        """Return whether no idle event is processed now. Main thread."""
        return self._batch or self.gated or self.starved or self.modal()

    def turn(self) -> bool:
        """Run what is next if Maya is idle; return whether more waits. Main thread."""
        if not self.frozen:
            self._run_next()
        with self._lock:
            return bool(self._entries)

    def process(self) -> None:
        """Run all that waits now, as ``processIdleEvents`` does. Main thread."""
        for _ in range(len(self.pending())):
            if self._batch or self.gated:
                return
            self._run_next()

    def _run_next(self) -> None:
        with self._lock:
            ready = [one for one in self._entries if not (self.standing and one.priority == LOWEST)]
            if not ready:
                return
            entry = min(ready, key=lambda one: one.priority)
            self._entries.remove(entry)
        self.turns += 1
        try:
            entry.run()
        except Exception as error:
            # Maya prints it into the Script Editor and goes on.
            self._complaints.add("an idle event raised: {!r}".format(error))
            sys.excepthook(*sys.exc_info())
