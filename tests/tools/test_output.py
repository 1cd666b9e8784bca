"""A tool is held to the output schema that it declares."""

from __future__ import annotations

import json

import pytest

from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.tools.declare import declared, tool
from dcc_mcp_embed.tools.results import failure, success

COUNT = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
    "additionalProperties": False,
}


def made(value, schema=COUNT, raw=False):
    @tool(output_schema=schema, raw=raw)
    def count_it():
        return value

    return declared(count_it), success(value, declared(count_it), {"id": "x"})


def test_the_schema_is_that_of_the_envelope():
    entry, result = made({"count": 3})
    assert entry.describe()["outputSchema"] == {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "data": COUNT},
        "required": ["ok"],
    }
    assert result["structuredContent"]["data"] == {"count": 3}
    # A failed call fits it too: some clients check that.
    assert failure(ValueError("x"), None)["structuredContent"]["ok"] is False


def test_definitions_stay_at_the_root_where_references_look_for_them():
    schema = dict(COUNT, **{"$defs": {"x": {}}, "$schema": "https://json-schema.org/x"})
    shown = made({"count": 3}, schema)[0].describe()["outputSchema"]
    assert (shown["$defs"], shown["$schema"]) == ({"x": {}}, "https://json-schema.org/x")
    assert shown["properties"]["data"] == COUNT


@pytest.mark.parametrize("value", [{}, {"count": "many"}, {"count": 1, "x": 2}, None, "three", [1]])
def test_a_result_that_does_not_fit_is_an_error_of_the_tool(value):
    _, result = made(value)
    assert result["isError"]
    assert result["structuredContent"]["error"]["code"] == "host_error"


def test_what_can_be_made_fit_is():
    _, result = made({"count": "3", "next_cursor": "c"})
    assert result["structuredContent"]["data"] == {"count": 3}
    assert json.loads(result["content"][0]["text"]) == {"count": 3, "next_cursor": "c"}
    assert result["structuredContent"]["next_cursor"] == "c"


def test_a_raw_tool_describes_its_structured_content_itself():
    entry, result = made({"content": [], "structuredContent": {"count": 3}}, raw=True)
    assert entry.describe()["outputSchema"] is COUNT
    assert not result["isError"]
    assert made({"content": []}, raw=True)[1]["isError"]
    assert made({"content": [], "structuredContent": {}}, raw=True)[1]["isError"]
    assert made({"content": [], "isError": True}, raw=True)[1]["content"] == []


@pytest.mark.parametrize("schema", [{}, {"type": "array"}, [], {"type": "object", "required": 5}])
def test_a_schema_that_is_none_names_the_function(schema):
    with pytest.raises(ConfigError, match=r"count_it .*output_schema"):
        made({}, schema)
