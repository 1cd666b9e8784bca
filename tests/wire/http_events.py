"""Drive the HTTP machines of the package and of h11 over the same bytes, for comparison.

Both sides are boiled down to :class:`Message` tuples, so a test compares meaning and not objects.
"""

from __future__ import annotations

import os
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import h11

from dcc_mcp_embed.wire import http1

CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus", "http")


class Message(NamedTuple):
    """One request. ``keep_alive`` is None for HTTP/1.0, which h11 never keeps alive."""

    method: str
    target: str
    version: int
    headers: Tuple[Tuple[str, str], ...]
    body: bytes
    keep_alive: Optional[bool]
    expects_continue: bool


class Reading(NamedTuple):
    """What a stream of bytes amounts to: complete requests, then at most one refusal."""

    messages: Tuple[Message, ...]
    refusal: Optional[Any]


def cut(data: bytes, places: Iterable[int]) -> List[bytes]:
    """Return ``data`` in pieces, cut at ``places``."""
    edges = [0, *sorted(place for place in places if 0 < place < len(data)), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:]) if b > a]


def events_of(parser: Any, pieces: Sequence[bytes], eof: bool = True) -> List[Any]:
    """Feed ``pieces`` and return all events, the closing one not among them."""
    events: List[Any] = []

    def drain() -> None:
        while True:
            event = parser.next_event()
            if event is None or event is http1.CLOSED:
                return
            events.append(event)

    for piece in pieces:
        parser.receive_data(piece)
        drain()
    if eof:
        parser.receive_eof()
        drain()
    return events


def ours(pieces: Sequence[bytes], eof: bool = True, **limits: int) -> Reading:
    """Read requests with our parser."""
    messages = []
    head = None
    for event in events_of(http1.RequestParser(**limits), pieces, eof):
        if type(event) is http1.RequestHead:
            assert head is None
            head = event
        elif type(event) is http1.RequestBody:
            assert head is not None
            if head.body_length is not None:
                assert head.body_length == len(event.data)
            messages.append(
                Message(
                    head.method,
                    head.target,
                    head.version,
                    tuple(_plain(name, value) for name, value in head.headers),
                    event.data,
                    head.keep_alive if head.version else None,
                    head.expects_continue,
                )
            )
            head = None
        else:
            return Reading(tuple(messages), event)
    return Reading(tuple(messages), None)


def _plain(name: str, value: str) -> Tuple[str, str]:
    # h11 shows this one value in lower case.
    return (name, value.lower() if name == "transfer-encoding" else value)


def theirs(data: bytes) -> Reading:
    """Read requests with h11, as a server that refuses each with an empty response.

    h11 closes after every HTTP/1.0 request. RFC 9112 9.3 lets a server go on if the client asks
    for it, and so do we: then the rest is read as by a new connection.
    """
    messages: List[Message] = []
    while True:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(data)
        connection.receive_data(b"")
        try:
            while _one(connection, messages):
                pass
        except h11.RemoteProtocolError as error:
            return Reading(tuple(messages), str(error))
        if not messages or messages[-1].version or not _asks_to_stay(messages[-1]):
            return Reading(tuple(messages), None)
        rest = connection.trailing_data[0]
        if not rest:
            return Reading(tuple(messages), None)
        data = bytes(rest)


def _asks_to_stay(message: Message) -> bool:
    options = [
        part.strip(" \t")
        for name, value in message.headers
        if name == "connection"
        for part in value.lower().split(",")
    ]
    return "keep-alive" in options and "close" not in options


def _one(connection: h11.Connection, messages: List[Message]) -> bool:
    event = connection.next_event()
    if not isinstance(event, h11.Request):
        return False
    waiting = connection.they_are_waiting_for_100_continue
    body = bytearray()
    while True:
        part = connection.next_event()
        if isinstance(part, h11.Data):
            body += part.data
        elif isinstance(part, h11.EndOfMessage):
            break
        else:
            assert part is h11.NEED_DATA or isinstance(part, h11.ConnectionClosed), part
            return False
    connection.send(h11.Response(status_code=400, headers=[("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    # Only now: a request to change the protocol is decided by the answer, which refuses it.
    keep_alive = connection.our_state is h11.DONE
    messages.append(
        Message(
            bytes(event.method).decode("ascii"),
            bytes(event.target).decode("ascii"),
            int(event.http_version[-1:]),
            tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in event.headers),
            bytes(body),
            keep_alive if event.http_version == b"1.1" else None,
            # Without a body there is nothing to wait for, whatever was asked.
            waiting and (bool(body) or any(n == b"transfer-encoding" for n, _ in event.headers)),
        )
    )
    if keep_alive:
        connection.start_next_cycle()
    return keep_alive
