"""What every SceneBackend must do, as plain functions: they also run inside a real host.

``run(scene, chunk)`` runs every check against a backend of an empty scene, each check in objects
of its own that it deletes again, and returns ``[(name, error text)]`` of those that failed.
``chunk(label)`` is the adapter's ``undo_chunk``. No test framework is needed.
"""

from __future__ import annotations

from dcc_mcp_embed.errors import Ambiguous, InvalidArgument, NotFound, Unsupported
from dcc_mcp_embed.tools import matrix as m

#: Hosts with single precision transforms.
NEAR = 1e-4

ROW = {"id", "path", "name", "type", "parent", "visible"}


def raises(kinds, call, *arguments):
    try:
        call(*arguments)
    except kinds as error:
        return error
    raise AssertionError("{} did not raise {}".format(call, kinds))


def near(found, wanted, tolerance=NEAR):
    assert len(found) == len(wanted), (found, wanted)
    for a, b in zip(found, wanted):
        assert abs(a - b) <= tolerance * max(1.0, abs(b)), (list(found), list(wanted))


def near_matrix(found, wanted):
    for row, other in zip(found, wanted):
        near(row, other)


def check_info_is_complete(scene, chunk):
    info = scene.info(["counts"])
    assert isinstance(info["file"], str)
    assert info["dirty"] in (True, False)
    assert info["up_axis"] in ("y", "z")
    assert set(info["units"]) == {"linear", "angle"}
    before = info["counts"]
    path = scene.create("cube", None, None, {})
    after = scene.info(["counts"])["counts"]
    kind = scene.row(path)["type"]
    assert after[kind] == before.get(kind, 0) + 1


def check_rows_come_parents_first(scene, chunk):
    top = scene.create("empty", "top", None, {})
    middle = scene.create("empty", "middle", top, {})
    low = scene.create("cube", "low", middle, {})
    rows = list(scene.rows())
    order = [row["path"] for row in rows]
    assert order.index(top) < order.index(middle) < order.index(low)
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == ROW
        assert isinstance(row["id"], str)
        assert row["parent"] is None or row["parent"] in order[: order.index(row["path"])]
    assert scene.row(low)["parent"] == middle
    assert order == [row["path"] for row in scene.rows()]


def check_every_kind_can_be_made(scene, chunk):
    for kind in scene.kinds:
        path = scene.create(kind, None, None, {})
        row = scene.row(path)
        assert row["path"] == path and row["type"] and row["visible"] is True, (kind, row)
        near(scene.transform(path, "world")["translate"], (0, 0, 0))
        box = scene.detail(path, "bbox")
        assert box is None or all(a <= b for a, b in zip(box["min"], box["max"]))


def check_params_are_kept_and_checked(scene, chunk):
    path = scene.create("cube", None, None, {"size": 3.0})
    box = scene.detail(path, "bbox")
    near(box["min"], (-1.5, -1.5, -1.5))
    near(box["max"], (1.5, 1.5, 1.5))
    before = len(list(scene.rows()))
    error = raises(InvalidArgument, scene.create, "cube", None, None, {"siez": 1.0})
    assert "size" in str(error)
    raises(InvalidArgument, scene.create, "cube", None, None, {"size": "wide"})
    assert len(list(scene.rows())) == before


def check_group_box_is_around_its_children(scene, chunk):
    group = scene.create("group", None, None, {})
    assert scene.detail(group, "bbox") is None
    for x in (-4.0, 6.0):
        cube = scene.create("cube", None, group, {"size": 2.0})
        scene.set_transform(cube, (x, 0, 0), None, None, "local")
    scene.set_transform(group, (0, 10, 0), None, None, "local")
    box = scene.detail(group, "bbox")
    near(box["min"], (-5, 9, -1))
    near(box["max"], (7, 11, 1))


def check_names_are_made_unique(scene, chunk):
    first = scene.create("cube", "twin", None, {})
    second = scene.create("cube", "twin", None, {})
    assert first != second
    other = scene.create("cube", "other", None, {})
    renamed = scene.rename(other, "twin")
    assert len({first, second, renamed}) == 3
    for path in (first, second, renamed):
        assert scene.row(path)["path"] == path


def check_rename_keeps_the_identity(scene, chunk):
    old = scene.create("empty", "before", None, {})
    child = scene.create("cube", "child", old, {})
    ids = scene.row(old)["id"], scene.row(child)["id"]
    new = scene.rename(old, "after")
    assert scene.row(new)["id"] == ids[0]
    assert scene.row(new)["name"] == "after"
    below = scene.descendants(new)
    assert [scene.row(path)["id"] for path in below] == [ids[1]]
    raises(NotFound, scene.resolve, old)


def check_paths_resolve(scene, chunk):
    top = scene.create("empty", "house", None, {})
    path = scene.create("cube", "doorstep", top, {})
    assert scene.resolve(path) == path
    assert scene.resolve("doorstep") == path
    error = raises(NotFound, scene.resolve, "doorstpe")
    assert "doorstep" in (error.hint or "")
    raises(NotFound, scene.resolve, "")
    raises((NotFound, Ambiguous), scene.resolve, "/no such/place")


def check_delete_takes_what_is_below(scene, chunk):
    top = scene.create("empty", None, None, {})
    middle = scene.create("empty", None, top, {})
    low = scene.create("cube", None, middle, {})
    beside = scene.create("cube", None, None, {})
    assert set(scene.descendants(top)) == {middle, low}
    # Naming an object together with what is below it must not trip over the second.
    assert set(scene.delete([top, low])) == {top, middle, low}
    left = {row["path"] for row in scene.rows()}
    assert not left & {top, middle, low}
    assert beside in left


