"""A client's tracker of what it has sent: a million messages leave no trace in its memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from helpers import ROOT


@pytest.mark.heavy
def test_memory_is_flat_over_a_million_messages():
    script = os.path.join(ROOT, "tests", "soak", "outbound.py")
    done = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )
    assert done.returncode == 0, done.stdout.decode()
    assert b" 1000000 " in done.stdout
