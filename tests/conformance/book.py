"""What clients have asked, so that what they are told can be held to it."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from dcc_mcp_embed.wire.mcp.revisions import HANDSHAKE, LATEST_HANDSHAKE, META_VERSION, STATELESS

__all__ = ["Asked", "Book", "named", "note"]


class Asked(NamedTuple):
    """A request; ``tool`` is the one that it calls."""

    revision: str
    method: str
    tool: Optional[str]


#: Id of a request -> the request; None if several had that id.
Book = Dict[Any, Optional[Asked]]


def named(message: Any, usual: str) -> str:
    """Return the revision that a message names, else the usual one of its sender."""
    params = message.get("params") if type(message) is dict else None
    if type(params) is not dict:
        return usual
    meta = params.get("_meta")
    if type(meta) is dict and META_VERSION in meta:
        return STATELESS[-1]
    if message.get("method") == "initialize":
        opened = params.get("protocolVersion")
        return str(opened) if opened in HANDSHAKE else LATEST_HANDSHAKE
    return usual


def note(book: Book, revision: str, message: Any) -> None:
    """Note what is asked, if it is a request."""
    if type(message) is not dict or type(message.get("method")) is not str:
        return
    if type(message.get("id")) in (str, int):
        params = message.get("params")
        tool = params.get("name") if type(params) is dict else None
        calls = message["method"] == "tools/call" and type(tool) is str
        asked = Asked(revision, message["method"], tool if calls else None)
        book[message["id"]] = None if book.get(message["id"], asked) != asked else asked
