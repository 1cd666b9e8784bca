"""The scene in memory, against a model and against arithmetic."""

from __future__ import annotations

import itertools
import math

import pytest
from dcc_mcp_embed.adapters.standalone.scene import Scene
from dcc_mcp_embed.adapters.standalone.shapes import KINDS, SUPPORT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dcc_mcp_embed.errors import Ambiguous, InvalidArgument, NotFound, Unsupported
from dcc_mcp_embed.tools import matrix as m
from examples import examples

coordinate = st.floats(-100, 100)
angle = st.floats(-360, 360)
factor = st.floats(0.1, 10) | st.floats(-10, -0.1)
triple_of = {
    "translate": st.tuples(coordinate, coordinate, coordinate),
    "rotate": st.tuples(angle, angle, angle),
    "scale": st.tuples(factor, factor, factor),
}
even = factor.map(lambda k: (k, k, k))


def near(found, wanted, tolerance=1e-6):
    for row, other in zip(found, wanted):
        for a, b in zip(row, other):
            assert math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance), (found, wanted)


class Undoing(RuleBasedStateMachine):
    """Any sequence of edits, chunks, failures, undo and redo; the model is a list of states.

    ``past`` holds every state that undo can go back to, ``future`` every one that redo can.
    """

    def __init__(self):
        super().__init__()
        self.scene = Scene()
        self.past = [self.scene.state()]
        self.future = []
        self.opened = []

    def did(self):
        now = self.scene.state()
        if not self.opened and now != self.past[-1]:
            self.past.append(now)
            self.future = []

    def some(self, data):
        return data.draw(st.sampled_from(self.scene.paths()))

    @rule(data=st.data(), kind=st.sampled_from(sorted(KINDS)), name=st.sampled_from("ab"))
    def create(self, data, kind, name):
        parent = data.draw(st.sampled_from([None] + self.scene.paths()))
        path = self.scene.create(kind, name, parent)
        assert self.scene.look(path).item.kind == kind
        self.did()

    @precondition(lambda self: len(self.scene))
    @rule(data=st.data(), name=st.sampled_from(["a", "b", "a1", "c"]))
    def rename(self, data, name):
        self.scene.rename(self.some(data), name)
        self.did()

    @precondition(lambda self: len(self.scene))
    @rule(data=st.data())
    def delete(self, data):
        path = self.some(data)
        gone = self.scene.delete(path)
        assert gone[0] == path
        self.did()

    @precondition(lambda self: len(self.scene))
    @rule(data=st.data(), part=st.sampled_from(sorted(triple_of)), world=st.booleans())
    def place(self, data, part, world):
        value = data.draw(triple_of[part])
        self.scene.place(self.some(data), world=world, **{part: value})
        self.did()

    @precondition(lambda self: len(self.scene))
    @rule(data=st.data(), visible=st.booleans())
    def show(self, data, visible):
        self.scene.show(self.some(data), visible)
        self.did()

    @rule(data=st.data())
    def select(self, data):
        paths = self.scene.paths()
        chosen = data.draw(st.lists(st.sampled_from(paths), unique=True)) if paths else []
        self.scene.select(*chosen)
        assert self.scene.selection == chosen
        self.did()

    @precondition(lambda self: len(self.opened) < 3)
    @rule()
    def open_chunk(self):
        self.opened.append(self.scene.state())
        self.scene.open_chunk("chunk")

    @precondition(lambda self: self.opened)
    @rule()
    def close_chunk(self):
        changed = self.scene.state() != self.past[-1]
        self.opened.pop()
        steps = self.scene.close_chunk()
        assert steps == (1 if changed and not self.opened else 0)
        self.did()

    @precondition(lambda self: self.opened)
    @rule()
    def fail_chunk(self):
        self.scene.roll_back_chunk()
        assert self.scene.state() == self.opened.pop()

    @precondition(lambda self: not self.opened)
    @rule()
    def undo(self):
        if len(self.past) == 1:
            assert self.scene.undo() is None
        else:
            assert self.scene.undo()
            self.future.append(self.past.pop())
        assert self.scene.state() == self.past[-1]

    @precondition(lambda self: not self.opened)
    @rule()
    def redo(self):
        if not self.future:
            assert self.scene.redo() is None
        else:
            assert self.scene.redo()
            self.past.append(self.future.pop())
        assert self.scene.state() == self.past[-1]

    @invariant()
    def paths_lead_to_their_objects(self):
        paths = self.scene.paths()
        assert len(set(paths)) == len(paths) == len(self.scene)
        for seen in self.scene.walk():
            assert self.scene.look(seen.path) == seen

    @invariant()
    def what_is_dirty_differs(self):
        first, now = self.past[0], self.scene.state()
        assert self.scene.dirty == ({**first, ("selection",): ()} != {**now, ("selection",): ()})

    @invariant()
    def selection_exists(self):
        assert set(self.scene.selection) <= set(self.scene.paths())

    def teardown(self):
        while self.opened:
            self.close_chunk()
        final = self.scene.state()
        while self.scene.undo() is not None:
            pass
        assert self.scene.state() == self.past[0]
        assert not self.scene.dirty
        assert not len(self.scene)
        while self.scene.redo() is not None:
            pass
        # Redo goes on to where the last new edit was made.
        assert self.scene.state() == (self.future[0] if self.future else final)


