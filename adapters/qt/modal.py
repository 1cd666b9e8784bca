"""What keeps the user's hands tied: the modal dialog or the menu that is open."""

from __future__ import annotations

from typing import Optional

from .binding import Qt

__all__ = ["modal_title"]


def modal_title(qt: Qt) -> Optional[str]:
    """Return the title of the modal dialog that is open, "A dialog" where it has none, else None.

    An open menu counts as one: what it is about must not change below it. Main thread.
    """
    if qt.QtWidgets is not None:
        kind = qt.QtWidgets.QApplication
        if not isinstance(kind.instance(), kind):
            return None
        dialog = kind.activeModalWidget()
        if dialog is not None:
            return str(dialog.windowTitle()) or "A dialog"
        popup = kind.activePopupWidget()
        if popup is not None:
            return str(popup.windowTitle()) or "A menu"
    if qt.QtGui is not None and isinstance(
        qt.QtCore.QCoreApplication.instance(), qt.QtGui.QGuiApplication
    ):
        # Of an interface without widgets.
        window = qt.QtGui.QGuiApplication.modalWindow()
        if window is not None:
            return str(window.title()) or "A dialog"
    return None
