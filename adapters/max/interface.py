"""All that a 3ds Max with a window has and 3dsmaxbatch has not: Qt's loop, dialogs, the Listener.

Qt's loop is that of 3ds Max: a posted event reaches the main thread also while one of the dialogs
is open, Qt's or Windows' own.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, List, Optional

from ...errors import StartError
from ...host.adapter import Question
from ..qt import OnQuit, Questions, Wake, binding, modal_title
from .dialogs import is_disabled, user32
from .listener import Listener
from .runtime import Runtime

__all__ = ["Interface", "main_window"]


class Interface:
    """Made, asked and closed on the main thread, but for :meth:`wake`."""

    def __init__(self, runtime: Runtime) -> None:
        qt = binding()
        if qt is None:
            raise StartError("PySide is missing in this 3ds Max")
        application = qt.QtCore.QCoreApplication.instance()
        if application is None or application.thread() != qt.QtCore.QThread.currentThread():
            raise StartError("start() must be called on the main thread of 3ds Max")
        self._qt = qt
        self._runtime = runtime
        self._wake = Wake(qt)
        self._questions = Questions(qt, main_window)
        self._quits: List[OnQuit] = []
        self._user32 = user32()
        self._prints = Wake(qt)
        # Last: what raises before it leaves nobody to give the streams back.
        self._listener = Listener(self._prints.wake)

    def wake(self, pump: Callable[[], Any]) -> None:
        """Have the main thread run ``pump`` soon. Any thread, never blocks."""
        self._wake.wake(pump)

    def modal_state(self) -> Optional[str]:
        """Return the title of what keeps the scene from being changed, None if nothing does.

        Qt knows its own dialogs. Those of 3ds Max that are Windows' own are invisible to it, and
        show on Windows only by the main window, which takes no input then: they have no title
        here. A drag that is not finished shows by the undo step that it holds open: a change of
        ours would become part of it, and go if the user cancels it.
        """
        title = modal_title(self._qt)
        if title is not None:
            return title
        rt = self._runtime.rt
        if is_disabled(rt.windows.getMAXHWND(), self._user32):
            return "A dialog of 3ds Max"
        return "A change by hand that is not finished" if rt.theHold.Holding() else None

    def ask(self, question: Question) -> None:
        """Show ``question`` above the main window; nothing waits for it."""
        self._questions.ask(question)

    def on_quit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the application is about to quit."""
        self._quits.append(OnQuit(self._qt, callback))

    def close(self) -> None:
        """Delete what this has made in Qt, and give the streams back. Twice is fine."""
        self._listener.close()
        for quit_ in self._quits:
            quit_.close()
        self._quits = []
        self._questions.close()
        self._wake.close()
        self._prints.close()


def main_window() -> Any:
    """Return the main window as Qt has it, None where this 3ds Max does not hand it out."""
    try:
        return import_module("qtmax").GetQMaxMainWindow()
    except ImportError:
        # Then a question is a window of its own, which may come to lie behind the main one.
        return None
