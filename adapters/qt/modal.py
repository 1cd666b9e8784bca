"""What keeps the user's hands tied: the modal dialog or the menu that is open."""

from __future__ import annotations

from typing import Optional

from .binding import Qt, inherits

__all__ = ["modal_title"]


def modal_title(qt: Qt) -> Optional[str]:
    """Return the title of the modal dialog that is open, "A dialog" where it has none, else None.

    An open menu counts as one: what it is about must not change below it. Main thread.
    """
    application = qt.QtCore.QCoreApplication.instance()
    if qt.QtWidgets is not None and inherits(application, "QApplication"):
        kind = qt.QtWidgets.QApplication
        dialog = kind.activeModalWidget()
        if dialog is not None:
            return str(dialog.windowTitle()) or "A dialog"
        popup = kind.activePopupWidget()
        if popup is not None:
            return str(popup.windowTitle()) or "A menu"
    if qt.QtGui is not None and inherits(application, "QGuiApplication"):
        # Of an interface without widgets.
        window = qt.QtGui.QGuiApplication.modalWindow()
        if window is not None:
            return str(window.title()) or "A dialog"
    return None
