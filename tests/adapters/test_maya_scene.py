"""MayaScene over the fake Maya: the contract of every backend, and what is Maya's own."""

from __future__ import annotations

import importlib.util
import os
import threading

import pytest
from dcc_mcp_embed.adapters.maya import naming
from dcc_mcp_embed.adapters.maya import scene as scene_module
from dcc_mcp_embed.adapters.maya.scene import MayaScene
from dcc_mcp_embed.adapters.maya.undo import Chunk

from dcc_mcp_embed.errors import Ambiguous, HostError, InvalidArgument, NotFound, Unsupported
from dcc_mcp_embed.tools import matrix as m
from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install

pytestmark = pytest.mark.qt

# By path, so that it is found however the tests are imported.
_spec = importlib.util.spec_from_file_location(
    "backend_contract", os.path.join(os.path.dirname(__file__), "backend_contract.py")
)
contract = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contract)

ORDERS = ("xyz", "yzx", "zxy", "xzy", "yxz", "zyx")


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
def scene(host):
    return MayaScene()


def near(found, wanted):
    contract.near(found, wanted, 1e-9)


def near_matrix(found, wanted):
    for row, other in zip(found, wanted):
        near(row, other)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("units", [("cm", "deg", "y"), ("m", "rad", "z")], ids="_".join)
def test_contract(check, units, scene, cmds):
    linear, angle, up = units
    cmds.currentUnit(linear=linear, angle=angle)
    cmds.upAxis(axis=up)
    contract.run_one(check, scene, Chunk)


# -- paths and rows -----------------------------------------------------------------------------


def test_a_path_may_be_written_with_slashes(scene):
    house = scene.create("group", "house", None, {})
    door = scene.create("cube", "door", house, {})
    assert door == "|house|door"
    for written in ("|house|door", "/house/door", "house|door", "house/door", "door"):
        assert scene.resolve(written) == door
    with pytest.raises(NotFound):
        scene.resolve("/door")


def test_a_name_in_two_places_is_refused_with_both(scene):
    for above in ("left", "right"):
        scene.create("cube", "arm", scene.create("group", above, None, {}), {})
    with pytest.raises(Ambiguous) as caught:
        scene.resolve("arm")
    assert set(caught.value.details["candidates"]) == {"|left|arm", "|right|arm"}
    assert "'|left|arm'" in caught.value.message
    assert scene.resolve("right|arm") == "|right|arm"


def test_a_mistyped_path_is_answered_with_the_nearest_as_maya_writes_it(scene):
    scene.create("cube", "doorstep", scene.create("group", "house", None, {}), {})
    with pytest.raises(NotFound) as caught:
        scene.resolve("house|doorstpe")
    assert "'|house|doorstep'" in caught.value.hint


@pytest.mark.parametrize("path", ["*", "cu*", "cube.vtx[0]", "cube|", "", "|", "é", "a b"])
def test_a_pattern_names_nothing(scene, path):
    scene.create("cube", "cube", None, {})
    with pytest.raises(NotFound):
        scene.resolve(path)


def test_the_name_of_a_shape_is_answered_with_its_object(scene):
    shape = naming.shapes_of(scene.create("cube", "ball", None, {}))[0]
    with pytest.raises(NotFound) as caught:
        scene.resolve(naming.leaf(shape))
    assert "'|ball'" in caught.value.hint


def test_rows_show_objects_not_shapes(scene, cmds):
    scene.create("light", "lamp", None, {"type": "spot"})
    cmds.createNode("joint", name="hip", skipSelect=True)
    rows = {row["path"]: row for row in scene.rows()}
    assert rows["|lamp"]["type"] == "spotLight"
    assert rows["|hip"]["type"] == "joint"
    assert rows["|persp"]["type"] == "camera" and rows["|persp"]["visible"] is False
    assert not [path for path in rows if "Shape" in path]
    for path, row in rows.items():
        assert scene.row(path) == row
        assert row["id"] == cmds.ls(path, uuid=True)[0]


def test_a_shape_that_only_feeds_others_gives_no_type(scene, cmds):
    path = scene.create("cube", "base", None, {})
    cmds.setAttr(naming.shapes_of(path)[0] + ".intermediateObject", True)
    assert scene.row(path)["type"] == "transform"
    assert {row["path"]: row["type"] for row in scene.rows()}[path] == "transform"
    assert scene.detail(path, "bbox") is None


