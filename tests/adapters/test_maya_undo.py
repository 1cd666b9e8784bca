"""Maya's undo chunks: closed on every path, and counted rightly."""

from __future__ import annotations

import pytest
from dcc_mcp_embed.adapters.maya.scene import MayaScene
from dcc_mcp_embed.adapters.maya.undo import MOST_OPEN, Chunk

from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install

pytestmark = pytest.mark.qt

LABEL = "MCP: set_transform"


@pytest.fixture
def host():
    host = MayaHost(batch=False)
    with install(host):
        yield host
    host.check()


@pytest.fixture
def cmds(host):
    import maya.cmds

    return maya.cmds


@pytest.fixture
def cube(host, cmds):
    return MayaScene().create("cube", "cube", None, {})


def steps(host):
    return [step.name.rstrip() for step in host.undo.done]


def test_what_was_done_is_one_step_with_the_label(host, cmds, cube):
    before = len(host.undo.done)
    with Chunk(LABEL) as chunk:
        cmds.setAttr(cube + ".translateX", 1)
        cmds.setAttr(cube + ".translateY", 2)
    assert chunk.steps == 1
    assert steps(host)[before:] == [LABEL]
    cmds.undo()
    assert cmds.getAttr(cube + ".translateY") == 0


def test_nothing_done_is_no_step(host, cmds, cube):
    before = steps(host)
    with Chunk(LABEL) as chunk:
        cmds.getAttr(cube + ".translateX")
    assert chunk.steps == 0 and steps(host) == before


def test_where_maya_keeps_empty_steps_they_are_counted(host, cmds, cube):
    host.undo.empty_steps = True
    with Chunk(LABEL) as chunk:
        pass
    assert chunk.steps == 1 and steps(host)[-1] == LABEL


def test_each_of_many_steps_is_counted_on_a_full_queue(host, cmds, cube):
    cmds.undoInfo(length=3)
    for number in range(8):
        with Chunk(LABEL) as chunk:
            cmds.setAttr(cube + ".translateX", number + 1)
        assert chunk.steps == 1, number
        with Chunk(LABEL) as empty:
            pass
        assert empty.steps == 0, number
        assert MayaScene().undo_label() == LABEL
    assert len(host.undo.done) == 3


def test_a_failed_call_leaves_nothing(host, cmds, cube):
    before = steps(host)
    chunk = Chunk(LABEL)

    def call():
        with chunk:
            cmds.setAttr(cube + ".translateX", 5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call()
    assert chunk.steps == 0 and steps(host) == before
    assert cmds.getAttr(cube + ".translateX") == 0


def test_a_failed_call_that_did_nothing_takes_nothing_back(host, cmds, cube):
    cmds.setAttr(cube + ".translateX", 5)
    before = steps(host)
    chunk = Chunk(LABEL)
    with pytest.raises(KeyboardInterrupt), chunk:
        raise KeyboardInterrupt
    assert chunk.steps == 0 and steps(host) == before
    assert cmds.getAttr(cube + ".translateX") == 5


def test_chunks_that_a_tool_leaves_open_are_closed(host, cmds, cube):
    before = len(host.undo.done)
    with Chunk(LABEL) as chunk:
        cmds.undoInfo(openChunk=True, chunkName="theirs")
        cmds.setAttr(cube + ".translateX", 1)
        cmds.undoInfo(openChunk=True, chunkName="theirs, too")
        cmds.setAttr(cube + ".translateX", 2)
    assert host.undo.chunks == [] and chunk.steps == 1
    cmds.setAttr(cube + ".translateX", 9)
    cmds.undo()
    assert cmds.getAttr(cube + ".translateX") == 2, "the user's own step swallowed the call's"
    assert steps(host)[before:] == [LABEL]


def test_empty_chunks_that_a_tool_leaves_open_are_closed(host, cmds, cube):
    with Chunk(LABEL) as chunk:
        cmds.undoInfo(openChunk=True, chunkName="theirs")
        cmds.undoInfo(openChunk=True, chunkName="theirs, too")
    assert host.undo.chunks == [] and chunk.steps == 0


def test_a_tool_with_no_end_of_chunks_does_not_hang_us(host, cmds, cube):
    with Chunk(LABEL):
        for _ in range(MOST_OPEN + 3):
            cmds.undoInfo(openChunk=True, chunkName="theirs")
    assert len(host.undo.chunks) == 4
    host.undo.chunks.clear()


def test_the_chunk_of_whoever_runs_us_stays_open(host, cmds, cube):
    cmds.undoInfo(openChunk=True, chunkName="artist")
    with Chunk(LABEL) as chunk:
        cmds.setAttr(cube + ".translateX", 1)
    assert host.undo.chunks == ["artist"]
    assert chunk.steps == 0, "there is no step of ours yet"
    cmds.undoInfo(closeChunk=True)
    assert steps(host)[-1] == "artist"


def test_without_undo_there_is_no_chunk(host, cmds, cube):
    cmds.undoInfo(state=False)
    with Chunk(LABEL) as chunk:
        assert host.undo.chunks == []
        cmds.setAttr(cube + ".translateX", 1)
    assert chunk.steps == 0 and host.undo.state is False


def test_undo_that_a_tool_switches_off_is_on_again(host, cmds, cube):
    with Chunk(LABEL) as chunk:
        cmds.setAttr(cube + ".translateX", 1)
        cmds.undoInfo(stateWithoutFlush=False)
    assert host.undo.state is True and chunk.steps == 1
    cmds.undo()
    assert cmds.getAttr(cube + ".translateX") == 0


def test_a_tool_that_opens_another_scene_leaves_no_step(host, cmds, cube):
    with Chunk(LABEL) as chunk:
        cmds.setAttr(cube + ".translateX", 1)
        cmds.file(new=True, force=True)
    assert host.undo.chunks == []
    assert chunk.steps == len(host.undo.done) <= 1


def test_a_chunk_that_the_tool_closes_is_not_closed_again(host, cmds, cube):
    with Chunk(LABEL) as chunk:
        cmds.setAttr(cube + ".translateX", 1)
        cmds.undoInfo(closeChunk=True)
    # The fake fails the test for a chunk closed without one that is open.
    assert chunk.steps == 1 and steps(host)[-1] == LABEL


def test_where_maya_refuses_to_tell_the_open_chunk_steps_are_counted(host, cmds, cube, monkeypatch):
    def refuse():
        raise RuntimeError("no chunk is open")

    monkeypatch.setattr(host.undo, "open_name", refuse)
    before = steps(host)
    with Chunk(LABEL) as chunk:
        cmds.setAttr(cube + ".translateX", 1)
    assert chunk.steps == 1 and host.undo.chunks == []
    assert steps(host) == [*before, LABEL]


def test_where_maya_does_not_tell_the_open_chunk_ours_is_closed_once(host, cmds, cube):
    """The documentation says that ``chunkName`` can be asked, not what the answer is."""
    host.undo.tells_chunk = False
    for change in (lambda: None, lambda: cmds.setAttr(cube + ".translateX", 1)):
        with Chunk(LABEL):
            change()
        assert host.undo.chunks == []
