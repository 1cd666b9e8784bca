"""A machine that may be busy: no host says by itself how a call of a test is getting on."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.server import beating


@pytest.fixture(autouse=True)
def no_beats(monkeypatch):
    """Keep what is told of a call that takes two seconds out of what a test counts."""
    monkeypatch.setattr(beating, "EVERY", 60.0)
