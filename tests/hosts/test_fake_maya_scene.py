"""The fake Maya's scene does what Maya's does; each test names the source of the fact.

COMMANDS stands for Autodesk's command reference, the others are named in full.
"""

from __future__ import annotations

import os

import pytest

from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install

pytestmark = pytest.mark.qt


@pytest.fixture
def host():
    with install(MayaHost(batch=False)) as made:
        yield made
    made.check()


@pytest.fixture
def cmds(host):
    import maya.cmds

    return maya.cmds


@pytest.fixture
def om(host):
    import maya.api.OpenMaya

    return maya.api.OpenMaya


def near(found, wanted):
    assert len(found) == len(wanted)
    assert all(abs(a - b) < 1e-6 for a, b in zip(found, wanted)), (found, wanted)


# -- names ----------------------------------------------------------------------------------------


def test_names_are_unique_among_siblings_and_paths_as_short_as_they_can_be(host, cmds):
    """COMMANDS, ls: -long gives full paths, else "the shortest name that is unique"."""
    cmds.createNode("transform", name="a")
    cmds.createNode("transform", name="a")
    assert cmds.createNode("transform", name="leaf", parent="a") == "leaf"
    assert cmds.createNode("transform", name="leaf", parent="a1") == "a1|leaf"
    assert cmds.ls("leaf", long=True) == ["|a|leaf", "|a1|leaf"]
    assert cmds.ls("|a|leaf") == ["a|leaf"]
    with pytest.raises(ValueError, match="More than one object matches name: leaf"):
        cmds.select("leaf")
    with pytest.raises(ValueError, match="No object matches name: none"):
        cmds.select("none")
    assert cmds.ls("none") == []
    assert cmds.objExists("none") is False


def test_rename_makes_a_name_legal_and_takes_the_shape_along(host, cmds):
    """COMMANDS, rename: "renames ... shapes under the transform" unless ignoreShape."""
    cmds.polyCube(name="box")
    assert cmds.rename("box", "1 new!name") == "_new_name"
    assert cmds.listRelatives("_new_name", shapes=True) == ["_new_nameShape"]
    cmds.createNode("transform", name="other")
    assert cmds.rename("other", "_new_name") == "_new_name1"
    with pytest.raises(RuntimeError, match="no legal characters"):
        cmds.rename("_new_name1", "123")


def test_namespaces(host, cmds):
    """COMMANDS, namespace: it must be there before a name can use it."""
    with pytest.raises(RuntimeError):
        cmds.createNode("transform", name="ns:a")
    cmds.namespace(add="ns")
    assert cmds.createNode("transform", name="ns:a") == "ns:a"
    assert cmds.ls("a") == [] and cmds.ls("ns:a") == ["ns:a"] and cmds.ls("*:a") == ["ns:a"]


def test_a_uuid_outlives_a_rename_and_undo(host, cmds, om):
    """Reference of MFnDependencyNode.uuid; ``ls`` takes and gives them."""
    cmds.createNode("transform", name="a")
    ident = cmds.ls("a", uuid=True)[0]
    node = om.MSelectionList().add("a").getDependNode(0)
    assert str(om.MFnDependencyNode(node).uuid()) == ident
    cmds.rename("a", "b")
    assert cmds.ls(ident) == ["b"]
    cmds.delete("b")
    assert cmds.ls(ident) == []
    cmds.undo()
    assert cmds.ls(ident) == ["b"]


def test_instances_have_a_path_each(host, cmds, om):
    """COMMANDS, parent -addObject; ls -allPaths; reference of MDagPath."""
    cmds.createNode("transform", name="one")
    cmds.createNode("transform", name="two")
    cmds.createNode("transform", name="leaf", parent="one")
    cmds.parent("leaf", "two", addObject=True)
    cmds.setAttr("two.translateX", 5)
    assert cmds.ls("leaf", long=True, allPaths=True) == ["|one|leaf", "|two|leaf"]
    assert cmds.ls("leaf", long=True) == ["|one|leaf"]
    path = om.MSelectionList().add("|two|leaf").getDagPath(0)
    assert path.isInstanced() and path.instanceNumber() == 1
    assert cmds.getAttr("leaf.worldMatrix[1]")[12] == 5
    assert cmds.getAttr("leaf.worldMatrix[0]")[12] == 0
    cmds.delete("|two|leaf")
    assert cmds.ls("leaf", long=True, allPaths=True) == ["|one|leaf"]


