"""Icons and annotations: MCP's shape, or a sentence that says what is wrong."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import ConfigError, HostError
from dcc_mcp_embed.tools.content import Image, Link, Resource
from dcc_mcp_embed.tools.declare import declared, prompt, resource, tool
from dcc_mcp_embed.tools.marks import annotations_of, icons_of

ICON = {"src": "data:image/png;base64,AA==", "mimeType": "image/png", "sizes": ["48x48"]}


def test_icons():
    assert icons_of(["https://x/y.png"]) == [{"src": "https://x/y.png"}]
    assert icons_of([ICON, dict(ICON, theme="dark", sizes=("any",))]) == [
        ICON,
        dict(ICON, theme="dark", sizes=["any"]),
    ]


@pytest.mark.parametrize(
    "icons",
    [
        "https://x/y.png",
        ICON,
        [{}],
        ["y.png"],
        [{"src": 5}],
        [5],
        5,
        [dict(ICON, sizes=48)],
        [dict(ICON, sizes="48x48")],
        [dict(ICON, sizes=[48])],
        [dict(ICON, theme="blue")],
        [dict(ICON, colour="blue")],
    ],
)
def test_what_is_no_icon(icons):
    with pytest.raises(ValueError, match="has "):
        icons_of(icons)


def test_annotations():
    given = {"audience": ("user",), "priority": 1, "lastModified": "2026-11-26T00:00:00Z"}
    assert annotations_of(given) == dict(given, audience=["user"])
    assert annotations_of(None) == {}


@pytest.mark.parametrize(
    "annotations",
    [
        "user",
        {"audience": "user"},
        {"audience": ["artist"]},
        {"audience": 5},
        {"priority": 2},
        {"priority": True},
        {"priority": "high"},
        {"lastModified": 5},
        {"color": 1},
    ],
)
def test_what_is_no_annotation(annotations):
    with pytest.raises(ValueError, match="has "):
        annotations_of(annotations)


def test_they_stand_in_the_lists():
    @tool(icons=[ICON])
    def get_it():
        pass

    @resource("a://b", icons=[ICON], annotations={"priority": 0.5}, size=7)
    def it():
        pass

    @prompt(icons=[ICON])
    def ask():
        pass

    assert all(declared(one).describe()["icons"] == [ICON] for one in (get_it, it, ask))
    assert declared(it).describe()["annotations"] == {"priority": 0.5}
    assert declared(it).describe()["size"] == 7


def test_without_them_nothing_changes():
    @tool
    def get_it():
        pass

    assert sorted(declared(get_it).describe()) == [
        "annotations",
        "description",
        "inputSchema",
        "name",
        "title",
    ]


@pytest.mark.parametrize(
    "declare",
    [
        lambda function: tool(icons=["x"])(function),
        lambda function: resource("a://b", icons=["x"])(function),
        lambda function: resource("a://b", annotations={"x": 1})(function),
        lambda function: prompt(icons=["x"])(function),
    ],
)
def test_a_wrong_one_names_the_function(declare):
    def get_it():
        pass

    with pytest.raises(ConfigError, match=r"get_it \(test_marks.py"):
        declare(get_it)


def test_they_stand_on_content():
    annotations = {"audience": ["assistant"]}
    for content in (
        Image(b"\x89PNG\r\n\x1a\n", annotations=annotations),
        Resource("a://b", text="x", annotations=annotations),
        Link("a://b", "b", annotations=annotations, icons=[ICON]),
    ):
        assert content.to_content()["annotations"] == annotations
    assert content.to_content()["icons"] == [ICON]
    assert "annotations" not in Link("a://b", "b").to_content()
    with pytest.raises(HostError, match="Link has the audience"):
        Link("a://b", "b", annotations={"audience": "user"})
    with pytest.raises(HostError, match="Link has"):
        Link("a://b", "b", icons="x")