def test_what_stands_below_something_hidden_does_not_show(scene, cmds):
    top = scene.create("group", "top", None, {})
    low = scene.create("cube", "low", top, {})
    assert scene.row(low)["visible"] is True
    cmds.setAttr(top + ".visibility", False)
    assert scene.row(low)["visible"] is False


def test_an_instance_is_a_row_of_its_own(scene, cmds):
    source = scene.create("group", "source", None, {})
    scene.create("cube", "brick", source, {"size": 2.0})
    cmds.instance(source, name="copy")
    scene.set_transform("|copy", (10, 0, 0), None, None, "local")
    rows = {row["path"]: row for row in scene.rows()}
    first, second = rows["|source|brick"], rows["|copy|brick"]
    assert first["id"] != second["id"] and second["id"].startswith(first["id"])
    with pytest.raises(Ambiguous):
        scene.resolve("brick")
    assert scene.transform("|source|brick", "world")["translate"] == [0, 0, 0]
    assert scene.transform("|copy|brick", "world")["translate"] == [10, 0, 0]
    assert scene.detail("|copy", "children") == ["|copy|brick"]
    scene.set_transform("|copy|brick", (0, 0, 7), None, None, "world")
    assert scene.transform("|source|brick", "world")["translate"] == [-10, 0, 7]


def test_names_hold_namespaces(scene, cmds):
    cmds.namespace(add="rig")
    path = scene.create("cube", "rig:hand", None, {})
    assert path == "|rig:hand"
    assert scene.row(path)["name"] == "rig:hand"
    assert scene.resolve("rig:hand") == path
    with pytest.raises(NotFound):
        scene.resolve("hand")
    with pytest.raises(InvalidArgument, match="namespace 'rug'"):
        scene.rename(path, "rug:hand")
    assert scene.rename(path, "hand") == "|hand"


@pytest.mark.parametrize("name", ["1st", "a b", "a.b", "a|b", "é", "", "ns:", "a/b", "a-b", "a\n"])
def test_a_name_that_maya_would_bend_is_refused(scene, name):
    path = scene.create("cube", "keeps", None, {})
    with pytest.raises(InvalidArgument):
        scene.rename(path, name)
    before = len(list(scene.rows()))
    if name:
        with pytest.raises(InvalidArgument):
            scene.create("cube", name, None, {})
    assert len(list(scene.rows())) == before and scene.row(path)["name"] == "keeps"


# -- what is made ---------------------------------------------------------------------------------


def test_making_leaves_the_selection_as_it_was(scene, cmds):
    for kind in scene.kinds:
        scene.create(kind, None, None, {})
        assert cmds.ls(selection=True) == []
    kept = scene.create("cube", "kept", None, {})
    scene.select([kept])
    for kind in scene.kinds:
        scene.create(kind, None, None, {})
        assert scene.selection() == [kept]


def test_what_is_made_below_another_stands_at_its_origin(scene):
    parent = scene.create("group", None, None, {})
    scene.set_transform(parent, (5, 6, 7), (0, 90, 0), (2, 2, 2), "local")
    for kind in scene.kinds:
        path = scene.create(kind, "made", parent, {})
        assert scene.transform(path, "local")["matrix"] == [list(row) for row in m.IDENTITY]


@pytest.mark.parametrize(("up", "tall"), [("y", 1), ("z", 2)])
def test_round_solids_stand_along_the_up_axis(scene, cmds, up, tall):
    cmds.upAxis(axis=up)
    for kind in ("cylinder", "cone"):
        path = scene.create(kind, None, None, {"radius": 1.0, "height": 6.0})
        size = scene.detail(path, "bbox")["max"]
        assert size[tall] == 3 and sorted(size) == [1, 1, 3]
    path = scene.create("torus", None, None, {"radius": 2.0, "minor_radius": 0.5})
    size = scene.detail(path, "bbox")["max"]
    assert size[tall] == 0.5 and sorted(size) == [0.5, 2.5, 2.5]
    path = scene.create("sphere", None, None, {})
    poles = cmds.getAttr(scene.detail(path, "history")[0]["name"] + ".axis")[0]
    assert poles[tall] == 1 and sum(poles) == 1
    path = scene.create("plane", None, None, {"size": 4.0})
    size = scene.detail(path, "bbox")["max"]
    assert size[tall] == 0 and sorted(size) == [0, 2, 2]


