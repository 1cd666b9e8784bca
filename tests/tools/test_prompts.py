"""Prompts: what they return becomes messages."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import ConfigError, InvalidArgument
from dcc_mcp_embed.tools.content import Image, Link
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.declare import declared, prompt
from dcc_mcp_embed.tools.results import META_INSTANCE, success

PNG = b"\x89PNG\r\n\x1a\n"
IMAGE = {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}


def text(words, role="user"):
    return {"role": role, "content": {"type": "text", "text": words}}


def render(value):
    @prompt
    def ask():
        """Ask."""
        return value

    tool = declared(ask).rendering
    return success(tool.invoke(ToolContext(), {}), tool, {"id": "i"})


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ("hello", [text("hello")]),
        (Image(PNG), [{"role": "user", "content": IMAGE}]),
        (["a", Image(PNG)], [text("a"), {"role": "user", "content": IMAGE}]),
        (
            [{"role": "assistant", "content": "b"}, {"role": "user", "content": Image(PNG)}],
            [text("b", "assistant"), {"role": "user", "content": IMAGE}],
        ),
        ({"role": "user", "content": {"type": "text", "text": "c"}}, [text("c")]),
        ((), []),
    ],
)
def test_messages(value, messages):
    result = render(value)
    assert not result["isError"], result
    assert result["structuredContent"] == {
        "description": "Ask.",
        "messages": messages,
        "_meta": {META_INSTANCE: {"id": "i"}},
    }
    # What get_job shows of one that came late.
    assert result["content"] == [one["content"] for one in messages]


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        {"content": "x"},
        {"role": "system", "content": "x"},
        {"role": "user"},
        {"role": "user", "content": ["x"]},
        {"role": "user", "content": {"text": "x"}},
        [["x"]],
    ],
)
def test_what_is_no_message(value):
    assert render(value)["structuredContent"]["error"]["code"] == "host_error"


def test_links_are_content_too():
    (message,) = render(Link("a://b", "b"))["structuredContent"]["messages"]
    assert message["content"]["type"] == "resource_link"


def test_in_the_list():
    @prompt(title="Ask")
    def ask(style: str, size: str = "small"):
        """Ask for it.

        Args:
            style: which style
        """

    assert declared(ask).describe() == {
        "name": "ask",
        "title": "Ask",
        "description": "Ask for it.",
        "arguments": [
            {"name": "style", "required": True, "description": "which style"},
            {"name": "size", "required": False},
        ],
    }
    bind = declared(ask).rendering.bind
    assert bind({"style": "x"}) == {"style": "x"}
    for wrong in ({}, {"style": "x", "colour": "red"}):
        with pytest.raises(InvalidArgument):
            bind(wrong)


def test_it_runs_where_it_says():
    @prompt(thread="loop", timeout=3.0)
    def ask():
        pass

    rendering = declared(ask).rendering
    assert (rendering.thread, rendering.timeout, rendering.read_only) == ("loop", 3.0, True)
    with pytest.raises(ConfigError, match="thread"):
        prompt(thread="moon")(lambda_named())


def lambda_named():
    def ask():
        pass

    return ask
