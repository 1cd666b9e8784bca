"""Official clients are asked and told things by tools of a real server, in both eras."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

import helpers
from fakes.served import Served
from real.conversation import PEER_PYTHON, PEERS

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(os.path.dirname(HERE), "conformance", "fixture.py")


@pytest.mark.parametrize(("sdk", "mode"), [("1.x", "-"), ("2.x", "legacy"), ("2.x", "2026-07-28")])
def test_an_official_client_is_asked_and_told(tmp_path, sdk, mode):
    python = helpers.peer_venv("mcp-" + sdk, [PEERS[sdk]], helpers.python(PEER_PYTHON))
    with Served(str(tmp_path), "--tools", FIXTURE, "--no-auth") as server:
        done = subprocess.run(
            [python, os.path.join(HERE, "asked_client.py"), server.facts["plain_url"], mode],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]
    found = json.loads(done.stdout.decode("utf-8"))
    assert found["texts"] == [
        "User response: action=accept, content={}".format(json.dumps(CONTENT)),
        "LLM response: thought",
        "{} thought 1".format(CONTENT),
        "Ann likes blue",
        "Tool with logging executed successfully",
        "Reconnection test completed successfully",
    ]
    assert sorted(found["asked"]) == [
        "elicit: Step 1: What is your name?",
        "elicit: Step 2: What is your favorite color?",
        "elicit: What is your name?",
        "elicit: Who are you?",
        "roots",
        "sample: Generate a greeting",
        "sample: Think",
    ]
    logs = ["Tool execution started", "Tool processing data", "Tool execution completed"]
    # In the stateless era a request has to ask for it.
    assert found["told"] == ([] if mode == "2026-07-28" else [["info", one] for one in logs])
    assert found["changed"]


CONTENT = {"username": "ann", "email": "ann@x", "name": "Ann", "color": "blue"}
