"""Which user folders of Houdini an install is for: those that Houdini itself would have."""

from __future__ import annotations

import os
import sys

import pytest
from dcc_mcp_embed.installers import api, archive, fronting, hosts, payload

from fakes.houdini_host import starting

HOUDINI = hosts.find("houdini")
VERSIONS = ("20.5", "21.0")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Have a home, Documents elsewhere in it, and two versions of Houdini in what is made there."""
    for name in ("HOUDINI_USER_PREF_DIR", "HSITE", "HOUDINI_PACKAGE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "ours"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setattr(hosts, "documents_folder", lambda: str(tmp_path / "OneDrive" / "Documents"))
    return tmp_path


def make(environ, platform, home):
    """Return the user folders of both versions, made as Houdini makes them."""
    documents = str(home / "OneDrive" / "Documents")
    made = [starting.user_folder(environ, platform, documents, one) for one in VERSIONS]
    for one in made:
        os.makedirs(one, exist_ok=True)
    return made


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("given", ["", "elsewhere/h__HVER__x", "elsewhere/houdini"])
def test_they_are_those_of_houdini(home, platform, given):
    environ = {"HOME": str(home)} if platform != "win32" else {}
    if given:
        environ["HOUDINI_USER_PREF_DIR"] = str(home / given)
    made = make(environ, platform, home)
    (home / "houdini" / "notes").mkdir(parents=True, exist_ok=True)
    assert sorted(hosts.user_folders(HOUDINI, None, environ, platform)) == made
    for version, folder in zip(VERSIONS, made):
        assert hosts.user_folders(HOUDINI, version, environ, platform) == [folder]


def test_what_git_bash_starts_has_another_one_on_windows(home):
    desktop, bash = {}, {"HOME": str(home / "user")}
    apart = [make(desktop, "win32", home), make(bash, "win32", home)]
    assert apart[0] != apart[1]
    assert sorted(hosts.user_folders(HOUDINI, None, bash, "win32")) == sorted(sum(apart, []))
    assert hosts.user_folders(HOUDINI, "21.0", bash, "win32") == [apart[0][1], apart[1][1]]
    assert hosts.others(HOUDINI, apart[1][1], bash, "win32") == [apart[0][1]]
    assert hosts.others(HOUDINI, apart[1][1], bash, "linux") == []
    assert hosts.user_folders(HOUDINI, "21.0", desktop, "win32") == [apart[0][1]]


def test_hython_in_git_bash_installs_for_both(home, monkeypatch):
    environ = {"HOME": str(home / "user")}
    desktop, bash = make({}, "win32", home)[1], make(environ, "win32", home)[1]
    monkeypatch.setitem(fronting._ASK, "houdini", lambda: bash)
    monkeypatch.setattr(
        hosts,
        "others",
        lambda host, user, _, others=hosts.others: others(host, user, environ, "win32"),
    )
    path = str(home / "archive")
    digest = archive.pack(payload.own_files(), path).digest
    said = []
    assert fronting.install("houdini", path, digest, None, said.append)
    for folder in (desktop, bash):
        assert api.verify("houdini", target=folder)["success"]
        assert any("was installed in " + folder in line for line in said)


@pytest.mark.skipif(sys.platform == "win32", reason="asks the real folders")
def test_the_command_line_installs_for_every_version_and_removes_from_one(home):
    old, new = make({"HOME": str(home)}, sys.platform, home)
    assert len(api.install("houdini")["folders"]) == 2
    assert api.uninstall("houdini", version="20.5")["success"]
    assert os.listdir(old) == [] and api.verify("houdini", version="21.0")["success"]
    assert api.uninstall("houdini")["success"]
    assert os.listdir(new) == []
