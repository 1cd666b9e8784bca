"""``POST /safe-stop``: end the server of this host, for whoever can read our registry row.

The dcc-mcp gateway sends no token, only what stands in the row: the instance's id and kind, and the
two random texts ``owner`` and ``session``. So those are what is asked for, all four. Stopping is
the host's business: it happens on its main thread, when no tool has that; here it is only queued.
"""

from __future__ import annotations

import hmac
from typing import Any, Callable, NamedTuple, Optional

from ..clock import Clock
from ..errors import ToolError
from ..host.dispatch import Dispatcher
from ..host.identity import Instance
from ..host.job import Job, Report
from ..wire import jsonrpc
from .admission import Refused
from .exchange import JSON, Exchange, problem

__all__ = ["MAX_BODY", "PATH", "Pass", "SafeStop", "make_pass"]

PATH = "/safe-stop"
#: Four short texts; strangers may send this much, bytes.
MAX_BODY = 4096


class Pass(NamedTuple):
    """What a row tells and a stranger cannot guess: who may stop this server."""

    owner: str
    session: str


def make_pass(clock: Clock) -> Pass:
    """Return a new one, good for one run of one server."""
    return Pass(clock.token_bytes(16).hex(), clock.token_bytes(16).hex())


class SafeStop:
    """Check who asks and queue the stop. ``stop()`` is called on the host's main thread."""

    def __init__(
        self,
        instance: Instance,
        wanted: Pass,
        main: Dispatcher,
        clock: Clock,
        stop: Callable[[], None],
        log: Callable[[str, str], None],
    ) -> None:
        self._expected = {
            "instance_id": instance.instance_id,
            "dcc_type": instance.dcc_type,
            "owner": wanted.owner,
            "session": wanted.session,
        }
        self._main = main
        self._clock = clock
        self._stop = stop
        self._log = log
        self._asked = False

    def handle(self, exchange: Exchange) -> None:
        """Answer one request; the answer leaves before the server ends. Loop thread."""
        refused = self._refused(exchange)
        if refused is None:
            refused = self._queue()
        if refused is not None:
            exchange.reply(refused.status, JSON + refused.headers, problem(refused.message))
            return
        # Queued first, so that this is true. What the main thread does about it comes back to this
        # thread in a later turn of the loop.
        exchange.reply(200, JSON, jsonrpc.encode({"success": True, "status": "stopping"}))

    def _refused(self, exchange: Exchange) -> Optional[Refused]:
        if exchange.head.method != "POST":
            return Refused(405, "Only POST is served here.", (("Allow", "POST"),))
        try:
            value = jsonrpc.decode(exchange.body)
        except jsonrpc.Fault as fault:
            return Refused(400, fault.message)
        if type(value) is not dict or any(type(value.get(n)) is not str for n in self._expected):
            return Refused(
                400, "The body is a JSON object with four texts: " + ", ".join(self._expected)
            )
        good = True
        for name, wanted in self._expected.items():
            shown = value[name].encode("utf-8", "replace")
            # Each of them, also after the first that differs: the time tells nothing.
            good = hmac.compare_digest(shown, wanted.encode("utf-8")) and good
        if good:
            return None
        return Refused(403, "This is not what stands in the registry row of the server here.")

    def _queue(self) -> Optional[Refused]:
        """Have the host's main thread stop the server; return why that is not possible now."""
        if self._asked:
            return None

        def settled(job: Job, answer: Any, error: Optional[BaseException]) -> None:
            """Nobody waits: the server settles this job itself when it stops."""

        job = Job(
            self._clock.uuid(),
            "safe-stop",
            self._stop,
            self._stopped,
            settled,
            client="safe-stop",
            writes=False,
        )
        try:
            self._main.submit(job)
        except ToolError as error:
            return Refused(
                503, "The server cannot stop now. " + error.message, (("Retry-After", "1"),)
            )
        self._asked = True
        self._log("info", "asked to stop, by somebody who can read the registry row")
        return None

    def _stopped(self, value: Any, error: Optional[BaseException], report: Report) -> None:
        if error is not None:
            self._asked = False
            self._log("error", "the server could not be stopped: {!r}".format(error))
