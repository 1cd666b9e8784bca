"""One server on one loop: puts the parts together, opens, and winds down. No threads of its own."""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any, Callable, Dict, Optional

from .. import collector
from ..clock import Clock
from ..config import Limits, Settings
from ..errors import HostShuttingDown, PermissionDenied, ToolError
from ..host.adapter import HostAdapter, Question
from ..host.dispatch import Dispatcher
from ..host.identity import Instance
from ..host.job import Job, Report
from ..logbook import LogBook
from ..net.listener import Listener
from ..net.loop import Loop
from ..secret import Secret
from ..tools.table import ToolTable
from ..wire.mcp.machine import McpMachine
from .admission import Admission
from .arrival import FRAMED, HTTP
from .calls import Calls
from .control import Control
from .exchange import Exchange, Headers
from .exec_gate import CHOICES, ExecGate
from .front import Front
from .http_connection import HttpConnection
from .instructions import instructions
from .late import Late
from .local import LocalCalls
from .mcp_endpoint import McpEndpoint
from .mcp_works import Works
from .ports import CHALLENGE, KIND, PROOF
from .questions import Questions
from .readiness import Readiness, State
from .rest_endpoint import RestEndpoint
from .safe_stop import MAX_BODY, Pass, SafeStop
from .safe_stop import PATH as SAFE_STOP
from .sessions import Sessions
from .subscriptions import Subscriptions

__all__ = ["Server"]

#: How long connections get at the end to take their last answers, seconds.
FLUSH = 0.25
#: How long the registry waits for a loop that gets no time on a busy machine, seconds.
_SPOKEN = 2.0
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