def test_lists_are_none_where_they_are_empty_but_for_ls(host, cmds):
    """What every user of maya.cmds meets: listRelatives and its like return None."""
    cmds.createNode("transform", name="a")
    assert cmds.listRelatives("a") is None
    assert cmds.listConnections("a") is None
    assert cmds.listAttr("a", userDefined=True) is None
    assert cmds.ls("b", long=True) == []


# -- transforms -----------------------------------------------------------------------------------


def test_matrices_are_for_row_vectors(host, cmds):
    """Nodes reference, transform: "matrices are post-multiplied in Maya", translation last."""
    cmds.createNode("transform", name="a")
    cmds.createNode("transform", name="b", parent="a")
    cmds.setAttr("a.translate", 1, 2, 3)
    cmds.setAttr("a.rotateZ", 90)
    cmds.setAttr("b.translateX", 2)
    near(cmds.getAttr("b.worldMatrix[0]"), [0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 1, 4, 3, 1])
    near(cmds.getAttr("b.parentMatrix[0]"), cmds.getAttr("a.worldMatrix[0]"))
    cmds.setAttr("b.inheritsTransform", False)
    near(cmds.getAttr("b.worldMatrix[0]")[12:15], [2, 0, 0])


def test_rotate_order_and_joint_orient(host, cmds):
    """Nodes reference, transform: rotateOrder 0 is xyz, 5 zyx; joint: R is followed by JO."""
    cmds.createNode("joint", name="a")
    cmds.setAttr("a.rotate", 90, 90, 0)
    xyz = cmds.getAttr("a.matrix")
    cmds.setAttr("a.rotateOrder", 5)
    assert max(abs(x - y) for x, y in zip(xyz, cmds.getAttr("a.matrix"))) > 0.5
    cmds.setAttr("a.rotate", 0, 0, 0)
    cmds.setAttr("a.jointOrientZ", 90)
    near(cmds.getAttr("a.matrix")[:3], [0, 1, 0])


def test_pivots_move_what_is_turned(host, cmds):
    """Nodes reference, transform: the rotate pivot stands around R."""
    cmds.createNode("transform", name="a")
    cmds.setAttr("a.rotatePivot", 1, 0, 0)
    cmds.setAttr("a.rotateZ", 180)
    near(cmds.getAttr("a.matrix")[12:15], [2, 0, 0])


def test_lengths_are_in_the_users_unit_and_matrices_in_centimetres(host, cmds, om):
    """Maya works in centimetres inside; commands speak the unit that is set (currentUnit)."""
    cmds.createNode("transform", name="a")
    cmds.currentUnit(linear="m", angle="rad")
    cmds.setAttr("a.translateX", 2)
    cmds.setAttr("a.rotateX", 1.5707963267948966)
    assert cmds.getAttr("a.worldMatrix[0]")[12] == 200
    assert om.MDistance(1.0, om.MDistance.uiUnit()).asCentimeters() == 100
    cmds.currentUnit(linear="cm", angle="deg")
    assert cmds.getAttr("a.translateX") == 200
    near([cmds.getAttr("a.rotateX")], [90])
    assert om.MTime(1.0, om.MTime.kSeconds).asUnits(om.MTime.uiUnit()) == 24


def test_parenting_keeps_the_place_unless_told_otherwise(host, cmds):
    """COMMANDS, parent: absolute is the default, relative keeps the local values."""
    cmds.createNode("transform", name="a")
    cmds.createNode("transform", name="b")
    cmds.setAttr("a.translateX", 10)
    cmds.setAttr("a.scale", 2, 2, 2)
    cmds.setAttr("b.translateX", 4)
    cmds.parent("b", "a")
    near(cmds.getAttr("b.translate")[0], [-3, 0, 0])
    near(cmds.getAttr("b.worldMatrix[0]")[12:15], [4, 0, 0])
    cmds.parent("b", world=True, relative=True)
    near(cmds.getAttr("b.translate")[0], [-3, 0, 0])
    with pytest.raises(RuntimeError):
        cmds.parent("a", "a")


def test_locked_and_driven_attributes_cannot_be_set(host, cmds):
    """COMMANDS, setAttr: "locked or connected and cannot be modified"."""
    cmds.createNode("transform", name="a")
    cmds.createNode("transform", name="b")
    cmds.setAttr("a.translateX", lock=True)
    cmds.connectAttr("b.scale", "a.scale")
    for plug in ("a.translateX", "a.scaleX"):
        assert cmds.getAttr(plug, settable=True) is False
        with pytest.raises(RuntimeError, match="locked or connected"):
            cmds.setAttr(plug, 3)
    cmds.setAttr("b.scaleX", 7)
    assert cmds.getAttr("a.scaleX") == 7


