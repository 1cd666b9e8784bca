"""Templates of URIs: ``scene://objects/{name}`` and which URIs they stand for (RFC 6570, in part).

``{name}`` stands for one or more characters without a slash, ``{+name}`` for any. Values come
percent-decoded. Matching takes time in proportion to the URI's length, which a client chose: no
regular expressions, no going back.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional

__all__ = ["MAX_URI", "Template"]

#: Longer URIs are neither declared nor looked up; browsers and servers agree on about this much.
MAX_URI = 2048

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_OCTETS = r"(?:%[0-9A-Fa-f]{2})+"


class Template:
    """A URI with placeholders; without any it stands for itself.

    ``weight`` is how many characters it fixes: of two that fit, the heavier one is meant. Raises
    ValueError, whose text continues the sentence that begins with the URI.
    """

    __slots__ = ("_between", "_first", "_last", "_with_slashes", "names", "text", "weight")

    def __init__(self, text: str) -> None:
        # Literals and what stands between the braces, in turns.
        parts = _PLACEHOLDER.split(text)
        literals, inner = parts[::2], parts[1::2]
        self.text = text
        self.names = tuple(one[1:] if one[:1] == "+" else one for one in inner)
        self._with_slashes = {one[1:] for one in inner if one[:1] == "+"}
        if any("{" in one or "}" in one for one in literals) or not all(
            name.isidentifier() for name in self.names
        ):
            raise ValueError("has a placeholder that is not a plain {name} or {+name}")
        if "" in literals[1:-1]:
            raise ValueError("has two placeholders with nothing between them")
        self._first, self._between, self._last = literals[0], literals[1:-1], literals[-1]
        self.weight = sum(len(one) for one in literals)

    def match(self, uri: str) -> Optional[Dict[str, str]]:
        """Return placeholder -> value for a ``uri`` of this template, None for any other."""
        if not self.names:
            return {} if uri == self.text else None
        end = len(uri) - len(self._last)
        if end < len(self._first) or not (uri.startswith(self._first) and uri.endswith(self._last)):
            return None
        rest = uri[len(self._first) : end]
        values: List[str] = []
        for literal in self._between:
            value, found, rest = rest.partition(literal)
            if not found:
                return None
            values.append(value)
        values.append(rest)
        result: Dict[str, str] = {}
        for name, value in zip(self.names, values):
            decoded = _decoded(value)
            if not decoded or ("/" in value and name not in self._with_slashes):
                return None
            result[name] = decoded
        return result


def _decoded(text: str) -> Optional[str]:
    """Return percent-decoded text, None if that is not UTF-8."""
    try:
        return re.sub(
            _OCTETS,
            lambda found: bytes.fromhex(found.group().replace("%", "")).decode("utf-8"),
            text,
        )
    except UnicodeDecodeError:
        return None
