"""The Blender adapter inside a real Blender, with a window (Xvfb) and with ``-b``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

import helpers

pytestmark = pytest.mark.heavy

DEADLINE = 180
INSIDE = os.path.join(helpers.TESTS, "real", "blender_adapter_inside.py")


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
    path = os.pathsep.join([helpers.ROOT, os.path.join(helpers.TESTS, "adapters")])
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        env=dict(os.environ, DCC_MCP_EMBED_TEST_PATH=path, HOME=str(home)),
    )
    said = done.stdout.decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-3000:]
    result = json.loads(lines[-1][7:])
    assert "error" not in result, result["error"]
    assert done.returncode == 0, said[-3000:]
    result["window"] = request.param == "window"
    return result


def test_it_knows_where_it_is(found):
    assert found["detect"] is True
    assert found["main"] is True
    assert found["interactive"] is found["window"]
    assert found["modal"] is None
    assert found["scene_path"] == ""
    assert found["version"].count(".") == 2


def test_the_scene_keeps_the_contract_of_all_hosts(found):
    assert found["contract"] == []


def test_it_is_woken_on_the_main_thread_also_after_another_file_was_opened(found):
    assert found["woken"] == [True]


def test_objects_are_known_again_and_any_name_is_found(found):
    assert found["id after the user's rename"] is True
    assert found["a name with a slash"] == "a/b"


def test_ten_adapters_leave_nothing_behind(found):
    before, after = found["left"]
    assert after == before


def test_one_undo_takes_back_one_call(found):
    if not found["window"]:
        assert "steps" not in found, "background Blender has no undo to test"
        return
    wanted = {"made": 1, "broken": 1, "refused": 0, "code": 1, "reading": 0}
    assert found["steps"] == wanted
    # Back from the code, from the broken call, from the first one: then the user's own state.
    assert found["trail"] == [[0.0, True], [0.0, False], [False, False]]


def test_a_question_is_shown_and_answered_once(found):
    if not found["window"]:
        assert "answers" not in found
        return
    assert found["shown"] == ["DCC_MCP_OT_answer", "VIEW3D_PT_dcc_mcp_questions"]
    assert found["later"] == []
    assert found["answers"] == ["never", "once"]
    assert found["again"] == ["CANCELLED"]
