"""A client's session and a server in one thread, with bytes carried by hand and a fake clock."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Dict, List, Optional

from dcc_mcp_embed.errors import EmbedError
from dcc_mcp_embed.ipc.actions import (
    Answered,
    Close,
    Connected,
    Dial,
    Disconnected,
    Errand,
    Finished,
    Options,
    Pushed,
)
from dcc_mcp_embed.ipc.session import Session
from dcc_mcp_embed.rpc.hello import Facts, ServerHello
from dcc_mcp_embed.rpc.once import OnceServer
from dcc_mcp_embed.rpc.peer import Ended, Peer
from dcc_mcp_embed.rpc.receipts import Limits, Receipts
from dcc_mcp_embed.wire.messages import Notify, Request
from fakes.clock import FakeClock

KEY, PLACE = b"k" * 32, "unix|/s"


class Link:
    """The server's end of one connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        facts = Facts("instance", server.epoch, server.horizon)
        hello = ServerHello(server.key, PLACE, facts, server.clock)
        self.peer = Peer(server.clock, hello=hello)
        self.once = OnceServer(server.receipts, server.epoch, self, server.clock)
        #: Topics of what the client notified.
        self.heard: List[str] = []
        self.ended: Optional[Ended] = None
        self.unanswered: Optional[Request] = None
        self._out = b""

    @property
    def has_data(self) -> bool:
        return bool(self._out) or self.peer.has_data

    def data_to_send(self) -> bytes:
        out, self._out = self._out + self.peer.data_to_send(), b""
        return out

    def notify(self, topic: str, data: bytes) -> None:
        self._out = self.data_to_send() + self.peer.notification(topic, data)

    def answer_resume(self) -> None:
        """Answer what the server was mute about."""
        for answer in self.once.judge(self.unanswered).answers:
            self.respond(*answer)

    def respond(self, ident: bytes, *answer: Any) -> None:
        self._out = self.data_to_send() + self.peer.answer(ident, *answer)

    def receive(self, data: bytes) -> None:
        for event in self.peer.receive_data(data):
            if isinstance(event, Request):
                self._judge(event)
            elif isinstance(event, Notify):
                self.heard.append(event.topic)
                assert self.once.notified(event)
            elif isinstance(event, Ended):
                self.ended = event

    def _judge(self, request: Request) -> None:
        if self.server.mute and request.method == "resume":
            self.unanswered = request
            return
        judgement = self.once.judge(request)
        if judgement.run:
            self.server.ran[json.loads(request.params.decode())] += 1
            self.server.running[request.id] = (request, None if judgement.kept else self)
        for answer in judgement.answers:
            self.respond(*answer)


class Server:
    """Runs requests when it is told to; ``ran`` counts by their data."""

    def __init__(self, clock: FakeClock, horizon: int = 10_000, **limits: Any) -> None:
        self.clock = clock
        self.horizon = horizon
        self.key = KEY
        self.ran: Counter = Counter()
        self.running: Dict[bytes, Any] = {}
        self.limits = Limits(**limits)
        self.mute = False
        self.starts = 0
        self.restart()

    def restart(self) -> None:
        self.starts += 1
        self.epoch = "epoch-{}".format(self.starts)
        self.receipts = Receipts(self.limits)
        self.running = {}

    def finish(
        self, number: int = 0, success: bool = True, payload: Optional[bytes] = None
    ) -> None:
        """Have the n-th of those that run return what it was given."""
        ident = list(self.running)[number]
        request, link = self.running.pop(ident)
        answer = (success, request.params if payload is None else payload)
        error = None if success else "it failed"
        links = [link] if link else self.receipts.finish(ident, *answer, error, self.clock.now)
        for one in links:
            if one.peer.ended is None:
                one.respond(ident, *answer, error)

    def finish_all(self) -> None:
        while self.running:
            self.finish()


