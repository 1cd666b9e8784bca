"""The fake Houdini does what SideFX documents, hazards included; each test cites the fact.

"HOM" is https://www.sidefx.com/docs/houdini/hom/hou/, whose text types-houdini holds.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from importlib import import_module

import pytest

from fakes.houdini_host import install
from fakes.houdini_host.deferring import SOURCES
from fakes.houdini_host.kinds import CATEGORIES
from fakes.houdini_host.stubs import stubs

pytestmark = pytest.mark.qt

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEADLINE = 20.0


@pytest.fixture
def hython():
    with install(interactive=False) as host:
        yield host


@pytest.fixture
def houdini():
    with install(interactive=True) as host:
        yield host


def misused(host):
    """Return what was written down, which is thereby forgiven."""
    wrong, host.ledger.wrong = host.ledger.wrong, []
    return "\n".join(wrong)


def elsewhere(function):
    """Run it on another thread; return what it returned or raised."""
    box = []

    def run():
        try:
            box.append(function())
        except BaseException as error:
            box.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(DEADLINE)
    assert box, "it hangs"
    return box[0]


# -- strictness -------------------------------------------------------------------------------


def test_whatever_the_fake_has_the_documentation_has_with_the_same_arguments():
    modules = [
        import_module("fakes.houdini_host." + name)
        for name in (
            "boxes", "geometry", "hipfile", "hou_module", "loop", "node_types", "nodes",
            "objects", "parms", "transforms", "undo", "vectors",
        )
    ]  # fmt: skip
    places = [("", vars(modules[3])["Functions"])]
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and "__getattr__" in vars(kind) and kind.__name__ != "Hou":
                places.append((kind.__name__, kind))
    checked = 0
    for owner, kind in places:
        for name, function in vars(kind).items():
            if name.startswith("_") or not callable(function):
                continue
            found = stubs().signatures(owner, name)
            assert found, (owner, name)
            code = getattr(function, "__wrapped__", function).__code__
            # What the fake spells out it spells as the documentation does.
            mine = list(code.co_varnames[1 : code.co_argcount])
            assert any(mine == one.names[: len(mine)] for one in found), (owner, name, mine)
            checked += 1
    assert checked > 180


def test_the_stubs_know_names_arguments_and_enumerations():
    assert stubs().has("", "node") and stubs().has("ObjNode", "path")
    assert not stubs().has("hipFile", "isDirty") and not stubs().has("", "executeInMainThread")
    assert "AfterLoad" in stubs().enumeration("hipFileEventType")
    (signature,) = stubs().signatures("hipFile", "load")
    assert signature.problem(("a.hip", True), {}) is None
    assert "lacks" in str(signature.problem((), {}))
    assert "quiet" in str(signature.problem(("a.hip",), {"quiet": True}))


def test_a_name_that_houdini_has_not_fails_even_if_it_was_swallowed(hython):
    assert getattr(hython.hou, "executeInMainThread", None) is None
    assert not hasattr(hython.hou.node("/obj"), "createChild")
    assert not hasattr(hython.hou.Vector3(1, 2, 3), "norm")
    wrong = misused(hython)
    assert "Houdini has no hou.executeInMainThread" in wrong
    assert "Houdini has no hou.OpNode.createChild" in wrong
    assert "Houdini has no hou.Vector3.norm" in wrong
    assert "test_fake_houdini.py" in wrong


def test_an_argument_that_houdini_has_not_fails_even_if_it_was_swallowed(hython):
    with pytest.raises(TypeError):
        hython.hou.hipFile.load("a.hip", quiet=True)
    assert "takes no argument 'quiet'" in misused(hython)


def test_what_only_the_fake_lacks_is_told_apart(hython):
    with pytest.raises(AttributeError):
        hython.hou.setUpdateMode(None)
    assert "the fake lacks hou.setUpdateMode" in misused(hython)


def test_a_call_off_the_main_thread_fails(hython):
    node = hython.hou.node("/obj")
    assert isinstance(elsewhere(node.path), RuntimeError)
    assert "hou.NetworkMovableItem.path was called off" in misused(hython)


def test_a_call_after_the_teardown_fails():
    with install(interactive=False) as host:
        assert sys.modules["hou"] is host.hou
    with pytest.raises(RuntimeError):
        host.hou.frame()
    assert "hou.frame was called after Houdini's teardown" in misused(host)
    assert "hou" not in sys.modules


def test_what_is_left_behind_fails():
    def callback(*_):
        pass

    with pytest.raises(AssertionError, match="left as a callback of hou.hipFile"):
        with install(interactive=False) as host:
            host.hou.hipFile.addEventCallback(callback)
    with pytest.raises(AssertionError, match="undo groups were left open"):
        with install(interactive=False) as host:
            host.hou.undos.group("open").__enter__()


# -- hython -----------------------------------------------------------------------------------


def test_hython_has_no_user_interface(hython):
    """HOM isUIAvailable: "The hou.ui module is not available in the command-line interpreter"."""
    import hou

    assert hou.isUIAvailable() is False
    with pytest.raises(AttributeError):
        hou.ui  # noqa: B018
    assert "hou.ui is not there" in misused(hython)


def test_hdefereval_cannot_be_imported_in_hython(hython):
    """pytest-houdini, docs/fixtures/ui.rst: its import fails where there is no user interface."""
    with pytest.raises(ImportError):
        import hdefereval  # noqa: F401


def test_hython_always_says_that_there_are_unsaved_changes(hython, tmp_path):
    """HOM hipFile.hasUnsavedChanges: "In a non-graphical session it will always return True"."""
    hip = hython.hou.hipFile
    assert hip.hasUnsavedChanges() is True and hip.isNewFile() is True
    hip.save(str(tmp_path / "a.hip"))
    assert hip.hasUnsavedChanges() is True and hip.isNewFile() is False
    # "it will always return True if the filename matches the default filename"
    hip.setName(hython.scene.default_path)
    assert hip.isNewFile() is True


def test_exit_raises_system_exit(hython):
    """HOM exit: "this function will raise a Python SystemExit exception", from any thread."""
    with pytest.raises(SystemExit) as raised:
        hython.hou.exit(3, True)
    assert raised.value.code == 3
    assert isinstance(elsewhere(hython.hou.exit), SystemExit)
    assert hython.hou.hipFile.isShuttingDown() is True


def test_houdinis_asyncio_policy_forbids_loops_off_the_main_thread(hython):
    """As read from haio in an installed Houdini: RuntimeError, and NotImplementedError."""

    def run():
        loop = asyncio.new_event_loop()
        try:
            loop.run_forever()
        finally:
            loop.close()

    answer = elsewhere(run)
    assert isinstance(answer, RuntimeError)
    assert "Current thread is not the main thread" in str(answer)
    with pytest.raises(NotImplementedError):
        asyncio.get_event_loop_policy().get_child_watcher()
    asyncio.SelectorEventLoop().close()


def test_a_policy_that_was_replaced_fails():
    with pytest.raises(AssertionError, match="policy was replaced"):
        with install(interactive=False):
            asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())


def test_an_old_houdini_lacks_what_came_later():
    """types-houdini 19.5.1 has no class OpNode; that of 20.5.487 has."""
    with install(interactive=False, old=True) as host:
        assert getattr(host.hou, "OpNode", None) is None
        assert "Houdini 19 has no hou.OpNode" in misused(host)
        assert host.hou.node("/obj").parm("tx") is None
        assert host.hou.applicationVersion()[0] == 19


# -- hip files --------------------------------------------------------------------------------


def test_hip_events_come_with_one_value_and_in_order(hython, tmp_path):
    """HOM hipFileEventType."""
    told = []
    hip = hython.hou.hipFile
    hip.addEventCallback(told.append)
    assert hip.eventCallbacks() == (told.append,)
    path = str(tmp_path / "new" / "a.hip")
    hip.save(path)
    hip.clear()
    hip.load(path)
    hip.removeEventCallback(told.append)
    hip.clear()
    assert [one.name() for one in told] == [
        "BeforeSave", "AfterSave", "BeforeClear", "AfterClear",
        "BeforeLoad", "BeforeClear", "AfterClear", "AfterLoad",
    ]  # fmt: skip
    assert told[-1] == hython.hou.hipFileEventType.AfterLoad
    assert told[-1] != hython.hou.hipFileEventType.AfterSave


def test_a_hip_callback_that_is_not_there_cannot_be_removed(hython):
    """HOM hipFile.removeEventCallback: "Raises hou.OperationFailed if ... not ... registered"."""
    with pytest.raises(hython.hou.OperationFailed):
        hython.hou.hipFile.removeEventCallback(print)


def test_callbacks_may_be_cleared_by_anybody(hython):
    """HOM hipFile.clearEventCallbacks: "Removes all Python callbacks"."""
    hython.hou.hipFile.addEventCallback(len)
    hython.hou.hipFile.clearEventCallbacks()
    assert hython.hou.hipFile.eventCallbacks() == ()


def test_a_file_is_loading_until_all_is_told_but_the_end_of_it(hython, tmp_path):
    """HOM hipFile.isLoadingHipFile."""
    hip, seen = hython.hou.hipFile, []
    hip.save(str(tmp_path / "a.hip"))

    def note(event):
        seen.append((event.name(), hip.isLoadingHipFile()))

    hip.addEventCallback(note)
    hip.load(hip.path())
    hip.removeEventCallback(note)
    assert seen[0] == ("BeforeLoad", True) and seen[-2] == ("AfterClear", True)
    assert hip.isLoadingHipFile() is False


def test_a_callback_that_raises_stops_neither_the_file_nor_the_others(hython, capsys):
    told = []

    def bad(_):
        raise ValueError("mine")

    hip = hython.hou.hipFile
    hip.addEventCallback(bad)
    hip.addEventCallback(told.append)
    assert hip.clear() is True
    assert len(told) == 2
    assert "ValueError: mine" in capsys.readouterr().err
    hip.removeEventCallback(bad)
    hip.removeEventCallback(told.append)


def test_a_scene_is_loaded_as_it_was_saved(hython, tmp_path):
    hou = hython.hou
    obj = hou.node("/obj")
    home, geo = obj.createNode("null", "home"), obj.createNode("geo", "thing")
    geo.setFirstInput(home)
    geo.createNode("box", "body").parm("sizex").set(4)
    geo.parmTuple("t").set((1, 2, 3))
    geo.setDisplayFlag(False)
    path = str(tmp_path / "a.hip")
    hou.hipFile.save(path)
    hou.hipFile.clear()
    assert hou.node("/obj/thing") is None
    hou.hipFile.load(path)
    again = hou.node("/obj/thing")
    assert again.inputs() == (hou.node("/obj/home"),)
    assert again.parmTuple("t").eval() == (1, 2, 3) and not again.isDisplayFlagSet()
    assert again.displayNode().path() == "/obj/thing/body"
    assert again.displayNode().geometry().boundingBox().sizevec().x() == 4
    assert hou.hipFile.path() == path


def test_what_cannot_be_read_is_not_loaded(hython, tmp_path):
    """HOM hipFile.load: "Raises hou.OperationFailed if Houdini cannot read the file"."""
    broken = tmp_path / "b.hip"
    broken.write_text("no hip")
    hython.hou.node("/obj").createNode("null", "stays")
    for path in (str(tmp_path / "none.hip"), str(broken)):
        with pytest.raises(hython.hou.OperationFailed):
            hython.hou.hipFile.load(path)
    assert hython.hou.node("/obj/stays") is not None


def test_warnings_of_a_file_raise_after_it_is_open_unless_ignored(hython, tmp_path):
    """HOM hipFile.load: "Raises hou.LoadWarning if loading the new file triggers warnings"."""
    hou = hython.hou
    hou.node("/obj").createNode("null", "there")
    path = tmp_path / "a.hip"
    hou.hipFile.save(str(path))
    path.write_text(json.dumps(dict(json.loads(path.read_text()), warnings="missing asset")))
    with pytest.raises(hou.LoadWarning, match="missing asset"):
        hou.hipFile.load(str(path))
    assert hou.node("/obj/there") is not None
    hou.hipFile.load(str(path), ignore_load_warnings=True)


# -- nodes ------------------------------------------------------------------------------------


def test_a_node_that_is_gone_raises(hython):
    """HOM ObjectWasDeleted: "Raised when you try to access a reference to an object" gone."""
    hou = hython.hou
    geo = hou.node("/obj").createNode("geo")
    box = geo.createNode("box")
    number = geo.sessionId()
    parm = box.parm("sizex")
    geo.destroy()
    for call in (geo.path, geo.sessionId, box.name, parm.eval, geo.children):
        with pytest.raises(hou.ObjectWasDeleted):
            call()
    assert hou.nodeBySessionId(number) is None
    assert issubclass(hou.ObjectWasDeleted, hou.Error)


def test_names_are_made_unique_or_refused_as_documented(hython):
    """HOM Node.createNode, NetworkMovableItem.setName."""
    hou = hython.hou
    obj = hou.node("/obj")
    assert [obj.createNode("geo").path() for _ in range(2)] == ["/obj/geo1", "/obj/geo2"]
    first = obj.createNode("geo", "foo")
    assert obj.createNode("geo", "geo1", run_init_scripts=False).path() == "/obj/geo3"
    with pytest.raises(hou.OperationFailed):
        obj.createNode("geo", "no spaces")
    assert obj.createNode("geo", "a b", force_valid_node_name=True).name() == "a_b"
    with pytest.raises(hou.OperationFailed):
        first.setName("geo1")
    first.setName("geo1", unique_name=True)
    assert first.name() == "geo4"
    with pytest.raises(hou.OperationFailed):
        first.setName("a/b")
    with pytest.raises(hou.OperationFailed):
        obj.setName("other")


def test_only_networks_take_children_and_only_of_their_kind(hython):
    hou = hython.hou
    box = hou.node("/obj").createNode("geo").createNode("box")
    with pytest.raises(hou.OperationFailed):
        box.createNode("box")
    with pytest.raises(hou.OperationFailed):
        hou.node("/obj").createNode("box")


def test_a_bare_type_name_means_its_newest_version(hython):
    """HOM Node.createNode, exact_type_name: "may match a newer version hda::2.0"."""
    light = hython.hou.node("/obj").createNode("hlight")
    assert light.type().name() == "hlight::2.0"
    assert light.type().nameComponents() == ("", "", "hlight", "2.0")
    assert light.name() == "hlight1"
    assert "hlight" not in CATEGORIES["Object"]


def test_inputs_stay_within_one_network(hython):
    """HOM Node.setInput: "Raises hou.OperationFailed if ... not in the same network"."""
    hou = hython.hou
    obj = hou.node("/obj")
    above, below = obj.createNode("null"), obj.createNode("null")
    inside = obj.createNode("subnet").createNode("null")
    below.setInput(0, above)
    assert below.inputs() == (above,) and above.outputs() == (below,)
    with pytest.raises(hou.OperationFailed):
        inside.setInput(0, above)
    with pytest.raises(hou.OperationFailed):
        above.setInput(0, below)
    with pytest.raises(hou.InvalidInput):
        below.setInput(1, above)
    above.destroy()
    assert below.inputs() == ()


def test_a_world_transform_is_parms_times_pre_times_parent(hython):
    """HOM ObjNode: "(object's transform) * (pretransform) * (parent transform)", of row vectors."""
    hou = hython.hou
    obj = hou.node("/obj")
    parent, child = obj.createNode("null"), obj.createNode("geo")
    child.setInput(0, parent)
    parent.parmTuple("t").set((10, 0, 0))
    parent.parmTuple("r").set((0, 0, 90))
    child.parmTuple("t").set((1, 0, 0))
    near(child.origin(), (10, 1, 0))
    child.setPreTransform(hou.hmath.buildTranslate(0, 5, 0))
    near(child.origin(), (5, 1, 0))
    wanted = hou.hmath.buildTransform(
        {"translate": (1, 2, 3), "rotate": (10, 20, 30), "scale": (1, 2, 3)}
    )
    child.setWorldTransform(wanted)
    assert child.worldTransform().isAlmostEqual(wanted)
    near(child.parmTuple("s").eval(), (1, 2, 3))


def near(found, wanted):
    assert len(found) == len(wanted)
    assert all(abs(a - b) < 1e-6 for a, b in zip(found, wanted)), (list(found), wanted)


def test_rotations_are_about_x_then_y_then_z(hython):
    """HOM hmath.buildRotate, order "xyz"; a positive angle about z takes x to y."""
    hou = hython.hou
    near(hou.Vector3(1, 0, 0) * hou.hmath.buildRotate(0, 0, 90), (0, 1, 0))
    near(hou.Vector3(0, 1, 0) * hou.hmath.buildRotate(90, 0, 90), (0, 0, 1))
    angles = (10, 20, 30)
    near(hou.hmath.buildRotate(*angles).explode()["rotate"], angles)


def test_a_matrix_comes_apart_into_what_builds_it(hython):
    """HOM Matrix4.explode: "the inverse of hou.hmath.buildTransform"; a singular one raises."""
    hou = hython.hou
    values = {"translate": (1, 2, 3), "rotate": (15, -80, 40), "scale": (2, 3, 4)}
    parts = hou.hmath.buildTransform(values).explode()
    for name, value in values.items():
        near(parts[name], value)
    near(parts["shear"], (0, 0, 0))
    sheared = hou.Matrix4(((1, 0, 0, 0), (0.5, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)))
    parts = sheared.explode()
    near(parts["shear"], (0.5, 0, 0))
    assert hou.hmath.buildTransform(parts).isAlmostEqual(sheared)
    with pytest.raises(hou.OperationFailed):
        hou.hmath.buildScale(1, 0, 1).explode()


@pytest.mark.parametrize("order", ["srt", "str", "rst", "rts", "tsr", "trs"])
def test_each_order_comes_apart_into_what_builds_it(hython, order):
    """HOM Matrix4.explode: results "are dependent on the order in which you perform" them."""
    hou = hython.hou
    values = {"translate": (1, 2, 3), "rotate": (15, -50, 40), "scale": (2, 3, 4)}
    for turns in ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx"):
        matrix = hou.hmath.buildTransform(values, order, turns)
        parts = matrix.explode(order, turns)
        for name, value in values.items():
            near(parts[name], value)
        near(parts["shear"], (0, 0, 0))
        sheared = hou.hmath.buildTransform(dict(values, shear=(0.1, 0.2, 0.3)), order, turns)
        near(sheared.explode(order, turns)["shear"], (0.1, 0.2, 0.3))
        geo = hou.node("/obj").createNode("geo")
        geo.setParms({"xOrd": order, "rOrd": turns, "p": (1, 1, 0)})
        geo.setParmTransform(matrix)
        assert geo.parmTransform().isAlmostEqual(matrix)
        # About turned axes an uneven scale is a shear, which is lost.
        geo.parmTuple("pr").set((0, 30, 0))
        even = hou.hmath.buildTransform(dict(values, scale=(2, 2, 2)), order, turns)
        geo.setParmTransform(even)
        assert geo.parmTransform().isAlmostEqual(even)
    # HOM Matrix4.explode's own example: moved by one in x, then turned about z.
    moved = hou.hmath.buildTranslate(1, 0, 0) * hou.hmath.buildRotate(0, 0, 45)
    near(moved.explode("trs")["translate"], (1, 0, 0))
    near(moved.explode("srt")["translate"], (0.5**0.5, 0.5**0.5, 0))


def test_shear_is_lost_and_rotation_stays_near_the_old_one(hython):
    """HOM ObjNode.setParmTransform: shears "will be discarded", "a minimal rotation"."""
    hou = hython.hou
    geo = hou.node("/obj").createNode("geo")
    geo.parmTuple("r").set((0, 0, 350))
    geo.setParmTransform(hou.hmath.buildRotate(0, 0, 5))
    near(geo.parmTuple("r").eval(), (0, 0, 365))
    sheared = hou.Matrix4(((1, 0, 0, 0), (0.5, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)))
    geo.setParmTransform(sheared)
    assert geo.parmTransform().isAlmostEqual(hou.Matrix4(1))


def test_the_display_parm_overrides_the_flag_if_it_is_enabled(hython):
    """HOM ObjNode.isObjectDisplayed: "because the tdisplay parameter is set"."""
    geo = hython.hou.node("/obj").createNode("geo")
    geo.setDisplayFlag(False)
    assert geo.isObjectDisplayed() is False
    geo.parm("tdisplay").set(1)
    assert geo.isObjectDisplayed() is True


def test_a_menu_evaluates_to_an_index_and_takes_tokens(hython):
    """HOM Parm.evalAsInt, evalAsString, set."""
    order = hython.hou.node("/obj").createNode("geo").parm("xOrd")
    assert (order.eval(), order.evalAsString()) == (0, "srt")
    order.set("trs")
    assert (order.eval(), order.evalAsString()) == (5, "trs")
    with pytest.raises(TypeError):
        order.set("sss")


def test_a_locked_parm_cannot_be_set(hython):
    """HOM Parm.set: "Raises hou.PermissionError if this parameter is locked"."""
    parm = hython.hou.node("/obj").createNode("geo").parm("tx")
    parm.lock(True)
    with pytest.raises(hython.hou.PermissionError):
        parm.set(1)
    parm.lock(False)
    parm.set(1)
    assert parm.eval() == 1


def test_an_expression_shows_as_a_keyframe_and_ordinary_keys_have_one_too(hython):
    """HOM Parm.setExpression: "roughly equivalent to setting a keyframe"."""
    hou = hython.hou
    parm = hou.node("/obj").createNode("geo").parm("tx")
    with pytest.raises(hou.OperationFailed):
        parm.expression()
    assert parm.keyframes() == ()
    parm.setExpression("$F")
    (key,) = parm.keyframes()
    assert key.isExpressionSet() and key.expression() == parm.expression() == "$F"
    parm.deleteAllKeyframes()
    parm.setKeyframe(hou.Keyframe(2, 5))
    (key,) = parm.keyframes()
    assert (key.frame(), key.value(), key.expression()) == (5, 2, "bezier()")


def test_nothing_changes_inside_a_locked_asset(hython):
    """HOM Node.createNode: "Raises hou.PermissionError if this node is inside a locked asset"."""
    hou = hython.hou
    asset = hou.node("/obj").createNode("subnet")
    inside = asset.createNode("null")
    other = asset.createNode("null")
    hython.scene.get(asset.sessionId()).asset = True
    assert asset.isLockedHDA() and not asset.isInsideLockedHDA() and inside.isInsideLockedHDA()
    for call in (
        lambda: asset.createNode("null"),
        lambda: inside.setName("x"),
        lambda: inside.parm("tx").set(1),
        lambda: inside.setInput(0, other),
        lambda: inside.setDisplayFlag(False),
        inside.destroy,
    ):
        with pytest.raises(hou.PermissionError):
            call()
    assert hou.node("/obj").allSubChildren(recurse_in_locked_nodes=False) == (asset,)
    asset.parm("tx").set(1)
    asset.destroy()


def test_not_all_that_stands_among_objects_is_one(hython):
    ropnet = hython.hou.node("/obj").createNode("ropnet")
    assert not isinstance(ropnet, hython.hou.ObjNode) and isinstance(ropnet, hython.hou.OpNode)
    rop = ropnet.createNode("geometry")
    assert rop.parm("sopoutput").parmTemplate().tags() == {"filechooser_mode": "write"}


def test_the_last_selected_node_comes_last(hython):
    """HOM selectedNodes: "The last selected item has special meaning"."""
    hou = hython.hou
    a, b = (hou.node("/obj").createNode("null") for _ in range(2))
    b.setSelected(True)
    a.setSelected(True)
    assert hou.selectedNodes() == (b, a)
    b.setSelected(True, clear_all_selected=True)
    assert hou.selectedNodes() == (b,)
    b.destroy()
    assert hou.selectedNodes() == ()


def test_a_sop_with_an_error_raises(hython):
    """HOM SopNode.geometry: "Raises hou.OperationFailed if ... errors"."""
    hou = hython.hou
    file = hou.node("/obj").createNode("geo").createNode("file")
    file.parm("file").set("$HIP/no such.bgeo")
    assert file.parm("file").evalAsString().startswith(os.path.dirname(hou.hipFile.path()))
    assert hou.fileReferences() == ((file.parm("file"), "$HIP/no such.bgeo"),)
    with pytest.raises(hou.OperationFailed):
        file.geometry()
    assert "Unable to read file" in file.errors()[0]


# -- undo -------------------------------------------------------------------------------------


def test_a_group_is_one_step_and_the_next_one_comes_first(houdini_undo):
    """HOM undos.group, undoLabels: the first is "the next operation that will be undone"."""
    hou = houdini_undo.hou
    obj = hou.node("/obj")
    obj.createNode("null", "before")
    with hou.undos.group("Outer"):
        with hou.undos.group("Inner"):
            obj.createNode("null", "one")
        obj.createNode("null", "two")
    assert hou.undos.undoLabels() == ("Outer", "Create before")
    assert hou.undos.performUndo()
    assert [one.name() for one in obj.children()] == ["before"]
    assert hou.undos.redoLabels() == ("Outer",)
    assert hou.undos.performRedo()
    assert len(obj.children()) == 3
    assert hou.undos.performRedo() is False


@pytest.fixture
def houdini_undo(hython):
    hython.scene.undos.enabled = True
    return hython


def test_each_change_is_a_step_outside_a_group_and_none_where_undo_is_disabled(houdini_undo):
    """HOM undos.disabler: "changes to Houdini will not be added to the undo stack"."""
    hou = houdini_undo.hou
    geo = hou.node("/obj").createNode("geo")
    geo.parmTuple("t").set((1, 2, 3))
    before = len(hou.undos.undoLabels())
    assert before == 4
    with hou.undos.disabler():
        assert hou.undos.areEnabled() is False
        geo.parm("tx").set(9)
    with hou.undos.group("nothing"):
        geo.path()
    assert len(hou.undos.undoLabels()) == before
    hou.hipFile.clear()
    assert hou.undos.undoLabels() == ()


def test_what_undo_brings_back_need_not_have_its_old_id(houdini_undo):
    """HOM sessionId promises that it is unique; a reference to what was deleted stays dead."""
    hou = houdini_undo.hou
    node = hou.node("/obj").createNode("null", "back")
    child = hou.node("/obj").createNode("null")
    child.setInput(0, node)
    old = node.sessionId()
    node.destroy()
    hou.undos.performUndo()
    again = hou.node("/obj/back")
    assert again.sessionId() != old
    assert child.inputs() == (again,)
    with pytest.raises(hou.ObjectWasDeleted):
        node.path()


# -- with a user interface --------------------------------------------------------------------


@pytest.mark.qt
def test_event_loop_callbacks_come_every_50_ms_until_they_are_removed(houdini):
    """HOM ui.addEventLoopCallback: "called approximately every 50ms"."""
    from time import monotonic

    from fakes import qtloop

    times = []
    enough = threading.Event()

    def callback():
        times.append(monotonic())
        if len(times) == 6:
            houdini.hou.ui.removeEventLoopCallback(callback)
            enough.set()

    houdini.hou.ui.addEventLoopCallback(callback)
    assert houdini.hou.ui.eventLoopCallbacks() == (callback,)
    qtloop.run(lambda: enough.wait(DEADLINE))
    assert 0.2 < times[-1] - times[0] < 5.0
    assert houdini.hou.ui.eventLoopCallbacks() == ()
    with pytest.raises(houdini.hou.OperationFailed):
        houdini.hou.ui.removeEventLoopCallback(callback)


@pytest.mark.qt
def test_a_posted_callback_comes_once(houdini):
    """HOM ui.postEventCallback: "This will be called only once"."""
    told = []
    houdini.hou.ui.postEventCallback(lambda: told.append(1))
    houdini.hou.ui.waitUntil(lambda: told)
    houdini.loop.tick()
    assert told == [1]


@pytest.mark.qt
def test_a_callback_left_in_the_event_loop_fails():
    with pytest.raises(AssertionError, match="left in Houdini's event loop"):
        with install() as host:
            host.hou.ui.addEventLoopCallback(len)


@pytest.mark.qt
def test_what_is_deferred_runs_on_main_and_takes_its_callback_away(houdini):
    """hdefereval.executeDeferred: any thread, does not wait, runs when the loop is idle."""
    import hdefereval

    from fakes import qtloop

    ran = []
    done = threading.Event()

    def body():
        hdefereval.executeDeferred(ran.append, threading.current_thread().name)
        hdefereval.executeDeferred(lambda: ran.append(threading.current_thread().name))
        hdefereval.executeDeferredAfterWaiting(done.set, 2)
        assert done.wait(DEADLINE)

    qtloop.run(body)
    assert ran == ["body", "MainThread"]
    houdini.hou.ui.waitUntil(lambda: not houdini.loop.callbacks)


@pytest.mark.qt
def test_an_error_in_what_is_deferred_is_printed_or_raised_to_who_waits(houdini, capsys):
    """mbdefereval, a copy of hdefereval: printed, and raised where somebody waits."""
    import hdefereval

    from fakes import qtloop

    def body():
        hdefereval.executeDeferred(int, "x")
        with pytest.raises(ValueError):
            hdefereval.executeInMainThreadWithResult(int, "y")
        return hdefereval.executeInMainThreadWithResult("6 * 7")

    assert qtloop.run(body) == 42
    assert "'x'" in capsys.readouterr().err


@pytest.mark.qt
def test_two_that_wait_for_results_at_once_get_each_others(houdini):
    """Synapse, main_thread_executor.py: results are "read back out of MODULE GLOBALS"."""
    import hdefereval

    from fakes import qtloop

    houdini.loop.starved = True
    results = {}

    def ask(name):
        results[name] = hdefereval.executeInMainThreadWithResult(lambda: name)

    def body():
        threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        while houdini.deferring.waiting < 2:
            pass
        houdini.loop.starved = False
        for thread in threads:
            thread.join(DEADLINE)

    qtloop.run(body)
    assert len(set(results.values())) == 1, "each got its own"
    houdini.hou.ui.waitUntil(lambda: not houdini.deferring.waiting)


@pytest.mark.qt
def test_hdefereval_has_no_more_than_it_has(houdini):
    """executeInMainThread, which some pages name, raises AttributeError."""
    import hdefereval

    assert getattr(hdefereval, "executeInMainThread", None) is None
    assert "hdefereval has no executeInMainThread" in misused(houdini)
    for name in vars(hdefereval):
        assert name.startswith("__") or name in SOURCES, name


@pytest.mark.qt
def test_a_blocking_call_on_the_main_thread_is_a_mistake(houdini):
    import hdefereval

    with pytest.raises(RuntimeError, match="hang"):
        hdefereval.executeInMainThreadWithResult(len, "x")
    assert "dead-locks" in misused(houdini)


@pytest.mark.qt
def test_a_blocking_call_on_the_main_thread_really_dead_locks():
    """Synapse, main_thread_executor.py: "a MAIN-thread caller ... waits forever on itself"."""
    script = (
        "import sys, threading, os\n"
        "sys.path.insert(0, {!r})\n"
        "from fakes.houdini_host import install\n"
        "with install(dead_locks=True) as host:\n"
        "    import hdefereval\n"
        "    def watch():\n"
        "        while not host.deferring._condition._waiters: pass\n"
        "        over.wait(0.3)\n"
        "        os.write(1, b'hangs' if not over.is_set() else b'returned')\n"
        "        os._exit(0)\n"
        "    over = threading.Event()\n"
        "    threading.Thread(target=watch, daemon=True).start()\n"
        "    hdefereval.executeInMainThreadWithResult(len, 'x')\n"
        "    over.set()\n"
    ).format(TESTS)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=60, env=dict(os.environ)
    )
    assert done.stdout == b"hangs"


@pytest.mark.qt
def test_a_dialog_that_waits_for_the_user_fails(houdini, tmp_path):
    """HOM hipFile.clear and load prompt "if it has unsaved changes" unless that is suppressed."""
    hou = houdini.hou
    hou.hipFile.clear()
    hou.node("/obj").createNode("null")
    assert hou.hipFile.hasUnsavedChanges() is True
    hou.hipFile.clear(suppress_save_prompt=True)
    assert misused(houdini) == ""
    assert hou.hipFile.hasUnsavedChanges() is False and hou.hipFile.isNewFile() is True
    hou.node("/obj").createNode("null")
    hou.hipFile.clear()
    assert "asks whether to save" in misused(houdini)
    hou.ui.displayMessage("hello")
    assert "blocks Houdini" in misused(houdini)
