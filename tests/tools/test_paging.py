"""Pages show everything once, also when the scene changes between them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import InvalidArgument
from dcc_mcp_embed.tools.backend import LazyRow
from dcc_mcp_embed.tools.paging import ANCHORS, MAX_CURSOR, page


def rows(ids):
    return [{"id": str(number)} for number in ids]


def ids(found):
    return [int(row["id"]) for row in found.items]


def everything(row):
    return True


def pages(first, limit, change=lambda ids: ids):
    """Return the ids of all pages in turn; ``change`` edits the scene between two pages."""
    shown, cursor, now = [], None, list(first)
    for _ in range(1000):
        found = page(rows(now), everything, ["q"], limit, cursor)
        shown.append(ids(found))
        cursor = found.next_cursor
        if cursor is None:
            return shown
        now = change(now)
    raise AssertionError("the pages never end")


@given(st.integers(0, 60), st.integers(1, 20))
def test_a_scene_that_stays_is_shown_once_and_whole(count, limit):
    shown = pages(range(count), limit)
    assert [number for part in shown for number in part] == list(range(count))
    assert all(len(part) == limit for part in shown[:-1])


@given(st.integers(0, 60), st.integers(1, 10), st.data())
def test_what_stays_is_shown_once_whatever_comes_and_goes_elsewhere(count, limit, data):
    """New objects go in front or behind; old ones go as long as one anchor of each page stays."""
    lasting = set(range(0, count, 2))
    fresh = iter(range(1000, 100000))

    def change(now):
        gone = data.draw(st.sets(st.sampled_from([n for n in now if n not in lasting] or [-1])))
        front = [next(fresh) for _ in range(data.draw(st.integers(0, 3)))]
        return front + [number for number in now if number not in gone]

    shown = [number for part in pages(range(count), max(limit, 2), change) for number in part]
    old = [number for number in shown if number < 1000]
    assert len(set(shown)) == len(shown)
    assert lasting <= set(shown)
    assert old == sorted(old)


def test_the_filter_may_drop_the_last_object_shown():
    hidden = set()

    def wanted(row):
        return row["id"] not in hidden

    first = page(rows(range(10)), wanted, ["q"], 3)
    hidden.update("2")
    second = page(rows(range(10)), wanted, ["q"], 3, first.next_cursor)
    assert ids(first) + ids(second) == [0, 1, 2, 3, 4, 5]
    assert (first.total, second.total) == (10, 9)


def test_all_anchors_gone_goes_on_at_the_position():
    first = page(rows(range(20)), everything, ["q"], 5)
    second = page(rows(range(100, 120)), everything, ["q"], 5, first.next_cursor)
    assert ids(second) == [105, 106, 107, 108, 109]
    empty = page(rows([]), everything, ["q"], 5, first.next_cursor)
    assert empty == ([], 0, None)


def test_pages_of_one_keep_older_anchors():
    found = page(rows(range(10)), everything, ["q"], 1)
    for _ in range(ANCHORS - 1):
        found = page(rows(range(10)), everything, ["q"], 1, found.next_cursor)
    # Only the very first object shown is left of them.
    left = [0, 4, 5, 6]
    assert ids(page(rows(left), everything, ["q"], 1, found.next_cursor)) == [4]


def forged(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "2",
        "not a cursor!",
        "\u00e9",
        "A" * (MAX_CURSOR + 1),
        forged({}),
        forged([1]),
        forged([1, -1, []]),
        forged([1, 2, [3]]),
        forged([1, True, []]),
        forged(None),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_bad_cursor_says_to_start_over(cursor):
    with pytest.raises(InvalidArgument) as caught:
        page(rows(range(10)), everything, ["q"], 3, cursor)
    assert "Start over" in caught.value.hint


@given(st.text(max_size=60))
def test_no_cursor_crashes_anything(cursor):
    try:
        page(rows(range(10)), everything, ["q"], 3, cursor)
    except InvalidArgument:
        pass


def test_a_cursor_belongs_to_its_filters():
    first = page(rows(range(10)), everything, ["q", None], 3)
    with pytest.raises(InvalidArgument, match="other filters"):
        page(rows(range(10)), everything, ["q", True], 3, first.next_cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_the_limit_has_limits(limit):
    with pytest.raises(InvalidArgument, match="between 1 and 500"):
        page(rows(range(3)), everything, [], limit)


def test_only_what_is_shown_is_asked_for_while_the_scene_stays():
    """Each look at a row of a hundred thousand is a call of the host."""
    asked = []

    def lazy(number):
        def read():
            asked.append(number)
            return {"path": number, "id": str(number)}

        return LazyRow({"path": number}, read)

    cursor, shown = None, []
    for _ in range(3):
        found = page([lazy(n) for n in range(100)], everything, ["q"], 10, cursor)
        shown += ids(found)
        cursor = found.next_cursor
    assert shown == list(range(30))
    # Its own rows, and where the page before ended.
    assert len(asked) <= 3 * (10 + 1)
    # When others have come in front of them the ids tell.
    found = page([lazy(n) for n in range(-5, 100)], everything, ["q"], 10, cursor)
    assert ids(found) == list(range(30, 40)) and found.total == 105


def test_a_lazy_row_is_a_row():
    whole, reads = {"id": "7", "path": "/a", "visible": True}, []
    row = LazyRow({"path": "/a"}, lambda: reads.append(1) or whole)
    assert row["path"] == "/a" and not reads
    assert row["visible"] is True and row["id"] == "7" and reads == [1]
    assert dict(row) == whole == row and set(row) == set(whole) and len(row) == 3
    with pytest.raises(KeyError):
        row["colour"]
    assert reads == [1]
