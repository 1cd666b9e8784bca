"""What tests of installed hosts are given: the artefacts, and a place for what is ours."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return the paths of all artefacts, made once."""
    from dcc_mcp_embed.installers import artefacts

    return [path for path, _ in artefacts.bundle(str(tmp_path_factory.mktemp("dist")))]


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """Have our journal, secret and registry in this test's folder."""
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
