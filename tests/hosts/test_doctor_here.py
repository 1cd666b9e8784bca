"""``doctor --in-host`` run by the interpreter of a host without a user interface."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.cli import doctor
from fakes import served
from hosts import stages

HEADLESS = [
    pytest.param(name, marks=[pytest.mark.qt] if name in stages.WITH_STUBS else [])
    for name in ("mayapy", "hython", "maxbatch")
    if name in stages.available()
]


@pytest.mark.parametrize("name", HEADLESS)
def test_the_interpreter_checks_itself(tmp_path, monkeypatch, capsys, name):
    said = []
    # What 3ds Max has for sys.stdout is its own.
    monkeypatch.setattr(doctor, "say", said.append)
    with stages.stage(name) as stage:
        # The doctor finds the host by itself, and makes an adapter of its own.
        kind, can = stage.adapter.dcc_type, stage.can
        stage.adapter.close()
        done = served.inside(monkeypatch, capsys, str(tmp_path), "doctor", "--in-host")
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = said
    assert "host: {} ".format(kind) in report
    assert "passed    scene: restored" in report
    assert ", 0 failed, {} left out".format(4 if "undo" in can else 7) in report
