"""How Houdini shows, asks and copies for our menu, which is itself a file that Houdini reads.

HOM cannot make a menu: Houdini takes those of each package from its ``MainMenuCommon.xml``, and has
them until it ends. Main thread.
"""

from __future__ import annotations

from typing import Any

from ..qt import application, binding

__all__ = ["ask", "copy", "show"]

#: Name of the box, by which a style sheet or a test finds it.
NAME = "dcc_mcp_embed_menu"
_BUTTONS = ("Yes", "No")
_YES, _NO = range(2)


def show(title: str, text: str) -> None:
    """Show a text that can be selected, in a window that stops nobody.

    Houdini's own message waits until somebody presses its button, and calls of clients with it.
    """
    import hou

    qt: Any = binding() if application() is not None else None
    if qt is None:
        hou.ui.displayMessage(text, title=title)
        return
    widgets, core = qt.QtWidgets, qt.QtCore.Qt
    # Houdini's window owns it, whatever becomes of this module.
    box = widgets.QMessageBox(hou.qt.mainWindow())
    box.setObjectName(NAME)
    box.setAttribute(core.WA_DeleteOnClose)
    box.setWindowModality(core.NonModal)
    box.setWindowTitle(title)
    box.setTextFormat(core.PlainText)
    box.setText(text)
    box.setTextInteractionFlags(core.TextSelectableByMouse)
    box.addButton(widgets.QMessageBox.Close)
    box.show()


def ask(title: str, text: str) -> bool:
    """Return whether the person says yes; one that is closed says no. Stops Houdini so long."""
    import hou

    said = hou.ui.displayMessage(
        text, buttons=_BUTTONS, default_choice=_NO, close_choice=_NO, title=title
    )
    return bool(said == _YES)


def copy(text: str) -> None:
    """Put a text on the clipboard."""
    import hou

    hou.ui.copyTextToClipboard(text)
