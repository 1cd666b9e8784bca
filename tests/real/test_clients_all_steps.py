"""Every official SDK does every step, over HTTP, HTTP+SSE, by the bridge and by ``mcp-remote``.

Connect, list, call with progress, cancel a call that runs, read a resource, get a prompt: the steps
are in ``clients/``, one script for each SDK, and what comes of them is the same for all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Dict, List

import pytest

import helpers
from fakes.served import Served, environment
from real.clients import npm
from real.conversation import PEER_PYTHON, PEERS

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.join(HERE, "clients")
DEADLINE = 120.0

LEGACY, MODERN = "2025-11-25", "2026-07-28"
#: (script, mode) -> the revision that has to come of it.
KINDS = {
    ("sdk.py", "1.x", ""): LEGACY,
    ("sdk.py", "2.x", "legacy"): LEGACY,
    ("sdk.py", "2.x", "auto"): MODERN,
    ("sdk.py", "2.x", MODERN): MODERN,
    ("sdk_v1.mjs", "", ""): LEGACY,
    ("sdk_v2.mjs", "", "legacy"): LEGACY,
    ("sdk_v2.mjs", "", "auto"): MODERN,
    ("sdk_v2.mjs", "", MODERN): MODERN,
}
BRIDGE = [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", "bridge"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(home):
    with Served(home, "--tools", os.path.join(CLIENTS, "tools.py")) as server:
        yield server
    assert "Traceback" not in server.stderr


def script(kind: Any, name: str, target: List[str]) -> List[str]:
    """Return the command of a client that is connected to ``target``."""
    file, sdk, mode = kind
    if file == "sdk.py":
        python = helpers.peer_venv("mcp-" + sdk, [PEERS[sdk]], helpers.python(PEER_PYTHON))
        return [python, os.path.join(CLIENTS, file), name, mode, *target]
    return npm.install().script(file, name, *([mode] if mode else []), *target)


def play(command: List[str], home: str, **more: str) -> Dict[str, Any]:
    done = subprocess.run(
        command,
        env=environment(home, **more),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]
    found: Dict[str, Any] = json.loads(done.stdout.decode("utf-8"))
    return found


def check(found: Dict[str, Any], name: str, revision: str) -> None:
    assert found["protocol"] == revision
    assert {"count_up", "go_on", "create_object", "batch"} <= set(found["tools"])
    assert found["progress"] == [[1, 3], [2, 3], [3, 3]]
    assert found["result"] == "counted to 3"
    # The client was told, and the tool came to its end, once and before its time.
    assert found["cancelled"] == {"answered": "cancelled", "ends": [{"name": name, "whole": False}]}
    assert found["resource"] == "Hello from the host"
    assert found["prompt"] == "Say hello to Ann."


@pytest.mark.parametrize("way", ["http", "bridge"])
@pytest.mark.parametrize("kind", list(KINDS), ids=["-".join(kind) for kind in KINDS])
def test_an_sdk_does_every_step(served, home, kind, way):
    name = "{} {}".format("-".join(kind), way)
    target = [served.facts["url"]] if way == "http" else BRIDGE
    check(play(script(kind, name, target), home), name, KINDS[kind])


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind[2] in ("", "legacy")], ids="-".join
)
def test_an_sdk_does_every_step_over_http_and_sse(served, home, kind):
    name = "-".join(kind) + " sse"
    url = served.facts["url"]
    assert url.endswith("/mcp")
    check(play(script(kind, name, [url[: -len("mcp")] + "sse"]), home), name, LEGACY)


def test_so_does_one_behind_mcp_remote(served, home):
    installed = npm.install()
    remote = installed.command("mcp-remote", "dist", "proxy.js")
    token = "Authorization:Bearer " + served.facts["token"]
    target = [*remote, served.facts["plain_url"], "--header", token]
    found = play(
        installed.script("sdk_v1.mjs", "remote", *target),
        home,
        HOME=home,
        MCP_REMOTE_CONFIG_DIR=os.path.join(home, "remote"),
    )
    check(found, "remote", LEGACY)
    assert found["server"]["name"] == "dcc-mcp-embed-standalone"
