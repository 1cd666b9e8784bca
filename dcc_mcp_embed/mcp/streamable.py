"""Streamable HTTP: each request is a POST, answered by JSON or by a stream of events.

In the handshake era a stream that ends early is resumed by GET with the id of its last event, and
another GET hears what the server says of its own accord.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ..net.loop import Loop
from ..net.tasks import Group, TimedOut, sleep, within
from ..wire import http1, jsonrpc
from ..wire.sse import SseParser
from .connection import Broken, Connection, Origin
from .exchange import EVENTS, JSON, exchange, failure, kind, merged, text_of
from .url import Url
from .wire import Expired, Fields, Heard, HttpFailed, Refused, Wire, is_answer, messages_in

__all__ = ["MAX_BODY", "MAX_EVENT", "Streamable"]

#: As much as one frame of the other wire may have, bytes; also of one event.
MAX_BODY = 256 * 1024 * 1024
MAX_EVENT = 64 * 1024 * 1024
#: Seconds until a stream is asked for again, where the server says nothing; then longer and longer.
#: No server is asked more often than after the least.
_RETRY, _LONGEST_RETRY, _LEAST_RETRY = 1.0, 30.0, 0.05
#: Attempts in a row to resume a stream that bring nothing new.
_MOST_RESUMED = 5
#: A stream that has been open for so long, seconds, was worth it, whatever it has brought.
_LONG = 10.0
#: Seconds that the end of a stream may take after its answer, and the text of a failure.
_TAIL, _PATIENCE = 1.0, 5.0
#: Failures that pass: the stream of before still counts, or the server begins or is busy.
_PASSING = (409, 425, 429, 502, 503, 504)
#: What can be said again in a header: no control character but the tab, which none begins with.
_ID = re.compile(r"[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?")
_LONGEST_ID = 4096


class _Garbled(Broken):
    """What came is not what a server says; more of it would be no better."""


class _Strand:
    """How far a stream has been read. ``events``: how many there were."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry = _RETRY
        self.events = 0
        self.reason = "the stream ended before the answer came"


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
        try:
            connection, head = await self._post(message, fields)
        except Refused:
            raise
        except HttpFailed as failed:
            # The stateless era answers errors so.
            error = _error_in(failed.text)
            if error is None:
                raise
            return error
        coding = head.headers.get("content-encoding") or "identity"
        if coding.lower() != "identity":
            connection.abort()
            text = "the server's answer is in {!r}, a coding that it was not asked for"
            raise Broken(text.format(coding[:100]), True)
        if message["method"] == "initialize":
            self._session = head.headers.get("mcp-session-id") or None
        if kind(head) == EVENTS:
            strand = _Strand()
            answer = await self._hear(connection, head, strand, ident, heard)
            return answer or await self._resume(strand, ident, heard)
        answer = None
        for one in await self._messages(connection, head):
            if is_answer(one, ident) or _is_error(one):
                answer = one
            else:
                heard(one)
        if answer is None:
            raise Broken("the server answered without an answer", True)
        return answer

    async def tell(self, message: Dict[str, Any], fields: Fields) -> None:
        connection, head = await self._post(message, fields)
        self._finish(connection, head)

    async def _post(
        self, message: Dict[str, Any], fields: Fields
    ) -> Tuple[Connection, http1.ResponseHead]:
        """Return how the answer to a message begins, where it is one."""
        own = [("Content-Type", JSON), ("Accept", JSON + ", " + EVENTS), *fields]
        session = self._session
        body, harmless = jsonrpc.encode(message), message.get("method") != "tools/call"
        connection, head = await self._exchange("POST", own, body, harmless)
        if 200 <= head.status < 300:
            return connection, head
        text = await self._text(connection, head)
        if session is not None and _is_expiry(head.status, text):
            raise Expired()
        raise failure(head.status, text)

    async def _exchange(
        self, method: str, fields: Fields, body: bytes = b"", harmless: bool = True
    ) -> Tuple[Connection, http1.ResponseHead]:
        own = [*fields]
        if self._version is not None:
            own.append(("MCP-Protocol-Version", self._version))
        if self._session is not None:
            own.append(("Mcp-Session-Id", self._session))
        # A stream has no greatest length; what else comes is measured where it is read.
        connection, head, _ = await exchange(
            self._origin, self._url, method, merged(self._fields, own), body, None, harmless
        )
        return connection, head

    # -- answers ------------------------------------------------------------------------------

    async def _messages(
        self, connection: Connection, head: http1.ResponseHead
    ) -> List[Dict[str, Any]]:
        """Return what is in a body. Raises Broken."""
        body = bytearray()
        try:
            data = await connection.read()
            while data:
                body += data
                if len(body) > MAX_BODY:
                    raise Broken("the answer is longer than {} bytes".format(MAX_BODY), True)
                data = await connection.read()
        except BaseException:
            # Cut, too: in the stateless era that is how a request is cancelled.
            connection.abort()
            raise
        self._origin.give_back(connection, head)
        if not body and head.status == 202:
            return []
        if kind(head) != JSON:
            text = "the server answered with {!r}, which is neither JSON nor a stream of events"
            raise Broken(
                text.format(head.headers.get("content-type") or "no kind of content"), True
            )
        try:
            return messages_in(bytes(body))
        except jsonrpc.Fault as fault:
            raise Broken("the server's answer cannot be read: {}".format(fault), True) from None

    async def _hear(
        self,
        connection: Connection,
        head: http1.ResponseHead,
        strand: _Strand,
        ident: Optional[Any],
        heard: Heard,
    ) -> Optional[Dict[str, Any]]:
        """Read a stream until the answer has come; None if it ends before that. Raises Broken."""
        try:
            answer = await self._follow(connection, strand, ident, heard)
        except _Garbled:
            connection.abort()
            raise
        except Broken as broken:
            connection.abort()
            strand.reason = broken.reason
            return None
        except BaseException:
            # Cut, too: see above.
            connection.abort()
            raise
        self._finish(connection, head)
        return answer

    async def _follow(
        self, connection: Connection, strand: _Strand, ident: Optional[Any], heard: Heard
    ) -> Optional[Dict[str, Any]]:
        parser = SseParser(MAX_EVENT)
        answer: Optional[Dict[str, Any]] = None
        while answer is None:
            data = await connection.read()
            if not data:
                break
            try:
                for message in _messages_of(parser, data, strand):
                    if answer is None and ident is not None and is_answer(message, ident):
                        answer = message
                    else:
                        heard(message)
            except _Garbled:
                if answer is None:
                    raise
            if parser.last_id is not None:
                strand.last_id = _sayable(parser.last_id)
            if parser.retry is not None:
                strand.retry = max(parser.retry / 1000, _LEAST_RETRY)
        return answer

    async def _resume(self, strand: _Strand, ident: Any, heard: Heard) -> Dict[str, Any]:
        """Hear the rest of a stream that has ended without its answer. Raises Broken."""
        fruitless = 0
        while self._version is not None and strand.last_id and fruitless < _MOST_RESUMED:
            before = strand.last_id
            await sleep(self._loop, strand.retry)
            try:
                connection, head = await self._get(strand)
            except Broken:
                # It may be there again in a moment.
                fruitless += 1
                continue
            except (HttpFailed, Expired) as failed:
                if getattr(failed, "status", 0) in _PASSING:
                    fruitless += 1
                    continue
                # What is over is the session or the stream: the request itself was taken.
                text = "{}, and the rest is not to be had ({})"
                told = "the session is over" if isinstance(failed, Expired) else failed
                raise Broken(text.format(strand.reason, told), True) from None
            answer = await self._hear(connection, head, strand, ident, heard)
            if answer is not None:
                return answer
            fruitless = 0 if strand.last_id != before else fruitless + 1
        raise Broken(strand.reason, True)

    async def _get(self, strand: _Strand) -> Tuple[Connection, http1.ResponseHead]:
        """Return a stream of events that the server opens. Raises Broken, HttpFailed, Expired."""
        fields = [("Accept", EVENTS)]
        if strand.last_id:
            fields.append(("Last-Event-ID", strand.last_id))
        session = self._session
        connection, head = await self._exchange("GET", fields)
        if head.status == 200 and kind(head) == EVENTS:
            return connection, head
        self._finish(connection, head)
        if head.status == 404 and session is not None:
            raise Expired()
        raise failure(head.status, "no stream of events")

    async def listen(self, heard: Heard) -> None:
        strand, wait = _Strand(), 0.0
        while True:
            before, began = (strand.events, strand.last_id), self._loop.clock.monotonic()
            try:
                connection, head = await self._get(strand)
                await self._hear(connection, head, strand, None, heard)
            except Broken:
                # It may be there again in a moment.
                pass
            except Expired:
                return
            except HttpFailed as failed:
                if failed.status not in _PASSING:
                    # There is none.
                    return
            lasted = self._loop.clock.monotonic() - began
            if lasted > _LONG or before != (strand.events, strand.last_id):
                wait = 0.0
            else:
                wait = min(max(2 * wait, _RETRY), _LONGEST_RETRY)
            await sleep(self._loop, max(wait, strand.retry))

    # -- the ends -----------------------------------------------------------------------------

    def _finish(self, connection: Connection, head: http1.ResponseHead) -> None:
        """Keep a connection once the rest of what nobody waits for has come."""
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

    async def _text(self, connection: Connection, head: http1.ResponseHead) -> str:
        """Return what a person can read of a failure, if that comes."""
        try:
            with within(self._loop, _PATIENCE):
                text = await text_of(connection)
        except (Broken, TimedOut):
            connection.abort()
            return ""
        except BaseException:
            # Cut, too.
            connection.abort()
            raise
        self._origin.give_back(connection, head)
        return text

    async def leave(self) -> None:
        if self._session is None:
            return
        try:
            connection, head = await self._exchange("DELETE", [])
        finally:
            self._session = None
        self._finish(connection, head)

    def close(self) -> None:
        self._tails.cancel()
        self._origin.close()

    def disown(self) -> None:
        self._origin.disown()


