"""The scene tools, run on the standalone scene."""

from __future__ import annotations

import math

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter
from dcc_mcp_embed.adapters.standalone.backend import StandaloneBackend
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import Ambiguous, InvalidArgument, NotFound, Unsupported
from dcc_mcp_embed.tools import matrix as m
from dcc_mcp_embed.tools import scene as tools
from dcc_mcp_embed.tools.code import execute_python
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.declare import Tool, declared
from tool_lint import check


class Host:
    """A standalone host, and each tool as the dispatcher runs it: a write in its undo chunk."""

    WRITES = ("create_object", "set_transform", "rename_object", "delete_objects", "set_selection")

    def __init__(self):
        self.adapter = StandaloneAdapter()
        self.scene = self.adapter.scene
        self.backend = self.adapter.scene_backend()
        self.context = None

    def call(self, tool, **arguments):
        self.context = ToolContext(host=self.adapter, scene=self.backend)
        function = getattr(tools, tool)
        if tool not in self.WRITES:
            return function(self.context, **arguments)
        with self.adapter.undo_chunk("MCP: " + tool):
            return function(self.context, **arguments)

    @property
    def warned(self):
        return " ".join(self.context.warnings)

    @property
    def facts(self):
        return self.context.facts


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def built(host):
    """/house/{door, window}, /tree, /sun."""
    house = host.scene.create("group", "house")
    host.scene.create("cube", "door", house)
    host.scene.create("cube", "window", house)
    host.scene.create("cone", "tree")
    host.scene.create("light", "sun")
    return host


def paths(result):
    return [item["path"] for item in result["items"]]


# declarations


TOOLS = [name for name in tools.__all__ if isinstance(declared(getattr(tools, name)), Tool)]


@pytest.mark.parametrize("name", [*TOOLS, "execute_python"])
def test_declarations(name):
    tool = declared(getattr(tools, name, execute_python))
    shown = tool.describe()
    assert shown["name"] == name
    assert check(tool) == []
    assert shown["title"]
    assert 0 < len(shown["description"]) <= 300
    schema = shown["inputSchema"]
    assert schema["additionalProperties"] is False
    assert all(part.get("description") for part in schema["properties"].values())
    assert ("undo" in tool.capabilities) == (name in ("undo", "redo"))
    assert ("code" in tool.capabilities) == (name == "execute_python")
    assert (name in Host.WRITES) == (not tool.read_only and not tool.capabilities)


# get_scene_info


def test_scene_info_has_all_parts_by_default(built):
    built.scene.select("/tree")
    info = built.call("get_scene_info")
    assert info["counts"] == {"group": 1, "cube": 2, "cone": 1, "light": 1}
    assert info["units"] == {"linear": "m", "angle": "deg"}
    assert info["up_axis"] == "y"
    assert (info["file"], info["dirty"], info["selection_count"]) == ("", True, 1)
    assert "counts" not in built.call("get_scene_info", include=[])


def test_an_unknown_part_is_answered_with_the_known(host):
    with pytest.raises(InvalidArgument, match="counts, time, units") as caught:
        host.call("get_scene_info", include=["count"])
    assert caught.value.hint.startswith("Did you mean 'counts'")


# list_objects


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, ["/house", "/house/door", "/house/window", "/tree", "/sun"]),
        ({"type": "cube"}, ["/house/door", "/house/window"]),
        ({"name_pattern": "*O*"}, ["/house", "/house/door", "/house/window"]),
        ({"name_pattern": "/house/*"}, ["/house/door", "/house/window"]),
        ({"parent": "/"}, ["/house", "/tree", "/sun"]),
        ({"parent": "house"}, ["/house/door", "/house/window"]),
        ({"parent": "/house", "name_pattern": "d*"}, ["/house/door"]),
        ({"selected_only": True}, ["/sun"]),
        ({"visible_only": True}, ["/tree", "/sun"]),
        ({"limit": 2}, ["/house", "/house/door"]),
    ],
)
def test_listing_filters(built, filters, wanted):
    built.scene.select("/sun")
    built.scene.show("/house", False)
    assert paths(built.call("list_objects", **filters)) == wanted


def test_listing_pages_with_filters(built):
    seen, cursor = [], None
    while True:
        found = built.call("list_objects", type="cube", limit=1, cursor=cursor)
        assert found["total"] == 2
        seen += paths(found)
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert seen == ["/house/door", "/house/window"]


