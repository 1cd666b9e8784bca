"""What is Houdini's own in its scene: wires and subnetworks, orders, pivots, parameters, files."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import InvalidArgument, NotFound, TypeMismatch, Unsupported
from dcc_mcp_embed.tools import matrix as m


@pytest.fixture
def host():
    from fakes.houdini_host import install

    with install(interactive=False) as made:
        made.scene.undos.enabled = True
        yield made


@pytest.fixture
def hou(host):
    return host.hou


@pytest.fixture
def scene(host):
    from dcc_mcp_embed.adapters.houdini import create

    adapter = create()
    yield adapter.scene_backend()
    adapter.close()


def near(found, wanted, tolerance=1e-9):
    assert found == pytest.approx(wanted, abs=tolerance)


def near_matrix(found, wanted):
    for row, other in zip(found, wanted):
        near(list(row), list(other))


# -- objects, and what is above them -----------------------------------------------------------


def test_a_wire_makes_a_parent_and_a_subnetwork_too(scene, hou):
    top = scene.create("empty", "top", None, {})
    wired = scene.create("cube", "wired", top, {})
    box = scene.create("group", "box", top, {})
    inner = scene.create("cube", "inner", box, {})
    low = scene.create("camera", "low", inner, {})
    assert (wired, box, inner, low) == ("/obj/wired", "/obj/box", "/obj/box/inner", "/obj/box/low")
    parents = {row["path"]: row["parent"] for row in scene.rows()}
    assert parents == {top: None, wired: top, box: top, inner: box, low: inner}
    assert scene.detail(top, "children") == [wired, box]
    assert scene.detail(box, "children") == [inner]
    assert scene.descendants(top) == [wired, box, inner, low]
    # Whoever is wired is moved by the wire, not by the network around it.
    hou.node("/obj/box/low").setInput(0, None)
    assert scene.row(low)["parent"] == box


def test_deleting_takes_what_is_inside_and_what_is_wired(scene, hou):
    top = scene.create("empty", None, None, {})
    box = scene.create("group", None, top, {})
    inner = scene.create("cube", None, box, {})
    beside = scene.create("cube", "beside", None, {})
    assert scene.delete([top, inner]) == [top, box, inner]
    assert [row["path"] for row in scene.rows()] == [beside]


def test_only_objects_are_objects(scene, hou):
    cube = scene.create("cube", "cube", None, {})
    assert [row["path"] for row in scene.rows()] == [cube]
    hou.node("/obj").createNode("ropnet", "outputs")
    assert [row["path"] for row in scene.rows()] == [cube]
    for path in ("/obj/cube/cube1", "/out", "/", "/obj/outputs"):
        with pytest.raises(NotFound) as error:
            scene.resolve(path)
        assert "no object" in str(error.value)
    with pytest.raises(NotFound):
        scene.resolve("/obj")
    assert scene.resolve("/obj/cube/../cube") == cube


def test_what_a_subnetwork_hides_does_not_show(scene, hou):
    box = scene.create("group", None, None, {})
    inner = scene.create("cube", None, box, {})
    wired = scene.create("cube", None, inner, {})
    hou.node(inner).setDisplayFlag(False)
    # A wire moves, it does not hide.
    assert [scene.row(path)["visible"] for path in (box, inner, wired)] == [True, False, True]
    hou.node(box).setDisplayFlag(False)
    assert [scene.row(path)["visible"] for path in (box, inner, wired)] == [False] * 3


def test_a_new_object_below_a_moved_one_starts_at_its_place(scene, hou):
    top = scene.create("empty", None, None, {})
    scene.set_transform(top, (1, 2, 3), (0, 90, 0), None, "local")
    child = scene.create("cube", None, top, {})
    near_matrix(scene.transform(child, "local")["matrix"], m.IDENTITY)
    near(scene.transform(child, "world")["translate"], [1, 2, 3])


def test_houdini_that_keeps_the_position_at_a_wire_keeps_it_not_for_new_objects(
    scene, hou, monkeypatch
):
    """The parameter "Keep position when parenting" may be on by the user's own defaults."""
    wire = hou.ObjNode.setInput

    def keeping(node, *arguments):
        wire(node, *arguments)
        node.setPreTransform(node.parentAndSubnetTransform().inverted())

    monkeypatch.setattr(hou.ObjNode, "setInput", keeping)
    top = scene.create("empty", None, None, {})
    scene.set_transform(top, (1, 2, 3), None, None, "local")
    child = scene.create("cube", None, top, {})
    near(scene.transform(child, "world")["translate"], [1, 2, 3])


