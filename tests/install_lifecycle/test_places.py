"""Where installers look for the registry: where the servers of this user have theirs."""

from __future__ import annotations

import os
import sys

import pytest

from dcc_mcp_embed.install_lifecycle import default_registry_dir, places
from dcc_mcp_embed.registry.place import choose
from dcc_mcp_embed.transport_errors import RegistryFile

SHARED = "dcc-mcp-registry"


def same_choice(given, environ):
    """Ask both; return what they agree on: (directory, whether believed, remarks)."""
    directory, trusted, remarks = places.locate(given, environ, sys.platform)
    if trusted:
        place = choose(given, environ, sys.platform, make=False)
        assert directory == place.directory
        assert remarks == list(place.remarks)
    else:
        with pytest.raises(RegistryFile) as caught:
            choose(given, environ, sys.platform, make=False)
        assert all(remark in str(caught.value) for remark in remarks)
    return directory, trusted, remarks


@pytest.fixture
def environ(tmp_path):
    os.chmod(str(tmp_path), 0o700)
    return {"TMPDIR": str(tmp_path), "DCC_MCP_EMBED_HOME": str(tmp_path / "home")}


def test_the_usual_place_need_not_exist(environ, tmp_path):
    assert same_choice(None, environ) == (str(tmp_path / SHARED), True, [])
    assert os.listdir(str(tmp_path)) == []


def test_whoever_names_one_is_obeyed(environ, tmp_path):
    environ["DCC_MCP_REGISTRY_DIR"] = str(tmp_path / "named")
    assert same_choice(None, environ) == (str(tmp_path / "named"), True, [])
    assert same_choice("", environ)[0] == str(tmp_path / "named")
    assert same_choice(str(tmp_path / "given"), environ)[0] == str(tmp_path / "given")
    assert same_choice(os.path.join("~", "x"), environ)[0] == os.path.expanduser("~/x")


def test_blanks_name_none(environ, tmp_path):
    """``set X= `` of a batch file."""
    environ["DCC_MCP_REGISTRY_DIR"] = "  "
    for blank in (None, "", " \t"):
        assert places.locate(blank, environ, sys.platform)[0] == str(tmp_path / SHARED)
    environ["DCC_MCP_REGISTRY_DIR"] = str(tmp_path / "named")
    assert places.locate(" ", environ, sys.platform)[0] == str(tmp_path / "named")
    # But they may be part of a name.
    given = str(tmp_path / "with blank ")
    assert places.locate(given, environ, sys.platform)[0] == given


def test_a_path_may_be_given_in_any_form(environ, tmp_path):
    for given in (tmp_path, os.fsencode(str(tmp_path))):
        assert places.locate(given, environ, sys.platform)[0] == str(tmp_path)