@pytest.mark.parametrize(
    ("asked", "made"),
    [("point", "pointLight"), ("Sun", "directionalLight"), ("area", "areaLight")],
)
def test_lights_take_their_type_intensity_and_colour(scene, cmds, asked, made):
    params = {"type": asked, "intensity": 2.5, "color": [1.0, 0.5, 0.0]}
    path = scene.create("light", "lamp", None, params)
    assert scene.row(path)["type"] == made
    shown = scene.detail(path, "attributes")
    assert shown["intensity"] == 2.5
    assert cmds.getAttr(naming.shapes_of(path)[0] + ".color") == [(1.0, 0.5, 0.0)]
    before = len(list(scene.rows()))
    with pytest.raises(InvalidArgument, match="directional"):
        scene.create("light", None, None, {"type": "lava"})
    assert len(list(scene.rows())) == before


def test_a_camera_takes_its_focal_length(scene):
    path = scene.create("camera", "eye", None, {"focal_length": 85.0})
    assert scene.detail(path, "attributes")["focalLength"] == 85.0


def test_what_only_has_an_icon_has_no_box(scene):
    group = scene.create("group", None, None, {})
    for kind in ("camera", "light", "empty"):
        path = scene.create(kind, None, group, {})
        assert scene.detail(path, "bbox") is None, kind
    assert scene.detail(group, "bbox") is None
    scene.create("cube", None, group, {"size": 0.5})
    assert scene.detail(group, "bbox")["max"] == [0.25, 0.25, 0.25]


def test_lengths_are_in_the_unit_of_the_scene(scene, cmds):
    cmds.currentUnit(linear="m")
    path = scene.create("cube", None, None, {"size": 2.0})
    scene.set_transform(path, (1, 2, 3), None, None, "world")
    assert scene.info([])["units"]["linear"] == "m"
    assert scene.detail(path, "bbox") == {"min": [0, 1, 2], "max": [2, 3, 4]}
    assert [row[3] for row in scene.transform(path, "world")["matrix"]] == [1, 2, 3, 1]
    cmds.currentUnit(linear="cm")
    assert scene.transform(path, "world")["translate"] == [100, 200, 300]


# -- transforms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(6), ids=ORDERS)
@pytest.mark.parametrize("angle", ["deg", "rad"])
def test_rotations_are_met_in_each_of_mayas_orders(scene, cmds, number, angle):
    cmds.currentUnit(angle=angle)
    parent = scene.create("group", None, None, {})
    scene.set_transform(parent, (1, 2, 3), (20, -30, 40), (2, 2, 2), "local")
    path = scene.create("cube", None, parent, {})
    cmds.setAttr(path + ".rotateOrder", number)
    for space in ("local", "world"):
        scene.set_transform(path, (4, -5, 6), (10, 25, -70), (1, 2, 3), space)
        found = scene.transform(path, space)
        near_matrix(found["matrix"], m.compose((4, -5, 6), (10, 25, -70), (1, 2, 3)))
        near(found["rotate"], (10, 25, -70))
    assert cmds.getAttr(path + ".rotateOrder") == number


def test_pivots_do_not_move_what_is_turned(scene, cmds):
    """Maya turns about the pivot; the contract leaves the translation of the space as it is."""
    path = scene.create("cube", None, None, {})
    cmds.setAttr(path + ".rotatePivotX", 3)
    cmds.setAttr(path + ".scalePivotY", -2)
    scene.set_transform(path, (1, 2, 3), None, None, "world")
    for rotate, scale in (((0, 0, 90), None), ((10, 20, 30), (1, 2, 3)), (None, (5, 5, 5))):
        before = scene.transform(path, "world")
        scene.set_transform(path, None, rotate, scale, "world")
        found = scene.transform(path, "world")
        near(found["translate"], (1, 2, 3))
        near(found["rotate"], rotate or before["rotate"])
        near(found["scale"], scale or before["scale"])
    assert cmds.getAttr(path + ".rotatePivotX") == 3