def test_names_houdini_cannot_hold_are_refused(scene):
    path = scene.create("cube", None, None, {})
    for name in ("two words", "a/b", "ä", ""):
        with pytest.raises(InvalidArgument) as error:
            scene.rename(path, name)
        assert "letters" in error.value.hint
    with pytest.raises(InvalidArgument):
        scene.create("cube", "two words", None, {})
    assert [row["path"] for row in scene.rows()] == [path] == ["/obj/cube1"]


# -- kinds -------------------------------------------------------------------------------------

BOXES = [
    ("cube", {"size": 2.0}, (1, 1, 1)),
    ("sphere", {"radius": 2.0}, (2, 2, 2)),
    ("plane", {"size": 4.0}, (2, 0, 2)),
    ("cylinder", {"radius": 2.0, "height": 6.0}, (2, 3, 2)),
    ("cone", {"radius": 2.0, "height": 6.0}, (2, 3, 2)),
    ("torus", {"radius": 2.0, "minor_radius": 0.5}, (2.5, 0.5, 2.5)),
]


@pytest.mark.parametrize(("kind", "params", "half"), BOXES)
def test_a_solid_is_as_large_as_asked_for(scene, kind, params, half):
    path = scene.create(kind, None, None, params)
    box = scene.detail(path, "bbox")
    near(box["max"], half, 1e-4)
    near(box["min"], [-x for x in half], 1e-4)
    assert scene.row(path)["type"] == "geo"


def test_a_cone_stands_on_its_base(scene, hou):
    path = scene.create("cone", None, None, {"radius": 2.0})
    assert hou.node(path).children()[0].parmTuple("rad").eval() == (0.0, 2.0)


def test_a_camera_and_lights_have_what_was_asked_for(scene, hou):
    camera = scene.create("camera", None, None, {"focal_length": 85})
    assert hou.node(camera).parm("focal").eval() == 85
    params = {"type": "Spot", "intensity": 3, "color": [1, 0.5, 0]}
    light = hou.node(scene.create("light", None, None, params))
    assert light.parm("light_type").evalAsString() == "point"
    assert light.parm("coneenable").eval() == 1
    assert light.parm("light_intensity").eval() == 3
    assert light.parmTuple("light_color").eval() == (1, 0.5, 0)
    sun = hou.node(scene.create("light", None, None, {"type": "sun"}))
    assert sun.parm("light_type").evalAsString() == "distant"
    assert sun.parm("coneenable").eval() == 0
    with pytest.raises(InvalidArgument, match="area"):
        scene.create("light", None, None, {"type": "moon"})
    assert len(list(scene.rows())) == 3
    assert scene.detail(camera, "bbox") is None


# -- transforms --------------------------------------------------------------------------------


def test_angles_are_read_as_they_were_typed(scene, hou):
    path = scene.create("cube", None, None, {})
    hou.node(path).parmTuple("r").set((0, 370, 190))
    assert scene.transform(path, "local")["rotate"] == [0, 370, 190]
    assert scene.transform(path, "world")["rotate"] == [0, 370, 190]


