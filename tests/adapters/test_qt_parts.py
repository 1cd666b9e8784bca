"""What a host with Qt shows: its modal dialogs, our questions, its end."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from dcc_mcp_embed.host.adapter import Question

pytestmark = pytest.mark.qt

CHOICES = (("once", "This time"), ("never", "Never"))


@pytest.fixture
def loop():
    from fakes import qtloop

    yield qtloop
    qtloop.tidy()


@pytest.fixture
def questions(loop, monkeypatch):
    from dcc_mcp_embed.adapters.qt import Questions
    from dcc_mcp_embed.adapters.qt import questions as module

    monkeypatch.setattr(module, "SETTLE", 50)
    made = Questions(loop.qt())
    yield made
    made.close()
    assert loop.open_questions() == []


@pytest.fixture
def title(loop):
    """Return what gives the title of the modal dialog on the main thread."""
    from dcc_mcp_embed.adapters.qt import modal_title

    return lambda: loop.on_main(lambda: modal_title(loop.qt()))


def test_the_title_of_the_modal_dialog_is_known_while_it_is_open(loop, title) -> None:
    def body() -> None:
        assert title() is None
        loop.open_modal("Save changes?")
        assert title() == "Save changes?"
        loop.open_modal("")
        assert title() == "A dialog"
        loop.close_modal()
        assert title() == "Save changes?"
        loop.close_modal()
        assert title() is None

    loop.run(body)


def test_a_window_that_is_not_modal_is_none(loop, title) -> None:
    def body() -> None:
        window = loop.on_main(lambda: _shown(loop.qt().QtWidgets.QDialog()))
        assert title() is None
        loop.on_main(window.close)

    loop.run(body)


def test_an_open_menu_counts(loop, title) -> None:
    def body() -> None:
        menu = loop.on_main(lambda: _menu(loop.qt()))
        assert title() == "A menu"
        loop.on_main(menu.close)
        assert title() is None

    loop.run(body)


def test_a_modal_window_without_widgets_counts(loop, title) -> None:
    def show():
        qt = loop.qt()
        window = qt.QtGui.QWindow()
        window.setTitle("Licence")
        window.setModality(qt.QtCore.Qt.ApplicationModal)
        return _shown(window)

    def body() -> None:
        window = loop.on_main(show)
        assert title() == "Licence"
        loop.on_main(window.close)
        assert title() is None
        loop.on_main(window.destroy)

    loop.run(body)


def _shown(window):
    window.show()
    return window


def _menu(qt):
    menu = qt.QtWidgets.QMenu()
    menu.addAction("One")
    menu.popup(qt.QtCore.QPoint(0, 0))
    return menu


def ask(questions, answers, text="It wants to."):
    questions.ask(Question("Run code?", text, CHOICES, answers.append))


def test_a_question_is_answered_by_its_button_and_is_not_modal(loop, questions, title) -> None:
    answers = []

    def body() -> None:
        loop.on_main(lambda: ask(questions, answers))
        (box,) = loop.on_main(loop.open_questions)
        assert title() is None
        assert loop.on_main(box.windowTitle) == "Run code?"
        loop.press("once")
        assert loop.on_main(loop.open_questions) == []

    loop.run(body)
    assert answers == ["once"]


def test_a_question_asks_for_no_keys_from_where_the_user_types(loop, questions) -> None:
    """The offscreen platform activates every window that it shows; real ones heed this."""
    ask(questions, [])
    (box,) = loop.open_questions()
    assert box.windowFlags() & loop.qt().QtCore.Qt.WindowStaysOnTopHint
    assert box.testAttribute(loop.qt().QtCore.Qt.WA_ShowWithoutActivating)


def test_two_questions_are_open_at_once_and_each_has_its_answer(loop, questions) -> None:
    first, second = [], []

    def body() -> None:
        loop.on_main(lambda: ask(questions, first))
        loop.on_main(lambda: ask(questions, second))
        assert len(loop.on_main(loop.open_questions)) == 2
        loop.press("never")
        loop.press("never")

    loop.run(body)
    assert (first, second) == (["never"], ["never"])


def test_a_box_that_has_just_come_up_takes_no_click(loop, questions) -> None:
    answers = []

    def body() -> None:
        def at_once() -> None:
            ask(questions, answers)
            (box,) = loop.open_questions()
            for button in box.buttons():
                if button.objectName():
                    button.click()

        loop.on_main(at_once)
        loop.press("once")

    loop.run(body)
    assert answers == ["once"]


def test_no_key_consents(loop, questions) -> None:
    """Not even when what the user types reaches the box, or the button in it that has the keys."""
    answers, boxes = [], []
    qt = loop.qt()
    core = qt.QtCore
    keys = [core.Qt.Key_Return, core.Qt.Key_Enter, core.Qt.Key_Escape, core.Qt.Key_Space]

    def type_it(key, target) -> None:
        for kind in (core.QEvent.KeyPress, core.QEvent.KeyRelease):
            event = qt.QtGui.QKeyEvent(kind, key, core.Qt.NoModifier)
            core.QCoreApplication.sendEvent(target, event)

    def body() -> None:
        for _ in range(2 * len(keys)):
            loop.on_main(lambda: ask(questions, answers))
            boxes.extend(box for box in loop.on_main(loop.open_questions) if box not in boxes)
        assert len(boxes) == 2 * len(keys)
        for box in boxes:
            settled(loop, box)
            assert loop.on_main(box.defaultButton).text() == "Decide later"
        for key in keys:
            box, other = boxes.pop(), boxes.pop()
            loop.on_main(lambda box=box, key=key: type_it(key, box))
            loop.on_main(lambda other=other, key=key: type_it(key, other.focusWidget()))

    loop.run(body)
    assert answers == []


def settled(loop, box) -> None:
    """Wait until a box takes clicks."""
    while not loop.on_main(lambda: all(button.isEnabled() for button in box.buttons())):
        threading.Event().wait(0.01)


@pytest.mark.parametrize("how", ["close", "reject"])
def test_a_box_that_is_closed_leaves_its_question_unanswered(loop, questions, how) -> None:
    answers = []

    def body() -> None:
        loop.on_main(lambda: ask(questions, answers))
        (box,) = loop.on_main(loop.open_questions)
        loop.on_main(lambda: (getattr(box, how)(), None)[1])
        assert loop.on_main(loop.open_questions) == []

    loop.run(body)
    assert answers == []


def test_what_is_asked_is_shown_as_it_is(loop, questions) -> None:
    def body() -> None:
        loop.on_main(lambda: ask(questions, [], "<b>bold</b> &amp; <img src='file:///x'>"))
        (box,) = loop.on_main(loop.open_questions)
        plain = loop.qt().QtCore.Qt.PlainText
        assert loop.on_main(lambda: (box.textFormat() == plain, box.text())) == (
            True,
            "<b>bold</b> &amp; <img src='file:///x'>",
        )

    loop.run(body)


def test_closing_takes_open_boxes_away_unanswered_also_where_no_loop_runs(loop, questions) -> None:
    answers = []
    ask(questions, answers)
    (box,) = loop.open_questions()
    questions.close()
    questions.close()
    assert not loop.qt().shiboken.isValid(box)
    assert answers == []


def test_an_answer_may_close_everything(loop, questions) -> None:
    answers = []

    def answer(choice: str) -> None:
        answers.append(choice)
        questions.close()

    def body() -> None:
        loop.on_main(lambda: questions.ask(Question("Run?", "It.", CHOICES, answer)))
        loop.press("once")

    loop.run(body)
    assert answers == ["once"]


def test_a_box_stays_above_the_window_that_it_is_given_and_goes_with_it(loop) -> None:
    from dcc_mcp_embed.adapters.qt import Questions

    window = _shown(loop.qt().QtWidgets.QWidget())
    above = Questions(loop.qt(), lambda: window)
    ask(above, [])
    (box,) = loop.open_questions()
    assert box.parent() is window
    on_top = loop.qt().QtCore.Qt.WindowStaysOnTopHint
    assert not box.windowFlags() & on_top
    loop.qt().shiboken.delete(window)
    assert not loop.qt().shiboken.isValid(box)
    above.close()


def test_the_end_of_the_application_is_told_once(loop) -> None:
    from dcc_mcp_embed.adapters.qt import OnQuit

    told = []
    ends = OnQuit(loop.qt(), lambda: told.append(threading.current_thread()))
    taken_back = OnQuit(loop.qt(), lambda: told.append("no"))
    taken_back.close()
    taken_back.close()
    loop.run(lambda: None)
    assert told == []
    loop.run(loop.quit_application)
    assert told == [threading.main_thread()]
    loop.run(loop.quit_application)
    assert len(told) == 1
    ends.close()


def test_taken_back_nothing_of_it_stays_in_the_application(loop) -> None:
    from dcc_mcp_embed.adapters.qt import OnQuit

    ends = OnQuit(loop.qt(), lambda: None)
    there = weakref.ref(ends)
    ends.close()
    del ends
    gc.collect()
    assert there() is None


def test_told_of_the_end_one_may_take_it_back(loop) -> None:
    from dcc_mcp_embed.adapters.qt import OnQuit

    told = []

    def quitting() -> None:
        told.append("end")
        ends.close()

    ends = OnQuit(loop.qt(), quitting)
    loop.run(loop.quit_application)
    loop.run(loop.quit_application)
    assert told == ["end"]
