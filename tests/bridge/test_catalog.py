"""What is listed while hosts come and go, where names lead, and what stays of it in a file."""

from __future__ import annotations

import json
import os

import pytest

from dcc_mcp_embed.bridge.cache import FILE, Remembered, ToolCache
from dcc_mcp_embed.bridge.catalog import OWN, Catalog
from dcc_mcp_embed.bridge.naming import Route
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import Ambiguous, NoHost, NotFound


def tools(*names):
    return [
        {"name": name, "title": name.title(), "description": "Do it.", "inputSchema": {}}
        for name in names
    ]


def names(catalog):
    return [tool["name"] for tool in catalog.listing()]


@pytest.fixture
def catalog():
    return Catalog({})


def test_without_anything_there_is_the_tool_that_tells_so(catalog):
    assert catalog.listing() == [OWN]
    with pytest.raises(NoHost) as failed:
        catalog.route("undo")
    assert "Maya" in failed.value.message and failed.value.state == "not_started"


def test_one_host_is_plain_and_two_are_not(catalog):
    catalog.set_running({"maya": "maya"})
    catalog.set_tools("maya", "maya", tools("undo", "cut"))
    assert names(catalog) == ["cut", "list_instances", "undo"]
    assert catalog.route("undo") == Route("maya", "undo")
    catalog.listed()
    catalog.set_running({"maya": "maya", "maya2": "maya"})
    # The second has not said what it has; others of its kind have this.
    assert names(catalog) == ["list_instances", "maya2_cut", "maya2_undo", "maya_cut", "maya_undo"]
    shown = catalog.listing()[1]
    assert (shown["title"], shown["description"]) == ("maya2: Cut", "[maya2] Do it.")
    assert catalog.route("maya2_undo") == Route("maya2", "undo")
    # As it was listed.
    assert catalog.route("undo") == Route("maya", "undo")
    catalog.listed()
    catalog.set_running({"maya2": "maya"})
    assert catalog.route("undo") == Route("maya2", "undo")
    assert catalog.route("maya2_undo") == Route("maya2", "undo")
    with pytest.raises(NoHost) as failed:
        catalog.route("maya_undo")
    assert "maya " in failed.value.message and "maya2" in failed.value.hint


def test_a_plain_name_that_was_never_listed_is_nobodys(catalog):
    catalog.set_running({"maya": "maya", "blender": "blender"})
    catalog.set_tools("maya", "maya", tools("undo"))
    catalog.set_tools("blender", "blender", tools("undo", "render"))
    with pytest.raises(Ambiguous) as failed:
        catalog.route("undo")
    assert "blender_undo or maya_undo" in failed.value.hint
    with pytest.raises(NotFound) as missing:
        catalog.route("nothing")
    assert "blender_ or maya_" in missing.value.hint
    # The host may have got it meanwhile, and knows.
    assert catalog.route("maya_new") == Route("maya", "new")


def test_a_name_that_one_host_does_not_list_goes_to_it_all_the_same(catalog):
    catalog.set_running({"maya": "maya"})
    assert catalog.route("whatever") == Route("maya", "whatever")


def test_who_was_there_last_stays_listed(catalog):
    catalog.set_running({"maya": "maya"})
    catalog.set_tools("maya", "maya", tools("undo"))
    before = catalog.listing()
    catalog.set_running({})
    assert catalog.listing() == before
    with pytest.raises(NoHost) as failed:
        catalog.route("undo")
    assert "start Maya" in failed.value.message
    catalog.set_running({"maya": "maya"})
    assert catalog.listing() == before


def test_a_host_that_has_a_tool_of_our_name_keeps_it_to_itself(catalog):
    catalog.set_running({"maya": "maya"})
    catalog.set_tools("maya", "maya", tools("list_instances", "undo"))
    assert names(catalog) == ["list_instances", "undo"] and OWN in catalog.listing()


def test_earlier_runs_are_remembered():
    remembered = {"blender": tools("render"), "maya": tools("undo")}
    assert names(Catalog(remembered)) == ["list_instances", "undo"]
    assert names(Catalog(remembered, "Blender")) == ["list_instances", "render"]
    assert names(Catalog(remembered, "houdini")) == ["list_instances"]
    with pytest.raises(NoHost) as failed:
        Catalog(remembered, "houdini").route("undo")
    assert "start Houdini" in failed.value.message


# The file.


@pytest.fixture
def said():
    return []


@pytest.fixture
def cache(tmp_path, said):
    return ToolCache(str(tmp_path / "data"), SystemClock(), lambda level, text: said.append(text))


def test_what_was_saved_is_loaded_the_last_one_last(cache, said, tmp_path):
    assert cache.load() == Remembered({})
    cache.save("maya", tools("undo"))
    cache.save("blender", tools("render"))
    assert list(cache.load().kinds) == ["maya", "blender"]
    cache.save("maya", tools("undo", "cut"))
    assert list(cache.load().kinds.items()) == [
        ("blender", tools("render")),
        ("maya", tools("undo", "cut")),
    ]
    assert os.listdir(str(tmp_path / "data")) == [FILE] and said == []
    if os.name != "nt":
        assert os.stat(cache.path).st_mode & 0o077 == 0


def test_what_is_the_same_is_not_written_again(cache):
    cache.save("maya", tools("undo"))
    before = os.stat(cache.path).st_ino
    cache.save("maya", tools("undo"))
    assert os.stat(cache.path).st_ino == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100000,
        json.dumps({"format": 2, "kinds": []}).encode(),
        json.dumps({"format": 1, "kinds": {}}).encode(),
    ],
)
def test_a_damaged_file_is_no_file(cache, said, content):
    cache.save("maya", tools("undo"))
    with open(cache.path, "wb") as file:
        file.write(content)
    assert cache.load() == Remembered({}) and said
    cache.save("maya", tools("undo"))
    assert list(cache.load().kinds) == ["maya"]


@pytest.mark.parametrize(
    "kind",
    [
        None,
        {},
        {"dcc": "blender"},
        {"dcc": 1, "tools": []},
        {"dcc": "blender", "tools": {}},
        {"dcc": "blender", "tools": [{}]},
        {"dcc": "blender", "tools": [{"name": 1, "inputSchema": {}}]},
        {"dcc": "blender", "tools": [{"name": "x", "inputSchema": []}]},
    ],
)
def test_a_kind_that_is_none_is_left_out(cache, kind):
    cache.save("maya", tools("undo"))
    with open(cache.path, "rb") as file:
        content = json.load(file)
    content["kinds"].append(kind)
    with open(cache.path, "w") as file:
        json.dump(content, file)
    assert list(cache.load().kinds) == ["maya"]


def test_a_directory_that_cannot_be_made_is_only_said(tmp_path, said):
    (tmp_path / "file").write_text("")
    cache = ToolCache(
        str(tmp_path / "file" / "data"), SystemClock(), lambda level, text: said.append(text)
    )
    cache.save("maya", tools("undo"))
    assert "cannot be written" in said[-1]