def test_a_part_that_is_not_given_is_not_touched(scene, hou):
    path = scene.create("cube", None, None, {})
    hou.node(path).parmTuple("r").set((0, 370, 190))
    scene.set_transform(path, (1, 2, 3), None, None, "local")
    assert hou.node(path).parmTuple("r").eval() == (0, 370, 190)
    scene.set_transform(path, (4, 5, 6), None, None, "world")
    assert hou.node(path).parmTuple("r").eval() == (0, 370, 190)


def test_turning_in_the_world_moves_nothing(scene, hou):
    parent = scene.create("empty", None, None, {})
    scene.set_transform(parent, (5, 0.1, -1), (15, 80, -40), (3, 3, 3), "local")
    child = scene.create("cube", None, parent, {})
    node = hou.node(child)
    node.parmTuple("t").set((0.1, 0.2, 0.3))
    node.parmTuple("t").lock((True, True, True))
    scene.set_transform(child, None, (0, 45, 0), (1, 2, 3), "world")
    assert node.parmTuple("t").eval() == (0.1, 0.2, 0.3)


PLACES = {
    "pre-transform": lambda hou, node: node.setPreTransform(
        hou.hmath.buildTransform(
            {"translate": (1, 2, 3), "rotate": (10, 20, 30), "scale": (2, 2, 2)}
        )
    ),
    "pivot": lambda hou, node: node.parmTuple("p").set((1, -2, 3)),
    "uniform scale": lambda hou, node: node.parm("scale").set(2.5),
    "pivot and scale": lambda hou, node: (
        node.parmTuple("p").set((1, -2, 3)),
        node.parm("scale").set(0.5),
    ),
    "rotate order": lambda hou, node: node.parm("rOrd").set("zyx"),
    "transform order": lambda hou, node: node.parm("xOrd").set("rst"),
    "pivot and order": lambda hou, node: (
        node.parmTuple("p").set((1, -2, 3)),
        node.parm("rOrd").set("yzx"),
    ),
}


@pytest.mark.parametrize("space", ["local", "world"])
@pytest.mark.parametrize("place", list(PLACES))
def test_values_are_met_whatever_stands_beside_the_parameters(scene, hou, place, space):
    parent = scene.create("empty", None, None, {})
    scene.set_transform(parent, (5, 0, -1), (15, 80, -40), (3, 3, 3), "local")
    path = scene.create("cube", None, parent, {})
    PLACES[place](hou, hou.node(path))
    wanted = [[1, 2, 3], [30, -50, 100], [1, 1, 1]]
    scene.set_transform(path, *wanted, space=space)
    near_matrix(scene.transform(path, space)["matrix"], m.compose(*wanted))
    # One at a time, and the others stay.
    for part, value in ((0, [9, 8, 7]), (1, [0, 45, 0]), (2, [2, 2, 2])):
        wanted[part] = value
        given = [value if number == part else None for number in range(3)]
        scene.set_transform(path, *given, space=space)
        near_matrix(scene.transform(path, space)["matrix"], m.compose(*wanted))


def test_below_a_scale_of_zero_no_world_value_can_be_met(scene):
    parent = scene.create("empty", None, None, {})
    child = scene.create("cube", None, parent, {})
    scene.set_transform(parent, None, (10, 20, 30), (1, 0, 1), "local")
    with pytest.raises(InvalidArgument, match="zero"):
        scene.set_transform(child, (1, 2, 3), None, None, "world")
    scene.set_transform(child, (1, 2, 3), None, None, "local")


def test_what_flattens_is_said(scene, hou):
    path = scene.create("cube", None, None, {})
    node = hou.node(path)
    node.parm("scale").set(0)
    with pytest.raises(TypeMismatch, match="uniform scale"):
        scene.set_transform(path, None, None, (1, 1, 1), "local")
    node.parm("scale").set(1)
    node.setPreTransform(hou.hmath.buildTransform({"scale": (1, 0, 1)}))
    with pytest.raises(TypeMismatch, match="pre-transform"):
        scene.set_transform(path, None, None, (1, 1, 1), "local")