def test_keys_are_values_over_time(host, cmds):
    """COMMANDS, setKeyframe and keyframe."""
    cmds.createNode("transform", name="a")
    assert cmds.setKeyframe("a", attribute=["translateX"], time=1) == 1
    cmds.setAttr("a.translateX", 10)
    cmds.setKeyframe("a", attribute=["translateX"], time=11)
    cmds.currentTime(6)
    near([cmds.getAttr("a.translateX")], [5])
    assert cmds.keyframe("a", query=True, attribute="translateX", timeChange=True) == [1.0, 11.0]
    assert cmds.keyframe("a", query=True, attribute="translateX", valueChange=True) == [0.0, 10.0]


# -- shapes, sets, files --------------------------------------------------------------------------


def test_a_polygon_has_history_a_shape_a_material_and_a_box(host, cmds):
    """COMMANDS, polyCube: returns the transform and the node; "r" of what is selected."""
    assert cmds.polyCube(name="box", width=2, height=4, depth=6) == ["box", "polyCube1"]
    assert cmds.ls(selection=True) == ["box"]
    shape = cmds.listRelatives("box", shapes=True, fullPath=True)
    assert shape == ["|box|boxShape"]
    assert cmds.listHistory(shape[0], pruneDagObjects=True) == ["polyCube1"]
    assert cmds.listConnections(shape[0], type="shadingEngine") == ["initialShadingGroup"]
    assert cmds.exactWorldBoundingBox("box") == [-1, -2, -3, 1, 2, 3]
    assert cmds.polyEvaluate("box", vertex=True) == 8
    cmds.delete("box", constructionHistory=True)
    assert cmds.listHistory(shape[0], pruneDagObjects=True) is None
    assert cmds.exactWorldBoundingBox("box") == [-1, -2, -3, 1, 2, 3]
    cmds.polySphere(radius=2)
    cmds.delete("pSphere1")
    assert cmds.ls("polySphere1") == []


def test_the_project_has_a_folder(host, cmds):
    """COMMANDS, workspace -rootDirectory: "the root directory of the current workspace"."""
    assert cmds.workspace(query=True, rootDirectory=True) == ""
    host.project = "/shows/one/"
    assert cmds.workspace(query=True, rootDirectory=True) == "/shows/one/"


def test_maya_keeps_its_own_nodes(host, cmds):
    """The cameras that a scene begins with, and its default nodes, cannot be deleted."""
    for name in ("persp", "lambert1", "initialShadingGroup"):
        with pytest.raises(RuntimeError):
            cmds.delete(name)
    assert cmds.ls(type="camera") == ["perspShape", "topShape", "frontShape", "sideShape"]


def test_visibility_is_that_of_all_above(host, cmds, om):
    """Reference of MDagPath.isVisible."""
    cmds.polyCube(name="box")
    cmds.createNode("transform", name="above")
    cmds.parent("box", "above")
    path = om.MSelectionList().add("|above|box").getDagPath(0)
    assert path.isVisible()
    cmds.setAttr("above.visibility", False)
    assert not path.isVisible()


def test_a_file_is_saved_opened_and_left(host, cmds, tmp_path):
    """COMMANDS, file: rename before the first save, force to drop changes; undo is flushed."""
    path = str(tmp_path / "scene.ma").replace(os.sep, "/")
    assert cmds.file(query=True, sceneName=True) == ""
    with pytest.raises(RuntimeError):
        cmds.file(save=True)
    cmds.polyCube(name="box")
    assert cmds.file(query=True, modified=True) is True
    cmds.file(rename=path)
    cmds.file(save=True, type="mayaAscii")
    assert cmds.file(query=True, modified=True) is False
    cmds.createNode("transform")
    with pytest.raises(RuntimeError, match="Unsaved changes"):
        cmds.file(new=True)
    cmds.file(new=True, force=True)
    assert cmds.ls("box") == [] and cmds.file(query=True, sceneName=True) == ""
    assert cmds.undoInfo(query=True) == 0
    cmds.file(path, open=True, prompt=False, executeScriptNodes=False)
    assert cmds.ls("box") == ["box"] and cmds.file(query=True, sceneName=True) == path
    assert host.scripts_run == 0
    cmds.createNode("transform")
    cmds.file(path, open=True, force=True)
    assert host.scripts_run == 1 and cmds.undoInfo(query=True) == 0
    with pytest.raises(RuntimeError, match="File not found"):
        cmds.file(str(tmp_path / "none.ma"), open=True)
