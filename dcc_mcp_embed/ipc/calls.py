"""The requests of all clients of one SocketServer that are under way, and what became of them.

Loop thread only, but for :meth:`Calls.done`. Nothing here waits and nothing here is a user's
function: requests go to :mod:`.handling`, and what comes of them is handed in.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Tuple

from ..errors import HostBusy, HostShuttingDown, NotFound
from ..net.loop import Loop
from ..net.timers import Timer
from ..rpc.content import unknown_outcome
from ..rpc.receipts import Outcome, Receipts
from ..wire.messages import Request
from .handlers import Found, Handlers
from .handling import Call, Handling, failed
from .outbox import Outbox
from .tally import ServerTally

__all__ = ["Calls"]

#: Requests of one client that are under way at once.
_MOST_CALLS = 1024
#: A refusal names so many requests that there are.
_NAMES = 50


class Calls:
    """See the module. A ``caller`` has ``answer(id, success, payload, error)`` and ``running``.

    ``idle()`` is called when there may be nothing under way any more; ``asyncio_loop`` and
    ``litter``: see Handling.
    """

    def __init__(
        self,
        loop: Loop,
        handlers: Handlers,
        receipts: Receipts,
        outbox: Outbox,
        tally: ServerTally,
        idle: Callable[[], None],
        asyncio_loop: Any,
        litter: Callable[[], None],
    ) -> None:
        self.receipts = receipts
        self.find = handlers.find
        self.handling = Handling(self.done, asyncio_loop, litter)
        self._loop = loop
        self._handlers = handlers
        self._outbox = outbox
        self._tally = tally
        self._idle = idle
        self._calls: Dict[Call, None] = {}
        self._done: Deque[Tuple[Call, Outcome]] = deque()
        self._scheduled = False
        self._sweep: Optional[Timer] = None
        self._closing = False

    @property
    def in_flight(self) -> int:
        """How many there are. Any thread."""
        return len(self._calls)

    def no_such(self, name: str) -> Outcome:
        """Return what a request is answered that nobody handles."""
        there = self._handlers.names()
        listed = ", ".join(there[:_NAMES]) + (", ..." if len(there) > _NAMES else "")
        return failed(
            NotFound(
                "There is no request {!r} here; there are: {}".format(
                    name[:100], listed or "none yet"
                ),
                hint="Register a handler for it, or correct the name.",
                state="not_started",
            )
        )

    def begin(self, request: Request, caller: Any, found: Found, kept: bool) -> None:
        """Have a request handled that was judged to run."""
        call = Call(request.id, request.method, request.params, caller, found[0], found[1])
        call.kept = kept
        self._calls[call] = None
        caller.running += 1
        if caller.running > _MOST_CALLS or self._closing:
            self._refuse(call)
            return
        error = self.handling.start(call)
        if error is not None:
            self._finish(call, failed(error))

    def _refuse(self, call: Call) -> None:
        if self._closing:
            self._finish(call, _stopped("not_started"))
            return
        text = "{} requests of this connection are under way already.".format(_MOST_CALLS)
        error = HostBusy(text, hint="Wait for some of their answers.", retry_after_ms=1000)
        self._finish(call, failed(error))

    def done(self, call: Call, outcome: Outcome) -> None:
        """Hand in what came of a call. Any thread."""
        call.told = True
        self._done.append((call, outcome))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._finish_done)

    def _finish_done(self) -> None:
        # Lowered first: what is handed in and not seen below asks for another round.
        self._scheduled = False
        done = self._done
        for _ in range(len(done)):
            call, outcome = done.popleft()
            self._finish(call, outcome)
        self._outbox.flush()
        self._idle()

    def _finish(self, call: Call, outcome: Outcome) -> None:
        if self._calls.pop(call, call) is not None:
            return  # it was answered when the server stopped
        caller = call.caller
        caller.running -= 1
        if not call.kept:
            caller.answer(call.id, *outcome)
            return
        success, payload, error = outcome
        now = self._loop.clock.monotonic()
        for waiter in self.receipts.finish(call.id, success, payload, error, now):
            if waiter is not caller:
                self._tally.joined += 1
            waiter.answer(call.id, success, payload, error)  # type: ignore[attr-defined]
        if self._sweep is None:
            self.arm_sweep()

    def note_replay(self, payload: bytes) -> None:
        """Count an answer to a request that had been here before."""
        if unknown_outcome(payload) is None:
            self._tally.replayed += 1
        else:
            self._tally.unknown_outcomes += 1

    # -- receipts -----------------------------------------------------------------------------

    def arm_sweep(self) -> None:
        """Have receipts that expire let go; one timer, at the next moment there is something."""
        if self._sweep is None and not self._closing:
            when = self.receipts.next_sweep()
            if when is not None:
                self._sweep = self._loop.call_at(when, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        self.receipts.sweep(self._loop.clock.monotonic())
        self.arm_sweep()

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Begin nothing more; who waits for a handler that has not begun is told so."""
        self._closing = True
        if self._sweep is not None:
            self._sweep.cancel()
        for call in list(self._calls):
            if call.claim():
                self._finish(call, _stopped("not_started"))

    def give_up(self) -> None:
        """Tell whoever still waits that the handler goes on without them."""
        for call in list(self._calls):
            self._finish(call, _stopped("running"))


def _stopped(state: str) -> Outcome:
    return failed(HostShuttingDown("The server is being stopped.", state=state))
