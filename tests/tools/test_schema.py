"""Schemas from annotations: what clients see stays portable, what the function gets is Python's."""

from __future__ import annotations

import enum
import json
import pathlib
import sys
from typing import (
    Any,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Mapping,
    NewType,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

import pytest

from dcc_mcp_embed import Annotated, Literal, TypedDict
from dcc_mcp_embed.errors import ConfigError, InvalidArgument
from dcc_mcp_embed.tools.declare import Tool
from tool_lint import lint_schema


class Axis(enum.Enum):
    UP = "y"
    SIDE = "x"


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


Frame = Annotated[int, "frame number"]
Mine = Annotated[int, "mine"]


class Key(TypedDict, total=False):
    frame: Frame
    axis: Axis


class Required(TypedDict):
    path: str
    tags: Optional[List[str]]


Name = NewType("Name", str)


class Doc:
    def __init__(self, documentation):
        self.documentation = documentation


def tool_of(annotation, *default):
    """Return a tool whose parameter ``x`` has the annotation."""

    def show_it(x):
        return x

    show_it.__annotations__["x"] = annotation
    if default:
        show_it.__defaults__ = default
    return Tool(show_it)


def shown(tool):
    return tool.input_schema["properties"]["x"]


CASES = [
    (str, {"type": "string"}, "a", "a"),
    ("str", {"type": "string"}, "a", "a"),
    (int, {"type": "integer"}, "5", 5),
    (float, {"type": "number"}, 5, 5.0),
    (bool, {"type": "boolean"}, "true", True),
    (Name, {"type": "string"}, "a", "a"),
    (Union[int, float], {"type": "number"}, "1", 1.0),
    (List[int], {"type": "array", "items": {"type": "integer"}}, "1,2", [1, 2]),
    ("List[int]", {"type": "array", "items": {"type": "integer"}}, "1,2", [1, 2]),
    (Sequence[str], {"type": "array", "items": {"type": "string"}}, "a", ["a"]),
    (Iterable[str], {"type": "array", "items": {"type": "string"}}, ["a"], ["a"]),
    (Set[int], {"type": "array", "items": {"type": "integer"}}, [1, 1], {1}),
    (FrozenSet[int], {"type": "array", "items": {"type": "integer"}}, [1], frozenset([1])),
    (Tuple[int, ...], {"type": "array", "items": {"type": "integer"}}, [1], (1,)),
    (
        Tuple[float, float],
        {"type": "array", "items": {"type": "number"}, "description": "Exactly 2 items."},
        [1, 2],
        (1.0, 2.0),
    ),
    (
        Union[str, List[str]],
        {"type": "array", "items": {"type": "string"}},
        "a",
        ["a"],
    ),
    (
        Dict[str, float],
        {
            "type": "object",
            "properties": {},
            "additionalProperties": True,
            "description": "Each value is of type number.",
        },
        {"a": "1"},
        {"a": 1.0},
    ),
    (
        Mapping[str, Any],
        {"type": "object", "properties": {}, "additionalProperties": True},
        '{"a": "1"}',
        {"a": "1"},
    ),
    (dict, {"type": "object", "properties": {}, "additionalProperties": True}, {"a": 1}, {"a": 1}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, "b", "b"),
    (Literal[1, 2], {"type": "integer", "description": "One of 1, 2."}, "2", 2),
    (Axis, {"type": "string", "enum": ["y", "x"]}, "x", Axis.SIDE),
    (Level, {"type": "string", "enum": ["LOW", "HIGH"]}, "HIGH", Level.HIGH),
    (List[Axis], {"type": "array", "items": {"type": "string", "enum": ["y", "x"]}}, "x,y",
     [Axis.SIDE, Axis.UP]),
    (Annotated[int, "how many"], {"type": "integer", "description": "how many"}, 1, 1),
    (Annotated[str, 5, Doc("what")], {"type": "string", "description": "what"}, "a", "a"),
    ("Annotated[int, 'how many']", {"type": "integer", "description": "how many"}, 1, 1),
    (Any, {"type": "string", "description": "Any JSON value, as JSON text."}, "[1]", [1]),
    (Any, {"type": "string", "description": "Any JSON value, as JSON text."}, "word", "word"),
    (Any, {"type": "string", "description": "Any JSON value, as JSON text."}, {"a": 1}, {"a": 1}),
    (pathlib.PurePath, {"type": "string"}, "a", pathlib.PurePath("a")),
    (
        Key,
        {
            "type": "object",
            "properties": {
                "frame": {"type": "integer", "description": "frame number"},
                "axis": {"type": "string", "enum": ["y", "x"]},
            },
            "additionalProperties": False,
        },
        {"frame": "3", "axis": "x"},
        {"frame": 3, "axis": Axis.SIDE},
    ),
    (
        Required,
        {
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
        {"path": "p"},
        {"path": "p"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "schema", "value", "wanted"), CASES)
def test_annotation(annotation, schema, value, wanted):
    tool = tool_of(annotation)
    assert shown(tool) == schema
    assert tool.input_schema["required"] == ["x"]
    assert tool.bind({"x": value}) == {"x": wanted}
    assert type(tool.bind({"x": value})["x"]) is type(wanted)
    assert lint_schema(tool.input_schema) == []
    json.dumps(tool.input_schema)


def test_new_syntax_works_or_is_taught():
    if sys.version_info < (3, 10):
        with pytest.raises(ConfigError, match="Optional.int. for int . None"):
            tool_of("int | None")
    else:
        assert tool_of("int | None").bind({"x": None}) == {"x": None}
    if sys.version_info < (3, 9):
        with pytest.raises(ConfigError, match="List.int. for list.int."):
            tool_of("list[int]")
    else:
        assert shown(tool_of("list[int]"))["items"] == {"type": "integer"}


def test_optional_is_not_required_and_takes_null():
    tool = tool_of(Optional[int])
    assert "required" not in tool.input_schema
    assert tool.bind({}) == {"x": None}
    assert tool.bind({"x": None}) == {"x": None}
    assert tool.bind({"x": "3"}) == {"x": 3}


def test_null_means_left_out_where_there_is_a_default():
    tool = tool_of(int, 5)
    assert tool.bind({"x": None}) == {}
    assert shown(tool) == {"type": "integer", "default": 5}


def test_null_for_what_is_required_is_refused():
    with pytest.raises(InvalidArgument, match="'x' must be a whole number, not null"):
        tool_of(int).bind({"x": None})


@pytest.mark.parametrize(
    ("default", "wanted"),
    [
        ("a", "a"),
        (2.5, 2.5),
        (False, False),
        ((1, 2), [1, 2]),
        (Axis.UP, "y"),
        (Level.HIGH, "HIGH"),
    ],
)
def test_defaults_are_stated(default, wanted):
    annotation = {tuple: Tuple[int, ...]}.get(type(default), type(default))
    assert shown(tool_of(annotation, default))["default"] == wanted


@pytest.mark.parametrize("default", [None, ()])
def test_defaults_that_say_nothing_are_not(default):
    assert "default" not in shown(tool_of(List[int], default))


def test_what_is_not_annotated_is_told_from_its_default():
    def show_it(plain, count=3, word="a"):
        """Show."""

    tool = Tool(show_it)
    kinds = {name: one["type"] for name, one in tool.input_schema["properties"].items()}
    assert kinds == {"plain": "string", "count": "integer", "word": "string"}
    assert tool.bind({"plain": "[1]", "count": "4"}) == {"plain": [1], "count": 4}


def test_descriptions_come_from_the_docstring_unless_annotated():
    def show_it(a: int, b: Mine):
        """Show.

        Args:
            a: the first
            b: theirs
        """

    properties = Tool(show_it).input_schema["properties"]
    assert properties["a"]["description"] == "the first"
    assert properties["b"]["description"] == "mine"
    assert Tool(show_it).description == "Show."


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bytes, "bytes"),
        (Union[int, str], "several types"),
        (Union[str, List[int]], "several types"),
        (Tuple[int, str], "tuple of different types"),
        (Dict[int, str], "keys are not text"),
        (Literal["a", 1], "mixes kinds"),
        (None, "can only be None"),
        (Set[List[int]], "set of what cannot"),
        (complex, "complex"),
        ("Nowhere", "Nowhere"),
        ("1 +", "cannot be evaluated"),
    ],
)
def test_what_no_client_can_send_is_refused_with_the_place(annotation, words):
    with pytest.raises(ConfigError) as caught:
        tool_of(annotation)
    assert words in str(caught.value)
    assert "show_it" in str(caught.value)
    assert "parameter 'x'" in str(caught.value)


def test_the_context_and_the_result_may_be_annotated_with_anything():
    def show_it(ctx: Nowhere, x: int = 1) -> Elsewhere:  # noqa: F821
        """Show."""

    assert list(Tool(show_it).input_schema["properties"]) == ["x"]


def test_tuple_length_is_checked_though_the_schema_does_not_say_it():
    with pytest.raises(InvalidArgument, match=r"'x' must have 3 items or more; it has 2"):
        tool_of(Tuple[float, float, float]).bind({"x": [1, 2]})


def test_free_text_that_is_not_finite_stays_text():
    tool = tool_of(Any)
    for text in ("NaN", "1e999", "[Infinity]"):
        assert tool.bind({"x": text}) == {"x": text}
