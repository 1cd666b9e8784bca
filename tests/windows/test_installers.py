"""Installed on Windows while hosts have its files open; user folders that were moved there."""

from __future__ import annotations

import contextlib
import os

import pytest
from dcc_mcp_embed.installers import api, archive, hosts, payload

from dcc_mcp_embed.install_lifecycle import list_deferred
from fakes.trees import picture

HOST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "installed_host.py")
#: What a host has open of a version: nothing of it is a library, so that nothing tells who it is.
FILE = ("dcc_mcp_embed", "host", "adapter.py")


@pytest.fixture
def place(fresh, monkeypatch):
    made = fresh("installed")
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", os.path.join(made, "registry"))
    for name in ("HOME", "MAYA_APP_DIR", "HOUDINI_USER_PREF_DIR"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def newer(place):
    """Return the archive of a version that follows."""
    path = os.path.join(place, "newer.payload")
    with open(path, "wb") as stream:
        archive.pack(payload.own_files(), stream, "99.0")
    return path


def versions(user):
    return sorted(os.listdir(os.path.join(user, "dcc_mcp_embed", "versions")))


def statuses(report):
    (folder,) = report["folders"]
    return {one["status"] for one in folder["operations"]}


def test_an_upgrade_and_an_uninstall_while_files_are_open(place, newer, start):
    user = os.path.join(place, "user \u65e5\u672c", "ENU")
    assert statuses(api.install("3dsmax", target=user)) == {"done"}
    (old,) = versions(user)
    folder = os.path.join(user, "dcc_mcp_embed", "versions", old)
    with start(HOST, user) as host:
        told = host.line()
        assert told["file"] == os.path.join(folder, "dcc_mcp_embed", "__init__.py"), told
        host("opened", os.path.join(folder, *FILE))
        host("entered", folder)
        before = picture(folder)

        # It cannot know that somebody runs it: there is no server, and so no row.
        report = api.install("3dsmax", target=user, archive=newer)
        assert report["success"] and statuses(report) <= {"done", "owed", "kept"}
        assert statuses(report) != {"done"}, "the old version is in use"
        assert report["folders"][0]["current"].startswith("99.0+")
        assert picture(folder) == before, "the one that is used is untouched"

        with start(HOST, user) as other:
            assert "99.0+" in other.line()["file"]
            assert other.close() == 0
        assert picture(folder) == before
        assert host("read") > 0
        assert host.close() == 0
    assert old in versions(user)

    with start(HOST, user) as host:
        told = host.line()
        assert "99.0+" in told["file"] and told["said"] == ""
        (new,) = versions(user)
        assert list_deferred()["entries"] == []

        # The only host there is, and something of ours open in it.
        folder = os.path.join(user, "dcc_mcp_embed", "versions", new)
        host("opened", os.path.join(folder, *FILE))
        before = picture(folder)
        report = host("uninstall", user)
        assert statuses(report) != {"done"}
        assert picture(folder) == before
        # Nobody else would end it.
        assert os.path.isfile(os.path.join(user, "scripts", "startup", "dcc_mcp_embed.ms"))
        assert host.close() == 0

    with start(HOST, user) as host:
        assert "was uninstalled; nothing is left" in host.line()["said"]
        assert host.close() == 0
    assert not os.path.exists(user)
    assert list_deferred()["entries"] == []


@contextlib.contextmanager
def documents_moved_to(folder):
    """Do what OneDrive does, and a person in the properties of the folder."""
    import winreg

    key = r"Software\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders"
    with winreg.CreateKeyEx(winreg.HKEY_CURRENT_USER, key, 0, winreg.KEY_ALL_ACCESS) as opened:
        before, kind = winreg.QueryValueEx(opened, "Personal")
        winreg.SetValueEx(opened, "Personal", 0, winreg.REG_EXPAND_SZ, folder)
        try:
            yield
        finally:
            winreg.SetValueEx(opened, "Personal", 0, kind, before)


@pytest.mark.parametrize(
    ("key", "version", "below"), [("maya", None, "maya"), ("houdini", "21.0", "houdini21.0")]
)
def test_documents_that_were_moved_are_found_where_they_are(place, key, version, below):
    moved = os.path.join(place, "OneDrive - it's \u65e5\u672c", "Documents")
    os.makedirs(moved)
    usual = hosts.documents_folder()
    with documents_moved_to(moved):
        report = api.install(key, version, dry_run=True)
        assert [one["path"] for one in report["folders"]] == [os.path.join(moved, below)]
    assert hosts.documents_folder() == usual != moved


def test_one_of_3ds_max_is_found_in_its_language(place, monkeypatch):
    monkeypatch.setenv("LOCALAPPDATA", place)
    made = os.path.join(place, "Autodesk", "3dsMax", "2025 - 64bit", "JPN")
    os.makedirs(made)
    report = api.install("3dsmax", dry_run=True)
    assert [one["path"] for one in report["folders"]] == [made]
