"""Maya's main window as a widget of Qt."""

from __future__ import annotations

from typing import Any

__all__ = ["main_window"]


def main_window(qt: Any) -> Any:
    """Return the widget of Maya's main window, None where there is none. Main thread."""
    if qt is None or qt.QtWidgets is None:
        return None
    # The second version of the API has no MQtUtil.
    from maya import OpenMayaUI

    pointer = OpenMayaUI.MQtUtil.mainWindow()
    return None if pointer is None else qt.shiboken.wrapInstance(int(pointer), qt.QtWidgets.QWidget)
