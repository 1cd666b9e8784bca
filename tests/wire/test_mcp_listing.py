"""Cursors: whatever happens to a list between two pages, what stayed is shown once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.wire.mcp.listing import LISTS, BadCursor, page

PROMPTS = LISTS["prompts/list"]

NAMES = st.sets(st.text(max_size=4), max_size=12)


def entries(names):
    return [{"name": name} for name in sorted(names)]


@given(NAMES, st.lists(NAMES, max_size=3), NAMES, st.integers(1, 4))
def test_what_stays_is_shown_once_and_in_order(stays, come, go, size):
    cursor, seen = None, []
    changes = [stays | go, *[stays | extra for extra in come]]
    for number in range(100):
        now = changes[min(number, len(changes) - 1)]
        result = page(PROMPTS, entries(now), cursor, size)
        seen += [one["name"] for one in result["prompts"]]
        cursor = result.get("nextCursor")
        if cursor is None:
            break
    assert seen == sorted(set(seen))
    assert stays <= set(seen)


def test_a_list_that_shrank_ends():
    cursor = page(PROMPTS, entries("abc"), None, 2)["nextCursor"]
    assert page(PROMPTS, entries("ab"), cursor, 2) == {"prompts": []}
    assert page(PROMPTS, [], cursor, 2) == {"prompts": []}


@given(st.text() | st.integers() | st.none().map(lambda _: {}))
def test_strange_cursors_raise_one_thing(cursor):
    with pytest.raises(BadCursor):
        page(PROMPTS, entries("abc"), cursor, 2)


def test_a_cursor_survives_the_longest_name():
    name = "\U0001f600" * 2048
    cursor = page(PROMPTS, [{"name": name}, {"name": name + "b"}], None, 1)["nextCursor"]
    assert page(PROMPTS, [{"name": name}, {"name": name + "b"}], cursor, 1) == {
        "prompts": [{"name": name + "b"}]
    }
