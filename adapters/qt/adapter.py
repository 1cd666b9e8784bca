"""An adapter for any application with Qt's event loop."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional

from ...errors import StartError, Unsupported
from ...host.adapter import HostAdapter, Question
from .binding import Qt, binding, inherits
from .modal import modal_title
from .no_scene import NoScene
from .questions import Questions
from .quitting import OnQuit
from .wake import Wake

__all__ = ["QtAdapter"]


class QtAdapter(HostAdapter):
    """One running Qt application, with a scene where ``backend`` is one.

    Made on the thread of the application, which has to exist; its loop may begin later. A host
    with undo steps or scene files of its own derives from this one and says so.

    What counts as interactive: a QApplication with widgets, on whatever platform it draws (somebody
    may look at an offscreen one from afar), unless the caller knows that nobody sits there and says
    ``interactive=False``. An application without widgets has nobody to ask. Whether the loop runs
    is not looked at, because it begins after the start; until it does, calls and questions wait.
    """

    dcc_type = "qt"

    def __init__(self, backend: Any = None, interactive: Optional[bool] = None) -> None:
        qt = binding()
        if qt is None:
            raise StartError("There is no PySide6 or PySide2 that can be used in this interpreter")
        application = qt.QtCore.QCoreApplication.instance()
        if application is None:
            raise StartError("There is no Qt application yet; start once it has been made")
        if application.thread() != qt.QtCore.QThread.currentThread():
            raise StartError("start() must be called on the thread of the Qt application")
        self._qt: Qt = qt
        self._main = threading.get_ident()
        self._backend = NoScene() if backend is None else backend
        widgets = qt.QtWidgets is not None and inherits(application, "QApplication")
        self._interactive = widgets and interactive is not False
        self._wake = Wake(qt)
        self._questions = Questions(qt) if self._interactive else None
        self._exits: List[OnQuit] = []

    def version(self) -> str:
        """Return the application's version, that of Qt where it has none."""
        core = self._qt.QtCore
        return str(core.QCoreApplication.applicationVersion()) or str(core.qVersion())

    def is_main_thread(self) -> bool:
        return threading.get_ident() == self._main

    def wake(self, pump: Callable[[], None]) -> None:
        self._wake.wake(pump)

    def is_interactive(self) -> bool:
        return self._interactive

    def modal_state(self) -> Optional[str]:
        return modal_title(self._qt)

    def on_exit(self, callback: Callable[[], None]) -> None:
        self._exits.append(OnQuit(self._qt, callback))

    def ask(self, question: Question) -> None:
        if self._questions is None:
            raise Unsupported(
                "Nobody sits at this application to answer '{}'.".format(question.title),
                hint="Decide it by a setting before the host is started.",
                state="not_started",
            )
        self._questions.ask(question)

    def scene_backend(self) -> Any:
        return self._backend

    def close(self) -> None:
        """Delete what this has made in the application. Twice is fine.

        On another thread nothing is touched: it stays as it is until the process ends.
        """
        if not self.is_main_thread():
            return
        for one in self._exits:
            one.close()
        self._exits = []
        if self._questions is not None:
            self._questions.close()
        self._wake.close()
