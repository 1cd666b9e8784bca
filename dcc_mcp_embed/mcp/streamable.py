"""Streamable HTTP: each request is a POST, answered by JSON or by a stream of events.

In the handshake era a stream that ends early is resumed by GET with the id of its last event, and
another GET hears what the server says of its own accord.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from ..net.loop import Loop
from ..net.tasks import Group, TimedOut, sleep, within
from ..wire import http1, jsonrpc
from ..wire.sse import SseParser
from .connection import Broken, Connection, Origin
from .url import Url, joined
from .wire import Expired, Fields, Heard, HttpFailed, Refused, Wire, is_answer, messages_in

__all__ = ["MAX_BODY", "MAX_EVENT", "Streamable", "merged"]

#: As much as one frame of the other wire may have, bytes; also of one event.
MAX_BODY = 256 * 1024 * 1024
MAX_EVENT = 64 * 1024 * 1024
#: Of an answer that is only told to a person.
_MAX_TEXT = 64 * 1024
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
#: Seconds until a stream is asked for again, where the server says nothing; then longer and longer.
_RETRY, _LONGEST_RETRY = 1.0, 30.0
#: Attempts in a row to resume a stream that bring nothing new.
_MOST_RESUMED = 5
#: Seconds that the end of a stream may take after its answer.
_TAIL = 1.0
_JSON = "application/json"
_EVENTS = "text/event-stream"


class _Strand:
    """How far a stream has been read."""

    def __init__(self) -> None:
        self.last_id: Optional[str] = None
        self.retry = _RETRY


class Streamable(Wire):
    """A server at one URL. ``fields``: headers of each request, ``context``: see Origin."""

    has_headers = True

    def __init__(
        self, loop: Loop, url: Url, fields: Fields, context: Callable[[], Any], failed: Any
    ) -> None:
        self._loop = loop
        self._url = url
        self._fields = list(fields)
        self._origin = Origin(loop, url, context)
        self._tails = Group(loop, failed)
        self._session: Optional[str] = None
        self._version: Optional[str] = None

    async def open(self) -> None:
        pass  # the first request connects

    def opened(self, version: str) -> None:
        self._version = version

    # -- requests -----------------------------------------------------------------------------

    async def ask(self, message: Dict[str, Any], fields: Fields, heard: Heard) -> Dict[str, Any]:
        ident = message["id"]
        answer: Optional[Dict[str, Any]] = None
        try:
            connection, head = await self._post(message, fields)
        except HttpFailed as failure:
            # The stateless era answers errors so.
            answer = _error_in(failure.text, ident)
            if answer is None:
                raise
            return answer
        try:
            if _kind(head) == _EVENTS:
                strand = _Strand()
                try:
                    answer = await self._follow(connection, strand, ident, heard)
                except Broken:
                    if strand.last_id is None:
                        raise
                if answer is not None:
                    self._finish(connection, head)
                    return answer
                connection.abort()
                return await self._resume(strand, ident, heard)
            for one in await self._messages(connection, head):
                if is_answer(one, ident):
                    answer = one
                else:
                    heard(one)
            self._origin.give_back(connection, head)
        except BaseException:
            # Cut too: in the stateless era that is how a request is cancelled.
            connection.abort()
            raise
        if answer is None:
            raise Broken("the server answered without an answer", True)
        if message["method"] == "initialize":
            self._session = head.headers.get("mcp-session-id") or None
        return answer

    async def tell(self, message: Dict[str, Any], fields: Fields) -> None:
        connection, head = await self._post(message, fields)
        await self._pass_over(connection, head)

    async def _post(
        self, message: Dict[str, Any], fields: Fields
    ) -> Tuple[Connection, http1.ResponseHead]:
        """Return how the answer to a message begins, where it is one."""
        own = [
            ("Content-Type", _JSON),
            ("Accept", _JSON + ", " + _EVENTS),
            *self._session_fields(),
            *fields,
        ]
        session = self._session
        connection, head = await self._exchange("POST", own, jsonrpc.encode(message))
        if 200 <= head.status < 300:
            return connection, head
        try:
            text = await self._text(connection, head)
        except BaseException:
            # Cut, too.
            connection.abort()
            raise
        self._origin.give_back(connection, head)
        if head.status == 404 and session is not None:
            raise Expired()
        raise _failed(head.status, text)

    async def _exchange(
        self, method: str, fields: List[Tuple[str, str]], body: bytes = b""
    ) -> Tuple[Connection, http1.ResponseHead]:
        """Send a request, follow where it is led within its origin, and return the connection."""
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            data = http1.request(
                method, url.target, merged(self._fields, [("Host", url.authority), *fields]), body
            )
            connection = await self._origin.take()
            try:
                connection.send(data, method, MAX_BODY)
                head = await connection.head()
                if head.status not in _REDIRECTS:
                    return connection, head
                await self._text(connection, head)
            except BaseException:
                connection.abort()
                raise
            self._origin.give_back(connection, head)
            url = self._led(url, head)
        raise HttpFailed(head.status, "the server redirects for ever")

    def _led(self, url: Url, head: http1.ResponseHead) -> Url:
        where = head.headers.get("location") or ""
        found = joined(url, where)
        if found is None or found.origin != url.origin:
            text = "it redirects to another server ({}), which is given neither call nor token"
            raise HttpFailed(head.status, text.format(where[:200] or "which it does not name"))
        if head.status not in (307, 308):
            text = "it redirects so that a POST becomes a GET; use the URL {}"
            raise HttpFailed(head.status, text.format(found))
        return found

    def _session_fields(self) -> List[Tuple[str, str]]:
        fields = []
        if self._version is not None:
            fields.append(("MCP-Protocol-Version", self._version))
        if self._session is not None:
            fields.append(("Mcp-Session-Id", self._session))
        return fields

    # -- answers ------------------------------------------------------------------------------

    async def _messages(
        self, connection: Connection, head: http1.ResponseHead
    ) -> List[Dict[str, Any]]:
        body = bytearray()
        data = await connection.read()
        while data:
            body += data
            data = await connection.read()
        if not body and head.status == 202:
            return []
        if _kind(head) != _JSON:
            text = "the server answered with {!r}, which is neither JSON nor a stream of events"
            raise Broken(
                text.format(head.headers.get("content-type") or "no kind of content"), True
            )
        try:
            return messages_in(bytes(body))
        except jsonrpc.Fault as fault:
            raise Broken("the server's answer cannot be read: {}".format(fault), True) from None

    async def _follow(
        self, connection: Connection, strand: _Strand, ident: Optional[Any], heard: Heard
    ) -> Optional[Dict[str, Any]]:
        """Read a stream until the answer has come, or its end. Raises Broken."""
        parser = SseParser(MAX_EVENT)
        answer: Optional[Dict[str, Any]] = None
        data = await connection.read()
        while data:
            try:
                events = parser.receive_data(data)
                found = [
                    message
                    for event in events
                    if event.event == "message" and event.data
                    for message in messages_in(event.data.encode("utf-8", "surrogatepass"))
                ]
            except (ValueError, RuntimeError, jsonrpc.Fault) as error:
                raise Broken("the server's stream cannot be read: {}".format(error), True) from None
            if parser.last_id is not None:
                strand.last_id = parser.last_id
            if parser.retry is not None:
                strand.retry = parser.retry / 1000
            for message in found:
                if answer is None and ident is not None and is_answer(message, ident):
                    answer = message
                else:
                    heard(message)
            if answer is not None:
                return answer
            data = await connection.read()
        return None

    async def _resume(self, strand: _Strand, ident: Any, heard: Heard) -> Dict[str, Any]:
        """Hear the rest of a stream that has ended without its answer. Raises Broken."""
        fruitless = 0
        while self._version is not None and strand.last_id and fruitless < _MOST_RESUMED:
            before = strand.last_id
            await sleep(self._loop, strand.retry)
            try:
                connection, head = await self._get(strand)
                try:
                    answer = await self._follow(connection, strand, ident, heard)
                except BaseException:
                    connection.abort()
                    raise
            except Broken:
                fruitless += 1
                continue
            if answer is not None:
                self._finish(connection, head)
                return answer
            connection.abort()
            fruitless = 0 if strand.last_id != before else fruitless + 1
        raise Broken("the stream ended before the answer came", True)

    async def _get(self, strand: _Strand) -> Tuple[Connection, http1.ResponseHead]:
        """Return a stream of events that the server opens. Raises Broken, HttpFailed, Expired."""
        fields = [("Accept", _EVENTS), *self._session_fields()]
        if strand.last_id is not None:
            fields.append(("Last-Event-ID", strand.last_id))
        connection, head = await self._exchange("GET", fields)
        if head.status == 200 and _kind(head) == _EVENTS:
            return connection, head
        connection.abort()
        if head.status == 404:
            raise Expired()
        raise _failed(head.status, "no stream of events")

    async def listen(self, heard: Heard) -> None:
        strand, wait = _Strand(), _RETRY
        while True:
            try:
                connection, _ = await self._get(strand)
                wait = _RETRY
                try:
                    await self._follow(connection, strand, None, heard)
                finally:
                    connection.abort()
            except Broken:
                wait = min(wait * 2, _LONGEST_RETRY)
            except (HttpFailed, Expired):
                # There is none, or no more.
                return
            await sleep(self._loop, max(wait, strand.retry))

    # -- the ends -----------------------------------------------------------------------------

    def _finish(self, connection: Connection, head: http1.ResponseHead) -> None:
        """Keep the connection of an answered request once its stream has ended."""
        if connection.reusable:
            self._origin.give_back(connection, head)
        else:
            self._tails.spawn(self._tail(connection, head))

    async def _tail(self, connection: Connection, head: http1.ResponseHead) -> None:
        try:
            with within(self._loop, _TAIL):
                while await connection.read():
                    pass
        except (Broken, TimedOut):
            connection.abort()
            return
        except BaseException:
            connection.abort()
            raise
        self._origin.give_back(connection, head)

    async def _pass_over(self, connection: Connection, head: http1.ResponseHead) -> None:
        try:
            await self._text(connection, head)
        except BaseException:
            connection.abort()
            raise
        self._origin.give_back(connection, head)

    async def _text(self, connection: Connection, head: http1.ResponseHead) -> str:
        """Return what a person can read of a body; of a long one the connection is not kept."""
        body = bytearray()
        while len(body) < _MAX_TEXT:
            data = await connection.read()
            if not data:
                return bytes(body).decode("utf-8", "replace")
            body += data
        connection.abort()
        return bytes(body[:_MAX_TEXT]).decode("utf-8", "replace")

    async def leave(self) -> None:
        if self._session is None:
            return
        fields = self._session_fields()
        self._session = None
        connection, head = await self._exchange("DELETE", fields)
        await self._pass_over(connection, head)

    def close(self) -> None:
        self._tails.cancel()
        self._origin.close()

    def disown(self) -> None:
        self._origin.disown()


def _kind(head: http1.ResponseHead) -> str:
    return (head.headers.get("content-type") or "").partition(";")[0].strip().lower()


def merged(given: Fields, own: Fields) -> List[Tuple[str, str]]:
    """Return the user's headers, and ours, which count where both say something."""
    ours = {name.lower() for name, _ in own}
    return [*own, *(one for one in given if one[0].lower() not in ours)]


def _failed(status: int, text: str) -> HttpFailed:
    return (Refused if status in (401, 403) else HttpFailed)(status, text)


def _error_in(text: str, ident: Any) -> Optional[Dict[str, Any]]:
    """Return the error of JSON-RPC that a failed request was answered with, if it was."""
    try:
        found = messages_in(text.encode("utf-8"))
    except jsonrpc.Fault:
        return None
    for one in found:
        if type(one.get("error")) is dict and one.get("id", ident) in (ident, None):
            return one
    return None
