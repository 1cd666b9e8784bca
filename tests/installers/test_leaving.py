"""The last start of a root that was uninstalled while something held a version."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from dcc_mcp_embed.installers import api, hosts
from dcc_mcp_embed.installers.acting import Installation

from dcc_mcp_embed import install_lifecycle as lifecycle
from fakes.trees import picture

BOOT = "import runpy, sys; runpy.run_path(sys.argv[1])['boot'](sys.argv[2])"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    return tmp_path


def start(ours):
    """Return what a start says that has nothing of ours loaded before."""
    command = [sys.executable, "-c", BOOT, os.path.join(ours.root.path, "boot.py"), ours.host.key]
    said = subprocess.check_output(command, cwd=os.path.sep, stderr=subprocess.STDOUT, timeout=60)
    return said.decode("utf-8")


def test_what_is_owed_is_the_version_that_the_last_start_runs_from(home, monkeypatch):
    ours = Installation(hosts.find("3dsmax"), str(home / "user"))
    os.makedirs(ours.user)
    before = picture(ours.user)
    assert api.install("3dsmax", target=ours.user)["success"]

    def refuse(path):
        held = {"operation": "remove_tree", "path": path}
        return {"success": False, "message": "in use", "deferred_operation": held}

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "safe_remove_tree", refuse)
        api.uninstall("3dsmax", target=ours.user)
    # Nothing of it is in the journal: installed again before the next start, it stays.
    assert lifecycle.list_deferred()["entries"] == []
    assert os.path.isfile(os.path.join(ours.user, *ours.host.files[-1].path.split("/")))

    assert "was uninstalled; nothing is left" in start(ours)
    assert picture(ours.user) == before
    assert lifecycle.list_deferred()["entries"] == []
