"""Completions: fixed values, functions, and what completes itself."""

from __future__ import annotations

import pytest

from dcc_mcp_embed._compat import Literal
from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.tools.completing import choose
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.declare import declared, prompt, resource
from dcc_mcp_embed.tools.results import success

Style = Literal["clean", "cluttered"]


def completer(complete, name="word"):
    @prompt(complete=complete)
    def ask(word: str, other: str = ""):
        pass

    return declared(ask).completers[name]


def completed(found, **arguments):
    result = success(found.tool.invoke(ToolContext(), found.tool.bind(arguments)), found.tool, None)
    return result["structuredContent"]["completion"]


def test_values_that_begin_as_what_was_typed():
    values = completer({"word": ["Park", "party", "paris", "apart"]}).values
    assert choose(values, "PAR")["completion"] == {
        "values": ["Park", "party", "paris"],
        "total": 3,
        "hasMore": False,
    }
    assert choose(values, "x")["completion"]["values"] == []


def test_no_more_than_the_protocol_allows():
    found = choose([str(number) for number in range(250)], "")["completion"]
    assert (len(found["values"]), found["total"], found["hasMore"]) == (100, 250, True)


def test_a_choice_completes_itself():
    @prompt
    def ask(style: Style):
        pass

    @resource("a://{style}")
    def it(style: Style):
        pass

    for one in (ask, it):
        assert declared(one).completers["style"].values == ("clean", "cluttered")


def test_a_function_is_called_like_a_tool():
    def words(ctx, value, arguments):
        assert isinstance(ctx, ToolContext)
        return (value + one for one in sorted(arguments.values()))

    found = completer({"word": words})
    assert found.tool.thread == "main"
    assert completed(found, value="x", arguments={"other": "y"})["values"] == ["xy"]
    plain = completer({"word": lambda value: [value.upper()]})
    assert completed(plain, value="x") == {"values": ["X"], "total": 1, "hasMore": False}


def test_it_runs_where_its_prompt_does():
    @prompt(thread="worker", complete={"word": lambda value: []})
    def ask(word: str):
        pass

    assert declared(ask).completers["word"].tool.thread == "worker"


@pytest.mark.parametrize("value", ["text", b"", {"a": 1}, None, 5])
def test_what_a_function_must_not_return(value):
    found = completer({"word": lambda value: given})
    given = value
    result = success(found.tool.invoke(ToolContext(), {"value": ""}), found.tool, None)
    assert result["structuredContent"]["error"]["code"] == "host_error"


@pytest.mark.parametrize(
    ("complete", "problem"),
    [
        ({"colour": []}, "'colour'"),
        ({"word": "text"}, "list of texts"),
        ({"word": [1]}, "list of texts"),
        ({"word": lambda: ["x"]}, "takes 'value'"),
        ({"word": lambda value, colour: []}, "takes 'value'"),
    ],
)
def test_what_cannot_complete(complete, problem):
    with pytest.raises(ConfigError, match=problem):
        completer(complete)