def test_listing_survives_a_delete_between_pages(built):
    first = built.call("list_objects", limit=2)
    built.call("delete_objects", paths=["/house/door"])
    second = built.call("list_objects", limit=2, cursor=first["next_cursor"])
    assert paths(second) == ["/house/window", "/tree"]


def test_a_cursor_of_other_filters_says_to_start_over(built):
    first = built.call("list_objects", limit=1)
    with pytest.raises(InvalidArgument) as caught:
        built.call("list_objects", limit=1, type="cube", cursor=first["next_cursor"])
    assert "without 'cursor'" in caught.value.hint


def test_fields_are_exactly_the_asked_ones(built):
    found = built.call("list_objects", fields=["name", "type"], limit=1)
    assert found["items"] == [{"name": "house", "type": "group"}]
    with pytest.raises(InvalidArgument, match="id, path, name, type, parent, visible"):
        built.call("list_objects", fields=["nme"])


def test_a_type_that_is_not_there_is_explained(built):
    found = built.call("list_objects", type="lihgt")
    assert found["items"] == []
    assert found["total"] == 0
    assert "Did you mean 'light'?" in built.warned
    assert "cone, cube" in built.warned


# get_object


def test_a_card_has_everything(built):
    built.scene.place("/house", (1, 0, 0))
    built.scene.assign("/house/door", "wood")
    card = built.call("get_object", path="door")
    assert card["path"] == "/house/door"
    assert card["type"] == "cube"
    assert card["parent"] == "/house"
    assert card["transform"]["local"]["translate"] == [0, 0, 0]
    assert card["transform"]["world"]["translate"] == [1, 0, 0]
    assert card["bbox"] == {"min": [0.5, -0.5, -0.5], "max": [1.5, 0.5, 0.5]}
    assert card["attributes"]["size"] == 1.0
    assert (card["materials"], card["history"], card["children"]) == (["wood"], [], [])
    assert "errors" not in card


def test_a_part_the_host_lacks_does_not_cost_the_others(built):
    def detail(path, part):
        raise Unsupported("No history in this host.")

    built.backend.detail = detail
    card = built.call("get_object", path="/tree", include=["transform", "history"])
    assert card["errors"] == {"history": "No history in this host."}
    assert "transform" in card
    assert "history" not in card


def test_many_children_are_cut_with_a_way_to_the_rest(host):
    host.scene.create("group", "all")
    for _ in range(201):
        host.scene.create("empty", "e", "/all")
    assert len(host.call("get_object", path="/all")["children"]) == 200
    assert "200 of 201" in host.warned
    assert "parent='/all'" in host.warned


def test_a_wrong_path_names_the_near_ones(built):
    with pytest.raises(NotFound) as caught:
        built.call("get_object", path="/house/dor")
    assert caught.value.hint == "Did you mean '/house/door'?"


# create_object


def test_create_with_everything(built):
    made = built.call(
        "create_object",
        kind="cube",
        name="chimney",
        parent="/house",
        transform={"translate": [0, 3, 0], "scale": [1, 2, 1]},
        params={"size": 2},
    )
    assert made["path"] == "/house/chimney"
    assert made["type"] == "cube"
    assert made["bbox"] == {"min": [-1, 1, -1], "max": [1, 5, 1]}
    assert built.facts["exists"] is True
    assert built.facts["transform"]["translate"] == [0, 3, 0]
    assert built.scene.undo() == "MCP: create_object"
    assert not built.context.warnings
    assert "/house/chimney" not in built.scene.paths()


def test_a_taken_name_is_changed_and_said(built):
    made = built.call("create_object", kind="cube", name="tree")
    assert made["path"] == "/tree1"
    assert built.warned == "The name 'tree' became 'tree1'."


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "cub"}, "cube, sphere"),
        ({"kind": "cube", "params": {"siez": 1}}, "takes no param 'siez'. It takes: size"),
        ({"kind": "cube", "params": {"size": -1}}, "0 or more"),
        ({"kind": "cube", "params": {"size": math.nan}}, "0 or more"),
        ({"kind": "light", "params": {"color": [1, 1]}}, "3 numbers"),
        ({"kind": "cube", "transform": {"move": [1, 2, 3]}}, "translate, rotate, scale"),
        ({"kind": "cube", "transform": {"translate": [1, 2]}}, "three finite numbers"),
        ({"kind": "cube", "transform": {"translate": [1, 2, math.inf]}}, "three finite numbers"),
        ({"kind": "cube", "name": "a/b"}, "cannot be a name"),
    ],
)
def test_create_refuses_and_leaves_nothing(built, arguments, says):
    before = built.scene.state()
    with pytest.raises(InvalidArgument, match=says):
        built.call("create_object", **arguments)
    assert built.scene.state() == before


