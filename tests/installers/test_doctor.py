"""The doctor of installations finds each thing that keeps a host from starting what is there."""

from __future__ import annotations

import os

import pytest
from dcc_mcp_embed.installers import api, cli


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a folder with our files in it, for each of some hosts."""
    place = tmp_path_factory.mktemp("users")
    for host in ("maya", "houdini", "blender"):
        api.install(host, target=str(place / host))
    return place


@pytest.fixture
def user(prepared, tmp_path):
    import shutil

    def copy(host):
        return shutil.copytree(str(prepared / host), str(tmp_path / host))

    return copy


def problems(host, folder):
    return api.doctor(host, target=folder)["folders"][0]["problems"]


@pytest.mark.parametrize("host", ["maya", "houdini"])
def test_a_fresh_installation_has_nothing_wrong(user, host):
    folder = user(host)
    report = api.doctor(host, target=folder)
    assert report["success"], report
    levels = {one["level"] for one in report["folders"][0]["findings"]}
    assert levels == {"ok"}


def append(path, data):
    with open(path, "ab") as stream:
        stream.write(data)


def bom(path):
    with open(path, "rb") as stream:
        content = stream.read()
    with open(path, "wb") as stream:
        stream.write(b"\xef\xbb\xbf" + content)


HARM = {
    "a changed file": (
        "maya",
        "dcc_mcp_embed/boot.py",
        lambda path: append(path, b"#"),
        "was changed",
    ),
    "a missing file": ("maya", "modules/dcc_mcp_embed.mod", os.unlink, "is missing"),
    "no version": ("maya", "dcc_mcp_embed/current.txt", os.unlink, "names no version"),
    "a mark of byte order": ("houdini", "packages/dcc_mcp_embed.json", bom, "byte order"),
    "a copy that Maya reads too": (
        "maya",
        "modules/dcc_mcp_embed.mod.bak",
        lambda path: append(path, b"+ dcc_mcp_embed 1 /x\n"),
        "found too",
    ),
}


@pytest.mark.parametrize("harm", sorted(HARM))
def test_what_is_wrong_is_found_and_repaired(user, harm):
    host, path, do, said = HARM[harm]
    folder = user(host)
    do(os.path.join(folder, *path.split("/")))
    found = problems(host, folder)
    assert any(said in one for one in found), found
    api.repair(host, target=folder)
    left = problems(host, folder)
    assert left == [] or harm.startswith("a copy"), "what is not known to be ours is left alone"


def test_a_variable_that_keeps_maya_from_it_is_named(user, monkeypatch):
    folder = user("maya")
    monkeypatch.setenv("MAYA_SKIP_USERSETUP_PY", "1")
    (one,) = problems("maya", folder)
    assert "MAYA_SKIP_USERSETUP_PY" in one


def test_a_folder_of_scripts_that_blender_takes_in_place_of_the_users_is_named(
    user, monkeypatch, tmp_path
):
    folder = user("blender")
    assert problems("blender", folder) == []
    for harmless in ("", str(tmp_path / "nowhere"), os.path.join(folder, "scripts") + os.sep):
        monkeypatch.setenv("BLENDER_USER_SCRIPTS", harmless)
        assert problems("blender", folder) == [], "Blender takes no notice, or finds ours"
    monkeypatch.setenv("BLENDER_USER_SCRIPTS", str(tmp_path))
    (one,) = [
        one
        for one in api.doctor("blender", target=folder)["folders"][0]["findings"]
        if one["level"] == "problem"
    ]
    assert "BLENDER_USER_SCRIPTS" in one["text"] and os.path.join(folder, "scripts") in one["text"]
    assert "Unset it" in one["advice"]


def test_another_copy_on_the_hosts_path_is_named(user, monkeypatch, tmp_path):
    folder = user("houdini")
    other = tmp_path / "site"
    other.mkdir()
    (other / "dcc_mcp_embed.json").write_text("{}")
    monkeypatch.setenv("HOUDINI_PACKAGE_DIR", str(other))
    (one,) = problems("houdini", folder)
    assert str(other) in one


def test_it_says_so_where_nothing_is_installed(tmp_path, capsys):
    assert cli.main(["doctor", "--host", "maya", "--target", str(tmp_path / "none")]) == 0
    assert "Nothing of ours is installed" in capsys.readouterr().out