@pytest.mark.parametrize("number", range(6), ids=ORDERS)
def test_a_joint_is_turned_with_its_orientation(scene, cmds, number):
    parent = scene.create("group", None, None, {})
    scene.set_transform(parent, (0, 1, 0), (0, 30, 0), None, "local")
    path = scene.resolve(cmds.createNode("joint", name="hip", parent=parent, skipSelect=True))
    cmds.setAttr(path + ".rotateOrder", number)
    for name, angles in (("jointOrient", (10, -80, 35)), ("rotateAxis", (5, 15, 25))):
        for axis, angle in zip("XYZ", angles):
            cmds.setAttr(path + "." + name + axis, angle)
    scene.set_transform(path, (1, 2, 3), (40, -50, 60), None, "world")
    found = scene.transform(path, "world")
    near_matrix(found["matrix"], m.compose((1, 2, 3), (40, -50, 60), (1, 1, 1)))
    assert cmds.getAttr(path + ".jointOrientY") == -80


def test_an_angle_beyond_a_turn_is_kept(scene):
    path = scene.create("cube", None, None, {})
    scene.set_transform(path, None, (0, 0, 720), None, "local")
    assert scene.transform(path, "local")["rotate"] == [0, 0, 720]
    scene.set_transform(path, (1, 0, 0), None, None, "world")
    assert scene.transform(path, "world")["rotate"] == [0, 0, 720]


def test_an_offset_matrix_counts_as_the_parents(scene, cmds):
    path = scene.create("cube", None, None, {})
    cmds.setAttr(path + ".offsetParentMatrix", *_rows((5, 0, 0), (0, 90, 0)), type="matrix")
    assert scene.transform(path, "local")["translate"] == [5, 0, 0]
    for space in ("local", "world"):
        scene.set_transform(path, (1, 2, 3), (0, 0, 30), None, space)
        wanted = m.compose((1, 2, 3), (0, 0, 30), (1, 1, 1))
        near_matrix(scene.transform(path, space)["matrix"], wanted)


def test_an_object_that_does_not_inherit_is_placed_in_the_world(scene, cmds):
    parent = scene.create("group", None, None, {})
    scene.set_transform(parent, (5, 5, 5), None, (0, 1, 1), "local")
    path = scene.create("cube", None, parent, {})
    with pytest.raises(InvalidArgument, match="flattens"):
        scene.set_transform(path, (1, 2, 3), None, None, "world")
    cmds.setAttr(path + ".inheritsTransform", False)
    scene.set_transform(path, (1, 2, 3), None, None, "world")
    assert scene.transform(path, "world")["translate"] == [1, 2, 3]


def _rows(translate, rotate):
    """Return a matrix as Maya takes it: rows for vectors from the left."""
    columns = zip(*m.compose(translate, rotate, (1, 1, 1)))
    return [value for column in columns for value in column]


def test_a_locked_channel_is_refused_before_anything_is_changed(scene, cmds):
    path = scene.create("cube", "stuck", None, {})
    cmds.setAttr(path + ".rotateY", lock=True)
    with pytest.raises(InvalidArgument, match=r"\|stuck.rotateY' is locked"):
        scene.set_transform(path, (1, 2, 3), (4, 5, 6), None, "local")
    assert scene.transform(path, "local")["translate"] == [0, 0, 0]
    # What stays as it is need not be set.
    scene.set_transform(path, (1, 2, 3), (4, 0, 6), None, "local")
    assert scene.transform(path, "local")["rotate"] == [4, 0, 6]
    with pytest.raises(InvalidArgument, match="locked"):
        scene.set_transform(path, None, (0, 90, 0), None, "world")


def test_a_driven_channel_is_refused_with_what_drives_it(scene, cmds):
    leader = scene.create("cube", "leader", None, {})
    path = scene.create("cube", "follower", None, {})
    cmds.connectAttr(leader + ".translateX", path + ".translateX")
    with pytest.raises(InvalidArgument, match=r"driven by 'leader.translateX'"):
        scene.set_transform(path, (1, 2, 3), None, None, "local")
    with pytest.raises(InvalidArgument, match="driven"):
        scene.key_transform(path, ["translate"], 5)
    scene.set_transform(path, (0, 2, 3), None, None, "local")


