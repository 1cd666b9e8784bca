"""Find tools by words: a small index and a ranking that is the same each time. Pure.

A word of the query counts where it stands best: in the name, a tag, the title, the description or
the name of a parameter. A tool that has more of the words comes first; then the one that has them
in better places; then the one whose name sorts first.
"""

from __future__ import annotations

import re
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

from .entries import Tool

__all__ = ["Finder"]

#: Field -> what a word in it is worth. A word that only begins like one there is worth half.
_WORTH = {"name": 16, "tags": 12, "title": 10, "description": 4, "parameters": 2}
#: A query that is the whole name.
_EXACT = 1000
#: Characters and words of a query that are read: it is the client's, and read on the loop thread.
_MAX_QUERY = 400
_MAX_WORDS = 12
#: Shorter words stand for nothing but themselves.
_MIN_PREFIX = 3

_WORD = r"[^\W_]+"
_EMPTY: FrozenSet[str] = frozenset(
    "a an and are as at be by can do for from how i in into is it its me my of on or please that"
    " the this to tool tools want what which with you".split()
)


class Finder:
    """Search a table (something with ``tools`` and ``revision``). Any thread.

    The index is made when it is first needed after a change of the table.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self._made: Optional[Tuple[int, List[Tuple[Tool, Dict[str, FrozenSet[str]]]]]] = None

    def find(self, query: str, limit: int) -> Tuple[List[Tool], int]:
        """Return the tools that fit ``query``, the best first, and how many there are in all.

        At most ``limit`` of them; all, by name, fit a query without words.
        """
        index = self._index()
        wanted = _wanted(query)
        if not wanted:
            return [tool for tool, _ in index[:limit]], len(index)
        whole = query.strip().lower()
        ranked = []
        for tool, fields in index:
            worths = [_worth(word, fields) for word in wanted]
            matched = sum(1 for worth in worths if worth)
            if tool.name.lower() == whole:
                ranked.append((-len(wanted), -_EXACT, tool.name, tool))
            elif matched:
                ranked.append((-matched, -sum(worths), tool.name, tool))
        ranked.sort(key=lambda one: one[:3])
        return [one[3] for one in ranked[:limit]], len(ranked)

    def _index(self) -> List[Tuple[Tool, Dict[str, FrozenSet[str]]]]:
        revision = self._table.revision
        made = self._made
        if made is None or made[0] != revision:
            made = (revision, [(tool, _fields(tool)) for tool in self._table.tools])
            self._made = made
        return made[1]


def _wanted(query: str) -> List[str]:
    words = list(dict.fromkeys(_words(query[:_MAX_QUERY])))
    return ([word for word in words if word not in _EMPTY] or words)[:_MAX_WORDS]


def _fields(tool: Tool) -> Dict[str, FrozenSet[str]]:
    properties = tool.input_schema.get("properties")
    texts: Dict[str, Sequence[str]] = {
        "name": (tool.name,),
        "tags": tool.tags,
        "title": (tool.title,),
        "description": (tool.description,),
        "parameters": tuple(map(str, properties)) if isinstance(properties, dict) else (),
    }
    return {field: frozenset(_words(" ".join(one))) for field, one in texts.items()}


def _words(text: str) -> List[str]:
    return [_stem(word) for word in re.findall(_WORD, text.lower())]


def _stem(word: str) -> str:
    """Return the singular, roughly: the same for what is searched and what is found."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _worth(word: str, fields: Dict[str, FrozenSet[str]]) -> int:
    best = 0
    for field, worth in _WORTH.items():
        if word in fields[field]:
            best = max(best, worth)
        elif len(word) >= _MIN_PREFIX and any(one.startswith(word) for one in fields[field]):
            best = max(best, worth // 2)
    return best