# -- parameters that may not be written --------------------------------------------------------


def test_a_locked_parameter_stops_the_whole_transform(scene, hou):
    path = scene.create("cube", None, None, {})
    hou.node(path).parm("ry").lock(True)
    with pytest.raises(TypeMismatch, match="/obj/cube1/ry is locked"):
        scene.set_transform(path, (1, 2, 3), (0, 45, 0), None, "local")
    assert hou.node(path).parmTuple("t").eval() == (0, 0, 0)
    # What keeps its value is not written.
    scene.set_transform(path, (1, 2, 3), (45, 0, 0), None, "local")
    near(scene.transform(path, "local")["rotate"], [45, 0, 0])
    hou.node(path).parm("rOrd").set("zyx")
    with pytest.raises(TypeMismatch, match="locked"):
        scene.set_transform(path, None, (0, 45, 0), None, "local")


def test_what_an_expression_drives_is_not_set(scene, hou):
    """hou.Parm.set would follow the reference, and change the parameter of another node."""
    other = scene.create("cube", "other", None, {})
    path = scene.create("cube", None, None, {})
    node = hou.node(path)
    node.parm("tx").setExpression('ch("../other/tx")')
    with pytest.raises(TypeMismatch, match=r"other/tx") as error:
        scene.set_transform(path, (1, 2, 3), None, None, "local")
    assert "/obj/cube1/tx" in str(error.value)
    with pytest.raises(TypeMismatch):
        scene.key_transform(path, ["translate"], 10)
    assert node.parm("ty").keyframes() == ()
    assert scene.transform(path, "local")["translate"] == [0, 0, 0]
    assert scene.transform(other, "local")["translate"] == [0, 0, 0]
    # What Houdini itself writes between two keys drives nothing.
    node.parm("rx").setExpression("bezier()")
    scene.set_transform(path, None, (10, 0, 0), None, "local")


# -- locked assets -----------------------------------------------------------------------------


@pytest.fixture
def asset(host, hou, scene):
    """A locked asset with an object inside."""
    path = scene.create("group", "asset", None, {})
    inner = scene.create("cube", "inner", path, {})
    hou.node(inner).createNode("file", "broken").parm("file").set("/nowhere/x.bgeo")
    host.scene.get(hou.node(path).sessionId()).asset = True
    return path


def test_what_is_inside_a_locked_asset_is_not_listed_but_can_be_read(scene, asset):
    assert [row["path"] for row in scene.rows()] == [asset]
    assert scene.descendants(asset) == [] and scene.detail(asset, "children") == []
    inner = scene.resolve(asset + "/inner")
    assert scene.row(inner)["parent"] == asset
    with pytest.raises(NotFound):
        scene.resolve("inner")
    # What of it concerns the user is an error of the asset itself.
    kinds = [error["kind"] for error in scene.errors() if error is not None]
    assert kinds == ["missing_file"]


def test_what_is_inside_a_locked_asset_cannot_be_changed(scene, hou, asset):
    inner = asset + "/inner"
    changes = (
        lambda: scene.set_transform(inner, (1, 2, 3), None, None, "local"),
        lambda: scene.set_transform(inner, None, (1, 2, 3), None, "world"),
        lambda: scene.key_transform(inner, ["translate"], 1),
        lambda: scene.rename(inner, "other"),
        lambda: scene.delete([inner]),
        lambda: scene.create("cube", None, asset, {}),
        lambda: scene.create("cube", None, inner, {}),
    )
    for change in changes:
        with pytest.raises((TypeMismatch, InvalidArgument)) as error:
            change()
        assert error.value.code in ("type_mismatch", "invalid_argument")
    assert hou.node(inner) is not None
    assert scene.delete([asset]) == [asset]


