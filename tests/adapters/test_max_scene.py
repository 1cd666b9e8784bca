"""The scene of 3ds Max: the contract of backends, and what is particular to it. Over the fake."""

from __future__ import annotations

import importlib.util
import math
import os
import threading

import pytest

from dcc_mcp_embed.errors import (
    Ambiguous,
    HostError,
    InvalidArgument,
    NotFound,
    Unsupported,
)
from dcc_mcp_embed.tools import matrix as m
from fakes.max_host.stage import MaxbatchStage

# By path, so that it is found however the tests are imported.
_spec = importlib.util.spec_from_file_location(
    "backend_contract", os.path.join(os.path.dirname(__file__), "backend_contract.py")
)
contract = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contract)


@pytest.fixture
def stage():
    with MaxbatchStage() as made:
        yield made


@pytest.fixture
def scene(stage):
    return stage.adapter.scene_backend()


@pytest.fixture
def rt(stage):
    import pymxs

    return pymxs.runtime


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda one: one.__name__)
def test_contract(stage, scene, check):
    contract.run_one(check, scene, stage.adapter.undo_chunk)
    assert list(scene.rows()) == []


def test_the_whole_suite_runs_in_one_scene_and_reports_nothing(stage, scene):
    assert contract.run(scene, stage.adapter.undo_chunk) == []


# -- names ------------------------------------------------------------------------------------


def test_names_that_are_not_unique_are_told_apart_by_their_handles(scene, rt):
    group = scene.create("group", "pair", None, {})
    for _ in range(2):
        rt.Box(name="twin").parent = rt.getNodeByName("pair")
    rt.Box(name="twin")
    rows = {row["path"]: row for row in scene.rows()}
    twins = [row for row in rows.values() if row["name"] == "twin"]
    assert len({row["path"] for row in twins}) == 3
    inside = sorted("/pair/twin#{}".format(row["id"]) for row in twins if row["parent"] == group)
    assert [path for path in sorted(rows) if path.startswith("/pair/")] == inside
    # Alone at its place, it needs none.
    assert "/twin" in rows
    for path, row in rows.items():
        assert scene.row(path) == row
        assert scene.resolve(path) == path
    assert scene.detail(group, "children") == scene.descendants(group) == inside


def test_a_name_that_fits_several_is_refused_with_their_paths(scene, rt):
    for _ in range(2):
        rt.Box(name="twin")
    for asked in ("twin", "/twin"):
        with pytest.raises(Ambiguous) as caught:
            scene.resolve(asked)
        assert sorted(caught.value.details["candidates"]) == [r["path"] for r in scene.rows()]


def test_no_name_at_all_names_nothing(scene, rt):
    rt.Box(name="a/")
    with pytest.raises(NotFound):
        scene.resolve("")


def test_names_that_differ_in_case_only_are_different(scene, rt):
    paths = []
    for name in ("Wheel", "wheel"):
        rt.Box(name=name)
        paths.append("/" + name)
    assert [row["path"] for row in scene.rows()] == paths
    for path in paths:
        assert scene.row(path)["path"] == path
    scene.select(paths)
    assert sorted(scene.selection()) == paths


@pytest.mark.parametrize("name", ["a/b", "a#7", "/", "#1"])
def test_a_name_that_looks_like_part_of_a_path_is_told_with_its_handle(scene, rt, name):
    node = rt.Box(name=name)
    (row,) = scene.rows()
    assert row["path"] == "/{}#{}".format(name, node.handle)
    assert row["name"] == name
    low = scene.create("cube", "low", row["path"], {})
    assert low == row["path"] + "/low"
    for path in (row["path"], low):
        assert scene.row(path)["path"] == scene.resolve(path) == path
    assert scene.resolve("low") == low
    assert scene.detail(row["path"], "children") == [low]


def test_a_number_at_the_end_of_a_name_is_no_handle_of_another(scene, rt):
    other = rt.Sphere(name="other")
    box = rt.Box(name="box#{}".format(other.handle))
    (path,) = [row["path"] for row in scene.rows() if row["type"] == "box"]
    assert scene.row(path)["id"] == str(box.handle)
    with pytest.raises(NotFound):
        scene.resolve("/box#{}".format(other.handle + 1000))


def test_new_names_are_made_unique_by_3ds_max_and_impossible_ones_refused(scene):
    assert scene.create("cube", "wheel", None, {}) == "/wheel"
    assert scene.create("cube", "wheel", None, {}) == "/wheel001"
    assert scene.create("cube", None, None, {}) == "/Box001"
    assert scene.rename("/wheel", "wheel") == "/wheel"
    before = list(scene.rows())
    for name in ("", "a/b"):
        with pytest.raises(InvalidArgument):
            scene.rename("/wheel", name)
        with pytest.raises(InvalidArgument):
            scene.create("cube", name, None, {})
    assert list(scene.rows()) == before


