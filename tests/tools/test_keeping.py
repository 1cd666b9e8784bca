"""Results that were cut are kept for a while, and never beyond the bounds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.errors import TooLarge
from dcc_mcp_embed.tools import keeping
from dcc_mcp_embed.tools.declare import tool
from dcc_mcp_embed.tools.fitting import LIMIT, SHAPED_LIMIT
from dcc_mcp_embed.tools.jobs import get_job, job_result
from dcc_mcp_embed.tools.keeping import KeptResults, uri_of
from dcc_mcp_embed.tools.results import success
from fakes.clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def kept(clock):
    return KeptResults(clock)


def ident_of(uri):
    assert uri.startswith("job://")
    assert uri.endswith("/result")
    return uri[len("job://") : -len("/result")]


def test_what_is_kept_can_be_read_until_its_time_is_over(clock, kept):
    ident = kept.keep("text", "text/plain", 4)
    whole = kept.get(ident)
    assert (whole.text, whole.mime_type, whole.size) == ("text", "text/plain", 4)
    clock.advance(keeping.KEPT_FOR - 0.01)
    assert kept.get(ident).text == "text"
    clock.advance(0.02)
    assert kept.get(ident) is None
    assert len(kept) == 0
    assert kept.get("nothing") is None


def test_too_large_even_for_this(kept):
    assert kept.keep("x", "text/plain", keeping.ONE + 1) is None
    # In memory every character of it takes four bytes.
    text = "x" * (keeping.ONE // 4) + "\U0001f600"
    assert kept.keep(text, "text/plain", len(text) + 3) is None
    assert len(kept) == 0


def test_the_oldest_go_when_there_are_too_many(kept):
    idents = [kept.keep("x", "t", 1) for _ in range(keeping.ENTRIES + 3)]
    assert [kept.get(one) is not None for one in idents] == [False] * 3 + [True] * keeping.ENTRIES


def test_the_oldest_go_when_they_are_too_large_together(kept):
    many = keeping.ALL // keeping.ONE
    idents = [kept.keep("x", "t", keeping.ONE) for _ in range(many + 2)]
    assert [kept.get(one) is not None for one in idents] == [False] * 2 + [True] * many
    small = kept.keep("x", "t", 1)
    assert kept.get(small) is not None
    assert kept.get(idents[2]) is None


def test_what_is_over_counts_no_more(clock, kept):
    many = keeping.ALL // keeping.ONE
    for _ in range(many):
        kept.keep("x", "t", keeping.ONE)
    clock.advance(keeping.KEPT_FOR + 1)
    idents = [kept.keep("x", "t", keeping.ONE) for _ in range(many)]
    assert all(kept.get(one) is not None for one in idents)


# -- results that are cut ---------------------------------------------------------------------


def entry(function):
    return tool(function).__dcc_mcp_declared__


@entry
def list_it(limit: int = 1):
    """List."""


def links(result):
    return [one for one in result["content"] if one["type"] == "resource_link"]


def test_a_result_that_is_cut_links_to_the_whole(kept):
    items = ["item {} \u4e2d".format(number) * 20 for number in range(1000)]
    result = success(items, list_it, {}, spill=kept.keep)
    (link,) = links(result)
    told = result["structuredContent"]
    assert told["truncated"] is True
    assert 0 < len(told["data"]["items"]) < 1000
    assert link["uri"] in told["warnings"][-1]
    assert "limit=" in told["warnings"][0]
    whole = kept.get(ident_of(link["uri"]))
    assert link["mimeType"] == whole.mime_type == "application/json"
    assert link["size"] == whole.size == len(whole.text.encode("utf-8"))
    assert keeping.uri_of(ident_of(link["uri"])) == link["uri"] == uri_of(ident_of(link["uri"]))
    assert json.loads(whole.text) == {"items": items}


def test_a_result_without_items_is_refused_and_kept(kept):
    result = success({"x": "y" * LIMIT}, list_it, {}, spill=kept.keep)
    (link,) = links(result)
    error = result["structuredContent"]["error"]
    assert (result["isError"], error["code"]) == (True, "too_large")
    assert link["uri"] in error["hint"]
    assert "y" * LIMIT in kept.get(ident_of(link["uri"])).text


def test_text_is_refused_and_kept(kept):
    result = success("y" * (LIMIT + 1), list_it, {}, spill=kept.keep)
    (link,) = links(result)
    assert result["structuredContent"]["error"]["code"] == "too_large"
    whole = kept.get(ident_of(link["uri"]))
    assert (whole.text, whole.mime_type) == ("y" * (LIMIT + 1), "text/plain")


@pytest.mark.parametrize("value", ["x" * LIMIT, {"x": "y" * (LIMIT - 100)}, ["z"] * 100])
def test_what_fits_is_not_kept(kept, value):
    result = success(value, list_it, {}, spill=kept.keep)
    assert links(result) == []
    assert len(kept) == 0


@pytest.mark.parametrize(
    "value", [["x" * 1000] * 9000, {"x": "y" * keeping.ONE}, "z" * (keeping.ONE + 1)], ids=type
)
def test_what_is_too_large_to_be_kept_is_cut_or_refused_and_that_is_told(kept, value):
    result = success(value, list_it, {}, spill=kept.keep)
    assert links(result) == []
    assert len(kept) == 0
    told = result["structuredContent"]
    said = told["error"]["hint"] if result["isError"] else told["warnings"][-1]
    assert "not kept: the whole is too large" in said
    assert "not kept" not in repr(success(value, list_it, {}))
    if not result["isError"]:
        assert told["truncated"] is True


@pytest.mark.parametrize(
    "value", [["x" * 1000] * 2000, {"x": "y" * SHAPED_LIMIT}, "z" * (SHAPED_LIMIT + 1)], ids=type
)
def test_what_is_too_large_for_a_resource_is_kept_for_get_job(kept, value):
    result = success(value, list_it, {}, spill=kept.keep)
    assert links(result) == []
    told = result["structuredContent"]
    said = told["error"]["hint"] if result["isError"] else told["warnings"][-1]
    ident = said.partition("(job_id '")[2].partition("'")[0]
    ctx = SimpleNamespace(control=SimpleNamespace(kept=kept, instance=dict))
    parts, offset = [], 0
    while offset is not None:
        part = get_job(ctx, ident, offset=offset)["structuredContent"]["data"]
        parts.append(part["text"])
        offset = part["next_offset"]
    whole = "".join(parts)
    assert (value if isinstance(value, str) else whole) == whole
    if not isinstance(value, str):
        assert json.loads(whole) == ({"items": value} if isinstance(value, list) else value)
    with pytest.raises(TooLarge) as refused:
        job_result(ctx, ident)
    assert "get_job returns it in parts (job_id '{}'".format(ident) in refused.value.hint
