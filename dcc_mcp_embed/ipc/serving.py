"""All clients of one SocketServer, what they have asked, and what has become of it.

Loop thread only, but for what says otherwise. Nothing here waits and nothing here is a user's
function: requests go to :mod:`.handling`, and what comes of them is handed in by :meth:`done`.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from ..clock import Clock
from ..errors import HostBusy, HostShuttingDown, NotFound
from ..net.listener import BACKLOG
from ..net.loop import READ, Loop
from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from ..rpc.content import unknown_outcome
from ..rpc.hello import Facts
from ..rpc.receipts import Outcome, Receipts
from ..wire.messages import Request
from .caller import LINGER, Caller, farewell
from .handling import Call, Handler, Handling, failed
from .places import Listening

__all__ = ["Found", "Names", "Serving", "settle"]

#: Clients at once.
_MOST_CALLERS = 256
#: Connections at once that have not said hello; one too many costs the oldest its place, but for
#: those that have just come.
_MOST_STRANGERS = 32
#: Seconds that a connection counts as one that has just come.
_GRACE = 1.0
#: Requests of one client that are under way at once.
_MOST_CALLS = 1024
#: Seconds that handlers have to come to their end when the server stops.
_STOPPING = 1.0
#: Seconds without accepting when the process is out of files.
_REST = 0.25
#: A refusal names so many requests that there are.
_NAMES = 50
#: Seconds after a remark about a refused connection in which there is no other.
_QUIET = 10.0

#: A handler, and whether it is a coroutine function.
Found = Tuple[Handler, bool]


class Names(NamedTuple):
    """How requests are looked up. Any thread."""

    find: Callable[[str], Optional[Found]]
    listing: Callable[[], List[str]]


def settle(future: Any, value: Any) -> None:
    """Set a future's result unless it has one, or nobody waits any more. Any thread."""
    if future.done():
        # Before 3.8 a second result would be taken, and told again.
        return
    try:
        future.set_result(value)
    except Exception:  # InvalidStateError, which has no name before 3.8: another thread was quicker
        pass


