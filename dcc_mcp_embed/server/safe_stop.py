"""``POST /safe-stop``: end the server of this host, for whoever can read our registry row.

The dcc-mcp gateway sends no token, only what stands in the row: the instance's id and kind, and the
two random texts ``owner`` and ``session``. So those are what is asked for, all four.

Nothing that was accepted before is broken off: from then on new calls are refused, and once no call
waits, runs or is between two steps, on whichever thread, the host's main thread stops the server.
There is no limit to that but those calls' own; whoever cannot wait ends them (``cancel_job``), or
the process.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..clock import Clock
from ..digest import compare_digest
from ..errors import HostShuttingDown
from ..host.dispatch import Dispatcher
from ..host.identity import Instance
from ..host.job import Job, Report
from ..records import NamedTuple
from ..wire import jsonrpc
from .admission import Refused
from .exchange import JSON, Exchange, problem

__all__ = ["MAX_BODY", "PATH", "Pass", "SafeStop", "make_pass"]

PATH = "/safe-stop"
#: Four short texts; strangers may send this much, bytes.
MAX_BODY = 4096
_REASON = "The server in this host was asked to stop; it only ends what it has begun."


class Pass(NamedTuple):
    """What a row tells and a stranger cannot guess: who may stop this server."""

    owner: str
    session: str


def make_pass(clock: Clock) -> Pass:
    """Return a new one, good for one run of one server."""
    return Pass(clock.token_bytes(16).hex(), clock.token_bytes(16).hex())


class SafeStop:
    """Check who asks, let everything come to its end, have the server stopped. Loop thread.

    ``lanes``: on which calls run; ``later(function)`` calls back on the loop thread, from any.
    ``stop()`` is called on the host's main thread.
    """

    def __init__(
        self,
        instance: Instance,
        wanted: Pass,
        lanes: Dict[str, Dispatcher],
        clock: Clock,
        later: Callable[[Callable[[], None]], None],
        stop: Callable[[], None],
        log: Callable[[str, str], None],
    ) -> None:
        self._expected = {
            "instance_id": instance.instance_id,
            "dcc_type": instance.dcc_type,
            "owner": wanted.owner,
            "session": wanted.session,
        }
        self._lanes = lanes
        self._clock = clock
        self._later = later
        self._stop = stop
        self._log = log
        self._asked = False
        self._queued = False

    def handle(self, exchange: Exchange) -> None:
        """Answer one request; the answer leaves before the server ends. Loop thread."""
        refused = self._refused(exchange)
        if refused is not None:
            exchange.reply(refused.status, JSON + refused.headers, problem(refused.message))
            return
        self._begin()
        # True by now, also if it is so for the second time. What the main thread does about it
        # comes back to this thread in a later turn of the loop.
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
            good = compare_digest(shown, wanted.encode("utf-8")) and good
        if good:
            return None
        return Refused(403, "This is not what stands in the registry row of the server here.")

    def _begin(self) -> None:
        if self._asked:
            # Should waking the host have failed, nobody else would try again.
            self._lanes["main"].prod()
            return
        self._asked = True
        self._log("info", "asked to stop, by somebody who can read the registry row")
        for lane in self._lanes.values():
            lane.finish(_REASON, lambda: self._later(self._look))
        self._look()

    def _look(self) -> None:
        """Have the host's main thread stop the server if there is nothing left to wait for."""
        if self._queued or not all(lane.resting for lane in self._lanes.values()):
            return
        self._queued = True

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
            self._lanes["main"].submit_last(job)
        except HostShuttingDown:
            # Somebody else has stopped it.
            return

    def _stopped(self, value: Any, error: Optional[BaseException], report: Report) -> None:
        if error is not None:
            self._log("error", "the server could not be stopped: {!r}".format(error))