def _messages_of(parser: SseParser, data: bytes, strand: _Strand) -> Iterator[Dict[str, Any]]:
    """Yield the messages that more of a stream completes. Raises _Garbled."""
    try:
        for event in parser.receive_data(data):
            strand.events += 1
            if event.event == "message" and event.data:
                yield from messages_in(event.data.encode("utf-8"))
    except (RuntimeError, jsonrpc.Fault) as error:
        raise _Garbled("the server's stream cannot be read: {}".format(error), True) from None


def _sayable(ident: str) -> str:
    """Return an event's id as a header says it (WHATWG HTML 9.2.4); nothing for what none can."""
    if len(ident) > _LONGEST_ID or not _ID.fullmatch(ident):
        return ""
    return ident.encode("utf-8").decode("latin-1")


def _is_error(message: Dict[str, Any]) -> bool:
    """Return whether it is an error of JSON-RPC that names no request: it could not be read."""
    return type(message.get("error")) is dict and message.get("id") is None


def _error_in(text: str) -> Optional[Dict[str, Any]]:
    """Return the error of JSON-RPC that a failed request was answered with, if it was.

    Whatever its id: some servers give all of those the same.
    """
    try:
        found = messages_in(text.encode("utf-8"))
    except jsonrpc.Fault:
        return None
    for one in found:
        if type(one.get("error")) is dict:
            return one
    return None


def _is_expiry(status: int, text: str) -> bool:
    """Return whether a failure says that the server does not know the session.

    That is 404; some say 400 and that in words.
    """
    if status != 400:
        return status == 404
    error = (_error_in(text) or {}).get("error") or {}
    return error.get("code") in (-32000, -32001, -32600) and (
        "session" in str(error.get("message")).lower()
    )
