"""The headers of a message that came without: over standard input, or over the framed wire."""

from __future__ import annotations

import base64
from typing import Any, Dict, List, Optional

from .revisions import META_VERSION
from .routing import NAMED

__all__ = ["Implied"]


class Implied:
    """The headers that a message would have had over HTTP: those that agree with it."""

    def __init__(self, value: Any) -> None:
        self._found: Dict[str, str] = {}
        params = value.get("params") if type(value) is dict else None
        meta = params.get("_meta") if type(params) is dict else None
        if type(meta) is not dict or type(meta.get(META_VERSION)) is not str:
            return
        assert params is not None
        method = value.get("method")
        name = params.get(NAMED.get(str(method), ""))
        given = (meta[META_VERSION], method, name)
        for header, text in zip(("mcp-protocol-version", "mcp-method", "mcp-name"), given):
            if type(text) is str:
                self._found[header] = _armoured(text)

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return one header."""
        return self._found.get(name.lower(), default)

    def get_all(self, name: str) -> List[str]:
        """Return the header as often as it is there."""
        found = self._found.get(name.lower())
        return [] if found is None else [found]


def _armoured(text: str) -> str:
    """Return a header's text; what looks like an encoded one is encoded."""
    if not text.startswith("=?"):
        return text
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    return "=?base64?{}?=".format(encoded)
