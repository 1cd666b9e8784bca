"""Official clients are asked and told things by tools of a real server, also through the bridge."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest

import helpers
from fakes.bridged import Bridged
from fakes.served import Served, ServedBridge, environment
from real.conversation import PEER_PYTHON, PEERS

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
BRIDGE = [sys.executable, "-m", "dcc_mcp_embed", "bridge"]
FIXTURE = os.path.join(os.path.dirname(HERE), "conformance", "fixture.py")


@pytest.mark.parametrize(("sdk", "mode"), [("1.x", "-"), ("2.x", "legacy"), ("2.x", "2026-07-28")])
@pytest.mark.parametrize("way", ["host", "bridge", "bridge over http"])
def test_an_official_client_is_asked_and_told(tmp_path, way, sdk, mode):
    python = helpers.peer_venv("mcp-" + sdk, [PEERS[sdk]], helpers.python(PEER_PYTHON))
    home = str(tmp_path)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Served(home, "--tools", FIXTURE, "--no-auth"))
        target = server.facts["plain_url"]
        if way != "host":
            # It has been seen, so that no client comes too early.
            with Bridged(home) as first:
                first.initialize()
                first.appears("test_elicitation")
            target = json.dumps(BRIDGE)
        if way == "bridge over http":
            target = stack.enter_context(ServedBridge(home)).facts["url"]
        done = subprocess.run(
            [python, os.path.join(HERE, "asked_client.py"), target, mode],
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]
    found = json.loads(done.stdout.decode("utf-8"))
    assert found["texts"] == [
        # Of what the client has filled in, a tool gets what it has asked for.
        'User response: action=accept, content={"username": "ann", "email": "ann@x"}',
        "LLM response: thought",
        "{'name': 'Ann'} thought 1",
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
