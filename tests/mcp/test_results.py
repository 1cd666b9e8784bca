"""What is in a tool's answer, and several of them as a text for a model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.mcp.results import build_context, extracted, failure_in

TEXT = {"type": "text", "text": "found it"}
IMAGE = {"type": "image", "data": "aGk=", "mimeType": "image/png", "annotations": {"priority": 1}}
PLAIN_IMAGE = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
LINK = {"type": "resource_link", "uri": "file:///x", "name": "x"}
DATA = {"temperature": 22.5}

EXTRACTED = [
    ({"content": [TEXT]}, "found it"),
    ({"content": [{"type": "text", "text": ""}]}, ""),
    # A text stands for the structured content that it comes with.
    ({"content": [TEXT], "structuredContent": DATA}, "found it"),
    ({"content": [IMAGE]}, PLAIN_IMAGE),
    ({"content": [LINK]}, LINK),
    ({"content": [TEXT, IMAGE]}, ["found it", PLAIN_IMAGE]),
    ({"content": [TEXT, TEXT]}, ["found it", "found it"]),
    ({"content": [LINK, TEXT]}, [LINK, "found it"]),
    ({"content": [], "structuredContent": DATA}, DATA),
    ({"structuredContent": DATA}, DATA),
    ({"structuredContent": [1, 2]}, [1, 2]),
    ({"structuredContent": False}, False),
    ({"content": []}, None),
    ({}, None),
    # Servers err.
    ({"content": None}, None),
    ({"content": "text"}, None),
    ({"content": ["text"]}, "text"),
    ({"content": [{"type": "text"}]}, ""),
    ({"content": [{"type": "image"}]}, {"type": "image", "data": "", "mimeType": ""}),
]


@pytest.mark.parametrize(("result", "wanted"), EXTRACTED)
def test_what_is_in_a_result(result, wanted):
    assert extracted(result) == wanted


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        ({"content": [TEXT]}, "found it"),
        ({"content": [TEXT, IMAGE, TEXT]}, "found it\nfound it"),
        ({"content": []}, "nothing else"),
        ({"content": [IMAGE]}, "nothing else"),
        ({"content": [{"type": "text", "text": 7}]}, "7"),
        ({"content": ["x", None]}, "nothing else"),
        ({}, "nothing else"),
    ],
)
def test_what_a_failure_says(result, wanted):
    assert failure_in(result).endswith(wanted)


GOOD = {"tool_call_id": "1", "role": "tool", "name": "a_b", "content": '{"x":1}', "success": True}
BAD = {"tool_call_id": "2", "role": "tool", "name": "c_d", "content": "no luck", "success": False,
       "error": "no luck"}  # fmt: skip


@pytest.mark.parametrize("form", ["markdown", "json", "plain", "anything"])
def test_of_nothing_there_is_no_text(form):
    assert build_context([], form) == ""


def test_as_markdown():
    assert build_context([GOOD, BAD], "markdown") == (
        "## Tool results\n\n"
        '### OK 1. a_b\n\n```json\n{\n  "x": 1\n}\n```\n\n'
        "### Failed 2. c_d\n\n**Error**: no luck\n"
    )


def test_as_markdown_what_is_no_json_is_shown_as_it_is():
    assert "```json\nplain ``words``\n```" in build_context(
        [dict(GOOD, content="plain ``words``")], "markdown"
    )


def test_as_markdown_what_is_nested_too_deeply_is_shown_as_it_is():
    content = "[" * 100_000
    assert (content in build_context([dict(GOOD, content=content)], "markdown")) is True


def test_a_fence_cannot_be_broken_out_of():
    content = json.dumps("a\n```\n# a heading\n````")
    shown = build_context([dict(GOOD, content=content)], "markdown")
    assert "\n`````json\n" in shown
    assert shown.endswith("\n`````\n")


def test_as_json():
    results = [GOOD, dict(BAD, content="schön")]
    shown = build_context(results, "json")
    assert json.loads(shown) == results
    assert "schön" in shown


@pytest.mark.parametrize("form", ["plain", "anything"])
def test_as_plain_text(form):
    assert build_context([GOOD, BAD], form) == (
        "=== Tool results ===\n\n"
        '1. a_b - succeeded\n   Result: {"x":1}\n\n'
        "2. c_d - failed\n   Result: no luck\n"
    )


ODD = st.dictionaries(
    st.sampled_from(["name", "content", "success"]),
    st.none() | st.booleans() | st.text() | st.integers() | st.lists(st.text()),
)


@given(st.lists(ODD, min_size=1), st.sampled_from(["markdown", "json", "plain"]))
def test_whatever_stands_in_a_result_there_is_a_text(results, form):
    assert build_context(results, form)
