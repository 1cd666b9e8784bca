"""Where an error comes from, in few words."""

from __future__ import annotations

from dcc_mcp_embed.tools.declare import Tool
from dcc_mcp_embed.tools.frames import frames_of
from dcc_mcp_embed.tools.rules import compile_rule


def deep(n):
    if n == 0:
        raise ValueError("at the end")
    deep(n - 1)


def caught(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def test_the_last_frames_are_shown():
    frames = frames_of(caught(deep, 50))
    assert len(frames) == 10
    assert all(one.endswith(" in deep") for one in frames)


def test_paths_are_cut():
    (*_, last) = frames_of(caught(deep, 0))
    place = last.rsplit(":", 1)[0]
    assert place == "tests/tools/test_frames.py"


def test_our_own_frames_before_the_tool_are_left_out():
    tool = Tool(lambda: deep(1), name="fail")
    error = caught(tool.invoke, None, {})
    # Without the frames of this test, as where the dispatcher catches it.
    error.__traceback__ = error.__traceback__.tb_next
    names = [one.rsplit(" ", 1)[1] for one in frames_of(error)]
    assert names == ["<lambda>", "deep", "deep"]


def test_an_error_of_our_own_shows_our_frames():
    error = caught(compile_rule, {"type": "x"})
    error.__traceback__ = error.__traceback__.tb_next
    assert frames_of(error)[0].startswith("dcc_mcp_embed/tools/rules.py:")


def test_never_raised():
    assert frames_of(ValueError("x")) == []
