"""A tool that computes on the worker thread of a real host for longer than two heartbeats."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import helpers

#: The tool's seconds: a heart that was starved for them is noticed, two intervals being ten. The
#: script's own default is a minute, in which a row without a heartbeat would have become stale.
SECONDS = 12


@pytest.mark.heavy
def test_a_worker_that_computes_does_not_make_its_hosts_row_stale():
    script = os.path.join(helpers.TESTS, "soak", "busy_worker.py")
    done = subprocess.run(
        [sys.executable, script, str(SECONDS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert "tool answered" in done.stdout
