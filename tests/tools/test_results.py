"""Every call has an answer, and every answer is a well-formed CallToolResult."""

from __future__ import annotations

import json
import math
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import HostBusy, NotFound, ToolError
from dcc_mcp_embed.tools.content import Audio, Image, Link, Resource
from dcc_mcp_embed.tools.declare import Tool
from dcc_mcp_embed.tools.fitting import LIMIT, MEDIA_LIMIT
from dcc_mcp_embed.tools.results import failure, success

INSTANCE = {"id": "aabbccdd", "dcc": "maya"}
PNG = b"\x89PNG\r\n\x1a\nrest"
ENVELOPE = {
    "ok", "instance", "data", "warnings", "evidence", "undo", "timing", "truncated", "next_cursor",
}  # fmt: skip


class Node:
    def __repr__(self):
        raise RuntimeError("the host object is gone")

    __str__ = __repr__


def list_objects(limit: int = 50, cursor: str = "", fields: str = ""):
    """List."""


def answer(value, **more):
    return checked(success(value, more.pop("tool", None), INSTANCE, **more))


def checked(result):
    """Return a result that is certain to be one."""
    text = json.dumps(result, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode("utf-8").decode("utf-8")) == result
    assert isinstance(result["isError"], bool)
    for block in result["content"]:
        assert isinstance(block["type"], str)
    structured = result.get("structuredContent")
    if result["isError"]:
        assert structured["ok"] is False
        assert set(structured) - {"timing"} == {"ok", "instance", "error"}
    elif structured is not None:
        assert set(structured) == ENVELOPE
    return result


def texts(result):
    return [block["text"] for block in result["content"] if block["type"] == "text"]


