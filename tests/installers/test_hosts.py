"""What ``--version`` takes, and where the user folder of each host is then."""

from __future__ import annotations

import os

import pytest
from dcc_mcp_embed.installers import api, hosts

from dcc_mcp_embed.errors import ConfigError


@pytest.mark.parametrize("key", sorted(hosts.HOSTS))
def test_every_version_that_is_known_is_taken(key, monkeypatch, tmp_path):
    monkeypatch.setattr(hosts, "documents_folder", lambda: str(tmp_path / "Documents"))
    host = hosts.find(key)
    for version in host.pythons:
        (folder,) = hosts.user_folders(host, version, {"LOCALAPPDATA": str(tmp_path)}, "win32")
        assert version in folder or "{version}" not in host.places.win32


@pytest.mark.parametrize("version", ["", "banana", "2025.1", "2025/..", "20.25", " 2025", "25"])
def test_a_version_that_maya_cannot_have_is_refused(version, tmp_path, monkeypatch):
    monkeypatch.setenv("MAYA_APP_DIR", str(tmp_path / "maya"))
    with pytest.raises(ConfigError, match="is no version of Maya .* like 2026 and 2027"):
        api.install("maya", version)
    assert os.listdir(str(tmp_path)) == []
