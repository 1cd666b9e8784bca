"""Our menu in a Maya that has a menu bar: made, chosen from, taken away."""

from __future__ import annotations

import pytest
from dcc_mcp_embed.adapters.maya import menu

from dcc_mcp_embed.errors import Unsupported
from fakes.maya_host import cmds_interface
from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install

pytestmark = pytest.mark.qt


@pytest.fixture
def host():
    host = MayaHost(batch=False)
    with install(host):
        yield host
    host.check()


def entries(called):
    return [("First", lambda: called.append(1)), ("Second", lambda: called.append(2))]


def test_the_menu_stands_in_the_main_window_and_goes_as_a_whole(host):
    made = menu.Menu("MCP", entries([]))
    assert cmds_interface.labels(host) == {"MCP": ["First", "Second"]}
    assert all(name.startswith("MayaWindow|") for name in host.controls)
    menu.show("Status", "text")
    made.close()
    made.close()
    assert host.controls == {}


def test_a_menu_that_an_older_version_left_is_replaced(host):
    menu.Menu("Old", entries([]))
    menu.Menu("MCP", entries([]))
    assert list(cmds_interface.labels(host)) == ["MCP"]


def test_an_entry_runs_when_maya_has_left_the_menu(host):
    called = []
    made = menu.Menu("MCP", [*entries(called), ("Close", lambda: made.close())])
    cmds_interface.choose(host, "Second")
    assert called == []
    host.idle.process()
    assert called == [2]
    cmds_interface.choose(host, "Close")
    host.idle.process()
    assert host.controls == {}


def test_what_is_shown_is_one_window_and_stops_nobody(host):
    menu.show("Status", "first")
    menu.show("Log", "second\nline")
    assert cmds_interface.shown(host) == ["second\nline"]
    assert host.asked == []


@pytest.mark.parametrize(("answer", "said"), [("Yes", True), ("No", False), ("", False)])
def test_only_who_says_yes_has_said_yes(host, answer, said):
    host.answers.append(answer)
    assert menu.ask("Uninstall", "Remove it?") is said
    assert host.asked == [("Uninstall", "Remove it?")]


def test_the_clipboard_is_qts(host):
    from fakes import qtloop

    qtloop.the_application()
    menu.copy('{"a": 1}')
    assert qtloop.qt().QtWidgets.QApplication.clipboard().text() == '{"a": 1}'


def test_without_qt_it_is_said_what_else_there_is(host, monkeypatch):
    monkeypatch.setattr(menu, "binding", lambda: None)
    with pytest.raises(Unsupported) as caught:
        menu.copy("text")
    assert "config --http --dcc maya" in caught.value.hint
