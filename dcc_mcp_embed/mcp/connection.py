"""One HTTP connection of a client, and those to one origin. Coroutines; loop thread.

One exchange at a time on each: :meth:`Connection.send`, then :meth:`Connection.head`, then
:meth:`Connection.read` until nothing comes, then :meth:`Origin.give_back`, or
:meth:`Connection.abort` at any point.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Optional, Union

from ..net.dialing import apart, dial
from ..net.loop import Loop
from ..net.stream import Protocol, Stream
from ..net.tasks import Ended, Inbox
from ..net.timers import Timer
from ..wire import http1
from .url import Url

__all__ = ["Broken", "Connection", "Origin"]

_MAX_HEAD = 64 * 1024
#: Bytes that wait to be read; more of them stay with the server.
_HIGH_WATER = 4 * 1024 * 1024
#: Connections that are kept for later, and for how long, seconds; servers that say so keep theirs
#: for less, and many that do not say so for 5.
_MOST_IDLE, _IDLE, _LONGEST_IDLE = 8, 4.0, 300.0
#: Who ends a connection so soon after an answer, seconds, does so after each without saying it: for
#: how long none is kept.
_SOON, _DISTRUST = 1.0, 60.0
_KEPT_FOR = re.compile(r"(?:^|[\s,;])timeout=([0-9]{1,5})(?:$|[\s,;])", re.ASCII | re.IGNORECASE)


class Broken(Exception):
    """The connection is of no use any more. ``sent``: some of the request may have arrived."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Connection(Protocol):
    """An open connection. ``open_stream(protocol)`` makes what is under it.

    ``is_greeted()``: whether what is written leaves; as long as not, it certainly has not.
    """

    def __init__(
        self, open_stream: Callable[[Protocol], Any], is_greeted: Callable[[Any], bool]
    ) -> None:
        self._is_greeted = is_greeted
        self._written = False
        self._keep_alive = False
        self._whole = True
        self._silent = True
        self._parser: Optional[http1.ResponseParser] = None
        self._events: Inbox[Union[http1.ResponseHead, bytes]] = Inbox()
        self._held = 0
        self._over = ""
        #: Whether an exchange has been gone through already.
        self.used = False
        #: Whether the server has ended it, and nothing of an answer had come.
        self.hung_up = False
        #: Called once it is closed.
        self.lost: Callable[[Connection], None] = lambda connection: None
        self._stream = open_stream(self)

    @property
    def closed(self) -> bool:
        return bool(self._over)

    @property
    def reusable(self) -> bool:
        """Return whether another exchange can follow: the last one is over for both ends."""
        over = self._whole and not self._stream.unsent
        return over and self._keep_alive and not self._over

    def send(self, data: bytes, method: str, max_body: Optional[int]) -> None:
        """Begin an exchange."""
        self._events = Inbox()
        self._held = 0
        self._whole = False
        self._silent = True
        self._parser = http1.ResponseParser(_MAX_HEAD, max_body, method)
        self._written = not self._over
        self._stream.write(data)
        if not self._written:
            self._events.end(Broken(self._over, False))

    @property
    def sent(self) -> bool:
        """Return whether anything of the request may have left."""
        return self._written and self._is_greeted(self._stream)

    async def head(self) -> http1.ResponseHead:
        """Return what the response begins with. Raises Broken."""
        head = await self._next()
        assert isinstance(head, http1.ResponseHead)
        self._keep_alive = head.keep_alive
        return head

    async def read(self) -> bytes:
        """Return more of the body, nothing at its end. Raises Broken."""
        if self._whole and not self._events:
            return b""
        data = await self._next()
        assert type(data) is bytes
        self._held -= len(data)
        if self._held <= _HIGH_WATER:
            self._stream.resume_reading()
        return data

    async def _next(self) -> Union[http1.ResponseHead, bytes]:
        try:
            return await self._events.get()
        except Ended:
            # It has been told once.
            raise Broken(self._over, self.sent) from None

    def look(self) -> None:
        """See whether the server has ended it by now."""
        self._stream.look()

    def abort(self) -> None:
        """Close it now, whatever is under way."""
        if not self._over:
            self._end("it was given up")
            self._stream.abort()

    def close(self) -> None:
        """Close it."""
        if not self._over:
            self._end("it was closed")
            self._leave()

    # -- protocol -----------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            # Nobody has asked for anything.
            self.abort()
            return
        self._silent = False
        parser.receive_data(data)
        self._take(parser)

    def receive_eof(self) -> None:
        self._leaves()
        if self._parser is not None:
            self._parser.receive_eof()
            self._take(self._parser)
        if not self._over:
            self._end("the server closed the connection")
            self._leave()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._leaves()
        if not self._over:
            self._end("the connection was lost" + (": {}".format(error) if error else ""))

    # -- inside -------------------------------------------------------------------------------

    def _leaves(self) -> None:
        if not self._over:
            self.hung_up = self._parser is None or self._silent

    def _take(self, parser: http1.ResponseParser) -> None:
        event = parser.next_event()
        while event is not None and self._parser is parser:
            if isinstance(event, http1.ResponseHead):
                self._events.put(event)
            elif isinstance(event, http1.Data):
                self._held += len(event.data)
                self._events.put(event.data)
            elif isinstance(event, http1.End):
                self._whole = True
                self.used = True
                self._parser = None
                self._events.put(b"")
                if parser.buffered:
                    self._end("the server said more than it was asked for")
                    self._stream.abort()
                return
            else:
                reason = getattr(event, "reason", "the server closed the connection")
                self._end(reason)
                self._stream.abort()
                return
            event = parser.next_event()
        if self._held > _HIGH_WATER:
            self._stream.pause_reading()

    def _end(self, reason: str) -> None:
        sent = self.sent
        self._over = reason
        self._parser = None
        self._events.end(Broken(reason, sent))
        lost, self.lost = self.lost, lambda connection: None
        lost(self)

    def _leave(self) -> None:
        if self._stream.unsent:
            # Of a request that has been answered: nobody would see to it that it ends.
            self._stream.abort()
        else:
            self._stream.close()