class Serving:
    """See the module. ``health_interval`` None: nobody is pinged. ``log(text, *args)``: a remark.

    ``ended``: a future that is set when all is closed. The counts may be read by any thread.
    """

    def __init__(
        self,
        loop: Loop,
        listening: Listening,
        receipts: Receipts,
        facts: Facts,
        names: Names,
        health_interval: Optional[float],
        log: Callable[..., Any],
        ended: Any,
    ) -> None:
        self.loop = loop
        self.clock: Clock = loop.clock
        self.receipts = receipts
        self.facts = facts
        self.key = listening.key
        self.address = listening.address
        self.find = names.find
        self.health_interval = health_interval
        self._listening = listening
        self._names = names
        self._log = log
        self._ended = ended
        #: Set before anything runs.
        self.handling: Handling = None  # type: ignore[assignment]
        #: Those that have something to send; see :meth:`flush`.
        self.unsent: List[Caller] = []
        #: Pushes that are asked for and not answered; see :meth:`ask`.
        self._asked: Set[Any] = set()
        self._strangers: Dict[Caller, None] = {}
        self._callers: Dict[Caller, None] = {}
        self._refused: Dict[Stream, None] = {}
        self._calls: Dict[Call, None] = {}
        self._done: Deque[Tuple[Call, Outcome]] = deque()
        self._scheduled = False
        self._sweep: Optional[Timer] = None
        self._rest: Optional[Timer] = None
        self._quiet_until = 0.0
        self._closing = False
        self._closed = False
        # What is counted.
        self.accounts: Dict[str, int] = {}
        self.connections_total = 0
        self.refused = 0
        self.dropped = 0
        self.requests = 0
        self.responses = 0
        self.errors = 0
        self.replayed = 0
        self.joined = 0
        self.unknown = 0
        self.pushes = 0
        self.pushes_skipped = 0

    # -- connections --------------------------------------------------------------------------

    def begin_listening(self) -> None:
        """Take connections from now on."""
        self.loop.register(self._listening.sock, READ, self._ready)

    def _ready(self, events: int) -> None:
        for _ in range(BACKLOG):
            if self._closing:
                return
            try:
                sock = self._listening.accept()
            except OSError as error:
                # Mostly the process is out of files: nothing but waiting helps.
                self.loop.unregister(self._listening.sock)
                self._rest = self.loop.call_later(_REST, self._resume)
                self._log("no connection can be taken: %s", error)
                return
            if sock is None:
                return
            self._take(sock)

    def _resume(self) -> None:
        self._rest = None
        if self._listening.sock.fileno() >= 0:
            self.begin_listening()

    def _take(self, sock: socket.socket) -> None:
        full = len(self._callers) + len(self._strangers) >= _MOST_CALLERS
        if full:
            full = not self._evict_stranger(0.0)
        elif len(self._strangers) >= _MOST_STRANGERS:
            self._evict_stranger(_GRACE)
        try:
            if full:
                self._turn_away(sock)
            else:
                self._strangers[Caller(self, sock)] = None
        except OSError:
            sock.close()

    def _evict_stranger(self, age: float) -> bool:
        """Drop the oldest stranger if it is at least so many seconds old."""
        for caller in self._strangers:
            if self.clock.monotonic() - caller.opened < age:
                return False
            caller.make_room()
            return True
        return False

    def _turn_away(self, sock: socket.socket) -> None:
        reason = "{} clients are connected already; try again later".format(_MOST_CALLERS)
        self.turned_away(reason)
        if len(self._refused) >= _MOST_STRANGERS:
            sock.close()
            return
        _Refused(self.loop, sock, self._refused, farewell(reason))

    def turned_away(self, reason: str) -> None:
        """Note that somebody was not let in."""
        if self._closing:
            return
        self.refused += 1
        now = self.clock.monotonic()
        if now >= self._quiet_until:
            # Whoever tries again and again shall not fill the log.
            self._quiet_until = now + _QUIET
            self._log("a connection was refused: %s", reason)

    def greeted(self, caller: Caller) -> None:
        """Count a stranger as a client from now on."""
        self._strangers.pop(caller, None)
        self._callers[caller] = None
        self.connections_total += 1
        self.accounts[caller.account] = self.accounts.get(caller.account, 0) + 1

    def drop(self, caller: Caller, text: str, *args: Any) -> None:
        """End a connection that is of no use."""
        self.dropped += 1
        self._log("the connection of %r was dropped: %s", caller.account, text.format(*args))
        caller.abort()

    def forget(self, caller: Caller) -> None:
        """A connection is closed."""
        self._strangers.pop(caller, None)
        if self._callers.pop(caller, caller) is None:
            left = self.accounts[caller.account] - 1
            if left:
                self.accounts[caller.account] = left
            else:
                del self.accounts[caller.account]
            self.arm_sweep()
        self._check_closed()

    @property
    def connections(self) -> int:
        """How many clients are connected. Any thread."""
        return len(self._callers)

    @property
    def in_flight(self) -> int:
        """How many requests are under way. Any thread."""
        return len(self._calls)

    # -- requests -----------------------------------------------------------------------------

    def no_such(self, name: str) -> Outcome:
        """Return what a request is answered that nobody handles."""
        there = self._names.listing()
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

    def begin(self, request: Request, caller: Caller, found: Found, kept: bool) -> None:
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
            self.loop.call_soon(self._finish_done)

    def _finish_done(self) -> None:
        # Lowered first: what is handed in and not seen below asks for another round.
        self._scheduled = False
        done = self._done
        for _ in range(len(done)):
            call, outcome = done.popleft()
            self._finish(call, outcome)
        self.flush()
        self._check_idle()

    def _finish(self, call: Call, outcome: Outcome) -> None:
        if self._calls.pop(call, call) is not None:
            return  # it was answered when the server stopped
        caller = call.caller
        caller.running -= 1
        if not call.kept:
            caller.answer(call.id, *outcome)
            return
        success, payload, error = outcome
        now = self.clock.monotonic()
        for waiter in self.receipts.finish(call.id, success, payload, error, now):
            if waiter is not caller:
                self.joined += 1
            waiter.answer(call.id, success, payload, error)  # type: ignore[attr-defined]
        if self._sweep is None:
            self.arm_sweep()

    def flush(self) -> None:
        """Send what there is to send; at the end of whatever made it."""
        unsent = self.unsent
        while unsent:
            unsent.pop().flush()

    def note_replay(self, payload: bytes) -> None:
        """Count an answer to a request that had been here before."""
        if unknown_outcome(payload) is None:
            self.replayed += 1
        else:
            self.unknown += 1

    def arm_sweep(self) -> None:
        """Have receipts that expire let go; one timer, at the next moment there is something."""
        if self._sweep is None and not self._closing:
            when = self.receipts.next_sweep()
            if when is not None:
                self._sweep = self.loop.call_at(when, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        self.receipts.sweep(self.clock.monotonic())
        self.arm_sweep()

    # -- pushes -------------------------------------------------------------------------------

    def ask(self, data: bytes, to: Optional[Iterable[str]], answer: Any) -> None:
        """Have a push's frame sent; ``answer`` is a future for how many got it. Any thread."""
        self._asked.add(answer)
        self.loop.call_soon(self._push, data, to, answer)
        if self._ended.done():
            # Perhaps nobody looks at the loop's calls any more.
            self._unanswered()

    def _push(self, data: bytes, to: Optional[Iterable[str]], answer: Any) -> None:
        wanted = None if to is None else frozenset(to)
        sent = 0
        for caller in list(self._callers):
            if wanted is None or caller.account in wanted:
                if caller.push(data):
                    sent += 1
                else:
                    self.pushes_skipped += 1
        self.pushes += sent
        self.flush()
        self._asked.discard(answer)
        settle(answer, sent)

    def _unanswered(self) -> None:
        for answer in list(self._asked):
            self._asked.discard(answer)
            settle(answer, 0)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop: take nothing more, answer what is under way, close; idempotent.

        Handlers that run have a moment to come to their end. Whoever still waits then is told that
        the server has stopped, and whether the handler had begun.
        """
        if self._closing:
            return
        self._closing = True
        self._stop_listening()
        if self._sweep is not None:
            self._sweep.cancel()
        for caller in list(self._strangers):
            caller.stop(_STOPPED)
        for call in list(self._calls):
            if call.claim():
                self._finish(call, _stopped("not_started"))
        self.flush()
        if self._calls:
            self.loop.call_later(_STOPPING, self._give_up)
        self._check_idle()

    def _stop_listening(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        elif self._listening.sock.fileno() >= 0:
            self.loop.unregister(self._listening.sock)
        self._listening.close()

    def _give_up(self) -> None:
        for call in list(self._calls):
            self._finish(call, _stopped("running"))
        self.flush()
        self._check_idle()

    def _check_idle(self) -> None:
        """Once nothing is under way any more, end the connections."""
        if not self._closing or self._calls or self._closed:
            return
        self._closed = True
        self.handling.stop()
        for stream in list(self._refused):
            stream.abort()
        for caller in list(self._callers):
            caller.stop(_STOPPED)
        self._check_closed()

    def _check_closed(self) -> None:
        if self._closed and not self._callers and not self._strangers:
            self.loop.stop()
            settle(self._ended, None)
            self._unanswered()

    def disown(self) -> None:
        """Close this process's copies after a fork. The child's only thread."""
        self._listening.close()
        for caller in [*self._callers, *self._strangers]:
            caller.stream.disown()
        for stream in self._refused:
            stream.disown()


class _Refused(Protocol):
    """A connection that is told why it is not served, and nothing else."""

    def __init__(
        self, loop: Loop, sock: socket.socket, among: Dict[Stream, None], data: bytes
    ) -> None:
        self._among = among
        self.stream = Stream(loop, sock, self)
        among[self.stream] = None
        self._timer = loop.call_later(LINGER, self.stream.abort)
        self.stream.write(data)
        self.stream.close_politely()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._timer.cancel()
        self._among.pop(self.stream, None)


_STOPPED = "the server has been stopped"


def _stopped(state: str) -> Outcome:
    return failed(HostShuttingDown("The server is being stopped.", state=state))