@pytest.mark.parametrize("name", ["~\0x", "~\ud800", "a\0b", "~\ud800\0/x"])
def test_a_name_that_no_system_has_is_no_reason_to_raise(environ, name):
    for given in ((name, environ), (None, dict(environ, DCC_MCP_REGISTRY_DIR=name))):
        directory, trusted, _remarks = places.locate(*given, sys.platform)
        assert trusted
        assert directory.endswith(name)


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_working_directory_that_is_gone_is_no_reason_to_raise(environ, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(str(tmp_path / "gone"))
    (tmp_path / "gone").rmdir()
    assert places.locate("relative", environ, sys.platform)[0] == "relative"
    environ.update(TMPDIR=".", DCC_MCP_EMBED_HOME="relative")
    assert places.locate(None, environ, sys.platform)[0].endswith(SHARED)


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_parent_that_nobody_can_look_at_is_told(environ, tmp_path, monkeypatch):
    (tmp_path / SHARED).mkdir(mode=0o700)
    real = os.stat

    def refuse(path, *rest, **more):
        if path == str(tmp_path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "stat", refuse)
    _directory, _trusted, remarks = places.locate(None, environ, sys.platform)
    assert "cannot be used" in remarks[0]


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_who_names_one_that_others_can_write_is_told(environ, tmp_path):
    (tmp_path / "open").mkdir()
    os.chmod(str(tmp_path / "open"), 0o777)
    os.symlink(str(tmp_path / "open"), str(tmp_path / "link"))
    for name in ("open", "link"):
        _, trusted, remarks = same_choice(str(tmp_path / name), environ)
        assert trusted
        assert "can be written by others" in remarks[0]


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_usual_place_that_is_not_ours_alone_is_passed_over(environ, tmp_path):
    user = "{}-{}".format(SHARED, os.getuid())
    (tmp_path / SHARED).write_text("a file")
    assert same_choice(None, environ)[0] == str(tmp_path / user)
    os.symlink(str(tmp_path), str(tmp_path / user))
    directory, trusted, remarks = same_choice(None, environ)
    assert (directory, trusted) == (str(tmp_path / "home" / "registry"), True)
    assert len(remarks) == 2
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "registry").mkdir()
    os.chmod(str(tmp_path / "home" / "registry"), 0o777)
    directory, trusted, remarks = same_choice(None, environ)
    assert (directory, trusted) == (str(tmp_path / SHARED), False)
    assert len(remarks) == 3


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_who_is_about_to_write_takes_the_usual_place_as_a_server_does(environ, tmp_path):
    """Made by another program, with a umask as many studios have it."""
    usual = tmp_path / SHARED
    places.tighten(None, environ, sys.platform)
    assert not usual.exists()
    usual.mkdir()
    os.chmod(str(usual), 0o775)
    for given in ((str(usual), environ), (None, dict(environ, DCC_MCP_REGISTRY_DIR=str(usual)))):
        places.tighten(*given, sys.platform)
        assert usual.stat().st_mode & 0o777 == 0o775, "whoever names one is obeyed"
    assert same_choice(None, environ)[0] != str(usual)
    places.tighten(None, environ, sys.platform)
    assert usual.stat().st_mode & 0o777 == 0o700
    assert same_choice(None, environ) == (str(usual), True, [])
    assert choose(None, environ, sys.platform).directory == str(usual)


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_only_what_is_ours_is_tightened(environ, tmp_path, monkeypatch):
    (tmp_path / "target").mkdir()
    os.chmod(str(tmp_path / "target"), 0o775)
    os.symlink(str(tmp_path / "target"), str(tmp_path / SHARED))
    places.tighten(None, environ, sys.platform)
    (tmp_path / SHARED).unlink()
    (tmp_path / "target").rename(tmp_path / SHARED)
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    places.tighten(None, environ, sys.platform)
    assert (tmp_path / SHARED).stat().st_mode & 0o777 == 0o775


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_usual_place_of_somebody_else_is_passed_over(environ, tmp_path, monkeypatch):
    (tmp_path / SHARED).mkdir(mode=0o700)
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    directory, trusted, remarks = same_choice(None, environ)
    assert (directory, trusted) == (str(tmp_path / "{}-{}".format(SHARED, stranger)), True)
    assert "belongs to somebody else" in remarks[0]


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_place_that_others_can_exchange_is_passed_over(environ, tmp_path):
    (tmp_path / SHARED).mkdir(mode=0o700)
    assert same_choice(None, environ)[0] == str(tmp_path / SHARED)
    os.chmod(str(tmp_path), 0o777)
    assert "exchanged" in same_choice(None, environ)[2][0]
    os.chmod(str(tmp_path), 0o1777)
    assert same_choice(None, environ) == (str(tmp_path / SHARED), True, [])


@pytest.mark.parametrize(
    ("platform", "environ", "wanted"),
    [
        ("linux", {}, "/tmp"),
        ("linux", {"TMPDIR": "/scratch", "TMP": "/other", "TEMP": "/other"}, "/scratch"),
        ("win32", {"TMP": "C:\\a", "TEMP": "C:\\b", "TMPDIR": "C:\\c"}, "C:\\a"),
        ("win32", {"TEMP": "C:\\b", "USERPROFILE": "C:\\d"}, "C:\\b"),
        ("win32", {"USERPROFILE": "C:\\d", "SystemRoot": "C:\\W"}, "C:\\d"),
        ("win32", {"SystemRoot": "C:\\W"}, "C:\\W"),
        ("win32", {}, "C:\\Windows"),
        ("darwin", {"TMPDIR": "/var/folders/x"}, "/var/folders/x"),
    ],
)
def test_the_directory_for_temporary_files_is_that_of_programs_in_rust(platform, environ, wanted):
    from dcc_mcp_embed.config import temp_dir

    assert places.temporary_directory(environ, platform) == wanted == temp_dir(environ, platform)


def test_the_default_is_that_of_this_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path))
    assert default_registry_dir() == str(tmp_path)
