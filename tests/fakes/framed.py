"""A client of the framed wire, written and read by hand so that anything can be sent."""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Dict, List, Optional

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.rpc.hello import ClientHello, place
from dcc_mcp_embed.rpc.peer import Ended, Greeted, Peer
from dcc_mcp_embed.secret import open_secret
from dcc_mcp_embed.server.arrival import FRAMED
from dcc_mcp_embed.wire.messages import Response
from fakes.live import tries

DEADLINE = 20.0


def wire_key() -> bytes:
    """Return the key of the user whose home the environment names."""
    return open_secret(os.environ["DCC_MCP_EMBED_HOME"], SystemClock()).wire_key()


class FramedWire:
    """One connection to a server on this machine. ``key`` None: no hello is said."""

    def __init__(
        self,
        port: int,
        key: Optional[bytes] = None,
        expect_instance: Optional[str] = None,
        client: str = "",
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clock = SystemClock()
        hello = None
        if key is not None:
            where = place(self.sock.getpeername())
            hello = ClientHello(key, where, clock, expect_instance, client)
        self.peer = Peer(clock, hello=hello)
        self.responses: Dict[bytes, Response] = {}
        self.ended: Optional[Ended] = None

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def flush(self) -> None:
        data = self.peer.data_to_send()
        if data:
            self.send(data)

    def greet(self) -> Any:
        """Finish the hello; returns what the server says of itself."""
        self.flush()
        while self.peer.facts is None and self.ended is None:
            self.read()
        assert self.ended is None, self.ended
        return self.peer.facts

    def read(self) -> List[Any]:
        """Take what the server sent next, and answer what has to be answered."""
        data = self.sock.recv(65536)
        events = self.peer.receive_data(data) if data else self.peer.receive_eof()
        for event in events:
            if isinstance(event, Response):
                self.responses[event.id] = event
            elif isinstance(event, Ended):
                self.ended = event
            else:
                self.take(event)
        if self.ended is None:
            self.flush()
        return events

    def take(self, event: Any) -> None:
        """Take what is no answer; more than the greeting and its end is not expected."""
        assert isinstance(event, Greeted) or event.done, event

    def ask(self, method: str, params: Any = None) -> bytes:
        """Send a request; returns its id."""
        ident, data = self.peer.request(method, encoded(params))
        self.send(data)
        return ident

    def answer(self, ident: bytes) -> Response:
        """Wait for one answer, keeping the others."""
        while ident not in self.responses and self.ended is None:
            self.read()
        assert ident in self.responses, self.ended
        return self.responses.pop(ident)

    def call(self, method: str, params: Any = None) -> Any:
        """Ask and return the answer's JSON; an AssertionError if it is a failure."""
        answer = self.answer(self.ask(method, params))
        assert answer.success, answer.error
        return json.loads(answer.payload.decode("utf-8"))

    def failure(self, method: str, params: Any = None) -> str:
        """Ask for what fails and return the error."""
        answer = self.answer(self.ask(method, params))
        assert not answer.success, answer.payload
        assert answer.error
        return answer.error

    def tool(self, name: str, arguments: Any = None) -> Dict[str, Any]:
        """Call a tool and return its CallToolResult."""
        result: Dict[str, Any] = self.call("tools/call", {"name": name, "arguments": arguments})
        return result

    def until_end(self) -> Ended:
        """Wait until the server has ended the connection."""
        while self.ended is None:
            try:
                self.read()
            except ConnectionError:
                self.ended = [e for e in self.peer.receive_eof() if isinstance(e, Ended)][0]
        return self.ended

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> FramedWire:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def encoded(params: Any) -> bytes:
    if isinstance(params, bytes):
        return params
    return b"" if params is None else json.dumps(params).encode("utf-8")


def receipts_of(live: Any) -> Any:
    """Return the receipts that a server keeps; it has no window for that, and needs none."""
    for _ in tries():
        # What it speaks besides HTTP is loaded once it serves.
        speaker = live.server._server.front.speakers.get(FRAMED)
        if speaker is not None:
            return speaker.__self__._receipts
    raise AssertionError("it never spoke that")
