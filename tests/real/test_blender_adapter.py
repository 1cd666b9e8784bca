"""The Blender adapter inside a real Blender, with a window (Xvfb) and with ``-b``."""

from __future__ import annotations

import json
import os
import shutil
import signal
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
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, DCC_MCP_EMBED_TEST_PATH=path, HOME=str(home)),
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
    if not found["window"]:
        # Without a window serving has an end. Who asked to hear of it does, once, after all else.
        assert found["exits"] == [[True]]


def test_objects_are_known_again_and_any_name_is_found(found):
    assert found["id after the user's rename"] is True
    assert found["id beside a new one of the old name"] is True
    assert found["ids after names were swapped"] is True
    assert found["id after the user's deletion"] is True
    assert found["a name with a slash"] == "a/b"


def test_flat_objects_small_parents_and_many_children(found):
    assert found["placed"] == [[5, 6, 7, 10, 20, 30]] * 2
    assert found["box of nothing"] is None
    assert found["deleted"] == [201, 201]


def test_ten_adapters_leave_nothing_behind(found):
    before, after = found["left"]
    assert after == before


def test_one_undo_takes_back_one_call(found):
    if not found["window"]:
        assert "steps" not in found, "background Blender has no undo to test"
        return
    steps = found["steps"]
    assert [steps.pop(name) for name in ("refused", "reading")] == [0, 0]
    assert set(steps.values()) == {1} and len(steps) == 9, steps
    # Back from the code, from the broken call, from the first one: then the user's own state.
    assert found["trail"] == [[0.0, True], [0.0, False], [False, False]]


def test_what_a_script_changed_outlives_the_undo_of_our_step(found):
    if not found["window"]:
        assert "edits of scripts" not in found
        return
    # Two calls of one step each; back from the third cube only it is gone, then only the script's.
    assert found["edits of scripts"] == [1, 1, [4.0, 2], [0.0, 2]]


def test_nothing_is_changed_while_the_user_drags(found):
    if not found["window"] or found["drags are told"]:
        assert "drag" not in found or found["drags are told"]
        return
    assert found["drag"] == [None, None, True, None]


def test_a_call_may_open_a_file_and_then_has_nothing_to_undo(found):
    if not found["window"]:
        assert "opened" not in found
        return
    assert found["opened"] == [0, 0]


def test_files_that_the_user_saves_and_opens_are_told(found):
    assert found["scene changes"] == ["first.blend", "second.blend", "first.blend", ""]


def test_a_question_is_shown_and_answered_once(found):
    if not found["window"]:
        assert "answers" not in found
        return
    assert found["shown"] == ["DCC_MCP_OT_answer", "VIEW3D_PT_dcc_mcp_questions"]
    assert found["later"] == []
    assert found["answers"] == ["never", "once"]
    assert found["again"] == ["CANCELLED"]


def test_a_menu_that_outlives_its_adapter_answers_nobody(found):
    if not found["window"]:
        assert "a click too late" not in found
        return
    assert found["a click too late"] == [["CANCELLED"], []]
    assert found["asking"] == []
