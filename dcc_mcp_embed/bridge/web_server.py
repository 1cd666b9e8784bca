"""The bridge as a server on a loopback port, for clients that cannot start programs.

Who may come in is the same as with a host: its name, the origin of a page, and a token made from
the user's secret for the bridge and this port.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Dict, Optional

from .. import __version__
from ..clock import Clock
from ..config import Settings
from ..net.listener import Listener
from ..net.loop import Loop
from ..net.thread import LoopThread
from ..secret import open_secret
from ..server.admission import Admission
from ..server.arrival import HTTP
from ..server.exchange import Exchange, Headers
from ..server.front import Front
from ..server.http_connection import HttpConnection
from ..server.ports import CHALLENGE, KIND, PROOF, listen_as
from ..wire.mcp.machine import McpMachine
from .core import Core, MakeWatch
from .web import WebFront

__all__ = ["WebBridge"]

#: For which tokens are made, in place of a kind of host.
KIND_NAME = "bridge"
#: Seconds for answers under way to be read, and for the loop to end, at the end.
_FLUSH_S = 0.25
_GRACE_S = 1.0
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_ABOUT = "dcc_mcp_embed {}: the bridge to all hosts (process {}); MCP clients go to /mcp\n"


class WebBridge:
    """Listens on the port of ``settings`` from the begin on; ``start``, ``run``, and ``stop``.

    Raises StartError for a port that cannot be had, ConfigError for a secret that cannot.
    """

    def __init__(
        self,
        core: Core,
        machine: McpMachine,
        settings: Settings,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> None:
        self._core = core
        self._log = log
        self._secret = open_secret(settings.data_dir, clock)
        bound = listen_as(
            KIND_NAME, settings, self._secret, clock, lambda text: log("warning", text)
        )
        self._sock, self.port = bound.sock, bound.port
        self.token = self._secret.token(KIND_NAME, self.port)
        self._loop = Loop(clock, lambda where, error: log("error", "{}: {!r}".format(where, error)))
        self._thread = LoopThread(self._loop)
        self._web = WebFront(core, machine, self._loop, clock)
        handlers: Dict[str, Callable[[Exchange], None]] = {
            "/mcp": self._web.handle,
            "/": self._about,
        }
        public = {"/": 0}
        self._front = Front(
            self._loop,
            settings.limits,
            {HTTP: HttpConnection},
            Admission(self.port, self.token, tuple(handlers), tuple(public)),
            handlers,
            public,
            log,
        )
        self._listener: Optional[Listener] = None
        self._ended = threading.Event()

    def facts(self) -> Dict[str, Any]:
        """Return how to reach it."""
        return {
            "url": "http://127.0.0.1:{}/{}/mcp".format(self.port, self.token),
            "plain_url": "http://127.0.0.1:{}/mcp".format(self.port),
            "port": self.port,
            "pid": os.getpid(),
            "token": self.token,
            "version": __version__,
        }

    def start(self, watch: MakeWatch) -> None:
        """Begin to look for hosts, and to serve."""
        self._core.start(watch)
        self._loop.at_end(self._abort)
        self._loop.call_soon(self._open)
        self._thread.start()

    def run(self) -> None:
        """Do what is to be done until :meth:`stop`; then end every connection."""
        try:
            while not self._ended.is_set():
                self._core.desk.turn()
        finally:
            self._core.stop()
            self._loop.call_soon(self._wind_down)
            self._thread.finish(_GRACE_S)

    def stop(self) -> None:
        """Have :meth:`run` return. Any thread, or a signal handler."""
        self._core.desk.post(self._ended.set)

    # -- loop thread --------------------------------------------------------------------------

    def _open(self) -> None:
        self._listener = Listener(
            self._loop,
            self._sock,
            self._front.accept,
            lambda error: self._log("warning", "no new connections for a moment: {}".format(error)),
        )

    def _wind_down(self) -> None:
        self._listen_no_more()
        self._web.close()
        self._loop.call_later(_FLUSH_S, self._front.abort)
        # One more turn: what has been said already is sent, what has arrived is read.
        self._loop.call_soon(self._front.close, self._loop.stop)

    def _abort(self) -> None:
        self._listen_no_more()
        self._front.abort()

    def _listen_no_more(self) -> None:
        if self._listener is not None:
            self._listener.close()
        else:
            self._sock.close()

    def _about(self, exchange: Exchange) -> None:
        """Say what this is; to one of ours also prove it."""
        if exchange.head.method not in ("GET", "HEAD"):
            exchange.reply(405, _TEXT + (("Allow", "GET, HEAD"),), b"Only GET is served here.\n")
            return
        headers: Headers = (*_TEXT, (KIND, KIND_NAME))
        challenge = exchange.head.headers.get(CHALLENGE)
        if challenge is not None and len(challenge) <= 128:
            headers += ((PROOF, self._secret.proof(KIND_NAME, self.port, challenge)),)
        exchange.reply(200, headers, _ABOUT.format(__version__, os.getpid()).encode("ascii"))
