"""Whether calls reach the host: booting, ready or unavailable, and the two paths that say so.

Loop thread. ``GET /v1/readyz`` and ``GET /health`` are what the dcc-mcp gateway asks every five
seconds, without a token and ready to mark a host unreachable; they tell nothing but readiness and
never wait for the host.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..host.dispatch import Dispatcher
from ..records import NamedTuple
from ..wire import jsonrpc
from .exchange import JSON, Exchange, problem

__all__ = ["BOOTING", "READY", "UNAVAILABLE", "Readiness", "State"]

BOOTING = "booting"
READY = "ready"
UNAVAILABLE = "unavailable"
#: Where it went wrong, as the registry row names it.
MAIN_THREAD = "main-thread"

_FRESH = (*JSON, ("Cache-Control", "no-store"))
_ALLOWED = (*JSON, ("Allow", "GET, HEAD"))


class State(NamedTuple):
    """``status`` as the registry's ``dispatch_status``; the rest only for ``unavailable``."""

    status: str
    failure_stage: Optional[str] = None
    failure_reason: Optional[str] = None


class Readiness:
    """Follow the host's main thread: ready once it has run a job of ours, until it stalls.

    ``main`` is its dispatcher. ``changed(state)`` is told of every new state.
    """

    def __init__(self, main: Dispatcher, changed: Callable[[State], None]) -> None:
        self._main = main
        self._changed = changed
        self._reached = False
        #: The state that was told last; replaced, never altered. Any thread may read it.
        self.state = State(BOOTING)

    def reached(self) -> None:
        """The main thread has run a job."""
        self._reached = True
        self.look()

    def look(self) -> None:
        """See whether the main thread has stalled, or moves again."""
        status = BOOTING
        if self._main.stalled:
            status = UNAVAILABLE
        elif self._reached:
            status = READY
        if status == self.state.status:
            return
        state = State(status)
        if status == UNAVAILABLE:
            state = State(status, MAIN_THREAD, self._why())
        # At once: whoever writes it down must not find one that does not say why.
        self.state = state
        self._changed(state)

    def _why(self) -> str:
        text = "The host's main thread does not answer: calls in a row ran out of time."
        holder = self._main.holder()
        # The tool is ours to name. Not so the client, which may call itself anything, and not for
        # how long: this is written down and read later.
        return text if holder is None else "{} {} has it.".format(text, holder.tool)

    # -- what is asked ------------------------------------------------------------------------

    @property
    def bits(self) -> Dict[str, bool]:
        """Return what ``readyz`` shows. The process is there: it answers."""
        status = self.state.status
        dispatcher = status != UNAVAILABLE and not self._main.shut
        ready = status == READY and not self._main.shut
        return {
            "process": True,
            "dcc": self._reached,
            "dispatcher": dispatcher,
            # Tools are declared before the server listens.
            "skill_catalog": True,
            "host_execution_bridge": ready,
            "main_thread_executor": ready,
        }

    def readyz(self, exchange: Exchange) -> None:
        """Answer ``GET /v1/readyz``: 200 if everything that a call needs is there, else 503."""
        bits = self.bits
        self._answer(exchange, bits["dcc"] and bits["dispatcher"], bits)

    def health(self, exchange: Exchange) -> None:
        """Answer ``GET /health``, what is asked of servers that do not know ``readyz``."""
        ready = self.bits["main_thread_executor"]
        self._answer(exchange, ready, {"ready": ready, "status": self.state.status})

    def _answer(self, exchange: Exchange, ready: bool, body: Dict[str, Any]) -> None:
        if exchange.head.method not in ("GET", "HEAD"):
            exchange.reply(405, _ALLOWED, problem("Only GET is served here."))
            return
        exchange.reply(200 if ready else 503, _FRESH, jsonrpc.encode(body))
