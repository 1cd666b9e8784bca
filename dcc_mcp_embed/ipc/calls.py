"""The requests of all clients of one SocketServer that are under way, and what became of them.

Loop thread only, but for :meth:`Calls.done`. Nothing here waits and nothing here is a user's
function: requests go to :mod:`.handling`, and what comes of them is handed in.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, Optional, Tuple

from ..errors import HostBusy, HostShuttingDown, NotFound, ToolError
from ..net.loop import Loop
from ..net.timers import Timer
from ..rpc.content import unknown_outcome
from ..rpc.receipts import Outcome, Receipts
from ..wire.messages import Request
from .handlers import Found, Handlers
from .handling import Handling
from .limits import MAX_UNDER_WAY
from .outbox import Outbox
from .outcomes import Call, failed
from .tally import ServerTally

__all__ = ["Calls", "UnderWay"]

#: Requests of one client that are under way at once.
_MOST_CALLS = 1024
#: Bytes of the requests of all clients that are under way.
_MOST_BYTES = 4 * MAX_UNDER_WAY
#: A refusal names so many requests that there are.
_NAMES = 50


class UnderWay:
    """Requests that are under way. ``size``: bytes of their data, as it came."""

    def __init__(self) -> None:
        self._calls: Dict[Call, None] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        """Go through those that there are now; they may be removed meanwhile."""
        return iter(list(self._calls))

    def add(self, call: Call) -> None:
        """Count one more."""
        self._calls[call] = None
        self.size += call.size

    def remove(self, call: Call) -> bool:
        """Count one less; False: it is not there."""
        if self._calls.pop(call, call) is not None:
            return False
        self.size -= call.size
        return True


class Calls:
    """See the module. A ``caller`` has ``answer(id, success, payload, error)`` and ``under_way``.

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
        self.handling = Handling(self.done, loop, asyncio_loop, litter)
        self._loop = loop
        self._handlers = handlers
        self._outbox = outbox
        self._tally = tally
        self._idle = idle
        self._under_way = UnderWay()
        self._done: Deque[Tuple[Call, Outcome]] = deque()
        self._scheduled = False
        self._sweep: Optional[Timer] = None
        self._closing = False

    @property
    def in_flight(self) -> int:
        """How many there are. Any thread."""
        return len(self._under_way)

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
        for where in (self._under_way, caller.under_way):
            where.add(call)
        error = self._refusal(caller.under_way) or self.handling.start(call)
        if error is not None:
            self._finish(call, failed(error))

    def _refusal(self, of_caller: UnderWay) -> Optional[ToolError]:
        """Return why the newest request of a client is not handled, if so."""
        if self._closing:
            return _stopped("not_started")
        if len(of_caller) > _MOST_CALLS:
            text = "{} requests of this connection are under way already.".format(_MOST_CALLS)
        elif of_caller.size > MAX_UNDER_WAY:
            text = "The requests of this connection that are under way have {} bytes at most."
            text = text.format(MAX_UNDER_WAY)
        elif self._under_way.size > _MOST_BYTES:
            text = "The requests of all clients that are under way have {} bytes at most."
            text = text.format(_MOST_BYTES)
        else:
            return None
        return HostBusy(text, hint="Wait for some of their answers.", retry_after_ms=1000)

    def left(self, caller: Any) -> None:
        """A connection is closed: let go of its requests that have not begun.

        Not of those that it has sent again on another one, which waits for them.
        """
        for call in caller.under_way:
            awaited = call.kept and self.receipts.is_awaited(call.id)
            if not awaited and self.handling.withdraw(call):
                if call.kept:
                    self.receipts.withdraw(call.id)
                self._remove(call)
                call.caller = None

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
        if not self._remove(call):
            return  # it was answered when the server stopped
        caller = call.caller
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

    def _remove(self, call: Call) -> bool:
        return self._under_way.remove(call) and call.caller.under_way.remove(call)

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
        for call in self._under_way:
            if self.handling.withdraw(call):
                self._finish(call, failed(_stopped("not_started")))

    def give_up(self) -> None:
        """Tell whoever still waits that the handler goes on without them."""
        for call in self._under_way:
            self._finish(call, failed(_stopped("running")))


def _stopped(state: str) -> HostShuttingDown:
    return HostShuttingDown("The server is being stopped.", state=state)
