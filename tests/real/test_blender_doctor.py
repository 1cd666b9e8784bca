"""The self-test inside a real Blender: in ``blender -b`` itself, and asked from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

import helpers
from fakes.live import tries
from fakes.served import environment, run

pytestmark = pytest.mark.heavy

DEADLINE = 180
INSIDE = os.path.join(helpers.TESTS, "real", "blender_doctor_inside.py")
STAGED = {
    "modal: writes refused, reads run",
    "ask: does not block",
    "re-entrancy: no job inside another",
    "exit: callers are told",
}
UNDO = {
    "undo: one call, one step",
    "undo: reading is no step",
    "undo: a failed call leaves nothing",
}


def _of_the_scene(names):
    return {name for name in names if name.startswith(("scene: ", "undo: "))}


def _doctor(environ):
    """Ask from outside. Blender draws after each call, here without a graphics card."""
    return subprocess.run(
        [sys.executable, "-m", "dcc_mcp_embed", "doctor", "--in-host", "--json"],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
    )


def _read(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


@pytest.fixture(scope="module", params=["window-saved", "window-dirty", "-b-saved", "-b-dirty"])
def found(request, tmp_path_factory):
    """Return the report made in one Blender, and its scene before and after."""
    windowed, scene = request.param.startswith("window"), request.param.rpartition("-")[2]
    helpers.require(shutil.which("blender"), "Blender")
    command = ["blender", "--factory-startup", "--python", INSIDE]
    if windowed:
        helpers.require(shutil.which("xvfb-run"), "Xvfb")
        command = ["xvfb-run", "-a", "-s", "-screen 0 1280x720x24", *command]
    else:
        command.insert(1, "-b")
    place = str(tmp_path_factory.mktemp("place"))
    environ = environment(
        place,
        DCC_MCP_EMBED_TEST_PATH=helpers.ROOT,
        DCC_MCP_EMBED_TEST_PLACE=place,
        DCC_MCP_EMBED_TEST_SCENE=scene,
        HOME=place,
    )
    process = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        if windowed:
            for _ in tries(60.0):
                if "blender" in run(place, "instances").stdout:
                    break
            done = _doctor(environ)
            report = json.loads(done.stdout or "null"), done.stderr
            with open(os.path.join(place, "leave"), "w", encoding="utf-8"):
                pass
        output, _ = process.communicate(timeout=DEADLINE)
    finally:
        # The whole group: Blender and the X server are children of xvfb-run.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
    said = output.decode("utf-8", "replace")
    states = os.path.join(place, "states")
    assert os.path.exists(states), said[-3000:]
    told = _read(states)
    assert len(told) == 3, told[0]
    if not windowed:
        report = _read(os.path.join(place, "report")), said
    assert report[0] is not None, report[1]
    return {
        "window": windowed,
        "saved": scene == "saved",
        "report": report[0],
        "status": told[2],
        "exit": _read(os.path.join(place, "exit")),
        "states": [json.loads(one) for one in told[:2]],
    }


def test_nothing_fails_and_only_what_cannot_be_done_is_left_out(found):
    results = {one["name"]: one for one in found["report"]["results"]}
    failed = [one for one in results.values() if one["verdict"] == "failed"]
    assert (failed, found["status"], found["report"]["passed"]) == ([], 0, True)
    left = {name for name, one in results.items() if one["verdict"] == "left out"}
    expected = set(STAGED)
    if not found["saved"]:
        expected |= _of_the_scene(results)
    elif not found["window"]:
        # Blender without a window has no undo.
        expected |= UNDO
    assert left == expected
    assert found["report"]["about"]["host"].startswith("blender ")


def test_the_users_scene_is_what_it_was(found):
    before, after = found["states"]
    assert before == after
    assert before["objects"] == ["mine"]
    assert bool(before["file"]) == found["saved"]


def test_callers_are_told_when_blender_quits_or_serving_ends(found):
    (result,) = found["exit"]["results"]
    assert result["name"] == "exit: callers are told"
    assert result["verdict"] == "passed", result
