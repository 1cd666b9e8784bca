"""Our menu in the main window of a 3ds Max: made, chosen from, taken away."""

from __future__ import annotations

import pytest
from dcc_mcp_embed.adapters.max import menu

from dcc_mcp_embed.errors import Unsupported
from fakes.max_host.stage import MaxbatchStage, MaxStage

pytestmark = pytest.mark.qt


@pytest.fixture
def stage():
    with MaxStage() as playing:
        yield playing


def bar(stage):
    """Return title -> labels, in the order of the bar."""
    window = stage.host.main_window
    return {
        one.text(): [entry.text() for entry in one.menu().actions()]
        for one in window.menuBar().actions()
    }


def choose(stage, label):
    for one in stage.host.main_window.menuBar().actions():
        for entry in one.menu().actions():
            if entry.text() == label:
                entry.trigger()
                return
    raise AssertionError(label)


def dialogs(stage):
    from fakes import qtloop

    qtloop.tidy()
    widgets = qtloop.qt().QtWidgets
    return [
        (one.windowTitle(), one.isModal(), one.findChild(widgets.QPlainTextEdit).toPlainText())
        for one in stage.host.main_window.findChildren(widgets.QDialog)
    ]


def entries(called):
    return [("First", lambda: called.append(1)), ("Second", lambda: called.append(2))]


def test_the_menu_stands_before_help_and_goes_as_a_whole(stage):
    made = menu.Menu("MCP", entries([]))
    assert list(bar(stage).items()) == [("MCP", ["First", "Second"]), ("Help", [])]
    menu.show("Status", "text")
    made.close()
    made.close()
    assert bar(stage) == {"Help": []} and dialogs(stage) == []


def test_a_menu_that_an_older_version_left_is_replaced(stage):
    menu.Menu("Old", entries([]))
    menu.Menu("MCP", entries([])).close()
    menu.Menu("MCP", entries([]))
    assert list(bar(stage)) == ["MCP", "Help"]


def test_a_bar_that_3ds_max_made_anew_is_no_trouble(stage):
    made = menu.Menu("MCP", entries([]))
    window = stage.host.main_window
    # It deletes the one that it had.
    window.setMenuBar(type(window.menuBar())())
    from fakes import qtloop

    qtloop.tidy()
    assert bar(stage) == {}
    made.close()
    menu.Menu("MCP", entries([])).close()


def test_an_entry_runs_when_qt_has_left_the_menu(stage):
    called = []
    made = menu.Menu("MCP", [*entries(called), ("Close", lambda: made.close())])
    choose(stage, "Second")
    assert called == []
    stage.spin()
    assert called == [2]
    choose(stage, "Close")
    stage.spin()
    assert list(bar(stage)) == ["Help"]


def test_what_is_shown_is_one_window_and_stops_nobody(stage):
    menu.show("Status", "first")
    menu.show("Log", "second\nline")
    assert dialogs(stage) == [("Log", False, "second\nline")]
    menu.Menu("MCP", []).close()


@pytest.mark.parametrize(("answer", "said"), [("Yes", True), ("No", False), (None, False)])
def test_whoever_is_asked_says_yes_or_nothing_is_done(stage, answer, said):
    from fakes import qtloop

    widgets = qtloop.qt().QtWidgets

    def press():
        box = next(iter(stage.host.main_window.findChildren(widgets.QMessageBox)))
        buttons = {one.text().replace("&", ""): one for one in box.buttons()}
        getattr(buttons.get(answer), "click", box.close)()

    qtloop.qt().QtCore.QTimer.singleShot(0, press)
    assert menu.ask("Uninstall", "Really?") is said


def test_it_copies(stage):
    from fakes import qtloop

    menu.copy("claude mcp add")
    clipboard = qtloop.qt().QtWidgets.QApplication.clipboard()
    assert clipboard.text() == "claude mcp add"


def test_without_a_window_it_says_so(monkeypatch):
    with MaxbatchStage():
        monkeypatch.setattr(menu, "application", lambda: None)
        with pytest.raises(Unsupported):
            menu.Menu("MCP", entries([]))


def test_without_a_menu_bar_it_says_so(stage, monkeypatch):
    monkeypatch.setattr(stage.host, "main_window", None)
    with pytest.raises(Unsupported):
        menu.Menu("MCP", entries([]))
