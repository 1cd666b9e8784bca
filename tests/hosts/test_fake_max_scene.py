"""The scene of the 3ds Max that tests play: nodes, undo, files. Each test names the page.

Pages are of Autodesk's help: see test_fake_max.py.
"""

from __future__ import annotations

import pytest

from fakes.max_host.faults import MaxError
from fakes.max_host.install import install


@pytest.fixture
def host():
    with install() as made:
        yield made


@pytest.fixture
def rt(host):
    import pymxs

    return pymxs.runtime


# Nodes.


def test_boxes_and_cylinders_stand_on_their_pivot_spheres_are_about_it(rt):
    # MAXScript, "Box: Geometry" and its sisters.
    for made, low, high in (
        (rt.Box(length=2, width=4, height=6), (-2, -1, 0), (2, 1, 6)),
        (rt.Cylinder(radius=1, height=3), (-1, -1, 0), (1, 1, 3)),
        (rt.Cone(radius1=2, radius2=0, height=3), (-2, -2, 0), (2, 2, 3)),
        (rt.Sphere(radius=2), (-2, -2, -2), (2, 2, 2)),
        (rt.Torus(radius1=3, radius2=1), (-4, -4, -1), (4, 4, 1)),
        (rt.Plane(length=2, width=4), (-2, -1, 0), (2, 1, 0)),
    ):
        assert (made.min, made.max) == (rt.Point3(*low), rt.Point3(*high)), made


def test_the_object_can_stand_beside_its_pivot(rt):
    # MAXScript, "Node Transform Properties: objectOffsetPos".
    box = rt.Box(length=2, width=2, height=2)
    box.objectOffsetPos = rt.Point3(0, 0, -1)
    assert box.min == rt.Point3(-1, -1, -1)
    assert box.pos == rt.Point3(0, 0, 0)


def test_names_need_not_be_unique(rt):
    # MAXScript, "General Node Properties: name".
    assert [rt.Box(name="twin").name for _ in range(2)] == ["twin", "twin"]
    assert len(rt.getNodeByName("twin", exact=True, all=True)) == 2
    assert [rt.Box().name, rt.Box().name, rt.uniqueName("Box")] == ["Box001", "Box002", "Box003"]


def test_a_node_that_gets_a_parent_stays_where_it_is_and_then_follows(rt):
    # MAXScript, "General Node Properties: parent".
    parent, child = rt.Dummy(), rt.Box()
    parent.pos = rt.Point3(5, 0, 0)
    child.parent = parent
    assert child.pos == rt.Point3(0, 0, 0)
    parent.pos = rt.Point3(6, 0, 0)
    assert child.pos == rt.Point3(1, 0, 0)
    assert (parent.parent, list(parent.children)) == (None, [child])
    with pytest.raises(MaxError):
        parent.parent = child


def test_who_deletes_a_parent_keeps_its_children(rt):
    # The SDK's page on INode::Delete: they are attached to the root.
    parent, child = rt.Dummy(), rt.Box()
    child.parent = parent
    rt.delete(parent)
    assert not rt.isValidNode(parent)
    assert rt.isValidNode(child) and child.parent is None
    with pytest.raises(MaxError, match="deleted"):
        _ = parent.name


def test_handles_find_their_node_and_no_other_one(rt):
    # MAXScript, "Node Handles".
    box = rt.Box()
    handle = box.inode.handle
    assert rt.maxOps.getNodeByHandle(handle) == box
    rt.delete(box)
    assert rt.maxOps.getNodeByHandle(handle) is None
    assert rt.Box().inode.handle != handle


def test_classes_have_names(rt):
    # MAXScript, "Class and Object Inspector Functions".
    light = rt.OmniLight(multiplier=2.0, rgb=rt.Color(255, 0, 0))
    assert (str(rt.classOf(light)), str(rt.superClassOf(light))) == ("Omnilight", "light")
    assert rt.classOf(light) == rt.OmniLight
    assert light.baseObject.rgb == rt.Color(255, 0, 0)
    assert "multiplier" in [str(name) for name in rt.getPropNames(light)]


def test_a_node_with_modifiers_is_of_another_class_than_its_object(rt):
    # MAXScript, "General Node Properties: baseObject".
    box = rt.Box()
    rt.addModifier(box, rt.Bend())
    assert str(rt.classOf(box)) == "Editable_mesh"
    assert rt.classOf(box.baseObject) == rt.Box
    assert str(rt.superClassOf(box)) == "GeometryClass"


def test_what_an_object_has_hides_what_its_node_has(host, rt):
    # MAXScript, "Node Handles": a Teapot has a handle of another kind.
    box = rt.Box()
    host.scene.change(box._key, params={"handle": True})
    assert (box.handle, box.inode.handle) == (True, box._key)


# Undo.


def test_the_hold_makes_one_entry(host, rt):
    # MAXScript, "thehold".
    import pymxs

    puts = rt.theHold.GetGlobalPutCount()
    rt.theHold.Begin()
    assert rt.theHold.Holding() and rt.theHold.GetBeginDepth() == 1
    box = rt.Box()
    box.pos = rt.Point3(1, 2, 3)
    rt.theHold.Accept("Made")
    assert not rt.theHold.Holding() and rt.theHold.GetGlobalPutCount() > puts
    assert [label for label, _ in host.hold.done] == ["Made"]
    assert pymxs.run_undo() is None
    assert not rt.isValidNode(box)
    pymxs.run_redo()
    assert box.pos == rt.Point3(1, 2, 3)


