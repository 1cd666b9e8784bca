"""A client that reads answers which come in pieces, and answers what a server asks of it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional

from dcc_mcp_embed.wire.sse import Event, SseParser
from fakes.live import Answer, Wire

__all__ = ["Streaming", "connecting", "initialize"]

SSE = {"Accept": "text/event-stream"}


def initialize(
    wire: Wire, capabilities: Optional[Dict[str, Any]] = None, version: str = "2025-11-25"
) -> Dict[str, str]:
    """Open a session and return the header that belongs to it."""
    params = {
        "protocolVersion": version,
        "capabilities": capabilities or {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    return {"Mcp-Session-Id": wire.rpc("initialize", params).headers["mcp-session-id"]}


class Streaming(Wire):
    """A connection whose answers may be streams of events."""

    def __init__(self, live: Any) -> None:
        super().__init__(live)
        self._events: List[Event] = []
        self._parser = SseParser()
        self.ended = False
        self.status = 0
        self.headers: Dict[str, str] = {}
        self.seen: List[Event] = []

    def read(self, method: str = "GET") -> Answer:
        """Read the whole answer, unless it is a stream: of that only the head."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head = self._rest.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
        if "text/event-stream" not in head:
            return super().read(method)
        self._rest = self._rest.partition(b"\r\n\r\n")[2]
        lines = head.split("\r\n")
        self.headers = dict(line.partition(": ")[::2] for line in lines[1:])
        self.ended = False
        self._parser = SseParser()
        self._events = []
        return Answer(int(lines[0].split(" ")[1]), self.headers, b"")

    def listen(self, session: Dict[str, str], last: Optional[str] = None, **more: Any) -> Answer:
        """Ask for the stream of a session."""
        headers: Dict[str, Any] = dict(SSE, **session)
        if last is not None:
            headers["Last-Event-ID"] = last
        return self.request("GET", "/mcp", dict(headers, **more))

    def event(self) -> Optional[Event]:
        """Return the next event, None at the end of the stream. The socket's timeout is ours."""
        while not self._events:
            if self.ended:
                return None
            data = self._chunk()
            self.ended = not data
            self._events += self._parser.receive_data(data)
        event = self._events.pop(0)
        self.seen.append(event)
        return event

    def message(self) -> Any:
        """Return the next message, without the events that only bring an id; None at the end."""
        while True:
            event = self.event()
            if event is None:
                return None
            if event.data:
                return json.loads(event.data)

    def messages(self) -> List[Any]:
        """Return all messages up to the end of the stream."""
        return list(iter(self.message, None))

    def answer(self, ident: Any, result: Any = None, error: Any = None, **options: Any) -> Answer:
        """Post the response to a request of the server's."""
        message: Dict[str, Any] = {"jsonrpc": "2.0", "id": ident}
        message.update({"result": result} if error is None else {"error": error})
        return self.request(
            "POST", "/mcp", options.get("headers"), json.dumps(message).encode("utf-8")
        )


@contextmanager
def connecting(live: Any) -> Iterator[Callable[[], Streaming]]:
    """Yield what makes one more connection; at the end all are closed."""
    wires: List[Streaming] = []

    def connect() -> Streaming:
        wires.append(Streaming(live))
        return wires[-1]

    try:
        yield connect
    finally:
        for wire in wires:
            wire.close()
