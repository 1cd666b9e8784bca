"""Have Qt's main thread run the pump: one posted event, however often it is woken before it ran.

Qt delivers posted events in nested loops, too (a modal dialog, a tool that turns the loop). In each
turn of its loop it delivers what was posted before, and then lets timers and the user's input have
theirs, as far as they were ready when the turn began. So a pump that has more to do lets one turn
pass: what became ready while it ran waits for that one run, not for two. An idle application is not
woken at all.

The object that receives the events belongs to the main thread, and its end on another one can take
the process down. So it is held here from its making on, whoever else drops it, and deleted by
:meth:`Wake.close` only.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Optional, Set

from ...errors import HostError
from .binding import Qt, is_valid

__all__ = ["Wake"]

#: Binding -> its class of receivers and the type of our events. Qt keeps what it knows of a class
#: for good, so one does for all.
_kinds: Dict[str, Any] = {}
#: Receivers that are not deleted yet.
_held: Set[Any] = set()


class Wake:
    """The way of one adapter onto Qt's main thread. Made there."""

    def __init__(self, qt: Qt) -> None:
        self._qt = qt
        make, self._type = _kind(qt)
        # Free while no event is on its way: taking it is looking and noting in one.
        self._posted = threading.Lock()
        self._pump: Optional[Callable[[], Any]] = None
        self._running = 0
        # Whether the event on its way only has another one posted, so that a turn passes.
        self._pass = False
        self._closed = False
        # Held while an event is posted, for microseconds: Qt is not to delete the receiver then.
        self._posting = threading.Lock()
        self._post = qt.QtCore.QCoreApplication.postEvent
        self._receiver = make(self._arrived)
        for one in [one for one in _held if not is_valid(qt, one)]:
            _held.discard(one)
        _held.add(self._receiver)

    def wake(self, pump: Callable[[], Any]) -> None:
        """Have the main thread run ``pump`` soon. Any thread, never blocks.

        Raises HostError once it is closed.
        """
        self._pump = pump
        if not self._posted.acquire(False):
            return
        try:
            self._pass = bool(self._running)
            self._post_event()
        except BaseException:
            self._posted.release()
            raise

    def close(self) -> None:
        """Delete the receiver; an event on its way is dropped. Main thread. Twice is fine.

        Called from within the pump it is deleted once the application's loop has the thread again.
        """
        if self._closed:
            return
        self._closed = True
        with self._posting:
            receiver, self._receiver = self._receiver, None
        if not is_valid(self._qt, receiver):
            _held.discard(receiver)
        elif self._running or self._qt.shiboken is None:
            receiver.deleteLater()
        else:
            self._qt.shiboken.delete(receiver)
            _held.discard(receiver)

    def _post_event(self) -> None:
        event = self._qt.QtCore.QEvent(self._type)
        # Looked at before, too: what a collection ends in close() may come here, on its thread.
        if not self._closed:
            with self._posting:
                if self._receiver is not None:
                    self._post(self._receiver, event)
                    return
        raise HostError("The application's main thread is not ours to wake any more.")

    def _arrived(self) -> None:
        if self._pass and not self._closed:
            self._pass = False
            self._post_event()
            return
        try:
            self._posted.release()
        except RuntimeError:
            # Not one of ours: anybody may post such an event.
            return
        pump = self._pump
        if self._closed or pump is None:
            return
        self._running += 1
        try:
            pump()
        finally:
            self._running -= 1


def _kind(qt: Qt) -> Any:
    """Return (class of receivers, type of event) of a binding. Main thread."""
    if qt.name in _kinds:
        return _kinds[qt.name]
    core = qt.QtCore
    number = core.QEvent.Type(core.QEvent.registerEventType())

    class Receiver(core.QObject):  # type: ignore[misc, name-defined]
        """Lives on the main thread and calls ``arrived()`` there for each event posted to it."""

        def __init__(self, arrived: Callable[[], None]) -> None:
            super().__init__()
            self._arrived = arrived

        def customEvent(self, event: Any) -> None:
            self._arrived()

    _kinds[qt.name] = (Receiver, number)
    return _kinds[qt.name]
