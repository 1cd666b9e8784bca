"""One HTTP exchange of a wire: where it is led to, and what came of it. Coroutines; loop thread."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..wire import http1
from .connection import Broken, Connection, Origin
from .url import Url, joined
from .wire import Fields, HttpFailed, Refused

__all__ = ["EVENTS", "JSON", "exchange", "failure", "kind", "merged", "text_of"]

JSON = "application/json"
EVENTS = "text/event-stream"
#: Bytes of an answer that is only told to a person.
_MAX_TEXT = 64 * 1024
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
#: Those with which what was a POST remains one.
_FAITHFUL = (307, 308)


async def exchange(
    origin: Origin,
    url: Url,
    method: str,
    fields: Fields,
    body: bytes = b"",
    max_body: Optional[int] = None,
    harmless: bool = True,
) -> Tuple[Connection, http1.ResponseHead, Url]:
    """Send a request and follow where it is led within its origin.

    ``harmless``: it may come twice, and is sent again if a kept connection ends just then.
    Return the connection, on which the body is still to be read, how the response begins, and where
    it comes from. Raises Broken, HttpFailed.
    """
    for led in range(_MOST_REDIRECTS + 1):
        headers = merged(fields, [("Host", url.authority)])
        data = http1.request(method, url.target, headers, body)
        try:
            connection, head = await _once(origin, method, data, max_body, harmless)
        except Broken as broken:
            # Whoever has led on has had it before.
            raise Broken(broken.reason, broken.sent or led > 0) from None
        if head.status not in _REDIRECTS:
            return connection, head, url
        url = _led(url, method, head)
    raise HttpFailed(head.status, "the server redirects for ever")


async def _once(
    origin: Origin, method: str, data: bytes, max_body: Optional[int], harmless: bool
) -> Tuple[Connection, http1.ResponseHead]:
    """Return how the response begins; of one that leads on all has been read."""
    connection = await origin.take()
    used = connection.used
    try:
        return await _on(connection, origin, method, data, max_body)
    except Broken:
        if not (harmless and used and connection.hung_up):
            raise
    # The server had ended what it was sent on.
    return await _on(await origin.take(anew=True), origin, method, data, max_body)


async def _on(
    connection: Connection, origin: Origin, method: str, data: bytes, max_body: Optional[int]
) -> Tuple[Connection, http1.ResponseHead]:
    try:
        connection.send(data, method, max_body)
        head = await connection.head()
        if head.status in _REDIRECTS:
            await text_of(connection)
            origin.give_back(connection, head)
    except BaseException:
        # Cut, too.
        connection.abort()
        raise
    return connection, head


def _led(url: Url, method: str, head: http1.ResponseHead) -> Url:
    where = head.headers.get("location") or ""
    found = joined(url, where)
    if found is None or found.origin != url.origin:
        text = "it redirects to another server ({}), which is given neither call nor token"
        raise HttpFailed(head.status, text.format(where[:200] or "which it does not name"))
    if method != "GET" and head.status not in _FAITHFUL:
        text = "it redirects so that a POST becomes a GET; use the URL {}"
        raise HttpFailed(head.status, text.format(found))
    return found


async def text_of(connection: Connection) -> str:
    """Return what a person can read of a body; of a long one the connection is not kept."""
    body = bytearray()
    while len(body) < _MAX_TEXT:
        data = await connection.read()
        if not data:
            return bytes(body).decode("utf-8", "replace")
        body += data
    connection.abort()
    return bytes(body[:_MAX_TEXT]).decode("utf-8", "replace")


def kind(head: http1.ResponseHead) -> str:
    """Return the kind of a response's body, in small letters and without parameters."""
    return (head.headers.get("content-type") or "").partition(";")[0].strip().lower()


def failure(status: int, text: str) -> HttpFailed:
    """Return what is raised for a status that is a failure."""
    return (Refused if status in (401, 403) else HttpFailed)(status, text)


def merged(given: Fields, own: Fields) -> List[Tuple[str, str]]:
    """Return the user's headers, and ours, which count where both say something."""
    ours = {name.lower() for name, _ in own}
    return [*own, *(one for one in given if one[0].lower() not in ours)]
