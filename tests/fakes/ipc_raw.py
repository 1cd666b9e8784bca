"""A client of a SocketServer, read and written by hand, and a server run on an asyncio loop."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.ipc import SocketServer
from dcc_mcp_embed.ipc.places import Target, locate
from dcc_mcp_embed.net.sockets import connect_address
from dcc_mcp_embed.rpc.content import packed, read_line
from dcc_mcp_embed.rpc.hello import ClientHello, place
from dcc_mcp_embed.rpc.peer import Ended, Greeted, Peer
from dcc_mcp_embed.rpc.receipts import FIRST_NUMBER
from dcc_mcp_embed.rpc.resume import RESUME
from dcc_mcp_embed.wire.messages import Notify, Response, id_text
from fakes.waiting import until

__all__ = ["CLOCK", "DEADLINE", "SECRET", "Raw", "end_of", "on_asyncio", "target", "until"]

#: Seconds for anything that takes a moment.
DEADLINE = 20.0
SECRET = "a secret of the tests"
CLOCK = SystemClock()


def target(server: SocketServer, secret: Any = SECRET) -> Target:
    """Return where a running server is, whichever kind of place that is."""
    path, account, host, port, _ = server._place
    if host is not None or port is not None:
        port = server.address.port
    return locate(path, account, host, port, secret, CLOCK)()


class Raw:
    """One connection. ``line``: of an earlier one, to resume it; ``ids`` are asked about then.

    ``answers_pings`` False: what is read is not even looked at between two questions.
    """

    def __init__(
        self,
        where: Any,
        account: str = "raw",
        hello: bool = True,
        resume: bool = True,
        before: Optional[Raw] = None,
        ids: Any = (),
    ) -> None:
        found = target(where) if isinstance(where, SocketServer) else where
        self.sock = connect_address(found.address, DEADLINE, CLOCK)
        self.sock.settimeout(DEADLINE)
        said = ClientHello(found.key, place(self.sock.getpeername()), CLOCK, None, account)
        self.peer = Peer(CLOCK, hello=said if hello else None)
        self.responses: Dict[bytes, Response] = {}
        self.pushes: List[Any] = []
        self.ended: Optional[Ended] = None
        self.states: Dict[str, str] = {}
        self.epoch: Optional[str] = None
        self.line: Optional[bytes] = None
        self.next = FIRST_NUMBER if before is None else before.next
        if hello:
            try:
                self.greet()
                if resume:
                    self.resume(before, ids)
            except BaseException:
                self.close()
                raise

    # -- the wire -----------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def greet(self) -> None:
        """Finish the hello."""
        self.send(self.peer.data_to_send())
        while self.peer.facts is None and self.ended is None:
            self.read()
        assert self.ended is None, self.ended

    def resume(self, before: Optional[Raw], ids: Any) -> None:
        """Say the first message after a hello."""
        self.epoch = self.peer.facts.epoch
        question: Dict[str, Any] = {"epoch": None, "line": None, "below": None, "ids": []}
        if before is not None:
            question["epoch"], question["line"] = before.epoch, before.line.hex()
            question["ids"] = [id_text(one) for one in ids]
        ident, data = self.peer.request(RESUME, packed(question))
        self.send(data)
        answer = self.answer(ident)
        assert answer.success, answer.error
        content = json.loads(answer.payload.decode())
        self.states = content["states"]
        self.line = read_line(content["line"])

    def read(self) -> None:
        """Take what the server sent next, and answer its pings."""
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            data = b""
        for event in self.peer.receive_data(data) if data else self.peer.receive_eof():
            if isinstance(event, Response):
                assert event.id not in self.responses, "answered twice"
                self.responses[event.id] = event
            elif isinstance(event, Notify):
                self.pushes.append((event.topic, json.loads(event.data.decode())))
            elif isinstance(event, Ended):
                self.ended = event
            else:
                assert isinstance(event, Greeted) or event.done, event
        said = self.peer.data_to_send()
        if said and self.ended is None:
            self.send(said)

    # -- requests -----------------------------------------------------------------------------

    def new_id(self) -> bytes:
        ident = (self.line or b"no line!") + self.next.to_bytes(8, "big")
        self.next += 1
        return ident

    def ask(self, name: str, data: Any = None, ident: Optional[bytes] = None, raw: Any = None):
        """Send a request; return its id."""
        ident = ident or self.new_id()
        params = raw if raw is not None else b"" if data is None else json.dumps(data).encode()
        self.send(self.peer.compose(name, params, ident=ident)[1])
        return ident

    def answer(self, ident: bytes) -> Response:
        """Wait for an answer, keeping the others."""
        while ident not in self.responses and self.ended is None:
            self.read()
        assert ident in self.responses, self.ended
        return self.responses.pop(ident)

    def call(self, name: str, data: Any = None) -> Any:
        """Ask and return what the handler returned."""
        answer = self.answer(self.ask(name, data))
        assert answer.success, answer.error
        assert answer.error is None
        return json.loads(answer.payload.decode())

    def failure(self, name: str, data: Any = None, **how: Any) -> Dict[str, Any]:
        """Ask for what fails and return what programs read of it, with ``error``, its text."""
        return self.failed(self.ask(name, data, **how))

    def failed(self, ident: bytes) -> Dict[str, Any]:
        """Wait for an answer that is a failure."""
        answer = self.answer(ident)
        assert not answer.success, answer.payload
        return dict(json.loads(answer.payload.decode()), error=answer.error)

    def ping(self) -> float:
        """Return the seconds that a ping takes."""
        probe = self.peer.ping()
        self.send(self.peer.data_to_send())
        while not probe.done:
            self.read()
            assert self.ended is None, self.ended
        return probe.round_trip

    def push(self) -> Any:
        """Return the next push."""
        while not self.pushes:
            self.read()
            assert self.ended is None, self.ended
        return self.pushes.pop(0)

    def until_end(self) -> Ended:
        """Wait until the server has ended the connection."""
        while self.ended is None:
            self.read()
        return self.ended

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


def end_of(where: Any, data: bytes) -> str:
    """Send bytes instead of a hello and return why the server has ended the connection."""
    with Raw(where, hello=False) as raw:
        raw.send(data)
        return str(raw.until_end().reason or raw.ended.error)


@contextmanager
def on_asyncio(server: SocketServer) -> Iterator[SocketServer]:
    """Run a server on an asyncio loop of a thread of its own; stop it at the end."""
    ready, over, problems = threading.Event(), [], []

    async def main() -> None:
        stop = asyncio.Event()
        over.append((asyncio.get_event_loop(), stop))
        await server.start_background()
        ready.set()
        await stop.wait()
        await server.stop()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            problems.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(DEADLINE)
        if problems:
            raise problems[0]
        yield server
    finally:
        if thread.is_alive():
            loop, stop = over[0]
            loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE)
    assert not problems, problems