TestUndoing = Undoing.TestCase
TestUndoing.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)


@given(triple_of["translate"], triple_of["rotate"], even, st.data())
def test_world_values_are_met_below_an_evenly_scaled_parent(translate, rotate, scale, data):
    scene = Scene()
    parent = scene.create("group")
    scene.place(parent, translate, rotate, scale)
    child = scene.create("cube", parent=parent)
    wanted = [data.draw(triple_of[part]) for part in ("translate", "rotate", "scale")]
    scene.place(child, *wanted, world=True)
    near(scene.transform(child, world=True)[1], m.compose(*wanted))


@given(*(triple_of[part] for part in ("translate", "rotate", "scale")), st.data())
def test_a_world_translation_is_met_anywhere_and_moves_nothing_else(t, r, s, data):
    scene = Scene()
    parent = scene.create("group")
    scene.place(parent, t, r, s)
    child = scene.create("cube", parent=parent)
    scene.place(child, None, data.draw(triple_of["rotate"]), data.draw(triple_of["scale"]))
    before = scene.transform(child)[0]
    target = data.draw(triple_of["translate"])
    scene.place(child, target, world=True)
    after, matrix = scene.transform(child, world=True)
    near([after.translate], [target])
    assert scene.transform(child)[0][1:] == before[1:]


@given(*(triple_of[part] for part in ("translate", "rotate", "scale")))
def test_local_values_read_back_exactly_as_they_were_set(translate, rotate, scale):
    scene = Scene()
    parent = scene.create("group")
    scene.place(parent, (1, 2, 3), (4, 5, 6), (7, 8, 9))
    child = scene.create("cube", parent=parent)
    scene.place(child, translate, rotate, scale)
    assert scene.transform(child)[0] == (translate, rotate, scale)


def test_shear_is_shown_in_the_matrix_and_not_held():
    scene = Scene()
    parent = scene.create("group")
    scene.place(parent, scale=(1, 3, 1))
    child = scene.create("cube", parent=parent)
    scene.place(child, rotate=(0, 0, 45))
    parts, matrix = scene.transform(child, world=True)
    assert m.deviation(m.compose(*parts), matrix, (0, 1, 2)) > 0.1
    scene.place(child, rotate=(0, 0, 0), scale=(1, 1, 1), world=True)
    near(scene.transform(child, world=True)[1], m.IDENTITY)


def test_no_world_value_below_a_scale_of_zero():
    scene = Scene()
    parent = scene.create("group")
    scene.place(parent, scale=(1, 0, 1))
    child = scene.create("cube", parent=parent)
    before = scene.state()
    with pytest.raises(InvalidArgument, match="scale of zero") as caught:
        scene.place(child, (1, 2, 3), world=True)
    assert "local" in caught.value.hint
    assert scene.state() == before
    scene.transform(child, world=True)


@given(
    st.sampled_from(sorted(SUPPORT)),
    *(triple_of[part] for part in ("translate", "rotate", "scale")),
)
def test_a_box_is_as_tight_as_can_be(kind, translate, rotate, scale):
    """Points of the surface never leave the box, and some come close to each of its sides."""
    scene = Scene()
    path = scene.create(kind)
    scene.place(path, translate, rotate, scale)
    low, high = scene.box(path)
    matrix = scene.transform(path)[1]
    points = [
        [sum(a * b for a, b in zip(row, point + (1.0,))) for row in matrix[:3]]
        for point in surface(kind)
    ]
    for axis in range(3):
        least = min(point[axis] for point in points)
        most = max(point[axis] for point in points)
        slack = 0.02 * (high[axis] - low[axis]) + 1e-6
        assert low[axis] - 1e-6 <= least <= low[axis] + slack
        assert high[axis] - slack <= most <= high[axis] + 1e-6


