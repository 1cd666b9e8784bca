"""``qtserver://``: the port for the ``dcc-mcp-server sidecar``. Loop thread only.

One JSON object per line, one call at a time on a connection:

    {"id", "method": "dispatch", "params": {"action", "args", "request_id"}}
    {"id", "result": a CallToolResult}, or {"id", "error": {"code", "message"}}

The sidecar can show no token and says nothing before its first call. So the port is there only if
the user wants it, on this machine only, and whoever comes is a guest (see :mod:`.gateway`): no tool
that runs code or writes files that the caller names. A line that is no JSON object ends the
connection without an answer: a page in a browser that posts to the port sends one first.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, Optional, Tuple

from ..errors import NotFound
from ..host.identity import Instance
from ..net.listener import Listener
from ..net.loop import Loop
from ..net.stream import Protocol, Stream
from ..tools.results import failure
from ..tools.table import ToolTable
from ..wire import jsonrpc
from .calls import Calls
from .gateway import Guest

__all__ = ["MAX_LINE", "MOST", "QtServer"]

#: Bytes of one line.
MAX_LINE = 1024 * 1024
#: Connections at once; a sidecar has one.
MOST = 8
#: Past this much sent ahead of an unanswered call a peer is not read any more, bytes.
_AHEAD = 64 * 1024
_CLIENT = "dcc-mcp sidecar"


class QtServer:
    """Serve the sidecar on ``sock``, which listens. Built on the host's main thread."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        table: ToolTable,
        calls: Calls,
        instance: Instance,
        log: Callable[[str, str], None],
    ) -> None:
        self.loop = loop
        self.calls = calls
        self.table = table
        self.instance = instance
        self._sock = sock
        self._log = log
        self._listener: Optional[Listener] = None
        # In the order in which they came.
        self._connections: Dict[_Connection, None] = {}

    def open(self) -> None:
        """Begin to accept connections."""
        self._listener = Listener(self.loop, self._sock, self._accept, self._exhausted)

    def close(self) -> None:
        """Stop accepting and end every connection; answers have gone out as far as peers read."""
        if self._listener is None:
            self._sock.close()
        else:
            self._listener.close()
        for connection in list(self._connections):
            connection.stream.abort()

    def disown(self) -> None:
        """Close what a forked child inherited. The child's only thread."""
        self._sock.close()
        for connection in self._connections:
            connection.stream.disown()

    def forget(self, connection: _Connection) -> None:
        """Note that a connection is gone."""
        self._connections.pop(connection, None)

    def _accept(self, sock: socket.socket, peer: Tuple[str, int]) -> None:
        if len(self._connections) >= MOST:
            # Whoever has called before is a sidecar, and it never comes back once it is cut off;
            # nor does one of them ever end its sending side before it goes.
            idle = [one for one in self._connections if one.ended or not one.has_called]
            if not idle:
                self._log("warning", "{} sidecars are connected already".format(MOST))
                sock.close()
                return
            idle[0].stream.abort()
        self._connections[_Connection(self, sock, peer)] = None

    def _exhausted(self, error: OSError) -> None:
        self._log("warning", "no new sidecar for a moment: {}".format(error))


class _Connection(Protocol):
    """One peer: lines to calls, one at a time."""

    def __init__(self, server: QtServer, sock: socket.socket, peer: Tuple[str, int]) -> None:
        self._server = server
        self._identity = Guest((peer, server.loop.clock.monotonic()))
        self._buffer = bytearray()
        self._busy = False
        self._advancing = False
        self.has_called = False
        #: Whether it will send no more; its call may be under way still.
        self.ended = False
        self.stream: Stream = Stream(server.loop, sock, self)

    def receive_data(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._advance()
        elif len(self._buffer) > _AHEAD:
            self.stream.pause_reading()

    def receive_eof(self) -> None:
        # It may only have closed its sending side, so the answer is still tried.
        self.ended = True
        if not self._busy:
            self.stream.close()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._server.forget(self)

    def _advance(self) -> None:
        self._advancing = True
        try:
            while not self._busy and not self.stream.closed:
                end = self._buffer.find(b"\n", 0, MAX_LINE + 1)
                if end < 0:
                    if len(self._buffer) > MAX_LINE or self.ended:
                        self.stream.close()
                    return
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                self._take(line)
        finally:
            self._advancing = False

    def _take(self, line: bytes) -> None:
        try:
            message = jsonrpc.decode(line)
        except jsonrpc.Fault:
            message = None
        if type(message) is not dict:
            self.stream.close()
            return
        self.has_called = True
        ident = message.get("id")
        if type(ident) not in (str, int):
            self._fail(None, jsonrpc.INVALID_REQUEST, "The id is a text or an integer.")
            return
        if message.get("method") != "dispatch":
            self._fail(ident, jsonrpc.METHOD_NOT_FOUND, "The one method here is dispatch.")
            return
        params = message.get("params")
        action, arguments = None, None
        if type(params) is dict:
            action, arguments = params.get("action"), params.get("args")
        if arguments is None:
            arguments = {}
        if type(action) is not str or type(arguments) is not dict:
            self._fail(
                ident, jsonrpc.INVALID_PARAMS, "params has an action, a text, and args, an object."
            )
            return
        self._call(ident, action, arguments)

    def _call(self, ident: Any, action: str, arguments: Dict[str, Any]) -> None:
        server = self._server
        self._busy = True

        def answer(result: Dict[str, Any]) -> None:
            self._busy = False
            self._say({"id": ident, "result": result})
            if not self._advancing:
                self.stream.resume_reading()
                self._advance()

        try:
            tool = server.table.get(action)
        except NotFound as error:
            answer(failure(error, server.instance.block))
            return
        server.calls.start(tool, arguments, _CLIENT, self._identity, answer)

    def _fail(self, ident: Any, code: int, message: str) -> None:
        self._say({"id": ident, "error": {"code": code, "message": message}})

    def _say(self, message: Dict[str, Any]) -> None:
        self.stream.write(jsonrpc.encode(message) + b"\n")
