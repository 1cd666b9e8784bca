"""Houdini's transforms: orders, pivots, pre-transforms, and parameters that may not be written."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import InvalidArgument, TypeMismatch
from dcc_mcp_embed.tools import matrix as m

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


def near_matrix(found, wanted):
    for row, other in zip(found, wanted):
        near(list(row), list(other))


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
