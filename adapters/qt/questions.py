"""Ask the person at a Qt host without stopping anything: a message box that is not modal."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from ...host.adapter import Question
from .binding import Qt, is_valid

__all__ = ["Questions"]

#: How long after it has come up a box takes no click, milliseconds: one that was meant for what is
#: now below it must not consent to anything.
SETTLE = 500
#: Name of each box, by which a style sheet or a test finds them.
NAME = "dcc_mcp_question"


class Questions:
    """The open questions of one application. Main thread."""

    def __init__(self, qt: Qt, parent: Optional[Callable[[], Any]] = None) -> None:
        """``parent()`` returns the window that boxes are to stay above; None: above all."""
        self._qt = qt
        self._parent = parent
        self._open: List[Any] = []

    def ask(self, question: Question) -> None:
        """Show ``question``. A box that is closed without an answer leaves it unanswered."""
        widgets, core = self._qt.QtWidgets, self._qt.QtCore
        above = self._parent() if self._parent is not None else None
        box = widgets.QMessageBox(above)
        box.setObjectName(NAME)
        box.setWindowModality(core.Qt.NonModal)
        if above is None:
            # It does not come up active, and would be below the window that is.
            box.setWindowFlags(box.windowFlags() | core.Qt.WindowStaysOnTopHint)
        # It neither takes the keys that the user types elsewhere nor understands them as an answer.
        box.setAttribute(core.Qt.WA_ShowWithoutActivating)
        box.setIcon(widgets.QMessageBox.Question)
        box.setWindowTitle(question.title)
        # What an agent says is never marked up.
        box.setTextFormat(core.Qt.PlainText)
        box.setText(question.text)
        buttons = [
            (box.addButton(label, widgets.QMessageBox.ActionRole), choice)
            for choice, label in question.choices
        ]
        later = box.addButton("Decide later", widgets.QMessageBox.RejectRole)
        box.setDefaultButton(later)
        for button, choice in buttons:
            button.setObjectName(choice)
            button.setEnabled(False)
        self._open.append(box)

        def ready() -> None:
            for button, _ in buttons:
                if is_valid(self._qt, button):
                    button.setEnabled(True)

        def finished(*_: Any) -> None:
            choice = _choice(box.clickedButton(), buttons)
            if box not in self._open:
                return
            self._open.remove(box)
            box.deleteLater()
            if choice is not None:
                question.answer(choice)

        box.finished.connect(finished)
        core.QTimer.singleShot(SETTLE, ready)
        box.show()

    def close(self) -> None:
        """Take all boxes away; their questions stay unanswered. Twice is fine."""
        boxes, self._open = self._open, []
        for box in boxes:
            if not is_valid(self._qt, box):
                continue
            box.hide()
            if self._qt.shiboken is not None:
                # The loop in which Qt deletes what is to be deleted later may have ended.
                self._qt.shiboken.delete(box)
            else:
                box.deleteLater()


def _choice(clicked: Any, buttons: List[Tuple[Any, str]]) -> Optional[str]:
    for button, choice in buttons:
        if button is clicked:
            return choice
    return None
