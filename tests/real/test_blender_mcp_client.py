"""The facade inside a real Blender: the blocking example, and a call of Blender by itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import pytest

import helpers
from fakes.served import Served
from fakes.usage_example import FOLDER, SAID, TOOLS, URL

pytestmark = pytest.mark.heavy

DEADLINE = 180
INSIDE = os.path.join(helpers.TESTS, "real", "blender_mcp_client_inside.py")


@pytest.fixture(scope="module", params=["window", "background"])
def found(request, tmp_path_factory):
    """Run the whole story in one Blender of each kind and return what it found."""
    helpers.require(shutil.which("blender"), "Blender")
    command = ["blender", "--factory-startup", "--python", INSIDE]
    if request.param == "background":
        command.insert(1, "-b")
    else:
        helpers.require(shutil.which("xvfb-run"), "Xvfb")
        command = ["xvfb-run", "-a", "-s", "-screen 0 1280x720x24", *command]
    home = tmp_path_factory.mktemp("home")
    tools = home / "tools.py"
    tools.write_text(TOOLS, encoding="utf-8")
    with Served(str(home), "--tools", str(tools)) as server:
        options = {
            "root": helpers.ROOT,
            "url": server.facts["url"],
            "instead_of": URL,
            "example": os.path.join(FOLDER, "usage_blocking.py"),
        }
        environment = dict(
            os.environ,
            HOME=str(home),
            DCC_MCP_EMBED_HOME=str(home),
            DCC_MCP_EMBED_TEST_OPTIONS=json.dumps(options),
        )
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            # The whole group: Blender and the X server are children of xvfb-run.
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
    said = output.decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-3000:]
    result = json.loads(lines[-1][7:])
    assert "error" not in result, result["error"]
    assert process.returncode == 0, said[-3000:]
    return result


def test_the_blocking_example_runs(found):
    assert found["example"] == SAID
    assert found["left"] == []


def test_blender_calls_itself(found):
    assert found["registered"] is True
    assert "get_scene_info" in found["tools"]
    assert found["loop"] is True
    assert found["left after all"] == []


def test_what_needs_the_main_thread_that_waits_raises_at_once(found):
    code, seconds = found["main"]
    assert code == "would_deadlock"
    assert seconds < 2.0