def test_create_below_nothing(built):
    with pytest.raises(NotFound):
        built.call("create_object", kind="cube", parent="/hose")


# set_transform


def test_set_transform_tells_before_and_after(built):
    done = built.call("set_transform", path="/tree", translate=[1, 2, 3], rotate=[0, 90, 0])
    assert done["before"]["translate"] == [0, 0, 0]
    assert done["after"]["translate"] == [1, 2, 3]
    assert done["after"]["rotate"] == [0, 90, 0]
    assert done["after"]["scale"] == [1, 1, 1]
    assert done["after"]["matrix"] == [[0, 0, 1, 1], [0, 1, 0, 2], [-1, 0, 0, 3], [0, 0, 0, 1]]
    assert built.facts == {"changed": True}
    assert not built.context.warnings


angle = st.floats(-180, 180)
angles = st.tuples(angle, angle, angle)


@given(angles, angles, angles, st.sampled_from(["world", "local"]))
def test_relative_turns_add_up(above, start, by, space):
    host = Host()
    parent = host.scene.create("group")
    host.scene.place(parent, rotate=above)
    path = host.scene.create("cube", None, parent)
    host.scene.place(path, rotate=start)
    done = host.call("set_transform", path=path, rotate=by, space=space, relative=True)
    before = m.compose(*(done["before"][part] for part in ("translate", "rotate", "scale")))
    step = m.compose((0, 0, 0), by, (1, 1, 1))
    wanted = m.multiply(before, step) if space == "local" else m.multiply(step, before)
    assert m.deviation(wanted, done["after"]["matrix"], (0, 1, 2)) < 1e-6
    assert not host.context.warnings


def test_relative_moves_and_scales(built):
    built.scene.place("/tree", (1, 2, 3), None, (2, 2, 2))
    done = built.call(
        "set_transform", path="/tree", translate=[1, 0, -1], scale=[3, 1, 1], relative=True
    )
    assert done["after"]["translate"] == [2, 2, 2]
    assert done["after"]["scale"] == [6, 2, 2]


def test_what_the_host_cannot_hold_is_said(built):
    built.scene.place("/house", None, (0, 0, 45), (1, 4, 1))
    built.call("set_transform", path="/house/door", rotate=[0, 0, 20], scale=[1, 1, 1])
    assert "another transform than asked for" in built.warned


def test_a_locked_object_is_noticed(built):
    built.backend.set_transform = lambda *arguments: None
    done = built.call("set_transform", path="/tree", translate=[0, 0, 1])
    assert "another transform than asked for" in built.warned
    assert built.facts == {"changed": False}
    assert done["after"] == done["before"]


def test_one_rotation_of_many_angles_is_no_difference(built):
    built.scene.place("/house", rotate=(0, 1, 0))
    built.call("set_transform", path="/house/door", rotate=[200, 100, -300])
    assert not built.context.warnings


def test_keys_are_refused_before_anything_changes(built):
    before = built.scene.state()
    with pytest.raises(Unsupported, match="nothing was changed") as caught:
        built.call("set_transform", path="/tree", translate=[1, 1, 1], frame=10)
    assert caught.value.state == "not_started"
    assert built.scene.state() == before


def test_keys_are_set_where_the_host_has_them(built):
    keyed = []
    built.backend.keys = True
    built.backend.key_transform = lambda *arguments: keyed.append(arguments)
    built.call("set_transform", path="tree", translate=[1, 1, 1], scale=[2, 2, 2], frame=10)
    assert keyed == [("/tree", ["translate", "scale"], 10)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "Nothing to set"),
        ({"translate": [1, 2]}, "three finite numbers"),
        ({"rotate": "abc"}, "three finite numbers"),
        ({"scale": [1, 1, None]}, "three finite numbers"),
        ({"translate": [0, 0, 0], "space": "object"}, "world, local"),
    ],
)
def test_transforms_that_are_refused(built, arguments, says):
    with pytest.raises(InvalidArgument, match=says):
        built.call("set_transform", path="/tree", **arguments)


