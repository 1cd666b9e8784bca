"""The part of :mod:`.watch` that stands at the framed wire: MCP inside frames.

There it stands where a server of this process writes, not where its peers read: hosts that tests
make up say what they like. What a bridge asks hosts for is its own word; it is checked as what our
client says is.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

from conformance.book import Book, named, note
from dcc_mcp_embed.bridge.errand import Errand
from dcc_mcp_embed.rpc.peer import Peer
from dcc_mcp_embed.server.framed_connection import FramedConnection
from dcc_mcp_embed.server.framed_mcp import MCP, FramedMcp
from dcc_mcp_embed.wire.mcp.revisions import LATEST_HANDSHAKE, STATELESS

__all__ = ["watch_frames"]

#: The one revision that is served there.
_REVISION = STATELESS[-1]


def watch_frames(watch: Any, monkeypatch: Any) -> None:
    """Have a ``Watch`` told of everything, until ``monkeypatch`` is undone."""
    _watch_servers(watch, monkeypatch)
    _watch_bridges(watch, monkeypatch)


def _watch_servers(watch: Any, monkeypatch: Any) -> None:
    handle, answer, push = FramedMcp.handle, Peer.answer, FramedConnection.push
    #: Id on the wire -> what it asks. An answer may leave by another connection than it came by.
    books: Dict[bytes, Book] = {}

    def handling(mcp: Any, connection: Any, request: Any, value: Any) -> None:
        note(books.setdefault(request.id, {}), named(value, LATEST_HANDSHAKE), value)
        handle(mcp, connection, request, value)

    def answering(
        peer: Any, ident: bytes, success: bool, payload: bytes = b"", error: Optional[str] = None
    ) -> bytes:
        data = answer(peer, ident, success, payload, error)
        if success and ident in books:
            _said(watch, payload, books[ident])
        return data

    def pushing(connection: Any, topic: str, data: bytes) -> None:
        push(connection, topic, data)
        if topic == MCP:
            _said(watch, data, {})

    monkeypatch.setattr(FramedMcp, "handle", handling)
    monkeypatch.setattr(Peer, "answer", answering)
    monkeypatch.setattr(FramedConnection, "push", pushing)


def _watch_bridges(watch: Any, monkeypatch: Any) -> None:
    encode, say = Errand.encode, Errand._say

    def encoding(errand: Any) -> bytes:
        data = encode(errand)
        message = json.loads(data.decode("utf-8"))
        # A client of the handshake era may refuse an answer by an error. This revision has no word
        # for that, but our own hosts know it.
        answers = message["params"].get("inputResponses", {})
        for key in [key for key, answer in answers.items() if set(answer) == {"error"}]:
            del answers[key]
        watch.wished(_REVISION, message)
        return data

    def saying(errand: Any, data: bytes) -> bool:
        watch.wished(_REVISION, json.loads(data.decode("utf-8")))
        return say(errand, data)

    monkeypatch.setattr(Errand, "encode", encoding)
    monkeypatch.setattr(Errand, "_say", saying)


def _said(watch: Any, data: bytes, book: Book) -> None:
    try:
        message = json.loads(data.decode("utf-8"))
    except ValueError as error:
        watch.problems.append("no JSON in a frame: {}: {!r}".format(error, data[:200]))
        return
    watch.said(_REVISION, message, book)
