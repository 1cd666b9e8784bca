"""Cut a list into pages whose cursors survive changes of the list between two of them.

A cursor says which list it belongs to and behind which entry it goes on. Lists are sorted by the
member that names an entry, so nothing is shown twice or left out when others come and go.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from typing import Any, Dict, List, Tuple

from ...parsing import loads

__all__ = ["LISTS", "PAGE", "BadCursor", "Listing", "page"]

#: Entries in one page. Far more than any server should offer: some clients never ask for a second
#: page, and what is on it does not exist for them.
PAGE = 1000

#: No cursor of ours is longer; longer text is not decoded.
MAX_CURSOR = 16384


#: One of the lists: its member in the result, and the member that its entries are sorted by.
Listing = Tuple[str, str]

#: Method -> its list.
LISTS: Dict[str, Listing] = {
    "tools/list": ("tools", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
    "prompts/list": ("prompts", "name"),
}


class BadCursor(ValueError):
    """A cursor is none of ours, or belongs to another list."""


def page(which: Listing, entries: List[Dict[str, Any]], cursor: Any, size: int) -> Dict[str, Any]:
    """Return the result of a list method: one page and, if more follow, ``nextCursor``.

    ``entries`` are sorted as ``which`` says; a page of all of them is the same list. ``cursor`` is
    what the client sent, None for the first page. Raises BadCursor.
    """
    member, key = which
    start = 0
    if cursor is not None:
        start = bisect_right([one[key] for one in entries], _decode(member, cursor))
    if not start and len(entries) <= size:
        return {member: entries}
    shown = entries[start : start + size]
    result: Dict[str, Any] = {member: shown}
    if start + size < len(entries):
        result["nextCursor"] = _encode(member, shown[-1][key])
    return result


def _encode(member: str, last: str) -> str:
    text = json.dumps([member, last], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


def _decode(member: str, cursor: Any) -> str:
    try:
        if type(cursor) is not str or len(cursor) > MAX_CURSOR:
            raise BadCursor("no text, or too long")
        text = base64.b64decode(cursor.encode("ascii"), b"-_", True)
        made_for, last = loads(text.decode("utf-8", "surrogatepass"))
    except (ValueError, TypeError, RecursionError):
        raise BadCursor("There is no such cursor; ask for the list without one") from None
    if type(last) is not str or made_for != member:
        raise BadCursor("The cursor belongs to another list; ask without one")
    return last
