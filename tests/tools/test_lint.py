"""Each rule of the portable subset, broken once, is found; our own tools break none."""

from __future__ import annotations

import copy
import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.tools.declare import Tool, declared_in
from tool_lint import check, lint_schema

GOOD = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "The path."},
        "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "at": {"type": "array", "items": {"type": "number"}},
        "kinds": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
        "params": {"type": "object", "properties": {}, "additionalProperties": True},
        "place": {
            "type": "object",
            "properties": {"x": {"type": "integer"}},
            "required": ["x"],
            "additionalProperties": False,
        },
    },
    "required": ["path"],
    "additionalProperties": False,
}
OWN = ("control", "scene", "code")


def broken(path, value):
    """Return GOOD with one member replaced; a value of None takes it away."""
    schema = copy.deepcopy(GOOD)
    *way, last = path
    node = schema
    for part in way:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return schema


def test_the_subset_itself_is_clean():
    assert lint_schema(GOOD) == []
    assert lint_schema({"type": "object", "properties": {}, "additionalProperties": False}) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "words"),
    [
        (("type",), "array", "", "root"),
        (("properties",), None, "", "needs 'properties'"),
        (("additionalProperties",), None, "", "must be false"),
        (("additionalProperties",), True, "", "must be false"),
        (("required",), ["nope"], "", "'nope'"),
        (("required",), ["path", "path"], "", "each once"),
        (("anyOf",), [{}], "", "either/or"),
        (("$schema",), "x", "", "in place"),
        (("$defs",), {}, "", "in place"),
        (("properties", "path"), {"$ref": "#/x"}, ".properties.path", "type must be one of"),
        (("properties", "path", "type"), ["string", "null"], ".properties.path", "one of string"),
        (("properties", "path", "pattern"), "x", ".properties.path", "in the description"),
        (("properties", "path", "minLength"), 1, ".properties.path", "in the description"),
        (("properties", "path", "format"), "uri", ".properties.path", "in the description"),
        (("properties", "path", "examples"), [], ".properties.path", "does not belong"),
        (("properties", "path", "oneOf"), [], ".properties.path", "either/or"),
        (("properties", "mode", "enum"), [1, 2], ".properties.mode", "must list texts"),
        (("properties", "mode", "enum"), [], ".properties.mode", "must list texts"),
        (("properties", "mode", "type"), "integer", ".properties.mode", "only beside type string"),
        (("properties", "at", "items"), None, ".properties.at", "needs 'items'"),
        (("properties", "at", "items"), [{}, {}], ".properties.at", "needs 'items'"),
        (("properties", "at", "items"), {}, ".properties.at.items", "type must be"),
        (("properties", "at", "prefixItems"), [], ".properties.at", "say the order"),
        (("properties", "at", "maxItems"), 3, ".properties.at", "in the description"),
        (("properties", "at", "enum"), [[1]], ".properties.at", "on the items"),
        (("properties", "at", "items", "minimum"), 0, ".properties.at.items", "in the description"),
        (("properties", "params", "properties"), None, ".properties.params", "even if empty"),
        (("properties", "params", "additionalProperties"), None, ".properties.params", "free-form"),
        (("properties", "params", "additionalProperties"), {"type": "number"},
         ".properties.params", "free-form"),
        (("properties", "place", "additionalProperties"), True, ".properties.place", "be false"),
        (("properties", "place", "properties", "x", "type"), "int",
         ".properties.place.properties.x", "type must be"),
        (("properties", "place", "properties", "x", "multipleOf"), 2,
         ".properties.place.properties.x", "in the description"),
    ],
)  # fmt: skip
def test_each_rule_is_found_where_it_is_broken(path, value, where, words):
    findings = lint_schema(broken(path, value))
    assert any(one.where == "inputSchema" + where and words in one.text for one in findings), (
        findings
    )


@pytest.mark.parametrize("schema", [None, [], {}, {"type": ["object"]}, True])
def test_no_object_is_one_finding(schema):
    assert len(lint_schema(schema)) == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "properties", "items", "enum", "required", "anyOf", "x"])
                | st.text(max_size=2),
                inner | st.sampled_from(["object", "array", "string"]),
                max_size=4,
            )
        ),
    )
)
def test_anything_can_be_linted(schema):
    for finding in lint_schema(schema):
        assert str(finding).startswith("inputSchema")


def documented(x: int = 3):
    """Get it. Default 3."""


def undocumented():
    pass


def of(function=documented, **options):
    return [finding.where for finding in check(Tool(function, **options))]


def test_names_begin_with_a_verb():
    assert of(name="get_thing") == []
    for name in ("thing_get", "Get_thing", "get-thing"):
        assert of(name=name) == ["name"]


def test_descriptions_are_there_and_short():
    assert of(undocumented, name="get_it") == ["description"]
    assert of(
        lambda: 0, name="get_it", input_schema={**GOOD, "properties": {}, "required": []}
    ) == ["description"]

    def get_it():
        pass

    get_it.__doc__ = "x" * 300
    assert of(get_it) == []
    get_it.__doc__ = "x" * 301
    assert of(get_it) == ["description"]


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ({"default": 3}, False),
        ({"description": "How many. Default 3."}, False),
        ({}, True),
        ({"default": 4}, True),
        ({"description": "How many."}, True),
    ],
)
def test_defaults_are_stated_and_true(shown, found):
    schema = {
        "type": "object",
        "properties": {"x": dict(shown, type="integer")},
        "additionalProperties": False,
    }
    wanted = ["inputSchema.properties.x"] if found else []
    assert of(name="get_it", input_schema=schema) == wanted


@pytest.mark.parametrize("name", OWN)
def test_our_own_tools_keep_every_rule(name):
    module = importlib.import_module("dcc_mcp_embed.tools." + name)
    tools = [entry for entry in declared_in(module) if isinstance(entry, Tool)]
    assert tools
    assert {tool.name: [str(one) for one in check(tool)] for tool in tools} == {
        tool.name: [] for tool in tools
    }