def test_keys_are_set_at_the_values_there_are(scene, hou):
    path = scene.create("cube", None, None, {})
    scene.set_transform(path, (1, 2, 3), None, None, "local")
    scene.key_transform(path, ["translate", "scale"], 10)
    node = hou.node(path)
    for name, value in (("tx", 1), ("ty", 2), ("tz", 3), ("sx", 1), ("sz", 1)):
        keys = node.parm(name).keyframes()
        assert [(key.frame(), key.value()) for key in keys] == [(10, value)]
    assert node.parm("rx").keyframes() == ()
    # A parameter with keys can be set, and keyed again.
    scene.set_transform(path, (4, 2, 3), None, None, "local")
    scene.key_transform(path, ["translate"], 20)
    assert [key.value() for key in node.parm("tx").keyframes()][-1] == 4
    node.parm("ty").lock(True)
    with pytest.raises(TypeMismatch):
        scene.key_transform(path, ["translate"], 30)
    assert len(node.parm("tx").keyframes()) == len(node.parm("tz").keyframes()) + 1


# -- describing --------------------------------------------------------------------------------


def test_the_history_is_the_chain_of_sops(scene, hou):
    path = scene.create("cube", None, None, {})
    node = hou.node(path)
    box = node.children()[0]
    ball = node.createNode("sphere", "ball")
    merged = node.createNode("merge", "both")
    merged.setInput(0, box)
    merged.setInput(1, ball)
    last = node.createNode("xform", "moved")
    last.setInput(0, merged)
    last.setDisplayFlag(True)
    node.createNode("grid", "unused")
    assert scene.detail(path, "history") == [
        {"name": "cube1", "type": "box"},
        {"name": "ball", "type": "sphere"},
        {"name": "both", "type": "merge"},
        {"name": "moved", "type": "xform"},
    ]
    assert scene.detail(scene.create("group", None, None, {}), "history") == []


def test_materials_are_told_by_their_path(scene, hou):
    path = scene.create("cube", None, None, {})
    assert scene.detail(path, "materials") == []
    node = hou.node(path)
    material = hou.node("/mat").createNode("principledshader", "red")
    node.parm("shop_materialpath").set("../../mat/red")
    assert scene.detail(path, "materials") == [material.path()]


def test_materials_of_sops_are_told_too(scene, hou, monkeypatch):
    """The parameters of a Material SOP are numbered."""
    path = scene.create("cube", None, None, {})
    lent = hou.node(scene.create("cube", None, None, {})).parm("shop_materialpath")
    lent.set("/mat/gone")
    real = hou.SopNode.parm
    numbered = ("shop_materialpath1", "shop_materialpath2")
    monkeypatch.setattr(
        hou.SopNode, "parm", lambda sop, name: lent if name in numbered else real(sop, name)
    )
    assert scene.detail(path, "materials") == ["/mat/gone"]


def test_attributes_are_the_parameters(scene, hou):
    path = scene.create("cube", None, None, {})
    hou.node(path).parm("shop_materialpath").set("/mat/gone")
    shown = scene.detail(path, "attributes")
    assert shown["shop_materialpath"] == "/mat/gone"
    assert (shown["t"], shown["scale"], shown["xOrd"]) == ([0, 0, 0], 1, "srt")
    with pytest.raises(Unsupported):
        scene.detail(path, "smell")


def test_the_box_is_turned_with_the_object(scene, hou):
    path = scene.create("cube", None, None, {"size": 2.0})
    scene.set_transform(path, (10, 0, 0), (0, 45, 0), None, "local")
    box = scene.detail(path, "bbox")
    near(box["max"], [10 + 2**0.5, 1, 2**0.5], 1e-6)
    # A SOP that does not cook has no box.
    hou.node(path).children()[0].destroy()
    broken = hou.node(path).createNode("file", "broken")
    broken.parm("file").set("/nowhere/x.bgeo")
    broken.setDisplayFlag(True)
    assert scene.detail(path, "bbox") is None


