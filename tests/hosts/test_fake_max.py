"""The 3ds Max that tests play does what Autodesk says of the real one. Each test names the page.

Pages are of Autodesk's help: "Python" those of the 3ds Max Python API, "MAXScript" those of the
MAXScript Help.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from fakes.max_host import allowed
from fakes.max_host.faults import MaxError
from fakes.max_host.install import install
from fakes.max_host.listener import Listener


@pytest.fixture
def host():
    with install() as made:
        yield made


@pytest.fixture
def rt(host):
    import pymxs

    return pymxs.runtime


def refused(host, call, *arguments):
    """Call it; return what it was refused for. It is forgiven."""
    with pytest.raises((MaxError, AttributeError)):
        call(*arguments)
    assert len(host.faults.found) == 1
    return host.faults.found.pop()


def on_a_thread(call):
    raised = []

    def run():
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="a thread of Python")
    thread.start()
    thread.join()
    return raised


# Strictness.


def test_what_is_not_in_the_list_fails_also_if_the_error_is_swallowed():
    def probe():
        with install():
            import pymxs

            assert getattr(pymxs.runtime, "captureScreen", None) is None

    with pytest.raises(AssertionError, match="captureScreen"):
        probe()


@pytest.mark.parametrize(
    "call",
    [
        lambda rt: rt.Box(size=2),
        lambda rt: rt.Box().radius,
        lambda rt: rt.Point3(1, 2, 3).w,
        lambda rt: rt.theHold.Commit(),
        lambda rt: rt.select(1),
        lambda rt: rt.clearSelection(1),
        lambda rt: rt.uniqueName(prefix="a", wrong=1),
        lambda rt: setattr(rt.Box(), "length", "wide"),
        lambda rt: setattr(rt.Box(), "transform", [1, 2]),
        lambda rt: setattr(rt.Box(), "min", rt.Point3(0, 0, 0)),
        lambda rt: rt.callbacks.addScript(rt.Name("filePostOpen"), print),
        lambda rt: rt.callbacks.addScript(rt.Name("fileOpened"), print, id=rt.Name("a")),
        lambda rt: rt.callbacks.addScript(rt.Name("filePostOpen"), "print 1", id=rt.Name("a")),
        lambda rt: rt.callbacks.addScript(
            rt.Name("filePostOpen"), lambda needed: None, id=rt.Name("a")
        ),
        lambda rt: rt.callbacks.removeScripts(),
        lambda rt: rt.resetMaxFile(),
        lambda rt: rt.loadMaxFile("a.max"),
        lambda rt: rt.theHold.Accept("a"),
    ],
)
def test_wrong_calls_are_refused(host, rt, call):
    refused(host, call, rt)


def test_every_name_has_a_source_and_is_built(host, rt):
    tables = [allowed.GLOBALS, *allowed.MEMBERS.values(), *allowed.PROPERTIES.values()]
    for table in tables:
        for name, source in table.items():
            assert name == name.lower() and source.startswith("Autodesk's"), name
    taken = [rt, *(getattr(rt, name) for name in allowed.MEMBERS)]
    for value, names in zip(taken, [allowed.GLOBALS, *allowed.MEMBERS.values()]):
        for name in names:
            getattr(value, name)


@pytest.mark.parametrize(
    ("leave", "what"),
    [
        (lambda pymxs: pymxs.runtime.theHold.Begin(), "hold"),
        (lambda pymxs: pymxs.quiet(True).__enter__(), "quiet"),
        (
            lambda pymxs: pymxs.runtime.callbacks.addScript(
                pymxs.runtime.Name("filePostOpen"), lambda: None, id=pymxs.runtime.Name("left")
            ),
            "left",
        ),
    ],
)
def test_what_is_left_behind_fails(leave, what):
    def go():
        with install():
            import pymxs

            leave(pymxs)

    program = sys.executable
    with pytest.raises(AssertionError, match=what):
        go()
    assert ("pymxs" in sys.modules, sys.executable) == (False, program)


# Threads. Python, "Threading": no call of pymxs may come from a thread of Python's.


@pytest.mark.parametrize(
    "call",
    [
        lambda pymxs, box: pymxs.runtime.maxFileName,
        lambda pymxs, box: box.name,
        lambda pymxs, box: setattr(box, "name", "b"),
        lambda pymxs, box: pymxs.undo(True, "a"),
        lambda pymxs, box: pymxs.run_undo(),
        lambda pymxs, box: pymxs.print_("a"),
        lambda pymxs, box: pymxs.runtime.objects,
    ],
)
def test_any_call_off_the_main_thread_fails(host, rt, call):
    import pymxs

    box = rt.Box()
    raised = on_a_thread(lambda: call(pymxs, box))
    assert len(raised) == 1
    assert "on the thread 'a thread of Python'" in host.faults.found.pop()


def test_a_function_that_was_looked_up_before_fails_there_too(host, rt):
    select = rt.clearSelection
    assert len(on_a_thread(select)) == 1
    host.faults.found.pop()


def test_what_a_thread_prints_does_not_reach_the_listener():
    # Python, "Threading".
    listener = Listener()
    print("seen", file=listener)
    on_a_thread(lambda: print("lost", file=listener))
    assert (listener.text, "".join(listener.lost)) == ("seen\n", "lost\n")


# Values.


def test_names_have_no_case(rt):
    # Python, "Using pymxs: Case Sensitivity".
    box = rt.bOX(LENGTH=4.0)
    assert (box.Length, box.length, rt.MAXVERSION()[0]) == (4.0, 4.0, rt.maxVersion()[0])
    assert rt.Name("NoPrompt") == rt.Name("noprompt")


def test_indices_count_from_zero_and_arguments_from_one(host, rt):
    # Python, "Using pymxs: Indices".
    array = rt.Array("a", "b")
    assert (array[0], array.count, len(array)) == ("a", 2, 2)
    array[3] = "d"
    assert list(array) == ["a", "b", None, "d"]
    assert "no index" in refused(host, array.__getitem__, -1)
    host.scene.xrefs = ["first.max"]
    assert rt.xrefs.getXRefFile(1).filename == "first.max"
    refused(host, rt.xrefs.getXRefFile, 0)


@pytest.mark.parametrize("year", [2019, 2021, 2027])
def test_the_version_is_an_array_with_the_year_at_its_eighth_place_since_2020(year):
    # MAXScript, "System Information: maxVersion".
    with install(year=year):
        import pymxs

        told = list(pymxs.runtime.maxVersion())
    assert told[0] == (year - 1998) * 1000
    assert (told[7:8] or [None])[0] == (None if year < 2020 else year)


def test_wrappers_are_equal_but_never_the_same(rt):
    # Python, "MAXScript Values in pymxs": nodes can be keys of dictionaries.
    box = rt.Box(name="a")
    again = rt.getNodeByName("A", exact=True)
    assert again == box and again is not box and {box: 1}[again] == 1
    with pytest.raises(TypeError):
        hash(rt.Point3(1, 2, 3))


def test_a_matrix_has_row_vectors_and_the_first_factor_is_done_first(rt):
    # MAXScript, "Matrix3 Values".
    axes = [rt.Point3(2, 0, 0), rt.Point3(0, 2, 0), rt.Point3(0, 0, 2)]
    scale = rt.Matrix3(*axes, rt.Point3(0, 0, 0))
    move = rt.Matrix3(1)
    move.row4 = rt.Point3(1, 0, 0)
    assert (scale * move).row4 == rt.Point3(1, 0, 0)
    assert (move * scale).row4 == rt.Point3(2, 0, 0)
    assert move * rt.inverse(move) == rt.Matrix3(1)


def test_a_flat_matrix_has_no_inverse(rt):
    flat = rt.Matrix3(*[rt.Point3(0, 0, 0)] * 4)
    with pytest.raises(MaxError):
        rt.inverse(flat)


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


# The process.


def test_the_program_is_3ds_max_itself(host):
    # Python, "Using pymxs": the interpreter is another file, in the folder Python.
    assert sys.executable.endswith("\\3dsmax.exe")
    with pytest.raises(OSError):
        subprocess.call([sys.executable, "-c", ""])


def test_batch_has_no_window(monkeypatch):
    # "3ds Max Batch": it loads no user interface.
    with install(batch=True):
        import pymxs

        assert sys.executable.endswith("\\3dsmaxbatch.exe")
        assert pymxs.runtime.maxOps.isInNonInteractiveMode() is True
        with pytest.raises(ImportError):
            __import__("qtmax")


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