def test_the_handle_is_asked_of_the_node_and_not_of_its_object(scene, stage):
    path = scene.create("cube", None, None, {})
    ident = scene.row(path)["id"]
    # Some objects have a property of that name, which comes first: a teapot for one.
    params = dict(stage.host.scene.data(int(ident))["params"], handle=0)
    stage.host.scene.change(int(ident), params=params)
    scene.create("cube", None, None, {})
    assert scene.row(path)["id"] == ident


# -- what is in the scene ---------------------------------------------------------------------


def test_the_scene_is_described_in_its_own_units_and_time(scene, rt):
    info = scene.info(["counts", "time", "render", "plugins"])
    assert info["up_axis"] == "z"
    assert info["units"] == {"linear": "in", "angle": "deg"}
    assert info["time"] == {"fps": 30.0, "start": 0.0, "end": 100.0, "current": 0.0}
    assert info["render"]["engine"] == "Default_Scanline_Renderer"
    assert info["render"]["camera"] is None
    assert (info["file"], info["counts"]) == ("", {})
    assert "plugins" not in info
    rt.units.SystemType = rt.Name("Centimeters")
    assert scene.info([])["units"]["linear"] == "cm"


def test_an_object_is_what_it_was_made_as_whatever_is_put_onto_it(scene, rt):
    path = scene.create("cube", None, None, {})
    node = rt.getNodeByName("Box001")
    rt.addModifier(node, rt.Bend())
    node.material = rt.StandardMaterial(name="rusty")
    assert str(rt.classOf(node)) == "Editable_mesh"
    assert scene.row(path)["type"] == "box"
    assert [one["type"] for one in scene.detail(path, "history")] == ["bend"]
    assert scene.detail(path, "materials") == ["rusty"]
    assert scene.detail(scene.create("cube", None, None, {}), "materials") == []


def test_what_a_camera_looks_at_has_no_box(scene, rt):
    rt.Targetobject(name="Camera001.Target")
    assert scene.detail(scene.resolve("Camera001.Target"), "bbox") is None


def test_what_goes_with_another_is_not_deleted_twice(scene, stage, monkeypatch):
    # As the target goes with its camera.
    camera, target = (scene.create(kind, None, None, {}) for kind in ("camera", "empty"))
    last = int(scene.row(target)["id"])
    delete = stage.host.scene.delete
    monkeypatch.setattr(stage.host.scene, "delete", lambda key: (delete(key), delete(last)))
    assert scene.delete([camera, target]) == [camera, target]
    assert list(scene.rows()) == []


def test_nothing_can_be_selected(scene):
    path = scene.create("cube", None, None, {})
    scene.select([path])
    scene.select([])
    assert scene.selection() == []


def test_units_have_a_scale(scene, rt):
    rt.units.SystemScale = 2.54
    assert scene.info([])["units"]["linear"] == "2.54 in"


def test_what_is_hidden_is_not_visible(scene, rt):
    path = scene.create("cube", None, None, {})
    rt.hide(rt.getNodeByName("Box001"))
    assert scene.row(path)["visible"] is False


def test_the_attributes_are_those_of_the_object_as_json(scene):
    cube = scene.detail(scene.create("cube", None, None, {"size": 3.0}), "attributes")
    assert (cube["width"], cube["length"], cube["height"]) == (3.0, 3.0, 3.0)
    light = {"type": "spot", "intensity": 2.0, "color": [1.0, 0.5, 0.0]}
    spot = scene.detail(scene.create("light", None, None, light), "attributes")
    assert spot["rgb"] == [255.0, 127.5, 0.0]
    assert spot["multiplier"] == 2.0
    camera = scene.create("camera", None, None, {"focal_length": 18.0})
    assert math.isclose(scene.detail(camera, "attributes")["fov"], 90.0)


def test_a_light_of_no_known_kind_is_refused(scene):
    with pytest.raises(InvalidArgument, match="point"):
        scene.create("light", None, None, {"type": "moon"})
    assert list(scene.rows()) == []


@pytest.mark.parametrize("kind", ["cube", "cylinder", "cone"])
def test_solids_that_stand_on_their_base_are_centred(scene, kind):
    box = scene.detail(scene.create(kind, None, None, {}), "bbox")
    assert (box["min"][2], box["max"][2]) == (-0.5, 0.5)


def test_what_has_no_geometry_has_no_box(scene):
    for kind in ("empty", "group", "camera", "light"):
        assert scene.detail(scene.create(kind, None, None, {}), "bbox") is None


