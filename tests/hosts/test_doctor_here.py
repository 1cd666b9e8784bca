"""``doctor --in-host`` run by the interpreter of a host without a user interface."""

from __future__ import annotations

import pytest

from fakes import served
from hosts import stages

HEADLESS = [name for name in ("mayapy", "hython", "maxbatch") if name in stages.available()]


@pytest.mark.parametrize("name", HEADLESS)
def test_the_interpreter_checks_itself(tmp_path, monkeypatch, capsys, name):
    with stages.stage(name) as stage:
        # The doctor finds the host by itself, and makes an adapter of its own.
        kind = stage.adapter.dcc_type
        stage.adapter.close()
        done = served.inside(monkeypatch, capsys, str(tmp_path), "doctor", "--in-host")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "host: {} ".format(kind) in done.stdout
    assert "passed    undo: one call, one step" in done.stdout
    assert ", 0 failed, 4 left out" in done.stdout
