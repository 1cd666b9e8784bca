"""HTTP+SSE of 2024-11-05: one stream of events says where to post, and brings every answer."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..net.loop import Loop
from ..net.tasks import Group, Wait
from ..wire import http1, jsonrpc
from ..wire.sse import SseParser
from .connection import Broken, Connection, Origin
from .streamable import MAX_BODY, MAX_EVENT, merged
from .url import Url, joined
from .wire import Duplex, Fields, HttpFailed, Refused, messages_in

__all__ = ["LegacySse"]

_MAX_TEXT = 64 * 1024


class LegacySse(Duplex):
    """A server at the URL of its stream. Arguments as those of Streamable."""

    def __init__(
        self, loop: Loop, url: Url, fields: Fields, context: Callable[[], Any], failed: Any
    ) -> None:
        super().__init__()
        self._url = url
        self._fields = list(fields)
        self._origin = Origin(loop, url, context)
        self._reading = Group(loop, failed)
        self._stream: Optional[Connection] = None
        self._endpoint: Wait[Url] = Wait()
        self._posts: Optional[Url] = None

    async def open(self) -> None:
        connection = await self._origin.take()
        try:
            fields = [("Host", self._url.authority), ("Accept", "text/event-stream")]
            data = http1.request("GET", self._url.target, merged(self._fields, fields))
            # A stream has no end by itself.
            connection.send(data, "GET", None)
            head = await connection.head()
            kind = (head.headers.get("content-type") or "").partition(";")[0].strip().lower()
            if head.status != 200:
                raise (Refused if head.status in (401, 403) else HttpFailed)(head.status, "")
            if kind != "text/event-stream":
                raise Broken("there is no stream of events at {}".format(self._url), True)
            self._stream = connection
            self._reading.spawn(self._read(connection))
            self._posts = await self._endpoint
        except BaseException:
            connection.abort()
            raise

    async def _read(self, connection: Connection) -> None:
        parser, reason = SseParser(MAX_EVENT), "the server ended its stream"
        try:
            data = await connection.read()
            while data:
                for event in parser.receive_data(data):
                    if event.event == "endpoint":
                        self._led(event.data)
                    elif event.event == "message" and event.data:
                        for message in messages_in(event.data.encode("utf-8", "surrogatepass")):
                            self.came(message)
                data = await connection.read()
        except Broken as broken:
            reason = broken.reason
        except (RuntimeError, ValueError, jsonrpc.Fault) as error:
            reason = "the server's stream cannot be read: {}".format(error)
        finally:
            connection.abort()
            self._endpoint.fail(Broken(reason, True))
            self.ended(reason)

    def _led(self, reference: str) -> None:
        found = joined(self._url, reference)
        if found is None or found.origin != self._url.origin:
            text = "the server leads to another one ({}), which is given neither call nor token"
            self._endpoint.fail(Broken(text.format(reference[:200]), True))
        else:
            self._endpoint.settle(found)

    async def send(self, message: Dict[str, Any]) -> None:
        assert self._posts is not None
        fields = [
            ("Host", self._posts.authority),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ]
        data = http1.request(
            "POST", self._posts.target, merged(self._fields, fields), jsonrpc.encode(message)
        )
        connection = await self._origin.take()
        try:
            connection.send(data, "POST", MAX_BODY)
            head = await connection.head()
            body = bytearray()
            piece = await connection.read()
            while piece and len(body) < _MAX_TEXT:
                body += piece
                piece = await connection.read()
        except BaseException:
            connection.abort()
            raise
        self._origin.give_back(connection, head)
        if not 200 <= head.status < 300:
            text = bytes(body[:_MAX_TEXT]).decode("utf-8", "replace")
            raise (Refused if head.status in (401, 403) else HttpFailed)(head.status, text)

    async def leave(self) -> None:
        pass  # the end of its stream tells the server

    def close(self) -> None:
        self._reading.cancel()
        self._origin.close()
        self.ended("the client is closed")

    def disown(self) -> None:
        self._origin.disown()
