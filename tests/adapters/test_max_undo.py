"""One undo step per write in 3ds Max, whatever the write does. Over the fake."""

from __future__ import annotations

import pytest

from fakes.max_host.stage import MaxbatchStage


class Oops(Exception):
    pass


@pytest.fixture
def stage():
    with MaxbatchStage() as made:
        yield made


@pytest.fixture
def pymxs(stage):
    import pymxs

    return pymxs


def steps_of(stage):
    return [label for label, _ in stage.host.hold.done]


def test_all_changes_are_one_step_with_the_label(stage, pymxs):
    with stage.adapter.undo_chunk("Tidy up") as step:
        pymxs.runtime.Box()
        pymxs.runtime.Sphere()
    assert step.steps == 1
    assert steps_of(stage) == ["Tidy up"]
    pymxs.run_undo()
    assert list(pymxs.runtime.objects) == []


def test_nothing_changed_is_no_step(stage, pymxs):
    pymxs.runtime.Box(name="there")
    with stage.adapter.undo_chunk("Look") as step:
        assert pymxs.runtime.getNodeByName("there").name == "there"
    assert step.steps == 0
    assert steps_of(stage) == []
    assert not pymxs.runtime.theHold.Holding()


def test_an_exception_goes_on_and_takes_back_what_was_done(stage, pymxs):
    kept = pymxs.runtime.Box(name="kept")
    step = stage.adapter.undo_chunk("Fail")

    def fail():
        with step:
            kept.name = "changed"
            pymxs.runtime.Sphere()
            raise Oops

    with pytest.raises(Oops):
        fail()
    assert step.steps == 0
    assert [node.name for node in pymxs.runtime.objects] == ["kept"]
    assert steps_of(stage) == []
    assert not pymxs.runtime.theHold.Holding()


def test_steps_that_the_call_leaves_open_end_with_ours(stage, pymxs):
    with stage.adapter.undo_chunk("Careless") as step:
        pymxs.runtime.theHold.Begin()
        pymxs.runtime.Box()
        pymxs.runtime.theHold.Begin()
    assert step.steps == 1
    assert steps_of(stage) == ["Careless"]
    assert not pymxs.runtime.theHold.Holding()


def test_a_call_that_ends_our_step_has_made_its_own(stage, pymxs):
    with stage.adapter.undo_chunk("Ours") as step:
        pymxs.runtime.Box()
        pymxs.runtime.theHold.Accept("Theirs")
    assert step.steps == 0
    assert steps_of(stage) == ["Theirs"]
    assert not pymxs.runtime.theHold.Holding()


def test_a_step_of_the_call_s_own_in_it_is_part_of_ours(stage, pymxs):
    with stage.adapter.undo_chunk("Whole") as step:
        with pymxs.undo(True, "Part"):
            pymxs.runtime.Box()
        pymxs.runtime.Sphere()
    assert step.steps == 1
    assert steps_of(stage) == ["Whole"]


@pytest.mark.parametrize("failing", [False, True])
def test_within_a_step_of_somebody_else_nothing_is_ended(stage, pymxs, failing):
    hold = pymxs.runtime.theHold
    hold.Begin()
    pymxs.runtime.Box(name="theirs")
    try:
        with stage.adapter.undo_chunk("Ours") as step:
            pymxs.runtime.Sphere(name="ours")
            if failing:
                raise Oops
    except Oops:
        pass
    assert hold.Holding()
    assert {node.name for node in pymxs.runtime.objects} == {"theirs", "ours"}
    hold.Accept("Theirs")
    assert step.steps == 0
    assert steps_of(stage) == ["Theirs"]


def test_the_viewports_are_not_drawn_in_between_and_always_after(stage, pymxs):
    open_ = stage.host.contexts
    with stage.adapter.undo_chunk("Draw"):
        assert open_["redraw"] == 1
    assert open_["redraw"] == 0
    with pytest.raises(Oops), stage.adapter.undo_chunk("Draw"):
        raise Oops
    assert open_["redraw"] == 0