class Origin:
    """The connections to one scheme, host and port. ``context()``: the TLS context, made apart."""

    def __init__(self, loop: Loop, url: Url, context: Callable[[], Any]) -> None:
        self._loop = loop
        self._url = url
        self._make_context = context
        self._context: Any = None
        #: Each with what ends it, the latest last.
        self._idle: Dict[Connection, Timer] = {}
        #: Each with when it was last given back.
        self._open: Dict[Connection, Optional[float]] = {}
        self._closed = False
        #: Until when none is kept.
        self._distrust = 0.0

    async def take(self, anew: bool = False) -> Connection:
        """Return a connection that is free; ``anew``: that nobody has used. Raises Broken."""
        while self._idle and not anew:
            connection, timer = self._idle.popitem()
            timer.cancel()
            # Its end may have come since the loop has last looked.
            connection.look()
            if not connection.closed:
                return connection
        if self._closed:
            raise Broken("the client is closed", False)
        return await self._dial()

    def give_back(self, connection: Connection, head: http1.ResponseHead) -> None:
        """Keep a connection for the next exchange, if it will do."""
        told = _KEPT_FOR.search(head.headers.get("keep-alive") or "")
        time = min(int(told.group(1)) - 1.0, _LONGEST_IDLE) if told else _IDLE
        now = self._loop.clock.monotonic()
        useless = time <= 0 or now < self._distrust or len(self._idle) >= _MOST_IDLE
        if useless or not connection.reusable:
            connection.close()
        else:
            self._open[connection] = now
            self._idle[connection] = self._loop.call_later(time, connection.close)

    def close(self) -> None:
        """Close all of them; those under way break."""
        self._closed = True
        for connection in list(self._open):
            connection.abort()

    def disown(self) -> None:
        """Close this process's copies of the sockets, in a forked child."""
        for connection in self._open:
            connection._stream.disown()

    # -- inside -------------------------------------------------------------------------------

    async def _dial(self) -> Connection:
        url, loop = self._url, self._loop
        try:
            if url.secure and self._context is None:
                self._context = await apart(loop, self._make_context)
            sock = await dial(loop, url.host, url.port)
        except (OSError, UnicodeError, RuntimeError, ImportError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise Broken("{} cannot be reached: {}".format(url.origin, text), False) from error
        context = self._context

        def open_stream(protocol: Protocol) -> Any:
            if context is None:
                return Stream(loop, sock, protocol, read_always=True)
            # Loaded by now: the context is of its kind.
            from .tls import TlsStream

            return TlsStream(loop, sock, protocol, context, url.host)

        try:
            connection = Connection(open_stream, lambda stream: context is None or stream.greeted)
        except BaseException:
            # Of whatever kind.
            sock.close()
            raise
        if connection.closed:
            raise Broken(connection._over, False)
        self._open[connection] = None
        connection.lost = self._forget
        if self._closed:
            connection.abort()
        return connection

    def _forget(self, connection: Connection) -> None:
        since, now = self._open.pop(connection), self._loop.clock.monotonic()
        if connection.hung_up and since is not None and now - since < _SOON:
            self._distrust = now + _DISTRUST
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()
