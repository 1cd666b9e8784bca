"""Houdini's event loop as Python sees it: ``hou.ui`` and ``hou.qt``, on a real Qt loop."""

from __future__ import annotations

import sys
import traceback
from typing import Any, Callable, List, Optional, Tuple

from .errors import OperationFailed
from .strict import ANYWHERE, hom, ledger

__all__ = ["Loop", "qt", "ui"]

#: "This callback is called approximately every 50ms" (docstring of addEventLoopCallback).
TICK_MS = 50

# hdefereval adds its own callback on the thread that queues, whichever that is (mbdefereval, a
# copy of hdefereval for another host: _register_event_loop_callback() called from _enqueue()).
ANYWHERE.add("hou.ui.addEventLoopCallback")

Callback = Callable[[], None]


class Loop:
    """The callbacks, and the timer that calls them while Houdini is idle. Main thread."""

    def __init__(self, binding: Any) -> None:
        self.callbacks: List[Callback] = []
        self.posted: List[Callback] = []
        #: How many callbacks were called: an idle host is to show none.
        self.called = 0
        self.ticks = 0
        self.starved = False
        self.binding = binding
        #: What a person says to the next messages, one each: a button, None for Escape.
        self.answers: List[Optional[str]] = []
        self.asked: List[str] = []
        #: The text of the status line.
        self.status = ""
        self._timer = binding.QtCore.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.tick)
        self._timer.start()
        self.window = binding.QtWidgets.QMainWindow()

    def tick(self) -> None:
        """Be idle once."""
        self.ticks += 1
        if self.starved:
            return
        posted, self.posted = self.posted, []
        for callback in posted + list(self.callbacks):
            self.called += 1
            try:
                callback()
            except Exception:
                # Houdini prints it and goes on.
                traceback.print_exc(file=sys.stderr)

    def turn(self) -> None:
        """Turn nested in what runs, as while a progress bar is drawn: more than once."""
        for _ in range(20):
            self.binding.QtCore.QCoreApplication.processEvents()

    def close(self) -> None:
        """Be gone; whatever is still registered would be called next."""
        self._timer.stop()
        self._timer.timeout.disconnect(self.tick)
        for callback in self.callbacks + self.posted:
            ledger().blame("{!r} was left in Houdini's event loop".format(callback))
        self.callbacks, self.posted = [], []
        self.window.close()


@hom("ui")
class ui:
    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def addEventLoopCallback(self, callback: Callback) -> None:
        if not callable(callback):
            raise TypeError("not callable")
        self._loop.callbacks.append(callback)

    def removeEventLoopCallback(self, callback: Callback) -> None:
        """ "Raises hou.OperationFailed if the callback was not previously registered"."""
        if callback not in self._loop.callbacks:
            raise OperationFailed("The callback was not registered")
        self._loop.callbacks.remove(callback)

    def eventLoopCallbacks(self) -> Tuple[Callback, ...]:
        return tuple(self._loop.callbacks)

    def postEventCallback(self, callback: Callback) -> None:
        self._loop.posted.append(callback)

    def removePostedEventCallback(self, callback: Callback) -> None:
        self._loop.posted = [one for one in self._loop.posted if one != callback]

    def waitUntil(self, callback: Callable[[], bool]) -> None:
        """ "Houdini will continue to be responsive"."""
        while not callback():
            self._loop.binding.QtCore.QCoreApplication.processEvents()

    def displayMessage(self, text: str, *_: Any, **options: Any) -> int:
        """Houdini stands still until a button is pressed: only with a person who does that."""
        if not self._loop.answers:
            ledger().blame("hou.ui.displayMessage blocks Houdini until somebody answers")
            return 0
        self._loop.asked.append(text)
        answer = self._loop.answers.pop(0)
        if answer is None:
            # Escape, or the window is closed.
            return int(options.get("close_choice", -1))
        return list(options.get("buttons", ("OK",))).index(answer)

    def copyTextToClipboard(self, text: str) -> None:
        self._loop.binding.QtWidgets.QApplication.clipboard().setText(text)

    def setStatusMessage(self, message: str, severity: Any = None) -> None:
        self._loop.status = message

    def paneTabOfType(self, type: Any, index: int = 0) -> Optional[Any]:
        return None


@hom("qt")
class qt:
    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def mainWindow(self) -> Any:
        return self._loop.window
