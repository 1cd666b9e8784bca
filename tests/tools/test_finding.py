"""Finding tools by words: the same query finds the same tools in the same order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.tools.declare import tool
from dcc_mcp_embed.tools.finding import Finder
from dcc_mcp_embed.tools.table import ToolTable


def made(name, doc, tags=(), title=None, **more):
    def function(path: str = "", amount: int = 1):
        pass

    function.__name__, function.__doc__ = name, doc
    return tool(tags=tags, title=title, **more)(function)


TOOLS = [
    made("mirror_geometry", "Mirror a mesh across a plane.", tags=("symmetry", "modelling")),
    made("bake_lights", "Render light into textures. Takes long.", tags=("render",)),
    made("render_frame", "Render one frame of the scene."),
    made("list_shots", "Return the shots of the show.", title="Shots in production"),
    made("set_transform", "Place an object.", tags=("move", "rotate", "scale")),
    made("copy_pose", "Put the pose of one rig on another; nothing is rendered."),
]


@pytest.fixture
def finder():
    table = ToolTable()
    for one in TOOLS:
        table.add(one)
    return Finder(table)


def names(finder, query, limit=10):
    return [one.name for one in finder.find(query, limit)[0]]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("mirror_geometry", ["mirror_geometry"]),
        ("mirror geometry", ["mirror_geometry"]),
        ("How do I MOVE something?", ["set_transform"]),
        ("symmetry", ["mirror_geometry"]),
        ("shot", ["list_shots"]),
        ("production", ["list_shots"]),
        ("pose of the rig", ["copy_pose"]),
        # In the name, as a tag, as the beginning of a word of the description.
        ("render", ["render_frame", "bake_lights", "copy_pose"]),
        # More of the words before better places.
        ("render lights", ["bake_lights", "render_frame", "copy_pose"]),
        ("mirror a rig on another", ["copy_pose", "mirror_geometry"]),
        ("rend", ["render_frame", "bake_lights", "copy_pose"]),
        ("re", []),
        ("nothing_like_it", ["copy_pose"]),
        ("unheard", []),
    ],
)
def test_the_best_fit_comes_first(finder, query, wanted):
    assert names(finder, query) == wanted


def test_the_whole_name_wins_over_everything(finder):
    assert names(finder, " Render_Frame ")[0] == "render_frame"


@pytest.mark.parametrize("query", ["", "   ", "-_-"])
def test_without_words_all_are_found_by_name(finder, query):
    found, total = finder.find(query, 2)
    assert [one.name for one in found] == ["bake_lights", "copy_pose"]
    assert total == len(TOOLS)


def test_filler_words_count_only_when_there_are_no_others(finder):
    assert names(finder, "the tool that can mirror") == ["mirror_geometry"]
    assert "set_transform" in names(finder, "an")


def test_no_more_than_asked_for_and_how_many_there_are(finder):
    found, total = finder.find("render", 1)
    assert [one.name for one in found] == ["render_frame"]
    assert total == 3


def test_what_is_added_later_is_found(finder):
    assert names(finder, "unheard") == []
    finder._table.add(made("play_unheard", "Play."))
    assert names(finder, "unheard") == ["play_unheard"]


def test_the_order_of_adding_changes_nothing():
    orders = []
    for seed in range(5):
        table = ToolTable()
        for one in random.Random(seed).sample(TOOLS, len(TOOLS)):
            table.add(one)
        orders.append(names(Finder(table), "render path amount object"))
    assert orders == orders[:1] * 5
    assert len(orders[0]) == len(TOOLS)


@given(st.text(max_size=2000), st.integers(1, 50))
def test_any_text_is_a_query(query, limit):
    table = ToolTable()
    for one in TOOLS:
        table.add(one)
    found, total = Finder(table).find(query, limit)
    assert len(found) == min(total, limit)
