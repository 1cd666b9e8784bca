"""MCP over HTTP in front of the bridge: the server's endpoint, whose work is done at the desk.

The loop thread reads, writes and keeps the sessions; each message that needs a host is posted to
the desk, and what comes of it is called back.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..clock import Clock
from ..net.loop import Loop
from ..server.exchange import Exchange, takes
from ..server.mcp_endpoint import McpEndpoint
from ..server.sessions import Session, Sessions
from ..server.sinks import Sink
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault, Request
from ..wire.mcp.machine import Answered, Cancel, Listen, McpMachine, Reply, Subscribe, version_of
from ..wire.mcp.revisions import HANDSHAKE
from ..wire.mcp.routing import is_stateless
from ..wire.mcp.work import Completion, PromptGet, ResourceRead, ToolCall
from .client import LEVEL, Client
from .core import Core
from .lists import is_for_list
from .web_voices import Nobody, SessionVoice, SinkVoice, StreamVoice

__all__ = ["WebFront"]


class _List:
    """The request for a list, which hosts are to be asked for first."""

    def __init__(self, value: Any, headers: Any, stateless: bool) -> None:
        self.id = value["id"]
        self.value = value
        self.headers = headers
        self.stateless = stateless


class _Machine:
    """The machine, but for lists, which take their time."""

    def __init__(self, machine: McpMachine) -> None:
        self._machine = machine
        self.refuse = machine.refuse

    def receive(self, value: Any, headers: Any, *session: Any) -> Any:
        """Take one message as :meth:`McpMachine.receive` does, with what its session knows."""
        if is_for_list(value):
            try:
                message = jsonrpc.classify(value)
            except Fault as fault:
                return self.refuse(fault)
            if type(message) is Request:
                era = is_stateless(message.params, headers.get("mcp-protocol-version"))
                return _List(value, headers, era)
        return self._machine.receive(value, headers, *session)


class WebFront:
    """Serves ``/mcp``. Loop thread."""

    def __init__(self, core: Core, machine: McpMachine, loop: Loop, clock: Clock) -> None:
        self._core = core
        self._machine = machine
        self._loop = loop
        self._sessions = Sessions(clock, epoch=clock.token_bytes(4).hex())
        #: Sessions that have asked for anything. One that comes back, having lost its room, is
        #: another one under the same id.
        self._clients: Dict[Session, Client] = {}
        #: Streams that listen, with what ends each.
        self._streams: Dict[StreamVoice, Any] = {}
        self.doers: Dict[Any, Callable[[Exchange, Any, Sink], None]] = dict.fromkeys(
            (ToolCall, ResourceRead, PromptGet, Completion, _List), self._work
        )
        self.doers[Cancel] = self.doers[Answered] = self._note
        self._endpoint = McpEndpoint(
            _Machine(machine),  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            self._sessions,
            clock,
        )

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, now or when it is done."""
        self._endpoint.handle(exchange)
        if exchange.head.method == "DELETE":
            self._let_go()

    def close(self) -> None:
        """End every stream properly: the bridge stops."""
        for voice, ident in list(self._streams.items()):
            voice.reply(self._machine.listened(ident))
        for session in self._sessions.all():
            if session.channel is not None:
                session.channel.standing.let_go()

    # -- who it is ----------------------------------------------------------------------------

    def _client(self, session: Session) -> Client:
        client = self._clients.get(session)
        if client is None:
            self._let_go()
            client = Client(SessionVoice(self._loop, session))
            version = session.version if session.introduced else None
            client.introduced(version, session.client, session.capabilities)
            client.initialized = True
            self._clients[session] = client
            self._core.desk.post(self._core.enter, client)
        client.level = session.level or LEVEL
        return client

    def _let_go(self) -> None:
        """Forget the clients of sessions that are over."""
        live = set(self._sessions.all())
        for session in [one for one in self._clients if one not in live]:
            self._core.desk.post(self._core.leave, self._clients.pop(session))

    # -- what it wants ------------------------------------------------------------------------

    def _work(self, exchange: Exchange, outcome: Any, sink: Sink) -> None:
        service, post = self._core.service, self._core.desk.post
        if outcome.stateless:
            # Whatever id it sends: this era knows no sessions.
            sink.session = None
        if sink.session is not None:
            client = self._client(sink.session)
        else:
            client = Client(Nobody())
            # As with a host: what is logged is for sessions, or asked for by the request.
            client.level = None
        if client.version is None:
            named = exchange.head.headers.get("mcp-protocol-version")
            client.version = named if named in HANDSHAKE else None
        voice = SinkVoice(
            self._loop, sink, outcome.stateless, lambda ident: self._unasked(client, ident)
        )
        act: Callable[..., None] = service.do
        args: Any = (client, outcome, voice)
        if type(outcome) is _List:
            act, args = service.list, (client, outcome.value, outcome.headers, voice)
        elif outcome.stateless:
            # Closing the stream is how a client of this era cancels. Earlier ones only leave.
            exchange.gone = lambda: post(service.leave, client)
            if type(outcome) is ToolCall:
                act, args = service.call, (client, outcome, exchange.head.headers, voice)
        post(service.answer, outcome.id, voice, act, *args)

    def _unasked(self, client: Client, ident: str) -> None:
        error = {"code": jsonrpc.INTERNAL_ERROR, "message": "it takes no stream to be asked on"}
        answered = Answered(ident, None, error)
        self._core.desk.post(self._core.service.do, client, answered, Nobody())

    def _note(self, exchange: Exchange, outcome: Any, sink: Sink) -> None:
        """Take what has no answer."""
        sink.nothing()
        if sink.session is not None:
            client = self._client(sink.session)
            self._core.desk.post(self._core.service.do, client, outcome, Nobody())

    def subscribe(self, exchange: Exchange, outcome: Subscribe, sink: Sink) -> None:
        """Begin or end to watch a resource for a session."""
        headers = exchange.head.headers
        ident = headers.get("mcp-session-id")
        session = sink.session
        if session is None and ident is not None:
            session = self._sessions.known(ident, version_of(headers, None))
        if session is None:
            text = "Watching a resource needs a session; initialize one"
            sink.reply(Reply(200, jsonrpc.error(outcome.id, jsonrpc.INVALID_REQUEST, text)))
            return
        voice = SinkVoice(self._loop, sink, False, lambda ident: None)
        client, service = self._client(session), self._core.service
        args = (client, outcome, voice)
        self._core.desk.post(service.answer, outcome.id, voice, service.do, *args)

    def listen(self, exchange: Exchange, outcome: Listen, sink: Sink) -> None:
        """Make the answer a stream of the changes that were asked for."""
        if not exchange.can_stream or not takes(exchange.head.headers, "text/event-stream"):
            text = "subscriptions/listen is answered by text/event-stream; accept that"
            sink.reply(self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, text, outcome.id)))
            return
        client, core = Client(Nobody()), self._core

        def gone() -> None:
            self._streams.pop(voice, None)
            core.desk.post(core.leave, client)

        voice = StreamVoice(self._loop, exchange, gone)
        self._streams[voice] = outcome.id
        core.desk.post(core.enter, client)
        voice.begin()
        args = (client, outcome, voice)
        core.desk.post(core.service.answer, outcome.id, voice, core.service.do, *args)
