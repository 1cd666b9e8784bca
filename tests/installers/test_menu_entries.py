"""What the entries of the menu do, over a server that runs."""

from __future__ import annotations

import io
import json
import sys
import types

import pytest
from dcc_mcp_embed.installers import menu_entries, menu_labels

import dcc_mcp_embed
from dcc_mcp_embed.embed.place import PLACE


class Services:
    """A host whose person says yes or no."""

    def __init__(self, answer=False):
        self.answer = answer
        self.shown, self.copied, self.asked = [], [], []

    def show(self, title, text):
        self.shown.append((title, text))

    def copy(self, text):
        self.copied.append(text)

    def ask(self, title, text):
        self.asked.append(text)
        return self.answer


@pytest.fixture
def services():
    return Services()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    with dcc_mcp_embed.start(adapter="standalone", port=0) as running:
        running.wait_registered(30.0)
        yield running


def run(key, services):
    return menu_entries.run(key, "maya", services)


def test_every_entry_can_be_chosen_where_nothing_runs(services):
    for key in menu_labels.ENTRIES:
        if key != "switch":
            run(key, services)
    assert len(services.shown) == len(menu_labels.ENTRIES) - 1
    assert "No server runs in this host." in services.shown[0][1]
    assert services.copied == []


def test_status_has_the_address_and_the_clients_and_no_token(server, services):
    assert run("status", services)
    ((_, text),) = services.shown
    assert server.plain_url in text and "0 connections, 0 sessions" in text
    assert dcc_mcp_embed.__version__ in text
    assert server.token not in text


def test_what_is_copied_is_a_clients_file_with_this_server_and_its_token(server, services):
    assert run("copy", services)
    (entry,) = json.loads(services.copied[0])["mcpServers"].values()
    assert entry["url"] == server.plain_url
    assert entry["headers"] == {"Authorization": "Bearer " + server.token}
    assert server.token not in services.shown[0][1], "it is not shown"


def test_the_log_is_shown_newest_last(server, services):
    server.logbook.warning("test", "first")
    server.logbook.error("test", "second")
    assert run("log", services)
    text = services.shown[0][1]
    assert "listening on" in text
    assert text.index("test: first") < text.index("error   test: second")


def test_a_running_server_is_stopped_and_a_stopped_one_cannot_be_asked(server, services):
    assert run("switch", services)
    assert PLACE.server is None
    assert not run("log", services)
    assert "No server runs" in services.shown[-1][1]


def test_what_fails_is_shown_and_not_raised(services, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_PORT", "none")
    assert not run("switch", services)
    assert PLACE.server is None and "DCC_MCP_EMBED_PORT" in services.shown[0][1]


class Shut(Services):
    """A host whose window is gone, or that refuses a box."""

    def show(self, title, text):
        raise RuntimeError("there is no window")


def test_a_host_that_cannot_show_what_failed_has_it_on_its_console(capsys, monkeypatch):
    assert not run("log", Shut())
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("dcc_mcp_embed: ")
    assert "No server runs in this host." in said and "there is no window" in said
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        assert not run("log", Shut())


def test_a_copy_that_no_installer_put_here_is_not_removed(server, services):
    services.answer = True
    assert not run("uninstall", services)
    assert "not put here by its installer" in services.shown[0][1]
    assert services.asked == [] and PLACE.server is server


def test_one_menu_is_put_up_however_often_and_taken_down_once(monkeypatch):
    closed, made = [], []

    class Menu:
        def __init__(self, title, entries):
            self.labels = [label for label, _ in entries]
            made.append(self)

        def close(self):
            closed.append(self)

    module = types.ModuleType("some_host_menu")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    menu_entries.put_up("maya", module.__name__)
    assert not made, "a host whose menus are files has none to be made"
    module.Menu = Menu
    menu_entries.put_up("maya", module.__name__)
    menu_entries.put_up("maya", module.__name__)
    menu_entries.take_down("maya")
    menu_entries.take_down("maya")
    assert len(made) == 1 and closed == made
    assert made[0].labels == list(menu_labels.ENTRIES.values())
