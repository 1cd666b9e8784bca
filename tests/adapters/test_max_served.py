"""The tools over a real server in 3dsmaxbatch. Over the fake."""

from __future__ import annotations

import pytest

from fakes.hosted import DEADLINE, Hosted, data
from fakes.max_host.stage import MaxbatchStage


@pytest.fixture
def stage():
    with MaxbatchStage() as made:
        yield made


@pytest.fixture
def hosted(stage, tmp_path, monkeypatch):
    made = Hosted(stage, str(tmp_path), monkeypatch, exec_mode="on")
    # 3dsmaxbatch ends with what it serves, and the row that is not written by then never is.
    made.server.wait_registered(DEADLINE)
    yield made
    made.close()


def test_a_scene_is_made_keyed_undone_and_saved_state_told(stage, hosted):
    def body():
        path = data(hosted.call("create_object", {"kind": "cube", "name": "wheel"}))["path"]
        moved = {"path": path, "translate": [1, 2, 3], "frame": 10}
        after = data(hosted.call("set_transform", moved))["after"]["translate"]
        undone = data(hosted.call("undo", {"steps": 3}))
        return path, after, undone["steps"]

    assert stage.run(body) == ("/wheel", [1.0, 2.0, 3.0], 2)
    assert [label for label, _ in stage.host.hold.undone] != []
    assert list(stage.host.scene.nodes()) == []


def test_maxscript_is_a_tool_that_is_gated_as_python_is(stage, hosted):
    def body():
        value = data(hosted.call("execute_maxscript", {"code": "6 * 7"}))
        return value["result"], hosted.call("execute_maxscript", {"code": "no such thing"})

    result, broken = stage.run(body)
    assert result == 42
    assert broken["structuredContent"]["error"]["code"] == "host_error"


def test_maxscript_is_refused_where_code_is(stage, tmp_path, monkeypatch):
    hosted = Hosted(stage, str(tmp_path), monkeypatch)
    hosted.server.wait_registered(DEADLINE)
    answer = stage.run(lambda: hosted.call("execute_maxscript", {"code": "6 * 7"}))
    hosted.close()
    assert answer["structuredContent"]["error"]["code"] == "exec_disabled"


def test_a_failed_script_leaves_nothing(stage, hosted):
    code = "rt.Box()\nraise ValueError('half-way')"
    answer = stage.run(lambda: hosted.call("execute_python", {"code": code}))
    assert answer["isError"] is True
    assert list(stage.host.scene.nodes()) == []
    assert stage.host.hold.done == []