def check_local_transform_is_kept(scene, chunk):
    path = scene.create("cube", None, None, {})
    scene.set_transform(path, (1, -2, 3.5), (10, 20, 30), (1, 2, 0.5), "local")
    for space in ("local", "world"):
        found = scene.transform(path, space)
        near(found["translate"], (1, -2, 3.5))
        near(found["rotate"], (10, 20, 30))
        near(found["scale"], (1, 2, 0.5))
        near_matrix(found["matrix"], m.compose((1, -2, 3.5), (10, 20, 30), (1, 2, 0.5)))
    scene.set_transform(path, None, (0, 45, 0), None, "local")
    found = scene.transform(path, "local")
    near(found["translate"], (1, -2, 3.5))
    near(found["rotate"], (0, 45, 0))
    near(found["scale"], (1, 2, 0.5))


def check_world_is_parent_times_local(scene, chunk):
    parent = scene.create("empty", None, None, {})
    child = scene.create("cube", None, parent, {})
    scene.set_transform(parent, (5, 0, -1), (15, 80, -40), (2, 2, 2), "local")
    scene.set_transform(child, (0, 3, 1), (-70, 5, 160), (1, 0.5, 3), "local")
    above = m.compose((5, 0, -1), (15, 80, -40), (2, 2, 2))
    local = m.compose((0, 3, 1), (-70, 5, 160), (1, 0.5, 3))
    near_matrix(scene.transform(child, "world")["matrix"], m.multiply(above, local))


def check_world_transform_is_met_below_a_parent(scene, chunk):
    parent = scene.create("empty", None, None, {})
    child = scene.create("cube", None, parent, {})
    scene.set_transform(parent, (5, 0, -1), (15, 80, -40), (3, 3, 3), "local")
    scene.set_transform(child, (1, 2, 3), (30, -50, 100), (1, 2, 3), "world")
    wanted = m.compose((1, 2, 3), (30, -50, 100), (1, 2, 3))
    near_matrix(scene.transform(child, "world")["matrix"], wanted)
    scene.set_transform(child, (-7, 0, 0), None, None, "world")
    wanted = m.compose((-7, 0, 0), (30, -50, 100), (1, 2, 3))
    near_matrix(scene.transform(child, "world")["matrix"], wanted)


def check_right_angles_are_met(scene, chunk):
    path = scene.create("cube", None, None, {})
    for rotate in ((90, 0, 0), (0, 90, 0), (0, 0, 90), (0, -90, 45), (180, 90, 0)):
        scene.set_transform(path, None, rotate, None, "world")
        found = scene.transform(path, "world")
        near_matrix(found["matrix"], m.compose((0, 0, 0), rotate, (1, 1, 1)))
        near_matrix(m.compose((0, 0, 0), found["rotate"], (1, 1, 1)), found["matrix"])


def check_world_translate_below_uneven_scale(scene, chunk):
    parent = scene.create("empty", None, None, {})
    child = scene.create("cube", None, parent, {})
    scene.set_transform(parent, (1, 1, 1), (20, 30, 40), (1, 2, 5), "local")
    scene.set_transform(child, None, (45, 0, 0), None, "local")
    scene.set_transform(child, (9, -8, 7), None, None, "world")
    near(scene.transform(child, "world")["translate"], (9, -8, 7))
    near(scene.transform(child, "local")["rotate"], (45, 0, 0))


def check_selection_is_exact(scene, chunk):
    a = scene.create("cube", None, None, {})
    b = scene.create("cube", None, None, {})
    scene.select([b, a])
    assert sorted(scene.selection()) == sorted([a, b])
    assert scene.info([])["selection_count"] == 2
    scene.select([b])
    assert scene.selection() == [b]
    scene.delete([b])
    assert scene.selection() == []
    scene.select([])
    assert scene.selection() == []


def check_details(scene, chunk):
    top = scene.create("empty", None, None, {})
    low = scene.create("cube", None, top, {})
    assert scene.detail(top, "children") == [low]
    assert scene.detail(low, "children") == []
    for part, kind in (("attributes", dict), ("materials", list), ("history", list)):
        try:
            assert isinstance(scene.detail(low, part), kind), part
        except Unsupported:
            pass


def check_a_chunk_is_one_undo_step(scene, chunk):
    with chunk("Contract: one step") as step:
        path = scene.create("cube", "undone", None, {})
        scene.set_transform(path, (1, 2, 3), None, None, "local")
    try:
        undone = scene.undo()
    except Unsupported:
        assert step.steps == 0, "a step was counted that nobody can take back"
        return
    assert step.steps == 1
    assert undone is True
    raises(NotFound, scene.resolve, path)
    assert scene.redo() is True
    near(scene.transform(scene.resolve(path), "local")["translate"], (1, 2, 3))
    with chunk("Contract: nothing") as step:
        list(scene.rows())
    assert step.steps == 0


CHECKS = tuple(value for name, value in sorted(globals().items()) if name.startswith("check_"))


def run_one(check, scene, chunk):
    """Run one check and delete what it made."""
    before = {row["id"] for row in scene.rows()}
    try:
        check(scene, chunk)
    finally:
        made = [row["path"] for row in scene.rows() if row["id"] not in before]
        if made:
            scene.delete(made)


def run(scene, chunk):
    """Run every check; return (name, error) of those that failed."""
    failures = []
    for check in CHECKS:
        try:
            run_one(check, scene, chunk)
        except Exception as error:
            failures.append((check.__name__, "{}: {}".format(type(error).__name__, error)))
    return failures