class World:
    """Both, and what comes of it: ``log`` has the session's actions but for what is kept apart."""

    def __init__(self, limits: Optional[Dict[str, Any]] = None, **options: Any) -> None:
        self.clock = FakeClock()
        self.server = Server(self.clock, **(limits or {}))
        self.session = Session(Options("account", **options), self.clock)
        self.link: Optional[Link] = None
        self.up = self.down = b""
        self.log: List[Any] = []
        self.settled: List[Errand] = []
        self.answers: Dict[Any, List[bool]] = {}
        self.pushes: List[Any] = []
        #: Whether the server accepts connections.
        self.listening = True
        self.dials = 0
        self.finished = 0
        self.asked = 0

    # -- the client's wishes ------------------------------------------------------------------

    def connect(self, retries: int = 0, name: str = "connect") -> None:
        self.session.connect(self.clock.now, retries, name)
        self.look()

    def ask(self, timeout: Optional[float] = None) -> Errand:
        """Ask with a number of its own as data; ``run`` carries it."""
        self.asked += 1
        deadline = None if timeout is None else self.clock.now + timeout
        errand = Errand("work", b"%d" % self.asked, deadline, int(1000 * (timeout or 0)))
        errand.waiter = self.asked
        self.session.ask(self.clock.now, errand)
        self.look()
        return errand

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.session.tick(self.clock.now)
        self.look()

    # -- bytes --------------------------------------------------------------------------------

    def look(self) -> None:
        """Take what the session says; its bytes wait in ``up``."""
        while True:
            data, actions = self.session.data_to_send(), self.session.take()
            if self.link is not None:
                self.up += data
            for action in actions:
                self._do(action)
            if not actions and not data:
                return

    def _do(self, action: Any) -> None:
        if isinstance(action, Dial):
            self.dials += 1
            if self.listening:
                assert self.session.dialed(self.clock.now, action.number, PLACE, KEY)
                self.link = Link(self.server)
                self.up = self.down = b""
            else:
                self.session.dial_failed(self.clock.now, action.number, "nobody listens")
        elif isinstance(action, Close):
            if action.politely:
                self.carry_up()
            self._cut()
        elif isinstance(action, Errand):
            assert action.done and action not in self.settled
            self.settled.append(action)
        elif isinstance(action, Answered):
            self.answers.setdefault(action.waiter, []).append(action.well)
        elif isinstance(action, Pushed):
            assert self.session.connected and self.log[-1] == "Connected"
            self.pushes.append((action.topic, action.data))
        elif isinstance(action, Finished):
            assert self.session.idle
            self.finished += 1
        else:
            assert isinstance(action, (Connected, Disconnected))
            self.log.append(type(action).__name__)

    def carry_up(self, size: Optional[int] = None) -> None:
        data = self.up if size is None else self.up[:size]
        self.up = self.up[len(data) :]
        if data and self.link is not None:
            self.link.receive(data)

    def carry_down(self, size: Optional[int] = None) -> None:
        if self.link is None:
            return
        self.down += self.link.data_to_send()
        data = self.down if size is None else self.down[:size]
        self.down = self.down[len(data) :]
        if data:
            self.session.receive_data(self.clock.now, data)
            self.look()

    def run(self) -> None:
        """Carry everything, both ways, until nothing is left to say."""
        while self.link is not None and (self.up or self.down or self.link.has_data):
            self.carry_up()
            self.carry_down()

    def kill(self, error: Optional[Exception] = None) -> None:
        """Cut the connection; what is on its way is lost."""
        if self.link is not None:
            self._cut()
            self.session.lost(self.clock.now, error)
            self.look()

    def _cut(self) -> None:
        link, self.link = self.link, None
        self.up = self.down = b""
        if link is not None:
            link.once.closed()
            link.peer.end(EmbedError("cut"))  # type: ignore[arg-type]

    def greet(self) -> None:
        """Connect and get ready."""
        self.connect()
        self.run()
        assert self.session.connected