@pytest.mark.parametrize("kind", ["empty", "camera", "light"])
def test_what_a_helper_is_drawn_with_is_no_geometry(scene, hou, kind):
    """Houdini draws them by SOPs inside of them, too."""
    path = scene.create(kind, None, None, {})
    hou.node(path).createNode("box").setDisplayFlag(True)
    assert scene.detail(path, "bbox") is None


def test_the_selection_is_of_objects(scene, hou):
    path = scene.create("cube", None, None, {})
    hou.node(path).children()[0].setSelected(True)
    assert scene.selection() == []
    scene.select([path])
    assert [node.path() for node in hou.selectedNodes()] == [path]


# -- the file ----------------------------------------------------------------------------------


def test_info_of_the_scene(scene, hou):
    path = scene.create("camera", "cam1", None, {})
    info = scene.info(["counts", "time", "render", "plugins"])
    assert info["counts"] == {"cam": 1}
    assert info["time"] == {"fps": 24.0, "start": 1.0, "end": 240.0, "current": 1.0}
    assert (info["up_axis"], info["units"]) == ("y", {"linear": "m", "angle": "deg"})
    assert "render" not in info and "plugins" not in info
    assert path == "/obj/cam1"


def test_an_empty_new_scene_is_not_dirty_without_a_user_interface(scene, hou):
    """There Houdini itself always says that it is."""
    assert scene.info([])["dirty"] is False
    scene.create("cube", None, None, {})
    assert scene.info([])["dirty"] is True


def test_scenes_are_opened_without_asking(scene, hou, tmp_path):
    scene.create("cube", "kept", None, {})
    path = str(tmp_path / "shot.hip")
    hou.hipFile.save(path)
    scene.create("cube", "lost", None, {})
    scene.new_scene()
    assert list(scene.rows()) == [] and scene.file() == ""
    scene.create("cube", "lost", None, {})
    scene.open_scene(path)
    assert [row["name"] for row in scene.rows()] == ["kept"]
    assert scene.file() == path
    with pytest.raises(InvalidArgument, match="nowhere"):
        scene.open_scene(str(tmp_path / "nowhere.hip"))


def test_errors_are_those_of_nodes_and_missing_files(scene, hou, tmp_path):
    path = scene.create("cube", None, None, {})
    assert [error for error in scene.errors() if error is not None] == []
    there = tmp_path / "there.bgeo"
    there.write_bytes(b"")
    for name, file in (("one", str(there)), ("two", "/nowhere/$F.bgeo"), ("three", "op:/obj/a")):
        hou.node(path).createNode("file", name).parm("file").set(file)
    found = [error for error in scene.errors() if error is not None]
    missing = [error for error in found if error["kind"] == "missing_file"]
    assert [(one["name"], one["file"]) for one in missing] == [
        ("/obj/cube1/two/file", "/nowhere/$F.bgeo")
    ]
    assert "/nowhere/1.bgeo" in missing[0]["message"]
    broken = {error["name"] for error in found if error["kind"] == "node_error"}
    assert "/obj/cube1/two" in broken and "/obj/cube1/one" not in broken


def test_libraries_and_outputs_are_not_missing(scene, host, hou, monkeypatch):
    host.scene.libraries.append("/nowhere/tools.hda")
    output = hou.node("/out").createNode("geometry").parm("sopoutput")
    output.set("/nowhere/out.bgeo")
    real = hou.fileReferences
    monkeypatch.setattr(
        hou, "fileReferences", lambda: (*real(), (output, output.unexpandedString()))
    )
    assert [path for _, path in hou.fileReferences()] == ["/nowhere/tools.hda", "/nowhere/out.bgeo"]
    assert [error for error in scene.errors() if error is not None] == []


def test_nodes_may_go_between_two_steps_of_looking_for_errors(scene, hou):
    paths = [scene.create("cube", None, None, {}) for _ in range(3)]
    steps = scene.errors()
    next(steps)
    scene.delete(paths)
    assert [step for step in steps if step is not None] == []
