"""What is Houdini's own in its scene: wires and subnetworks, assets, SOPs, files."""

from __future__ import annotations

import pytest
from dcc_mcp_embed.adapters.houdini import scene as scene_module

from dcc_mcp_embed.errors import InvalidArgument, NotFound, TypeMismatch, Unsupported

pytestmark = pytest.mark.qt


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


def test_materials_of_sops_are_told_too(scene, hou):
    path = scene.create("cube", None, None, {})
    node = hou.node(path)
    sop = node.createNode("material", "assigns")
    sop.setFirstInput(node.children()[0])
    sop.setDisplayFlag(True)
    sop.parm("shop_materialpath1").set("/mat/gone")
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
    # The root, /obj, and the first of them.
    for _ in range(3):
        next(steps)
    scene.delete(paths)
    assert [step for step in steps if step is not None] == []


def test_a_listing_reads_whole_only_what_is_asked_for(scene, monkeypatch):
    """A page shows fifty of a hundred thousand."""
    path = scene.create("cube", "cube", None, {})

    def refuse(*_):
        raise AssertionError("read whole")

    monkeypatch.setattr(scene_module, "_row", refuse)
    (row,) = [one for one in scene.rows() if one["path"] == path]
    assert row["path"] == "/obj/cube"
    with pytest.raises(AssertionError):
        row["id"]
