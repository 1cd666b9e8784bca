"""Our menu in the main window of 3ds Max, and how it shows, asks and copies. Main thread.

Of Qt, which is what the menu bar of 3ds Max is made of, and not by its own means: what ``menuMan``
makes (until 2024) is saved with the user's menus, ``#cuiRegisterMenus`` (from 2025) has passed by
the time start-up scripts run, and both call macros, of which 3ds Max keeps a file for each. This
menu is gone with the window, and leaves nothing. Pipelines (AYON's) put theirs in by the same way.
"""

from __future__ import annotations

from typing import Any, Callable, List, Sequence, Tuple

from ...errors import Unsupported
from ..qt import application, binding
from .interface import main_window

__all__ = ["Menu", "ask", "copy", "show"]

#: What Qt calls what is ours. Of a menu that an older version of ours left nothing stays.
MENU = "dccMcpEmbedMenu"
_SIZE = (620, 320)


class Menu:
    """A menu with these entries: (label, what to call). It comes before the last one: Help."""

    def __init__(self, title: str, entries: Sequence[Tuple[str, Callable[[], Any]]]) -> None:
        self._qt = _qt()
        bar = _bar(self._qt)
        for left in [one for one in bar.actions() if _is_ours(one)]:
            bar.removeAction(left)
        self._bar = bar
        self._menu = self._qt.QtWidgets.QMenu(title, bar)
        self._menu.setObjectName(MENU)
        for label, call in entries:
            self._menu.addAction(label).triggered.connect(_later(self._qt, call))
        others = bar.actions()
        if others:
            bar.insertMenu(others[-1], self._menu)
        else:
            bar.addMenu(self._menu)

    def close(self) -> None:
        """Take it away, and what it has shown. Twice is fine."""
        # 3ds Max may have made its bar anew, and deleted what was in it.
        if self._qt.shiboken.isValid(self._menu):
            if self._qt.shiboken.isValid(self._bar):
                self._bar.removeAction(self._menu.menuAction())
            self._menu.setObjectName("")
            self._menu.deleteLater()
        _close_shown()


def _is_ours(action: Any) -> bool:
    menu = action.menu()
    return menu is not None and bool(menu.objectName() == MENU)


def _later(qt: Any, call: Callable[[], Any]) -> Callable[..., None]:
    """Return what Qt calls for an entry: it may take the menu away, which is in use until then."""
    return lambda *_: qt.QtCore.QTimer.singleShot(0, call)


def _qt() -> Any:
    qt = binding()
    if qt is None or application() is None:
        raise Unsupported("This 3ds Max has no window.", hint="Start 3dsmax, not 3dsmaxbatch.")
    return qt


def _bar(qt: Any) -> Any:
    window = main_window()
    bars = [] if window is None else window.findChildren(qt.QtWidgets.QMenuBar)
    if not bars:
        raise Unsupported("The main window has no menu bar.", hint="Use the command line instead.")
    return bars[0]


#: The text that is shown.
_SHOWN: List[Any] = []


def show(title: str, text: str) -> None:
    """Show a text that can be selected, in a window that stops nobody."""
    qt = _qt()
    _close_shown()
    window = qt.QtWidgets.QDialog(main_window())
    window.setWindowTitle(title)
    window.resize(*_SIZE)
    field = qt.QtWidgets.QPlainTextEdit(text, window)
    field.setReadOnly(True)
    qt.QtWidgets.QVBoxLayout(window).addWidget(field)
    _SHOWN.append(window)
    window.show()


def _close_shown() -> None:
    while _SHOWN:
        window = _SHOWN.pop()
        if _qt().shiboken.isValid(window):
            window.close()
            window.deleteLater()


def ask(title: str, text: str) -> bool:
    """Return whether the person says yes; closing it says no. Stops 3ds Max so long."""
    box = _qt().QtWidgets.QMessageBox
    said = box.question(main_window(), title, text, box.Yes | box.No, box.No)
    return bool(said == box.Yes)


def copy(text: str) -> None:
    """Put a text on the clipboard."""
    _qt().QtWidgets.QApplication.clipboard().setText(text)