class Server:
    """Everything between a listening socket and the two lanes on which tools run.

    Built on the host's main thread, opened and closed on the loop thread. ``stop()`` is called on
    the host's main thread when somebody with ``stop_pass`` asks for the end, ``state_changed`` on
    the loop thread. ``guest_token`` is what the dcc-mcp gateway shows (see :mod:`.gateway`).
    """

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        settings: Settings,
        sock: socket.socket,
        secret: Secret,
        token: Optional[str],
        instance: Instance,
        adapter: HostAdapter,
        interactive: bool,
        scene: Any,
        table: ToolTable,
        lanes: Dict[str, Dispatcher],
        logbook: LogBook,
        version: str,
        stop_pass: Pass,
        stop: Callable[[], None],
        state_changed: Callable[[State], None],
        guest_token: Optional[str] = None,
    ) -> None:
        limits: Limits = settings.limits
        self._loop = loop
        self._clock = clock
        self._sock = sock
        self._secret = secret
        self._instance = instance
        self._adapter = adapter
        self._lanes = lanes
        self._table = table
        self._auth = settings.auth
        self._logbook = logbook
        self._port: int = sock.getsockname()[1]
        self._limits = limits
        self._version = version
        self._listener: Optional[Listener] = None
        #: Set once the loop speaks the framed protocol, or never will.
        self._spoken = threading.Event()
        mode = settings.exec_mode or ("confirm" if interactive else "off")
        self.gate = ExecGate(mode, self._ask if interactive else None, clock)
        self.sessions = Sessions(clock, limits.sessions, clock.token_bytes(4).hex())
        control = Control(clock, version, instance, lanes, logbook, self._facts, table)
        self.calls = Calls(
            loop, clock, limits, instance, lanes, self.gate, adapter, scene, control, self._log
        )
        self.local = LocalCalls(table, lanes, adapter, scene, control, clock)
        machine = self._machine = McpMachine(
            {
                "name": "dcc-mcp-embed-" + instance.dcc_type,
                "title": "{} {}".format(instance.dcc_type, instance.version),
                "version": version,
                "description": "Tools that work on the open scene, inside the running host.",
            },
            table.listing,
            instructions(instance.dcc_type, instance.version),
            tasks=True,
        )
        questions = self.questions = Questions(clock, limits.asking_calls, limits.answer_timeout)
        works = self._works = Works(
            machine, table, self.calls, loop, questions, lambda: instance.block
        )
        self.subscriptions = Subscriptions(loop, machine, table, self.sessions)
        table.changed = self.subscriptions.lists_changed
        self.calls.scene_touched = self.subscriptions.scene_changed
        endpoint = McpEndpoint(
            machine, works, self.subscriptions, self.sessions, clock, settings.always_stream
        )
        legacy = Late(loop, self._load_legacy, self._log)
        self.readiness = Readiness(lanes["main"], state_changed)
        safe_stop = SafeStop(instance, stop_pass, lanes, clock, loop.call_soon, stop, self._log)
        handlers: Dict[str, Callable[[Exchange], None]] = {
            "/mcp": endpoint.handle,
            "/sse": legacy.handle,
            "/messages": legacy.handle,
            "/": self._about,
            "/v1/readyz": self.readiness.readyz,
            "/health": self.readiness.health,
            SAFE_STOP: safe_stop.handle,
        }
        handlers.update(RestEndpoint(table, self.calls, control, instance, clock).handlers)
        public = {"/": 0, "/v1/readyz": 0, "/health": 0, SAFE_STOP: MAX_BODY}
        self.front = Front(
            loop,
            limits,
            {HTTP: HttpConnection},
            Admission(
                self._port, token, tuple(handlers), tuple(public), settings.origins, guest_token
            ),
            handlers,
            public,
            self._log,
        )

    def load_framed(self) -> None:
        """Load the framed protocol and have it spoken. Any thread but the loop's.

        It takes a host's main thread a third of what the rest of a start takes, and nobody speaks
        it before the registry names us, so it is loaded when the server runs already. Returns once
        the loop speaks it, so that whoever reads the registry then has everything, or once it ends.
        """
        from .framed import FramedEndpoint
        from .framed_mcp import FramedMcp

        # So is what only clients with tasks need.
        from .tasks import Tasks

        self._loop.call_soon(self._works.have_tasks, Tasks)

        instance, clock = self._instance, self._clock
        endpoint = FramedEndpoint(
            self._table,
            self.calls,
            FramedMcp(
                self._machine.without_tasks(),
                self._works,
                self._table,
                self.subscriptions,
                lambda: instance.block,
            ),
            clock,
            lambda: instance.block,
            self._secret.wire_key(),
            self._port,
            instance.instance_id,
            clock.token_bytes(8).hex(),
            not self._auth,
            self._log,
        )
        self._loop.call_soon(self.front.speak, FRAMED, endpoint.connect)
        self._loop.call_soon(self._spoken.set)
        with collector.blocking():
            self._spoken.wait(_SPOKEN)

    def _load_legacy(self) -> Callable[[Exchange], None]:
        """Load the transport of 2024-11-05. Any thread but the loop's."""
        from .legacy_sse import LegacySse

        return LegacySse(
            self._machine, self._works, self.subscriptions, self.sessions, self._clock
        ).handle

    # -- loop thread --------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to accept connections, and see whether the host's main thread runs jobs."""
        self._listener = Listener(self._loop, self._sock, self.front.accept, self._exhausted)
        self._reach()

    def _reach(self) -> None:
        """Queue a first job; it waits for as long as the host takes to come to its event loop."""

        def settled(job: Job, answer: Any, error: Optional[BaseException]) -> None:
            if error is None:
                self._loop.call_soon(self.readiness.reached)

        job = Job(
            self._clock.uuid(),
            "first-contact",
            lambda: None,
            lambda value, error, report: True,
            settled,
            client="dcc_mcp_embed",
            writes=False,
        )
        try:
            self._lanes["main"].submit(job)
        except HostShuttingDown:
            # Stopped before it was open.
            return

    def wind_down(self, done: Callable[[], None]) -> None:
        """Stop accepting, let answers that are ready go out, then call ``done``. Loop thread."""
        self._spoken.set()
        self._listen_no_more()
        self.subscriptions.close()
        self.gate.close(HostShuttingDown("The server in this host was stopped."))
        self._loop.call_later(FLUSH, self.front.abort)
        # One more turn: requests that have arrived already are read, and refused in words. Closing
        # a socket with unread data would reset the connection instead.
        self._loop.call_soon(self.front.close, done)

    def abort(self) -> None:
        """Listen no more and end every connection now. Loop thread."""
        self._spoken.set()
        self._listen_no_more()
        self.front.abort()

    def _listen_no_more(self) -> None:
        if self._listener is not None:
            self._listener.close()
        else:
            # Stopped before it was open.
            self._sock.close()

    def scene_changed(self) -> None:
        """Tell of it: the host has opened or saved a file. The host's main thread."""
        self.calls.note_scene()
        self.subscriptions.scene_changed()

    def disown(self) -> None:
        """Close what a forked child inherited. The child's only thread."""
        self._sock.close()
        self.front.disown()

    def _exhausted(self, error: OSError) -> None:
        self._log("warning", "no new connections for a moment: {}".format(error))

    def _about(self, exchange: Exchange) -> None:
        """Say what this is; to one of ours also prove it."""
        if exchange.head.method not in ("GET", "HEAD"):
            exchange.reply(405, _TEXT + (("Allow", "GET, HEAD"),), b"Only GET is served here.\n")
            return
        headers: Headers = _TEXT
        challenge = exchange.head.headers.get(CHALLENGE)
        if challenge is not None and len(challenge) <= 128:
            proof = self._secret.proof(self._instance.dcc_type, self._port, challenge)
            headers = headers + ((PROOF, proof),)
        line = "dcc_mcp_embed {}: the MCP server of {} {} (process {}); MCP clients go to /mcp\n"
        exchange.reply(
            200,
            headers + ((KIND, self._instance.dcc_type),),
            line.format(
                self._version, self._instance.dcc_type, self._instance.version, self._instance.pid
            ).encode("utf-8"),
        )

    def _facts(self) -> Dict[str, Any]:
        return {
            "connections": len(self.front),
            "sessions": len(self.sessions),
            "calls": self.calls.total,
            "exec_mode": self.gate.mode,
            "platform": sys.platform,
        }

    def _log(self, level: str, text: str) -> None:
        self._logbook.add(level, "server", text)

    def _ask(
        self, client: str, decided: Callable[[str], None], failed: Callable[[ToolError], None]
    ) -> None:
        """Show the person at the host a question about running code. Loop thread."""
        loop = self._loop
        question = Question(
            "Run code?",
            "A client that calls itself {!r} wants to run Python code in this {}.".format(
                _shown(client), self._instance.dcc_type
            ),
            CHOICES,
            lambda choice: loop.call_soon(decided, choice),
        )

        def show() -> None:
            self._adapter.ask(question)

        def finish(value: Any, error: Optional[BaseException], report: Report) -> Any:
            if error is not None:
                self._log("error", "the question could not be shown: {!r}".format(error))
                refusal = PermissionDenied("The user could not be asked: {}".format(error))
                loop.call_soon(failed, refusal)
            return {}

        def settled(job: Job, answer: Any, error: Optional[BaseException]) -> None:
            if isinstance(error, ToolError):
                loop.call_soon(failed, error)

        job = Job(self._clock.uuid(), "ask", show, finish, settled, client=client, writes=False)
        try:
            self._lanes["main"].submit(job)
        except ToolError as error:
            failed(error)
            return
        loop.call_later(self._limits.ask_timeout, self._lanes["main"].expire, job)


def _shown(name: str) -> str:
    """Return a client's name fit for a question: one short line of printable characters."""
    return "".join(char for char in name if char.isprintable())[:60] or "nameless"