def surface(kind):
    """Return points of a solid's surface, with its default params."""
    circle = [math.radians(6 * step) for step in range(60)]
    if kind in ("cube", "plane"):
        ys = (0.0,) if kind == "plane" else (-0.5, 0.5)
        return list(itertools.product((-0.5, 0.5), ys, (-0.5, 0.5)))
    if kind in ("cylinder", "cone"):
        rim = [(0.5 * math.cos(a), -0.5, 0.5 * math.sin(a)) for a in circle]
        top = [(0.0, 0.5, 0.0)] if kind == "cone" else [(x, 0.5, z) for x, _, z in rim]
        return rim + top
    ring, tube = (0.5, 0.125) if kind == "torus" else (0.0, 0.5)
    return [
        (
            (ring + tube * math.cos(b)) * math.cos(a),
            tube * math.sin(b),
            (ring + tube * math.cos(b)) * math.sin(a),
        )
        for a in circle
        for b in circle
    ]


def test_what_stands_below_a_hidden_object_does_not_show():
    scene = Scene()
    top = scene.create("group", "top")
    low = scene.create("cube", "low", top)
    scene.show(top, False)
    assert not scene.look(low).shown
    assert scene.look(low).item.visible
    assert [seen.shown for seen in scene.walk()] == [False, False]


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\nb", "x" * 201, None, 3])
def test_names_that_cannot_be(name):
    scene = Scene()
    path = scene.create("cube")
    with pytest.raises(InvalidArgument):
        scene.rename(path, name)
    assert scene.paths() == ["/cube"]
    assert scene.undo_labels == ["Create"]


def test_a_short_name_is_enough_while_it_is_unique():
    scene = Scene()
    left, right = scene.create("group", "left"), scene.create("group", "right")
    scene.create("cube", "hand", left)
    assert scene.find("hand") == "/left/hand"
    scene.create("cube", "hand", right)
    with pytest.raises(Ambiguous) as caught:
        scene.find("hand")
    assert caught.value.details["candidates"] == ["/left/hand", "/right/hand"]
    assert scene.find("right/hand") == "/right/hand"
    with pytest.raises(NotFound) as missing:
        scene.find("/right/hnd")
    assert missing.value.hint.startswith("Did you mean '/right/hand'")
    # A leading slash says that the path is whole: no guess where it is not.
    scene.create("cube", "foot", right)
    assert scene.find("foot") == "/right/foot"
    for nothing in ("", "/", "//", "/left/", "/foot"):
        with pytest.raises(NotFound):
            scene.find(nothing)


def test_an_unknown_kind_is_answered_with_the_ones_there_are():
    with pytest.raises(InvalidArgument, match="cylinder") as caught:
        Scene().create("cub")
    assert caught.value.hint == "Did you mean 'cube'?"


def test_only_so_many_steps_are_kept():
    scene = Scene()
    for _ in range(250):
        scene.create("empty")
    assert len(scene.undo_labels) == 200
    while scene.undo():
        pass
    assert len(scene) == 50


def test_a_failed_chunk_may_have_made_and_deleted_an_object():
    scene = Scene()
    before = scene.state()
    scene.open_chunk("outer")
    scene.delete(scene.create("cube"))
    scene.roll_back_chunk()
    assert scene.state() == before
    assert scene.undo() is None


def test_world_values_at_the_top_level_read_back_exactly_too():
    scene = Scene()
    path = scene.create("cube", None, scene.create("group"))
    scene.place(path, (0.1, 0.2, 0.3), (200.0, 100.0, -300.0), (-1.0, 2.0, 0.0), world=True)
    parts = scene.transform(path, world=True)[0]
    assert parts == ((0.1, 0.2, 0.3), (200.0, 100.0, -300.0), (-1.0, 2.0, 0.0))


def test_undo_inside_a_chunk_is_refused():
    scene = Scene()
    scene.create("cube")
    scene.open_chunk("mine")
    with pytest.raises(Unsupported, match="inside an undo chunk"):
        scene.undo()
    scene.close_chunk()
    assert scene.undo() == "Create"


def test_the_outer_chunk_names_the_step():
    scene = Scene()
    scene.open_chunk("MCP: build")
    scene.open_chunk("inner")
    scene.create("cube")
    scene.close_chunk()
    scene.create("cube")
    scene.close_chunk()
    assert scene.undo_labels == ["MCP: build"]


def test_ids_come_back_with_redo_and_are_never_given_twice():
    scene = Scene()
    first = scene.look(scene.create("cube")).key
    scene.undo()
    scene.redo()
    assert scene.look("/cube").key == first
    scene.undo()
    assert scene.look(scene.create("cube")).key != first
