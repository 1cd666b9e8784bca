"""The scene as resources, on the standalone scene; prompts about it."""

from __future__ import annotations

import re

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

from dcc_mcp_embed.errors import NotFound
from dcc_mcp_embed.tools import code, control, scene, scene_resources
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.declare import declared
from dcc_mcp_embed.tools.table import ToolTable


@pytest.fixture
def ctx():
    adapter = StandaloneAdapter()
    house = adapter.scene.create("group", "house")
    adapter.scene.create("cube", "door", house)
    adapter.scene.create("cube", "window", house)
    adapter.scene.create("light", "sun")
    return ToolContext(host=adapter, scene=adapter.scene_backend())


def test_the_product_has_these():
    table = ToolTable()
    table.add_module(control)
    table.add_module(scene)
    assert [one.uri for one in table.resources] == [
        "dcc://status",
        "docs://{topic}",
        "job://{job}/result",
        "log://recent",
        "scene://errors",
        "scene://info",
        "scene://object/{+path}",
        "scene://selection",
        "scene://tree",
    ]
    on_loop = {one.uri for one in table.resources if one.reading(one.uri).thread == "loop"}
    assert on_loop == {"dcc://status", "docs://{topic}", "job://{job}/result", "log://recent"}


def test_the_tree_is_an_outline(ctx):
    assert scene.scene_tree(ctx) == ("house (group)\n  door (cube)\n  window (cube)\nsun (light)")


def test_the_tree_has_an_end(ctx, monkeypatch):
    monkeypatch.setattr(scene_resources, "MAX_LINES", 2)
    assert scene.scene_tree(ctx).splitlines() == [
        "house (group)",
        "  door (cube)",
        "... and 2 more; list_objects pages through them",
    ]


def test_a_deep_scene_is_no_recursion(ctx):
    parent = None
    for number in range(900):
        parent = ctx.host.scene.create("group", "g{}".format(number), parent)
    deepest = max(scene.scene_tree(ctx).splitlines(), key=len)
    assert deepest.startswith(" " * 2 * 899 + "g899")


def test_an_object_by_its_path(ctx):
    table = ToolTable()
    table.add_module(scene)
    for uri in ("scene://object//house/door", "scene://object/%2Fhouse%2Fdoor"):
        entry, values = table.resource(uri)
        assert values == {"path": "/house/door"}
        assert entry.function(ctx, **values)["path"] == "/house/door"
    with pytest.raises(NotFound):
        scene.scene_object(ctx, "/house/roof")


def test_paths_are_completed(ctx):
    tool = declared(scene.scene_object).completers["path"].tool

    def completed(value):
        return tool.invoke(ctx, {"value": value})

    assert completed("") == ["/house", "/house/door", "/house/window", "/sun"]
    assert completed("/house/") == ["/house/door", "/house/window"]
    assert completed("DO") == ["/house/door"]
    assert completed("roof") == []


def test_what_the_tools_tell(ctx):
    assert scene.scene_info(ctx) == scene.get_scene_info(ctx)
    ctx.scene.select(["/sun"])
    assert [one["path"] for one in scene.scene_selection(ctx)["items"]] == ["/sun"]


@pytest.mark.parametrize(
    "name",
    ["debug_scene", "explore_scene", "look_dev", "model_from_reference", "prepare_export"],
)
def test_prompts_name_tools_that_there_are(name):
    table = ToolTable()
    for module in (control, scene, code):
        table.add_module(module)
    entry = table.prompt(name)
    arguments = {one["name"]: "<{}>".format(one["name"]) for one in entry.arguments}
    text = entry.function(**arguments)
    assert all(value in text for value in arguments.values())
    named = re.findall(r"\b[a-z]+_[a-z_]+", text)
    assert named
    assert [one for one in named if one not in table] == []
    assert entry.rendering.thread == "loop"
    assert all(one["description"] for one in entry.arguments)
    needed = {one["name"]: "x" for one in entry.arguments if one["required"]}
    assert "{" not in entry.function(**needed)