def test_keys_are_set_on_the_parts_and_the_frame(scene, cmds):
    path = scene.create("cube", None, None, {})
    scene.set_transform(path, (1, 2, 3), (0, 0, 45), None, "local")
    scene.key_transform(path, ["translate", "rotate"], 12.0)
    assert cmds.keyframe(path, attribute=["translateY"], query=True, timeChange=True) == [12.0]
    assert cmds.keyframe(path, attribute=["rotateZ"], query=True, valueChange=True) == [45.0]
    assert cmds.keyframe(path, attribute=["scaleX"], query=True, timeChange=True) is None
    # Maya lets a keyed channel be set.
    scene.set_transform(path, (4, 5, 6), None, None, "local")
    assert scene.transform(path, "local")["translate"] == [4, 5, 6]


# -- the other parts ------------------------------------------------------------------------------


def test_details_of_a_mesh(scene, cmds):
    path = scene.create("cube", "box", None, {})
    shown = scene.detail(path, "attributes")
    assert shown["vertices"] == 8 and shown["faces"] == 6
    assert shown["visibility"] is True
    assert scene.detail(path, "materials") == ["lambert1"]
    assert [one["type"] for one in scene.detail(path, "history")] == ["polyCube"]
    group = scene.create("group", None, None, {})
    assert scene.detail(group, "materials") == scene.detail(group, "history") == []


def test_an_attribute_of_the_users_is_shown(scene, cmds):
    path = scene.create("group", "tagged", None, {})
    cmds.addAttr(path, longName="shot", dataType="string")
    cmds.setAttr(path + ".shot", "sq010", type="string")
    assert scene.detail(path, "attributes")["shot"] == "sq010"


def test_the_selection_names_the_object_of_a_shape(scene, cmds):
    path = scene.create("cube", "picked", None, {})
    cmds.select([naming.shapes_of(path)[0], path, "lambert1"], replace=True)
    assert scene.selection() == [path]
    assert scene.info([])["selection_count"] == 1


def test_what_the_user_may_not_touch_is_neither_renamed_nor_deleted(host, scene, cmds):
    path = scene.create("cube", "fixed", None, {})
    host.scene.node(host.scene.named(path))["referenced"] = True
    for call in (lambda: scene.rename(path, "free"), lambda: scene.delete([path])):
        with pytest.raises(InvalidArgument, match="referenced"):
            call()
    host.scene.node(host.scene.named(path))["referenced"] = False
    host.scene.node(host.scene.named(path))["locked"] = True
    with pytest.raises(InvalidArgument, match="is locked"):
        scene.delete([path])
    host.scene.node(host.scene.named(path))["locked"] = False
    assert scene.delete([path]) == [path]


def test_what_is_gone_is_not_found(scene):
    path = scene.create("cube", "gone", None, {})
    scene.delete([path])
    for call in (
        lambda: scene.row(path),
        lambda: scene.transform(path, "world"),
        lambda: scene.rename(path, "back"),
        lambda: scene.delete([path]),
    ):
        with pytest.raises(NotFound):
            call()


def test_info_tells_time_and_render_settings(scene, cmds):
    cmds.currentUnit(time="pal")
    cmds.playbackOptions(minTime=10, maxTime=20)
    cmds.currentTime(15)
    info = scene.info(["time", "render", "plugins"])
    assert info["time"] == {"fps": 25, "start": 10, "end": 20, "current": 15}
    assert info["render"] == {
        "engine": "mayaSoftware",
        "width": 960,
        "height": 540,
        "camera": "|persp",
    }
    assert info["plugins"] == []
    assert info["up_axis"] == "y" and "counts" not in info


def test_the_camera_is_the_one_that_is_rendered_through(scene, cmds):
    cmds.setAttr("perspShape.renderable", False)
    assert scene.info(["render"])["render"]["camera"] is None
    cmds.setAttr("sideShape.renderable", True)
    assert scene.info(["render"])["render"]["camera"] == "|side"


# -- errors of the scene ---------------------------------------------------------------------------