# -- places -----------------------------------------------------------------------------------


def test_a_new_child_begins_where_its_parent_is(scene):
    parent = scene.create("group", None, None, {})
    scene.set_transform(parent, (5, 6, 7), (0, 0, 90), (2, 2, 2), "world")
    child = scene.create("cube", None, parent, {})
    contract.near_matrix(scene.transform(child, "local")["matrix"], m.IDENTITY)


def test_a_move_leaves_rotation_and_scale_to_the_bit(scene):
    parent = scene.create("group", None, None, {})
    scene.set_transform(parent, (1, 2, 3), (10, 20, 30), (2, 2, 2), "world")
    child = scene.create("cube", None, parent, {})
    scene.set_transform(child, None, (17, 29, 31), (1, 3, 5), "local")
    before = scene.transform(child, "world")["matrix"]
    scene.set_transform(child, (4, 5, 6), None, None, "local")
    after = scene.transform(child, "world")["matrix"]
    for row in range(3):
        contract.near(after[row][:3], before[row][:3], 1e-12)
    contract.near(scene.transform(child, "local")["translate"], (4, 5, 6))


def test_a_move_in_the_world_leaves_what_a_parent_skews_as_it_is(scene):
    parent = scene.create("group", None, None, {})
    child = scene.create("cube", None, parent, {})
    scene.set_transform(parent, None, None, (1, 2, 5), "local")
    scene.set_transform(child, None, (30, 40, 50), None, "local")
    before = scene.transform(child, "world")["matrix"]
    scene.set_transform(child, (7, 8, 9), None, None, "world")
    after = scene.transform(child, "world")["matrix"]
    for row, place in enumerate((7, 8, 9)):
        contract.near(after[row], [*before[row][:3], place], 1e-12)


def test_a_parent_is_flat_also_where_it_is_only_nearly(scene):
    top = scene.create("group", None, None, {})
    parent = scene.create("group", None, top, {})
    child = scene.create("cube", None, parent, {})
    scene.set_transform(parent, None, (45, 0, 0), None, "local")
    scene.set_transform(top, None, None, (1, 1, 1e-8), "local")
    with pytest.raises(InvalidArgument, match="flattens"):
        scene.set_transform(child, (1, 1, 1), None, None, "world")


def test_below_a_flat_parent_world_values_are_refused(scene):
    parent = scene.create("group", None, None, {})
    child = scene.create("cube", None, parent, {})
    scene.set_transform(parent, None, None, (1, 1, 0), "local")
    with pytest.raises(InvalidArgument, match="flattens"):
        scene.set_transform(child, (1, 1, 1), None, None, "world")
    with pytest.raises(HostError, match="flattens"):
        scene.transform(child, "local")
    assert scene.transform(child, "world")["translate"] == [0.0, 0.0, 0.0]


def test_keys_are_set_for_the_given_parts_at_what_they_are_now(scene, rt):
    path = scene.create("cube", None, None, {})
    scene.set_transform(path, (1, 2, 3), None, None, "world")
    scene.key_transform(path, ["translate"], 12)
    node = rt.getNodeByName("Box001")

    def frames(part):
        return [time.frame for time in rt.getPropertyController(node.controller, part).keys]

    # None at the beginning, which recording animation would add by itself.
    assert (frames("Position"), frames("Rotation"), frames("Scale")) == ([12.0], [], [])
    contract.near(scene.transform(path, "world")["translate"], (1, 2, 3))


def test_a_key_holds_what_is_now_whatever_was_between_other_keys(scene, stage, rt, monkeypatch):
    from fakes.max_host.nodes import Controller

    path = scene.create("cube", None, None, {})
    set_, seen = Controller._set_value, []

    def noted(track, value):
        seen.append((stage.host.time, list(stage.host.animating), track.frames()))
        set_(track, value)

    monkeypatch.setattr(Controller, "_set_value", noted)
    scene.key_transform(path, ["translate"], 12)
    # At that frame, recorded, and with the key there already.
    assert seen == [(12.0, [True], [12.0])]


def test_what_no_keys_move_is_refused_before_anything_is_keyed(scene, rt, monkeypatch):
    from fakes.max_host.nodes import Controller

    path = scene.create("cube", None, None, {})
    below = Controller.below
    monkeypatch.setattr(
        Controller, "below", lambda one, part: None if part == "scale" else below(one, part)
    )
    with pytest.raises(Unsupported, match="scale"):
        scene.key_transform(path, ["translate", "scale"], 12)
    node = rt.getNodeByName("Box001")
    assert list(rt.getPropertyController(node.controller, "Position").keys) == []


# -- files ------------------------------------------------------------------------------------


