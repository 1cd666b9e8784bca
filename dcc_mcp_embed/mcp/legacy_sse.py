"""HTTP+SSE of 2024-11-05: one stream of events says where to post, and brings every answer."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..net.loop import Loop
from ..net.tasks import Group, Wait
from ..net.timers import Timer
from ..wire import jsonrpc
from ..wire.sse import SseParser
from .connection import Broken, Connection, Origin
from .exchange import EVENTS, JSON, exchange, failure, kind, merged, text_of
from .url import Url, joined
from .wire import Duplex, Expired, Fields, HttpFailed, messages_in

__all__ = ["LegacySse"]

#: Bytes of one event, and of what a post is answered with.
_MAX_EVENT = 64 * 1024 * 1024
_MAX_BODY = 256 * 1024 * 1024
#: Seconds that a post may take whose message has been answered already.
_TAIL = 1.0


class LegacySse(Duplex):
    """A server at the URL of its stream. Arguments as those of Streamable."""

    def __init__(
        self, loop: Loop, url: Url, fields: Fields, context: Callable[[], Any], failed: Any
    ) -> None:
        super().__init__()
        self._url = url
        self._fields = list(fields)
        self._origin = Origin(loop, url, context)
        self._loop = loop
        self._beside = Group(loop, failed)
        #: What is answered and still being posted, each with what ends that.
        self._late: Dict[Wait[Dict[str, Any]], Timer] = {}
        self._endpoint: Wait[Url] = Wait()
        self._posts: Optional[Url] = None

    async def open(self) -> None:
        fields = merged(self._fields, [("Accept", EVENTS)])
        # A stream has no end by itself, and so no greatest length.
        connection, head, url = await exchange(self._origin, self._url, "GET", fields)
        try:
            if head.status != 200:
                raise failure(head.status, await text_of(connection))
            if kind(head) != EVENTS:
                raise Broken("there is no stream of events at {}".format(url), True)
            self._beside.spawn(self._read(connection, url))
            self._posts = await self._endpoint
        except BaseException:
            # Cut, too.
            connection.abort()
            raise

    async def _read(self, connection: Connection, url: Url) -> None:
        parser, reason = SseParser(_MAX_EVENT), "the server ended its stream"
        try:
            data = await connection.read()
            while data:
                for event in parser.receive_data(data):
                    if event.event == "endpoint":
                        self._led(url, event.data)
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

    def _led(self, url: Url, reference: str) -> None:
        found = joined(url, reference)
        if found is None or found.origin != self._url.origin:
            text = "the server leads to another one ({}), which is given neither call nor token"
            self._endpoint.fail(Broken(text.format(reference[:200]), True))
        else:
            self._endpoint.settle(found)

    async def answer(self, message: Dict[str, Any], wait: Wait[Dict[str, Any]]) -> Dict[str, Any]:
        # The stream says it, or that it has ended, whatever becomes of the post.
        posting = self._beside.spawn(self._post(message, wait))
        assert posting is not None
        try:
            answer = await wait
        except BaseException:
            # Cut, too.
            posting.cancel()
            raise
        if not posting.over:
            self._late[wait] = self._loop.call_later(_TAIL, posting.cancel)
        return answer

    async def _post(self, message: Dict[str, Any], wait: Wait[Dict[str, Any]]) -> None:
        try:
            await self.send(message)
        except (Broken, HttpFailed, Expired) as error:
            wait.fail(error)
        finally:
            timer = self._late.pop(wait, None)
            if timer is not None:
                timer.cancel()

    async def send(self, message: Dict[str, Any]) -> None:
        assert self._posts is not None
        own = [("Content-Type", JSON), ("Accept", JSON + ", " + EVENTS)]
        connection, head, _ = await exchange(
            self._origin,
            self._posts,
            "POST",
            merged(self._fields, own),
            jsonrpc.encode(message),
            _MAX_BODY,
            message.get("method") != "tools/call",
        )
        try:
            text = await text_of(connection)
        except BaseException:
            # Cut, too.
            connection.abort()
            raise
        self._origin.give_back(connection, head)
        if head.status == 404:
            # There is such a place as long as the session is there.
            raise Expired()
        if not 200 <= head.status < 300:
            raise failure(head.status, text)

    async def leave(self) -> None:
        pass  # the end of its stream tells the server

    def close(self) -> None:
        self._origin.close()
        self.ended("the client is closed")

    def disown(self) -> None:
        self._origin.disown()