# rename_object


def test_rename(built):
    done = built.call("rename_object", path="/house", new_name="home")
    assert done == {"old": "/house", "new": "/home", "collisions": []}
    assert "/home/door" in built.scene.paths()
    assert not built.context.warnings


def test_rename_to_a_taken_name_lists_who_has_it(built):
    done = built.call("rename_object", path="/sun", new_name="tree")
    assert done == {"old": "/sun", "new": "/tree1", "collisions": ["/tree"]}
    assert "became 'tree1'" in built.warned


def test_an_equal_name_elsewhere_is_no_collision(built):
    assert built.call("rename_object", path="/sun", new_name="door")["collisions"] == []


class TakesNames(StandaloneBackend):
    """Blender's way: the object gets the name, and the one that had it gets another."""

    def rename(self, path, new_name):
        for row in self.rows():
            if row["name"] == new_name and row["path"] != path:
                super().rename(row["path"], new_name + ".001")
        return super().rename(path, new_name)


@pytest.mark.parametrize(
    ("path", "name", "new", "collisions", "said"),
    [
        ("/sun", "tree", "/tree", ["/tree.001"], "/tree is now /tree.001"),
        # Taken from one below: its path changes anyway, its name does not.
        ("/house", "door", "/door", ["/door/door.001"], "/house/door is now /door/door.001"),
        ("/sun", "moon", "/moon", [], ""),
        ("/house", "home", "/home", [], ""),
    ],
)
def test_a_host_that_takes_the_name_from_another_object_is_seen_doing_it(
    built, path, name, new, collisions, said
):
    built.backend = TakesNames(built.scene)
    done = built.call("rename_object", path=path, new_name=name)
    assert done == {"old": path, "new": new, "collisions": collisions}
    assert said in built.warned
    assert bool(built.warned) is bool(said)


def test_an_empty_name_is_refused(built):
    with pytest.raises(InvalidArgument, match="empty"):
        built.call("rename_object", path="/sun", new_name="  ")


# delete_objects


def test_of_many_the_scene_is_walked_once_for_what_is_below_them(host, monkeypatch):
    """Houdini has to walk all of it to tell what is below one object."""
    tops = []
    for number in range(30):
        top = host.scene.create("group", "top{}".format(number))
        host.scene.create("cube", "low", host.scene.create("group", "middle", top))
        tops.append("/top{}".format(number))
    asked, descendants = [], host.backend.descendants

    def told(path):
        asked.append(path)
        return descendants(path)

    monkeypatch.setattr(host.backend, "descendants", told)
    few = host.call("delete_objects", paths=tops[:3], dry_run=True)
    dry = host.call("delete_objects", paths=tops, dry_run=True)
    assert len(asked) == 3
    below = [top + end for top in tops for end in ("/middle", "/middle/low")]
    assert sorted(dry["also_deleted"]) == sorted(below)
    assert sorted(few["also_deleted"]) == sorted(below[:6])
    done = host.call("delete_objects", paths=[*tops, "/top0/middle"])
    assert sorted(done["deleted"] + done["also_deleted"]) == sorted(tops + below)
    assert list(host.backend.rows()) == []


def test_delete_tells_what_else_went(built):
    done = built.call("delete_objects", paths=["/house", "tree", "/no"])
    assert done["deleted"] == ["/house", "/tree"]
    assert done["also_deleted"] == ["/house/door", "/house/window"]
    assert done["missing"] == ["/no"]
    assert "No object '/no'" in built.warned
    assert built.facts == {"still_there": [], "objects_left": 1}
    assert built.scene.paths() == ["/sun"]


def test_a_dry_run_tells_the_same_and_deletes_nothing(built):
    before = built.scene.state()
    dry = built.call("delete_objects", paths=["/house", "/house/door"], dry_run=True)
    assert built.scene.state() == before
    done = built.call("delete_objects", paths=["/house", "/house/door"])
    assert dict(dry, dry_run=False) == done
    assert done["deleted"] == ["/house", "/house/door"]