def test_missing_files_are_told_and_those_that_are_there_counted(scene, rt, stage, tmp_path):
    there = tmp_path / "there.png"
    there.write_bytes(b"")
    for file in (str(there), str(tmp_path / "gone.png"), ""):
        rt.BitmapTexture(filename=file)
    stage.host.scene.xrefs.append(str(tmp_path / "gone.max"))
    found = list(scene.errors())
    assert [one and one["file"] for one in found] == [
        None,
        str(tmp_path / "gone.png"),
        str(tmp_path / "gone.max"),
    ]
    assert {one["kind"] for one in found if one} == {"missing_file"}


def test_a_file_is_there_where_3ds_max_finds_it(scene, rt, tmp_path, monkeypatch):
    from fakes.max_host.structs import MapPaths

    elsewhere = {"beside.png": "D:\\maps\\beside.png"}
    monkeypatch.setattr(MapPaths, "_fn_getfullfilepath", lambda _, name: elsewhere.get(name, ""))
    there = tmp_path / "there.png"
    there.write_bytes(b"")
    for file in (str(there), "beside.png", "gone.png"):
        rt.BitmapTexture(filename=file)
    assert [one and one["file"] for one in scene.errors()] == [None, None, "gone.png"]


def test_a_scene_is_opened_and_a_new_one_begun_without_asking(scene, rt, tmp_path):
    path = str(tmp_path / "scene.max")
    scene.create("cube", "kept", None, {})
    assert rt.saveMaxFile(path, quiet=True)
    scene.create("cube", "unsaved", None, {})
    assert scene.info([])["dirty"] is True
    scene.new_scene()
    assert (list(scene.rows()), scene.file(), scene.info([])["dirty"]) == ([], "", False)
    scene.open_scene(path)
    assert [row["name"] for row in scene.rows()] == ["kept"]
    assert scene.file() == path


def test_a_file_that_cannot_be_opened_is_said(scene, tmp_path):
    with pytest.raises(NotFound):
        scene.open_scene(str(tmp_path / "nowhere.max"))
    broken = tmp_path / "broken.max"
    broken.write_text("not a scene")
    with pytest.raises(HostError, match="could not open"):
        scene.open_scene(str(broken))


# -- undo, threads ----------------------------------------------------------------------------


def test_undo_and_redo_say_when_there_is_nothing(stage, scene):
    assert scene.undo() is False
    assert scene.redo() is False
    with stage.adapter.undo_chunk("Make"):
        scene.create("cube", None, None, {})
    assert scene.undo() is True
    assert scene.undo() is False
    assert scene.redo() is True
    assert scene.redo() is False
    # Their callbacks are gone again.
    assert stage.host.events.left == []


def test_an_undo_that_3dsmaxbatch_does_not_tell_of_is_seen(stage, scene):
    with stage.adapter.undo_chunk("Make"):
        path = scene.create("cube", None, None, {})
    with stage.adapter.undo_chunk("Move"):
        scene.set_transform(path, (1, 2, 3), None, None, "world")
    stage.host.tells_undo = False
    assert scene.undo() is True
    assert scene.transform(path, "world")["translate"] == [0.0, 0.0, 0.0]
    assert scene.undo() is True
    assert scene.undo() is False
    assert [scene.redo(), scene.redo(), scene.redo()] == [True, True, False]


def test_an_undo_of_what_is_not_looked_at_is_told(stage, scene, rt):
    scene.create("cube", None, None, {})
    with stage.adapter.undo_chunk("Hide"):
        rt.hide(rt.getNodeByName("Box001"))
    assert scene.undo() is True
    assert scene.undo() is False


def test_nothing_is_undone_while_somebody_has_a_step_open(scene, rt):
    rt.theHold.Begin()
    try:
        for move in (scene.undo, scene.redo):
            with pytest.raises(Unsupported):
                move()
    finally:
        rt.theHold.Cancel()


def test_another_thread_is_refused_before_3ds_max_is_asked(scene):
    path = scene.create("cube", None, None, {})
    calls = [
        lambda: list(scene.rows()),
        lambda: scene.info([]),
        lambda: scene.resolve(path),
        lambda: scene.create("cube", None, None, {}),
        lambda: scene.delete([path]),
        lambda: scene.select([]),
        lambda: scene.undo(),
        lambda: scene.new_scene(),
        lambda: next(iter(scene.errors())),
        lambda: scene.namespace(),
    ]
    caught = []

    def work():
        for call in calls:
            try:
                call()
            except Exception as error:
                caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    # The fake notes each call from a thread, and fails the test for it.
    assert [type(error) for error in caught] == [HostError] * len(calls)
    assert len(list(scene.rows())) == 1