def test_missing_files_are_told_and_those_there_are_not(host, scene, cmds, tmp_path):
    there = tmp_path / "wood.png"
    there.write_bytes(b"")
    (tmp_path / "tile.1002.png").write_bytes(b"")
    host.project = str(tmp_path) + "/"
    files = (there, "gone.png", tmp_path / "tile.<UDIM>.png", "wood.png")
    for number, file in enumerate(files):
        node = cmds.shadingNode("file", asTexture=True, name="tex{}".format(number))
        cmds.setAttr(node + ".fileTextureName", str(file), type="string")
    cmds.shadingNode("file", asTexture=True, name="unset")
    host.scene.state["references"] = [str(tmp_path / "hero.ma") + "{2}"]
    cmds.createNode("unknown", name="lost")
    found = list(scene.errors())
    assert found.count(None) == 3
    errors = {error["name"]: error for error in found if error is not None}
    assert sorted(errors) == ["hero.ma", "lost", "tex1"]
    assert errors["tex1"]["kind"] == "missing_file" and errors["tex1"]["file"] == "gone.png"
    assert errors["hero.ma"]["file"] == str(tmp_path / "hero.ma")
    assert errors["lost"]["kind"] == "unknown_node" and "'gone'" in errors["lost"]["message"]


# -- undo, files, threads --------------------------------------------------------------------------


def test_undo_and_redo_name_what_they_move_over(scene):
    assert scene.undo_label() is None and scene.undo() is False
    for name in ("one", "two"):
        with Chunk("MCP: same label"):
            scene.create("cube", name, None, {})
    assert scene.undo_label() == "MCP: same label" and scene.redo_label() is None
    assert scene.undo() is True
    assert scene.undo_label() == scene.redo_label() == "MCP: same label"
    assert scene.redo() is True and scene.redo() is False
    assert scene.resolve("two") == "|two"


def test_undo_that_is_switched_off_is_said(scene, cmds):
    cmds.undoInfo(state=False)
    for call in (scene.undo, scene.redo):
        with pytest.raises(Unsupported, match="switched off"):
            call()


def test_a_new_scene_drops_what_is_there(scene):
    scene.create("cube", "old", None, {})
    scene.new_scene()
    assert not [row for row in scene.rows() if row["name"] == "old"]
    assert scene.info([])["dirty"] is False and scene.info([])["file"] == ""


def test_a_file_is_opened_without_its_scripts(host, scene, cmds, tmp_path):
    scene.create("cube", "saved", None, {})
    file = str(tmp_path / "scene.ma").replace(os.sep, "/")
    cmds.file(rename=file)
    cmds.file(save=True, type="mayaAscii")
    scene.create("cube", "later", None, {})
    scene.open_scene(file)
    names = {row["name"] for row in scene.rows()}
    assert "saved" in names and "later" not in names
    assert scene.info([])["file"] == file
    assert host.scripts_run == 0
    with pytest.raises(NotFound):
        scene.open_scene(str(tmp_path / "none.ma"))


def test_nothing_of_maya_is_touched_off_the_main_thread(scene):
    path = scene.create("cube", "here", None, {})
    raised = []

    def elsewhere():
        for call in (
            lambda: list(scene.rows()),
            lambda: scene.create("cube", None, None, {}),
            lambda: scene.transform(path, "world"),
            scene.undo,
            scene.new_scene,
            scene.namespace,
            lambda: Chunk("no").__enter__(),
        ):
            try:
                call()
            except HostError as error:
                raised.append(error)

    thread = threading.Thread(target=elsewhere, name="worker-7")
    thread.start()
    thread.join()
    assert len(raised) == 7
    assert all("worker-7" in error.message for error in raised)
    # The fake remembers calls that came through, and fails this test for them.


def test_a_listing_reads_whole_only_what_is_asked_for(scene, monkeypatch):
    """A page shows fifty of a hundred thousand."""
    path = scene.create("cube", "cube", None, {})

    def refuse(*_):
        raise AssertionError("read whole")

    monkeypatch.setattr(scene_module, "_row", refuse)
    (row,) = [one for one in scene.rows() if one["path"] == path]
    assert (row["name"], row["type"], row["parent"]) == ("cube", "mesh", None)
    with pytest.raises(AssertionError):
        row["id"]