def test_nothing_found_is_an_error_that_names_all(built):
    with pytest.raises(NotFound, match="/a, /b") as caught:
        built.call("delete_objects", paths=["/a", "/b"])
    assert caught.value.details == {"missing": ["/a", "/b"]}
    with pytest.raises(NotFound) as one:
        built.call("delete_objects", paths=["/tre"])
    assert one.value.hint == "Did you mean '/tree'?"


def test_an_ambiguous_name_deletes_nothing(built):
    built.scene.create("cube", "door", "/tree")
    before = built.scene.state()
    with pytest.raises(Ambiguous):
        built.call("delete_objects", paths=["/sun", "door"])
    assert built.scene.state() == before


def test_no_paths_at_all(built):
    with pytest.raises(InvalidArgument, match="empty"):
        built.call("delete_objects", paths=[])


def test_what_the_host_keeps_is_said(built):
    built.backend.delete = lambda paths: []
    done = built.call("delete_objects", paths=["/sun"])
    assert done["deleted"] == []
    assert built.facts["still_there"] == ["/sun"]
    assert "Still there: /sun" in built.warned


# selection


def test_selection_modes(built):
    assert paths(built.call("set_selection", paths=["sun", "/tree", "sun"])) == ["/sun", "/tree"]
    added = built.call("set_selection", paths=["/house", "/tree"], mode="add")
    assert paths(added) == ["/sun", "/tree", "/house"]
    assert built.facts == {"selected_before": 2, "selected_after": 3}
    left = built.call("set_selection", paths=["/tree", "/house/door"], mode="remove")
    assert paths(left) == ["/sun", "/house"]
    assert left["total"] == 2
    assert built.call("get_selection") == left
    assert paths(built.call("set_selection", paths=[])) == []


def test_adding_what_is_selected_already_names_it_once(built):
    asked = []
    built.scene.select("/sun")
    built.backend.select = asked.append
    built.call("set_selection", paths=["/tree", "/sun"], mode="add")
    assert asked == [["/sun", "/tree"]]
    assert "did not select: /tree" in built.warned


def test_a_missing_path_leaves_the_selection(built):
    built.scene.select("/sun")
    with pytest.raises(NotFound):
        built.call("set_selection", paths=["/tree", "/no"])
    assert built.scene.selection == ["/sun"]
    with pytest.raises(InvalidArgument, match="replace, add, remove"):
        built.call("set_selection", paths=["/tree"], mode="toggle")


def test_a_long_selection_is_cut(host):
    made = [host.scene.create("empty") for _ in range(501)]
    host.scene.select(*made)
    found = host.call("get_selection")
    assert (len(found["items"]), found["total"]) == (500, 501)
    assert "500 of 501" in host.warned


# undo and redo


def test_undo_and_redo_name_their_steps(host):
    host.call("create_object", kind="cube")
    host.call("set_transform", path="/cube", translate=[1, 0, 0])
    assert host.call("undo", steps=2) == {
        "labels": ["MCP: set_transform", "MCP: create_object"],
        "steps": 2,
    }
    assert host.facts == {"next_undo": None, "next_redo": "MCP: create_object"}
    assert host.call("redo")["labels"] == ["MCP: create_object"]
    assert host.scene.paths() == ["/cube"]


def test_an_expected_label_guards_the_work_of_others(host):
    host.call("create_object", kind="cube")
    host.scene.create("sphere")
    before = host.scene.state()
    with pytest.raises(InvalidArgument, match="'Create', not 'MCP: create_object'") as caught:
        host.call("undo", expected_label="MCP: create_object")
    assert caught.value.state == "not_started"
    assert host.scene.state() == before
    host.call("undo", expected_label="Create")
    assert host.call("undo", expected_label="MCP: create_object")["steps"] == 1
    with pytest.raises(Unsupported, match="nothing to undo"):
        host.call("undo", expected_label="MCP: create_object")


def test_less_to_undo_than_asked_is_said(host):
    host.call("create_object", kind="cube")
    assert host.call("undo", steps=3)["steps"] == 1
    assert "Only 1 of 3" in host.warned
    assert host.call("redo", steps=1)["steps"] == 1
    assert host.call("redo") == {"labels": [], "steps": 0}


@pytest.mark.parametrize("steps", [0, -1, 101])
def test_steps_have_limits(host, steps):
    with pytest.raises(InvalidArgument, match="between 1 and 100"):
        host.call("undo", steps=steps)
