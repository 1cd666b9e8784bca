"""What our menu shows, asks and copies in Houdini."""

from __future__ import annotations

import xml.etree.ElementTree

import pytest
from dcc_mcp_embed.adapters.houdini import menu
from dcc_mcp_embed.installers import bootstraps, menu_labels

from fakes.houdini_host.install import install

pytestmark = pytest.mark.qt


@pytest.fixture
def host():
    with install() as made:
        yield made


def boxes():
    from fakes import qtloop

    return [
        one
        for one in qtloop.the_application().topLevelWidgets()
        if one.objectName() == menu.NAME and one.isVisible()
    ]


def test_what_is_shown_stops_nobody_and_is_never_marked_up(host):
    menu.show("Status", "<b>as it is</b> & more")
    (box,) = boxes()
    assert (box.windowTitle(), box.text()) == ("Status", "<b>as it is</b> & more")
    assert box.textFormat() == host.loop.binding.QtCore.Qt.PlainText
    assert not box.isModal() and box.parent() is host.hou.qt.mainWindow()
    assert host.loop.asked == []
    box.buttons()[0].click()
    assert boxes() == []


def test_without_qt_houdinis_own_message_shows_it(host, monkeypatch):
    monkeypatch.setattr(menu, "binding", lambda: None)
    host.loop.answers.append("OK")
    menu.show("Status", "All is well")
    assert host.loop.asked == ["All is well"]


@pytest.mark.parametrize(("answer", "said"), [("Yes", True), ("No", False), (None, False)])
def test_only_who_says_yes_has_said_yes(host, answer, said):
    host.loop.answers.append(answer)
    assert menu.ask("Uninstall", "Remove it?") is said
    assert host.loop.asked == ["Remove it?"]


def test_what_is_copied_is_on_the_clipboard(host):
    menu.copy('{"a": 1}')
    assert host.loop.binding.QtWidgets.QApplication.clipboard().text() == '{"a": 1}'


def test_the_file_that_houdini_reads_has_every_entry_once():
    # As SideFX's page on menus has it: mainMenu, menuBar, subMenu, scriptItem with an id each.
    root = xml.etree.ElementTree.fromstring(bootstraps.text("houdini_menu"))
    items = root.findall("menuBar/subMenu/scriptItem")
    assert [one.findtext("label") for one in items] == list(menu_labels.ENTRIES.values())
    assert len({one.get("id") for one in items}) == len(items)
    assert all(one.get("id").startswith("h.") for one in items)
    for one in items:
        compile(one.findtext("scriptCode"), "menu", "exec")
