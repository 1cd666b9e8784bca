"""Where the user folders of 3ds Max are, for each version and language that was ever started."""

from __future__ import annotations

import os

import pytest
from dcc_mcp_embed.installers import hosts

from dcc_mcp_embed.errors import ConfigError

MAX = hosts.find("3dsmax")


@pytest.fixture
def environ(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "documents_folder", lambda: str(tmp_path / "Documents"))
    return {"LOCALAPPDATA": str(tmp_path / "Local")}


def folder(environ, *names):
    return os.path.join(environ["LOCALAPPDATA"], "Autodesk", "3dsMax", *names)


def make(environ, *names):
    os.makedirs(folder(environ, *names))
    return folder(environ, *names)


def test_each_language_of_each_version_has_its_own(environ):
    made = [
        make(environ, year + " - 64bit", language)
        for year, language in (("2025", "ENU"), ("2025", "JPN"), ("2024", "DEU"), ("2023", "ENU"))
    ]
    for stranger in (("2025 - 64bit", "temp"), ("2025 - 64bit copy", "ENU"), ("notes",)):
        make(environ, *stranger)
    assert sorted(hosts.user_folders(MAX, None, environ, "win32")) == sorted(made)
    assert hosts.user_folders(MAX, "2025", environ, "win32") == made[:2]
    assert hosts.user_folders(MAX, "2024", environ, "win32") == [made[2]]


def test_of_one_that_was_never_started_it_is_the_english_one(environ):
    assert hosts.user_folders(MAX, None, environ, "win32") == []
    expected = [folder(environ, "2026 - 64bit", "ENU")]
    assert hosts.user_folders(MAX, "2026", environ, "win32") == expected


def test_the_variable_names_the_folder_itself(environ, tmp_path):
    environ["ADSK_3DSMAX_APPDATA_DIR"] = str(tmp_path / "elsewhere")
    assert hosts.user_folders(MAX, None, environ, "win32") == [str(tmp_path / "elsewhere")]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_it_runs_on_windows_only(environ, platform):
    with pytest.raises(ConfigError, match="does not run"):
        hosts.user_folders(MAX, "2025", environ, platform)