def test_data():
    result = answer(
        {"path": "/cübe"},
        warnings=["careful"],
        facts={"before": 1},
        undo={"label": "MCP: x", "steps": 1},
        timing={"queued_ms": 1, "ran_ms": 2},
    )
    assert result["structuredContent"] == {
        "ok": True,
        "instance": INSTANCE,
        "data": {"path": "/cübe"},
        "warnings": ["careful"],
        "evidence": {"before": 1},
        "undo": {"label": "MCP: x", "steps": 1},
        "timing": {"queued_ms": 1, "ran_ms": 2},
        "truncated": False,
        "next_cursor": None,
    }
    assert texts(result) == ['{"path":"/cübe"}', "Warning: careful"]


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, {}),
        ({}, {}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        ([1, 2], {"items": [1, 2]}),
        (("a", "b"), {"items": ["a", "b"]}),
        ([], {"items": []}),
        (5, {"value": 5}),
        (2.5, {"value": 2.5}),
        (True, {"value": True}),
        ({"a": types.MappingProxyType({"b": (1,)})}, {"a": {"b": [1]}}),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_values_become_data(value, data):
    result = answer(value)
    assert result["structuredContent"]["data"] == data
    assert json.loads(texts(result)[0]) == data


def test_text_is_content_alone():
    found = answer("done")
    assert found.pop("_meta") == {"dcc-mcp-embed/instance": INSTANCE}
    assert found == {"content": [{"type": "text", "text": "done"}], "isError": False}
    assert texts(answer("a\udc80")) == ["a\ufffd"]


def test_content():
    result = answer(
        [Image(PNG), "a view", {"frame": 1}, Link("a:b", "b"), Resource("a:b", text="x")],
        warnings=["small"],
        facts={"camera": "persp"},
    )
    assert "structuredContent" not in result
    kinds = [block["type"] for block in result["content"]]
    assert kinds == ["image", "text", "text", "resource_link", "resource", "text", "text"]
    assert texts(result) == [
        "a view", '{"frame":1}', 'Evidence: {"camera":"persp"}', "Warning: small",
    ]  # fmt: skip
    assert [one["type"] for one in answer(Audio(b"OggS"))["content"]] == ["audio"]


def test_what_is_no_content_beside_content_is_named():
    result = answer([Image(PNG), 5])
    assert "type int at result[1]" in texts(result)[0]
    assert result["isError"]


def test_the_cursor_is_lifted_and_stays_in_the_text():
    value = {"items": [1], "next_cursor": "abc"}
    result = answer(value)
    assert result["structuredContent"]["next_cursor"] == "abc"
    assert result["structuredContent"]["data"] == {"items": [1]}
    assert json.loads(texts(result)[0]) == value
    assert value == {"items": [1], "next_cursor": "abc"}


def test_numbers_that_are_not_finite_become_null_with_a_warning():
    result = answer({"a": [1.0, math.nan]}, facts={"b": math.inf})
    assert result["structuredContent"]["data"] == {"a": [1.0, None]}
    assert result["structuredContent"]["evidence"] == {"b": None}
    assert [one.split(": ")[1] for one in result["structuredContent"]["warnings"]] == [
        "result.a[1].",
        "evidence.b.",
    ]


def test_host_objects_are_named_not_sent():
    for result in (answer({"nodes": [Node()]}), answer({"a": 1}, facts={"nodes": [Node()]})):
        assert result["isError"]
        error = result["structuredContent"]["error"]
        assert error["code"] == "host_error"
        assert "test_results.Node at " in error["message"]
        assert ".nodes[0]" in error["message"]
        assert error["state"] == "finished"


def test_the_result_is_a_copy():
    value = {"items": [[1]]}
    result = answer(value)
    value["items"][0].append(2)
    assert result["structuredContent"]["data"] == {"items": [[1]]}


def test_a_mapping_that_breaks_while_it_is_read():
    class Broken(dict):
        def items(self):
            raise RuntimeError("the host object is gone")

    result = answer({"a": Node(), "b": Broken(x=1)})
    assert result["isError"]
    result = answer({"b": Broken(x=math.nan)})
    assert "the host object is gone" in texts(result)[0]


# -- the guard ----------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=30), max_size=40), st.integers(60, 400))
def test_a_list_is_cut_between_items_and_only_if_it_must(items, limit):
    value = {"items": items, "total": len(items), "next_cursor": "abc"}
    whole = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
    result = answer(value, limit=limit)
    if result["isError"]:
        assert result["structuredContent"]["error"]["code"] == "too_large"
        return
    structured = result["structuredContent"]
    shown = structured["data"]["items"]
    assert len(texts(result)[0].encode("utf-8")) <= limit
    assert structured["truncated"] == (len(whole) > limit)
    if structured["truncated"]:
        assert 0 < len(shown) < len(items)
        # The cursor of the whole page would skip what is missing here.
        assert structured["next_cursor"] is None
        assert "first {} of {} items".format(len(shown), len(items)) in structured["warnings"][0]
        more = {**json.loads(texts(result)[0]), "items": items[: len(shown) + 1]}
        size = len(json.dumps(more, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
        assert size > limit or len(shown) + 1 == len(items)
    else:
        assert structured["next_cursor"] == "abc"
    assert shown == items[: len(shown)]


def test_the_way_to_the_rest_is_in_the_tools_own_terms():
    value = {"items": ["x" * 100] * 1000}
    (warning,) = answer(value, tool=Tool(list_objects))["structuredContent"]["warnings"]
    count = warning.split("first ")[1].split(" ")[0]
    assert "limit={} and follow next_cursor or fewer fields".format(count) in warning
    (warning,) = answer(value, tool=Tool(lambda: 0, name="list_all"))["structuredContent"][
        "warnings"
    ]
    assert warning.endswith("Ask for less: narrow the arguments.")


@pytest.mark.parametrize(
    "value",
    [{"text": "x" * LIMIT}, "x" * (LIMIT + 1), {"items": ["x" * LIMIT, "y"]}, ["é" * LIMIT]],
)
def test_what_cannot_be_cut_is_too_large(value):
    result = answer(value)
    error = result["structuredContent"]["error"]
    assert error["code"] == "too_large"
    assert str(LIMIT) in error["message"]
    assert error["hint"]


def test_pictures_have_a_limit_of_their_own():
    assert not answer(Image(b"x" * LIMIT * 2, mime_type="a/b"))["isError"]
    half = Image(b"x" * (MEDIA_LIMIT * 3 // 8), mime_type="a/b")
    assert not answer([half, half])["isError"]
    result = answer([half, half, half])
    assert result["structuredContent"]["error"]["code"] == "too_large"
    assert "smaller picture" in result["structuredContent"]["error"]["hint"]


def test_huge_evidence_does_not_cost_the_answer():
    result = answer({"a": 1}, facts={"b": "x" * LIMIT})
    assert result["structuredContent"]["evidence"] == {}
    assert "evidence was left out" in result["structuredContent"]["warnings"][0]


def test_many_warnings_are_few_lines():
    assert texts(answer({}, warnings=["a\udc80"]))[1] == "Warning: a\ufffd"
    result = answer({}, warnings=["w"] * 100)
    assert texts(result)[1].splitlines()[-1] == "And 80 more warnings."


# -- raw ----------------------------------------------------------------------------------------

RAW = Tool(lambda: 0, name="raw_one", raw=True)


def test_raw_results_pass():
    value = {"content": [{"type": "text", "text": "a"}], "_meta": {"x": 1}, "isError": True,
             "structuredContent": {"ok": False}}  # fmt: skip
    assert success(value, RAW, INSTANCE) == value
    assert success({"content": []}, RAW, INSTANCE) == {"content": [], "isError": False}


@pytest.mark.parametrize(
    "value",
    [
        "text",
        None,
        {},
        {"content": "text"},
        {"content": ["text"]},
        {"content": [{"text": "x"}]},
        {"content": [], "isError": 1},
        {"content": [], "structuredContent": [1]},
        {"content": [], "_meta": Node()},
    ],
)
def test_raw_results_are_checked(value):
    result = checked(success(value, RAW, INSTANCE))
    error = result["structuredContent"]["error"]
    assert error["code"] == "host_error"
    assert error["message"].startswith("The tool")
    assert error["hint"]


# -- failures -----------------------------------------------------------------------------------


def test_known_errors_keep_their_words():
    error = NotFound("No node '/a'.", hint="Did you mean '/b'?", details={"near": ["/b"]})
    result = checked(failure(error, INSTANCE, {"ran_ms": 1}))
    assert result["structuredContent"] == {
        "ok": False,
        "instance": INSTANCE,
        "error": {
            "code": "not_found",
            "message": "No node '/a'.",
            "hint": "Did you mean '/b'?",
            "retryable": False,
            "retry_after_ms": 0,
            "state": "finished",
            "details": {"near": ["/b"]},
        },
        "timing": {"ran_ms": 1},
    }
    assert texts(result) == ["not_found: No node '/a'. Did you mean '/b'?"]
    assert texts(failure(HostBusy("Busy."), None)) == ["host_busy: Busy."]


def test_unknown_errors_say_where():
    try:
        {}["key"]
    except KeyError as caught:
        result = checked(failure(caught, INSTANCE))
    error = result["structuredContent"]["error"]
    assert (error["code"], error["message"]) == ("host_error", "KeyError: 'key'")
    assert error["details"]["type"] == "KeyError"
    assert "test_results.py" in error["details"]["frames"][-1]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * 100000),
        ValueError(Node()),
        ValueError(),
        SystemExit(3),
        MemoryError(),
        ToolError("a\udc80", details={"node": Node()}),
        ToolError("x", details={"n": math.nan}),
        ToolError("x", details={"paths": ["/a"] * LIMIT}),
        ToolError("x", hint=Node()),
        ToolError("x", retry_after_ms=Node(), details=[Node()]),
        ToolError(None),
    ],
)
def test_every_error_has_an_answer(error):
    result = failure(error, INSTANCE)
    text = json.dumps(result, allow_nan=False)
    assert len(text) < 10000
    told = result["structuredContent"]["error"]
    assert told["code"] == "host_error"
    assert (type(told["message"]), type(told["hint"])) in ((str, str), (str, type(None)))
    result["content"][0]["text"].encode("utf-8")
