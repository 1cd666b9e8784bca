"""Our menu in Maya's main window, of Maya's own commands, and how Maya shows, asks and copies.

Main thread. Maya's window owns the menu: when Maya ends it goes with it.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence, Tuple

from ...errors import Unsupported
from ..qt import application, binding
from .session import cmds

__all__ = ["Menu", "ask", "copy", "show"]

#: What Maya calls what is ours. Of a menu that an older version of ours left nothing stays.
MENU = "dccMcpEmbedMenu"
WINDOW = "dccMcpEmbedWindow"
#: Assigned, because MEL gives no value for a mere name. Maya's own scripts set it.
MAIN_WINDOW = "$dccMcpEmbedMain = $gMainWindow"
_SIZE = (620, 320)
_YES, _NO = "Yes", "No"


class Menu:
    """A menu with these entries: (label, what to call)."""

    def __init__(self, title: str, entries: Sequence[Tuple[str, Callable[[], Any]]]) -> None:
        import maya.mel
        import maya.utils

        _delete(MENU)
        self._name = cmds().menu(
            MENU, label=title, parent=str(maya.mel.eval(MAIN_WINDOW)), tearOff=False
        )
        defer = maya.utils.executeDeferred
        for label, call in entries:
            cmds().menuItem(label=label, parent=self._name, command=_later(defer, call))

    def close(self) -> None:
        """Take it away. Twice is fine."""
        _delete(self._name)
        _delete(WINDOW)


def _later(defer: Callable[..., None], call: Callable[[], Any]) -> Callable[..., None]:
    """Return what Maya calls for an entry: it may take the menu away, which is in use until then.

    Maya passes the state of the item, also where it has none.
    """
    return lambda *_: defer(call)


def _delete(name: str) -> None:
    commands = cmds()
    if commands.menu(name, exists=True) or commands.window(name, exists=True):
        commands.deleteUI(name)


def show(title: str, text: str) -> None:
    """Show a text that can be selected, in a window that stops nobody."""
    commands = cmds()
    _delete(WINDOW)
    window = commands.window(WINDOW, title=title, widthHeight=_SIZE)
    form = commands.formLayout(parent=window)
    field = commands.scrollField(parent=form, text=text, editable=False, wordWrap=True)
    edges = [(field, edge, 8) for edge in ("top", "bottom", "left", "right")]
    commands.formLayout(form, edit=True, attachForm=edges)
    commands.showWindow(window)


def ask(title: str, text: str) -> bool:
    """Return whether the person says yes; a window that is closed says no. Stops Maya so long."""
    said = cmds().confirmDialog(
        title=title,
        message=text,
        button=[_YES, _NO],
        defaultButton=_NO,
        cancelButton=_NO,
        dismissString=_NO,
    )
    return bool(said == _YES)


def copy(text: str) -> None:
    """Put a text on the clipboard. Raises Unsupported where Maya has no binding of Qt."""
    qt = binding()
    if qt is None or application() is None:
        raise Unsupported(
            "This Maya has no PySide, through which the clipboard is reached.",
            hint="Print it instead: python3 -m dcc_mcp_embed config --http --dcc maya CLIENT",
        )
    qt.QtWidgets.QApplication.clipboard().setText(text)
