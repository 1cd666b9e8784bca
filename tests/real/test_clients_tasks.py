"""An official client runs calls as tasks of a real server, and answers what they ask."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

import helpers
from fakes.served import Served, environment
from real.conversation import PEER_PYTHON, PEERS

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(os.path.dirname(HERE), "conformance", "fixture_tasks.py")


def test_an_official_client_runs_calls_as_tasks(tmp_path):
    python = helpers.peer_venv("mcp-1.x", [PEERS["1.x"]], helpers.python(PEER_PYTHON))
    home = str(tmp_path)
    with Served(home, "--tools", FIXTURE, "--profile", "full", "--no-auth") as server:
        done = subprocess.run(
            [python, os.path.join(HERE, "tasks_client.py"), server.facts["plain_url"]],
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]
    assert json.loads(done.stdout.decode("utf-8")) == {
        "supports": {"slow_compute": "optional", "greet": None},
        "polled": ["working", "completed"],
        "texts": ["computed x", "accept a"],
        "failed": True,
        "cancelled": "cancelled",
        "refused": [-32602, -32601],
        "listed": ["cancelled", "completed", "completed", "failed"],
        "asked": [["Delete a?", True]],
    }
