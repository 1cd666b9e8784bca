"""Cut a listing into pages that survive changes of the scene between two calls.

A cursor remembers the last few objects of its page and how many came before, not a position
alone: the next page starts behind the last of them that still exists. So nothing is shown twice
or skipped when objects come and go elsewhere, and nothing crashes when all of them are gone.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Callable, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..errors import InvalidArgument
from ..parsing import loads
from ..records import NamedTuple

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "Page", "page"]

#: Both from the conventions shared by the tools of all hosts.
DEFAULT_LIMIT = 50
MAX_LIMIT = 500

#: How many of a page's last objects the cursor names.
ANCHORS = 4

#: No cursor of ours is longer; longer text is not decoded.
MAX_CURSOR = 4096


class Page(NamedTuple):
    """Some rows of a listing, how many there are in all, and the cursor of the rest (or None)."""

    items: List[Mapping[str, Any]]
    total: int
    next_cursor: Optional[str]


def page(
    rows: Iterable[Mapping[str, Any]],
    wanted: Callable[[Mapping[str, Any]], bool],
    query: Sequence[Any],
    limit: int = DEFAULT_LIMIT,
    cursor: Optional[str] = None,
) -> Page:
    """Return the page of the wanted ``rows`` behind ``cursor``.

    ``rows`` have an ``id``. ``query`` is what the listing was asked for, as JSON values: a cursor
    belongs to its query. Raises InvalidArgument for a limit out of range or a foreign cursor.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgument(
            "'limit' is {}; it must be between 1 and {}.".format(limit, MAX_LIMIT),
            hint="Use a smaller limit and follow next_cursor.",
        )
    digest = _digest(query)
    offset, anchors = (0, []) if not cursor else _decode(cursor, digest)
    everything = list(rows)
    matched = [(place, row) for place, row in enumerate(everything) if wanted(row)]
    start = min(offset, len(matched))
    # The ids of all the rest are asked for only where the last page's end is not where it was.
    if anchors and not (start == offset > 0 and matched[start - 1][1]["id"] == anchors[0]):
        places = {row["id"]: place for place, row in enumerate(everything) if row["id"] in anchors}
        for anchor in anchors:
            if anchor in places:
                start = sum(1 for place, _ in matched if place <= places[anchor])
                break
    items = [row for _, row in matched[start : start + limit]]
    end = start + len(items)
    rest = None
    if end < len(matched):
        last = [row["id"] for row in items[-1 : -1 - ANCHORS : -1]]
        # A short page still names what stood before it.
        rest = _encode(digest, end, (last + anchors)[:ANCHORS])
    return Page(items, len(matched), rest)


def _digest(query: Sequence[Any]) -> int:
    return zlib.crc32(json.dumps(query, sort_keys=True).encode("ascii"))


def _encode(digest: int, offset: int, anchors: List[str]) -> str:
    text = json.dumps([digest, offset, anchors], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def _decode(cursor: str, digest: int) -> Tuple[int, List[str]]:
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError("too long")
        padded = cursor + "=" * (-len(cursor) % 4)
        value = loads(base64.b64decode(padded.encode("ascii"), b"-_", True).decode("ascii"))
        made_for, offset, anchors = value
        if type(made_for) is not int or type(offset) is not int or offset < 0:
            raise ValueError("not numbers")
        if not isinstance(anchors, list) or not all(isinstance(item, str) for item in anchors):
            raise ValueError("not ids")
    except (ValueError, TypeError, RecursionError) as error:
        raise _start_over("The cursor is not one that list_objects returned.") from error
    if made_for != digest:
        raise _start_over("The cursor belongs to a listing with other filters.")
    return offset, anchors[:ANCHORS]


def _start_over(message: str) -> InvalidArgument:
    return InvalidArgument(
        message,
        hint="Start over: call again without 'cursor', then pass next_cursor back unchanged and "
        "keep the other arguments the same.",
    )
