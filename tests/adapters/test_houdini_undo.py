"""One undo step of Houdini's per write, however its stack shows it."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import Unsupported

pytestmark = pytest.mark.qt


@pytest.fixture
def hython():
    from fakes.houdini_host import install

    with install(interactive=False) as host:
        yield host


@pytest.fixture
def adapter(hython):
    from dcc_mcp_embed.adapters.houdini import create

    made = create()
    yield made
    made.close()


@pytest.fixture
def undoable(hython, adapter):
    hython.scene.undos.enabled = True
    return adapter


def labels(host):
    return host.hou.undos.undoLabels()


def test_a_chunk_is_one_step_with_its_label(hython, undoable):
    scene = undoable.scene_backend()
    with undoable.undo_chunk("MCP: two") as step:
        scene.create("cube", None, None, {})
        scene.create("light", None, None, {})
    assert step.steps == 1
    assert labels(hython) == ("MCP: two",)
    assert (scene.undo_label(), scene.redo_label()) == ("MCP: two", None)
    assert scene.redo() is False
    assert scene.undo() is True
    assert (scene.undo_label(), scene.redo_label()) == (None, "MCP: two")
    assert scene.undo() is False
    assert scene.redo() is True and len(list(scene.rows())) == 2


def test_a_chunk_in_which_nothing_happened_leaves_nothing(hython, undoable):
    scene = undoable.scene_backend()
    with undoable.undo_chunk("same") as step:
        list(scene.rows())
    assert step.steps == 0 and labels(hython) == ()
    # Also where the one before has the same label.
    with undoable.undo_chunk("same"):
        scene.create("cube", None, None, {})
    with undoable.undo_chunk("same") as step:
        pass
    assert step.steps == 0 and labels(hython) == ("same",)
    with undoable.undo_chunk("same") as step:
        scene.create("cube", None, None, {})
    assert step.steps == 1 and labels(hython) == ("same", "same")


@pytest.fixture(params=["first", "last"])
def newest(request, hython, monkeypatch):
    """SideFX documents that the newest label comes first; people have seen it come last."""
    undos = hython.hou.undos
    if request.param == "last":
        for name in ("undoLabels", "redoLabels"):
            real = getattr(undos, name)
            monkeypatch.setattr(undos, name, lambda real=real: real()[::-1])
    return request.param


def make_steps(adapter, *names):
    for name in names:
        with adapter.undo_chunk(name) as step:
            adapter.scene_backend().create("cube", None, None, {})
        assert step.steps == 1


def test_the_newest_label_may_stand_at_either_end(newest, undoable):
    scene = undoable.scene_backend()
    make_steps(undoable, "one", "two", "three")
    assert scene.undo_label() == "three"
    assert scene.undo() and scene.undo()
    assert (scene.undo_label(), scene.redo_label()) == ("one", "two")
    with pytest.raises(ValueError), undoable.undo_chunk("broken") as step:
        raise ValueError
    assert step.steps == 0 and scene.undo_label() == "one"


@pytest.mark.parametrize("before", [("a", "b", "same", "same"), ("same", "same", "same")])
def test_a_full_stack_that_drops_its_oldest_step_still_counts_the_new_one(
    newest, hython, undoable, before
):
    make_steps(undoable, *before)
    stack = hython.scene.undos.undo
    for label in ("same", "new"):
        with undoable.undo_chunk(label) as step:
            undoable.scene_backend().create("cube", None, None, {})
            del stack[0]
        assert step.steps == 1


def test_what_is_gone_from_the_redo_stack_is_no_step(newest, hython, undoable):
    make_steps(undoable, "one", "same", "gone")
    undoable.scene_backend().undo()
    with undoable.undo_chunk("same") as step:
        # As a tool does that changes something while it keeps undos disabled.
        del hython.scene.undos.redo[:]
    assert step.steps == 0


def test_hython_that_says_undos_are_enabled_and_records_none(hython, undoable, monkeypatch):
    """As people have seen it in some versions."""
    scene = undoable.scene_backend()
    monkeypatch.setattr(hython.scene.undos, "before", lambda label: None)
    with undoable.undo_chunk("none") as step:
        scene.create("cube", None, None, {})
    assert step.steps == 0
    for move in (scene.undo, scene.redo):
        with pytest.raises(Unsupported):
            move()


def test_what_broke_is_undone(hython, undoable):
    scene = undoable.scene_backend()
    scene.create("cube", "mine", None, {})
    before = labels(hython)

    def tool():
        scene.create("sphere", None, None, {})
        raise ValueError

    with pytest.raises(ValueError), undoable.undo_chunk("broken") as step:
        tool()
    assert step.steps == 0
    assert labels(hython) == before
    assert [row["name"] for row in scene.rows()] == ["mine"]
    # Nothing of ours to undo: the artist's step stays.
    with pytest.raises(ValueError), undoable.undo_chunk("broken") as step:
        raise ValueError
    assert step.steps == 0
    assert labels(hython) == before


def test_a_chunk_around_a_file_that_is_opened_counts_no_step(hython, undoable, tmp_path):
    scene = undoable.scene_backend()
    with undoable.undo_chunk("new"):
        scene.create("cube", None, None, {})

    def tool(error):
        scene.create("cube", None, None, {})
        scene.new_scene()
        if error is not None:
            raise error

    with undoable.undo_chunk("open") as step:
        tool(None)
    assert step.steps == 0
    with pytest.raises(KeyError), undoable.undo_chunk("open") as step:
        tool(KeyError())
    assert step.steps == 0
    assert hython.scene.undos.groups == [] and labels(hython) == ()


def test_with_undos_disabled_no_step_is_promised(hython, undoable):
    scene = undoable.scene_backend()
    make_steps(undoable, "one", "two")
    scene.undo()
    hython.scene.undos.enabled = False
    with undoable.undo_chunk("none") as step:
        scene.create("cube", None, None, {})
    assert step.steps == 0
    with pytest.raises(ValueError), undoable.undo_chunk("none") as step:
        raise ValueError
    assert step.steps == 0
    for move in (scene.undo, scene.redo):
        with pytest.raises(Unsupported):
            move()
