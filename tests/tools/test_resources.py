"""Resources: their declaration, the list they stand in, and what becomes of what they return."""

from __future__ import annotations

import json

import pytest

from dcc_mcp_embed.errors import ConfigError, NotFound
from dcc_mcp_embed.tools.content import Audio, Image, Link, Resource
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.declare import declared, resource, resource_template
from dcc_mcp_embed.tools.results import META_INSTANCE, META_WARNINGS, success
from dcc_mcp_embed.tools.table import ToolTable

PNG = b"\x89PNG\r\n\x1a\n"


def read(value, warnings=(), uri="a://b", **options):
    @resource("a://{x}", **options)
    def it(x: str):
        return value

    tool = declared(it).reading(uri)
    return success(tool.invoke(ToolContext(), {"x": "b"}), tool, {"id": "i"}, warnings)


def contents(value, **options):
    result = read(value, **options)
    assert not result["isError"], result
    return result["structuredContent"]["contents"]


def test_in_the_lists():
    @resource("a://b", mime_type="text/plain", title="Bee")
    def get_b():
        """All of b."""

    @resource_template("a://{x}/{+y}")
    def some(x: str, y: str):
        pass

    assert declared(get_b).describe() == {
        "uri": "a://b",
        "name": "get_b",
        "title": "Bee",
        "description": "All of b.",
        "mimeType": "text/plain",
    }
    assert declared(some).describe() == {
        "uriTemplate": "a://{x}/{+y}",
        "name": "some",
        "title": "Some",
        "description": "Some.",
    }


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("text", {"mimeType": "text/plain", "text": "text"}),
        ("", {"mimeType": "text/plain", "text": ""}),
        (b"\x00", {"mimeType": "application/octet-stream", "blob": "AA=="}),
        (bytearray(), {"mimeType": "application/octet-stream", "blob": ""}),
        ({"a": 1}, {"mimeType": "application/json", "text": '{"a":1}'}),
        ([], {"mimeType": "application/json", "text": "[]"}),
        (5, {"mimeType": "application/json", "text": "5"}),
        (False, {"mimeType": "application/json", "text": "false"}),
    ],
)
def test_what_a_value_becomes(value, found):
    assert contents(value) == [dict(found, uri="a://b")]
    (mine,) = contents(value, mime_type="x/y")
    assert mine["mimeType"] == "x/y"


def test_media_and_resources_of_its_own():
    assert contents(Image(PNG)) == [
        {"uri": "a://b", "mimeType": "image/png", "blob": "iVBORw0KGgo="}
    ]
    assert contents([Resource("c://d", text="x"), Audio(b"OggS"), "more"]) == [
        {"uri": "c://d", "text": "x"},
        {"uri": "a://b", "mimeType": "audio/ogg", "blob": "T2dnUw=="},
        {"uri": "a://b", "mimeType": "text/plain", "text": "more"},
    ]


@pytest.mark.parametrize("value", [None, Link("a://b", "b"), {"a": object()}, object()])
def test_what_cannot_be_a_resource(value):
    result = read(value)
    assert result["isError"]
    assert result["structuredContent"]["error"]["code"] == "host_error"


def test_there_is_a_limit():
    assert read("x" * 1024 * 1024)["isError"] is False
    result = read("x" * (1024 * 1024 + 1))
    assert result["structuredContent"]["error"]["code"] == "too_large"
    assert read(b"x" * 2 * 1024 * 1024)["structuredContent"]["error"]["code"] == "too_large"


def test_the_instance_and_warnings_stand_beside_it():
    result = read({"a": float("nan")}, ["careful"])["structuredContent"]
    assert result["_meta"][META_INSTANCE] == {"id": "i"}
    careful, not_finite = result["_meta"][META_WARNINGS]
    assert careful == "careful"
    assert "result.a" in not_finite
    assert json.loads(result["contents"][0]["text"]) == {"a": None}


def test_values_of_a_uri_are_taken_as_annotated():
    @resource("a://{number}/{switch}")
    def it(number: int, switch: bool = False):
        return [number, switch]

    tool = declared(it).reading("a://5/true")
    assert tool.bind(declared(it).match("a://5/true")) == {"number": 5, "switch": True}


def test_a_reading_knows_its_own_uri():
    @resource("a://{x}")
    def it(x: str):
        return x

    first, second = declared(it).reading("a://1"), declared(it).reading("a://2")
    shown = [success("v", one, None)["structuredContent"]["contents"] for one in (first, second)]
    assert [one["uri"] for (one,) in shown] == ["a://1", "a://2"]


@pytest.mark.parametrize(
    ("declare", "problem"),
    [
        (lambda: resource_template("a://b"), "no {placeholder}"),
        (lambda: resource(5), "needs a uri"),
        (lambda: resource("a://{x}", thread="moon")(lambda x: x), "name|thread"),
    ],
)
def test_declarations_that_are_refused(declare, problem):
    with pytest.raises(ConfigError, match=problem):
        declare()


def test_a_name_is_like_that_of_a_tool():
    def it():
        pass

    with pytest.raises(ConfigError, match="refused by some clients"):
        resource("a://b", name="a.b")(it)
    with pytest.raises(ConfigError, match="needs a scheme"):
        resource("a://" + "b" * 3000)(it)


def test_the_most_definite_one_is_meant():
    @resource("a://x")
    def exact():
        pass

    @resource("a://{+any}")
    def anything(any: str):
        pass

    @resource("a://{name}/data")
    def data(name: str):
        pass

    table = ToolTable()
    for one in (anything, data, exact):
        table.add(one)
    for uri, name, values in (
        ("a://x", "exact", {}),
        ("a://x/data", "data", {"name": "x"}),
        ("a://x/y", "anything", {"any": "x/y"}),
        ("a://y/z/data", "anything", {"any": "y/z/data"}),
    ):
        entry, found = table.resource(uri)
        assert (entry.name, found) == (name, values)
    # Longer than anything that anybody declares: not looked at.
    with pytest.raises(NotFound):
        table.resource("a://" + "y" * 2048)
