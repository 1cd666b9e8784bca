"""The keywords we understand bind, all others are left alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.tools.coerce import Misfit
from dcc_mcp_embed.tools.rules import MAX_DEPTH, compile_rule, takes_null

SCALAR = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        ({}, "5", "5"),
        (True, [1], [1]),
        ({"type": "integer"}, "5", 5),
        ({"type": ["integer", "null"]}, None, None),
        ({"type": ["number", "string"]}, "5", "5"),
        ({"type": ["number", "null"]}, "5", 5.0),
        ({"type": "array", "items": {"type": "number"}}, "1, 2", [1.0, 2.0]),
        ({"type": "array", "items": {"type": "string"}}, "one", ["one"]),
        ({"type": "array", "prefixItems": [{"type": "integer"}]}, ["1", "2"], [1, "2"]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": "1", "b": "2"},
         {"a": 1, "b": "2"}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"x": "1"}, {"x": 1}),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": None}, {}),
        ({"type": "string", "enum": ["a", "b"]}, "b", "b"),
        ({"enum": [1, None]}, None, None),
        ({"const": 3}, 3, 3),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "5", "5"),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "5", 5),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 5, 5),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 2),
        ({"minimum": 3}, "no number", "no number"),
        ({"$ref": "https://example.invalid/never-fetched"}, 1, 1),
        ({"not": {"type": "integer"}}, 1, 1),
        ({"type": "string", "format": "uri"}, "x", "x"),
        ({"type": "string", "pattern": "(?<name>x)\\p{L}"}, "y", "y"),
    ],
)  # fmt: skip
def test_what_fits_passes(schema, value, wanted):
    result = compile_rule(schema)(value)
    assert result == wanted
    assert type(result) is type(wanted)


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        (False, 1, "cannot be given"),
        ({}, math.nan, "finite"),
        ({"type": "object"}, {"a": [math.inf]}, "finite"),
        ({"type": ["integer", "boolean"]}, "x", "integer or boolean"),
        ({"minimum": 3}, 2, "3 or more; it is 2"),
        ({"type": "number", "exclusiveMaximum": 1}, 1, "less than 1"),
        ({"type": "integer", "multipleOf": 5}, 7, "multiple of 5"),
        ({"type": "string", "minLength": 2}, "a", "2 characters or more; it has 1"),
        ({"type": "string", "pattern": "^a"}, "b", "'^a'"),
        ({"type": "array", "minItems": 3, "maxItems": 3}, [1, 2], "3 items or more; it has 2"),
        ({"type": "array", "uniqueItems": True}, [{"a": 1}, {"a": 1}], "twice"),
        ({"type": "object", "minProperties": 1}, {}, "1 members or more"),
        ({"type": "object", "required": ["a", "b"]}, {"a": 1}, "lacks 'b'; it needs a, b"),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False},
         {"b": 1}, "has no member 'b'; it takes a"),
        ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
         {"a": None}, "whole number, not null"),
        ({"enum": ["cube", "sphere"]}, "cuby", 'one of "cube", "sphere"'),
        ({"enum": [1]}, True, "must be 1, not true"),
        ({"const": 3}, 4, "must be 3, not 4"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x", "none of its 2 forms"),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 4, "3 or less"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_why(schema, value, words):
    with pytest.raises(Misfit) as caught:
        compile_rule(schema)(value)
    assert words in caught.value.text


def test_near_misses_are_named():
    with pytest.raises(Misfit) as caught:
        compile_rule({"type": "string", "enum": ["cube", "sphere"]})("Cuby")
    assert caught.value.hint == "Did you mean 'cube'?"


def test_the_place_is_named():
    rule = compile_rule(
        {
            "type": "array",
            "items": {"type": "object", "properties": {"at": {"type": "array",
                "items": {"type": "number"}}}},
        }
    )  # fmt: skip
    with pytest.raises(Misfit) as caught:
        rule([{"at": [1]}, {"at": [1, 2, "x"]}])
    assert caught.value.where() == "[1].at[2]"


@pytest.mark.parametrize(
    "schema",
    [
        5,
        {"type": "text"},
        {"type": []},
        {"type": "object", "properties": []},
        {"type": "object", "required": "a"},
        {"enum": []},
        {"anyOf": {}},
        {"type": "number", "minimum": "3"},
        {"type": "object", "properties": {"a": {"type": 5}}},
    ],
)
def test_what_is_no_schema_is_refused_when_declared(schema):
    with pytest.raises(ConfigError):
        compile_rule(schema)


def test_endless_schemas_are_refused():
    loop = {"type": "array"}
    loop["items"] = loop
    with pytest.raises(ConfigError, match=str(MAX_DEPTH)):
        compile_rule(loop)


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "null"}, True),
        ({"type": ["string", "null"]}, True),
        ({"enum": ["a", None]}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"type": "string"}, False),
        ({}, False),
        (True, False),
    ],
)
def test_schemas_that_ask_for_null_are_known(schema, wanted):
    assert takes_null(schema) is wanted


@given(st.lists(SCALAR, min_size=1, max_size=6), SCALAR)
def test_an_enum_takes_its_members_only(values, value):
    rule = compile_rule({"enum": values})
    fits = any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)
    if fits:
        assert rule(value) == value
    else:
        with pytest.raises(Misfit):
            rule(value)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-60, 60))
def test_bounds_are_bounds(low, high, number):
    rule = compile_rule({"type": "integer", "minimum": low, "maximum": high})
    try:
        rule(number)
        assert low <= number <= high
    except Misfit:
        assert not low <= number <= high