def test_a_hold_that_is_cancelled_restores_what_was(host, rt):
    box = rt.Box(name="before")
    rt.theHold.Begin()
    box.name = "after"
    rt.theHold.Cancel()
    assert (box.name, host.hold.done) == ("before", [])


def test_holds_count_as_the_outermost(host, rt):
    # The SDK's "How to Enable Undo and Redo".
    box = rt.Box(name="a")
    rt.theHold.Begin()
    box.name = "b"
    rt.theHold.Begin()
    box.name = "c"
    rt.theHold.Accept("inner")
    assert rt.theHold.Holding()
    rt.theHold.Accept("outer")
    assert [label for label, _ in host.hold.done] == ["outer"]
    rt.theHold.Begin()
    box.name = "d"
    rt.theHold.Begin()
    rt.theHold.Cancel()
    rt.theHold.Accept("cancelled")
    assert (box.name, len(host.hold.done)) == ("c", 1)


def test_a_new_entry_ends_what_could_be_redone(host, rt):
    import pymxs

    for name in ("first", "second"):
        rt.theHold.Begin()
        rt.Box(name=name)
        rt.theHold.Accept(name)
        if name == "first":
            pymxs.run_undo()
    pymxs.run_redo()
    assert [label for label, _ in host.hold.done] == ["second"]
    assert rt.getNodeByName("first") is None


def test_an_empty_hold_leaves_no_entry(host, rt):
    rt.theHold.Begin()
    rt.theHold.Accept("nothing")
    assert host.hold.done == []


def test_the_undo_context_swallows_errors_and_undoes(host, rt):
    # Reported by a tool in production use, which catches inside of it for that reason.
    import pymxs

    after = []
    with pymxs.undo(True, "fails"):
        box = rt.Box()
        raise ValueError("never seen outside")
    after.append(rt.isValidNode(box))  # type: ignore[unreachable]
    assert after == [False] and host.hold.done == []
    with pymxs.undo(True, "works"):
        rt.Box()
    assert [label for label, _ in host.hold.done] == ["works"]
    with pymxs.undo(False):
        rt.Box()
    assert len(host.hold.done) == 1


def test_undo_and_redo_tell_the_label_of_the_entry_if_there_is_one(rt):
    # MAXScript, "Undo System Notifications".
    import pymxs

    told = []

    def tell():
        told.append(rt.callbacks.notificationParam())

    for event in ("sceneUndo", "sceneRedo"):
        rt.callbacks.addScript(rt.Name(event), tell, id=rt.Name("test"))
    pymxs.run_undo()
    with pymxs.undo(True, "made"):
        rt.Box()
    pymxs.run_undo()
    pymxs.run_redo()
    rt.callbacks.removeScripts(id=rt.Name("TEST"))
    pymxs.run_undo()
    assert told == ["made", "made"]


def test_batch_may_undo_without_saying_so():
    # A test for 3dsmaxbatch 2023 that somebody has made waits for these events, in vain.
    with install(batch=True) as host:
        import pymxs

        host.tells_undo = False

        rt = pymxs.runtime
        told = []
        rt.callbacks.addScript(rt.Name("sceneUndo"), lambda: told.append(1), id=rt.Name("test"))
        with pymxs.undo(True, "made"):
            box = rt.Box()
        pymxs.run_undo()
        assert (rt.isValidNode(box), told) == (False, [])
        rt.callbacks.removeScripts(id=rt.Name("test"))


# Files.


def test_what_is_saved_can_be_opened(host, rt, tmp_path):
    # MAXScript, "3ds Max File Loading and Saving".
    told = []
    for event in ("filePostSave", "filePostOpen", "systemPostReset"):
        rt.callbacks.addScript(rt.Name(event), lambda e=event: told.append(e), id=rt.Name("test"))
    assert (rt.maxFilePath, rt.maxFileName, rt.getSaveRequired()) == ("", "", False)
    rt.theHold.Begin()
    parent = rt.Dummy(name="top")
    rt.theHold.Accept("made")
    box = rt.Box(name="low", height=3.0)
    box.parent = parent
    box.pos = rt.Point3(1, 2, 3)
    assert rt.getSaveRequired()
    path = str(tmp_path / "scene.max")
    assert rt.saveMaxFile(path, quiet=True)
    assert rt.maxFilePath + rt.maxFileName == path and not rt.getSaveRequired()
    rt.resetMaxFile(rt.Name("noPrompt"))
    assert len(rt.objects) == 0 and rt.maxFileName == ""
    assert not rt.isValidNode(box)
    assert rt.loadMaxFile(path, quiet=True)
    again = rt.getNodeByName("low", exact=True)
    assert (again.parent.name, again.height, again.pos) == ("top", 3.0, rt.Point3(1, 2, 3))
    assert again.inode.handle != box._key
    assert not rt.loadMaxFile(str(tmp_path / "none.max"), quiet=True)
    assert told == ["filePostSave", "systemPostReset", "filePostOpen"]
    rt.callbacks.removeScripts(id=rt.Name("test"))
    assert host.hold.done == []


def test_keys_are_set_where_it_animates(rt):
    # MAXScript, "Controller Key Functions" and Python's contexts attime and animate.
    import pymxs

    box = rt.Box()
    position = rt.getPropertyController(box.controller, "Position")
    with pymxs.attime(10):
        with pymxs.animate(True):
            box.pos = rt.Point3(1, 0, 0)
    rt.addNewKey(position, 20)
    assert [key.frame for key in position.keys] == [0.0, 10.0, 20.0]
