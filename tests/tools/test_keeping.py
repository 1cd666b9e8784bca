"""Results that were cut are kept for a while, and never beyond the bounds."""

from __future__ import annotations

import json

import pytest

from dcc_mcp_embed.tools import keeping
from dcc_mcp_embed.tools.declare import tool
from dcc_mcp_embed.tools.fitting import LIMIT
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
    ident = ident_of(kept.keep("text", "text/plain", 4))
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
    assert len(kept) == 0


def test_the_oldest_go_when_there_are_too_many(kept):
    idents = [ident_of(kept.keep("x", "t", 1)) for _ in range(keeping.ENTRIES + 3)]
    assert [kept.get(one) is not None for one in idents] == [False] * 3 + [True] * keeping.ENTRIES


def test_the_oldest_go_when_they_are_too_large_together(kept):
    idents = [ident_of(kept.keep("x", "t", keeping.ONE)) for _ in range(10)]
    assert [kept.get(one) is not None for one in idents] == [False] * 2 + [True] * 8
    small = ident_of(kept.keep("x", "t", 1))
    assert kept.get(small) is not None
    assert kept.get(idents[2]) is None


def test_what_is_over_counts_no_more(clock, kept):
    for _ in range(8):
        kept.keep("x", "t", keeping.ONE)
    clock.advance(keeping.KEPT_FOR + 1)
    idents = [ident_of(kept.keep("x", "t", keeping.ONE)) for _ in range(8)]
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
    "value", [["x" * 1000] * 2000, {"x": "y" * keeping.ONE}, "z" * (keeping.ONE + 1)], ids=type
)
def test_what_is_too_large_to_be_kept_is_cut_or_refused_as_before(kept, value):
    result = success(value, list_it, {}, spill=kept.keep)
    assert links(result) == []
    assert len(kept) == 0
    assert result == success(value, list_it, {})
    if not result["isError"]:
        assert result["structuredContent"]["truncated"] is True
