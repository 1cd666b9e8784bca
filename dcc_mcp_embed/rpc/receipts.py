"""What became of the calls that must not run twice: the server's memory of them, pure.

A call is looked up by its request id before it runs. The id says where it belongs: 8 bytes name a
*line*, which is one client's logical connection and outlives its sockets, and 8 bytes number the
line's calls upwards, gaps allowed. A line is named by the server, at random, once. Each has a
*horizon*, which only grows, and so one answer for each id:

    in the table                            what the table says
    not there, its line is forgotten        unknown
    not there, its number below the horizon unknown: it may have run
    not there, otherwise                    it has never run

This is right because an id enters the table before its call runs and leaves it in three ways only:
the horizon passes it in the same step, its line is forgotten and never named again, or its call is
withdrawn before it has begun. So what has run is never taken for new. The price is that an id which
has not run is called unknown if a later one of its line was evicted first; that is safe, and needs
a call to be overtaken by thousands.

Going by the horizon, memory holds what is live and no list of what is gone. Acknowledged receipts
give up their results at once and their places as soon as the client says that nothing below some
number will ever come again (a stalled connection may still deliver an old copy until then).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Dict, Hashable, Iterable, List, Optional, Tuple

from ..errors import LocalProtocolError
from ..records import NamedTuple

__all__ = [
    "DROPPED",
    "FIRST_NUMBER",
    "JOIN",
    "REPLAY",
    "RUN",
    "UNKNOWN",
    "Limits",
    "Outcome",
    "Receipts",
    "Verdict",
    "split",
]

#: It has never run: run it, and call ``finish``.
RUN = "run"
#: It is running; who asks is told when it has finished.
JOIN = "join"
#: It has run, and this is what came of it.
REPLAY = "replay"
#: It has run; what came of it was too large to be kept.
DROPPED = "dropped"
#: It may have run: nothing is remembered.
UNKNOWN = "unknown"

_LINE = 8
#: The lowest number of a line: with this bit an id looks like a UUID of version 4.
FIRST_NUMBER = 1 << 63


class Limits(NamedTuple):
    """What the store may hold. The first two are the design's; running calls count for none."""

    #: Bytes of all results. Beyond it the oldest are dropped, not what is known of their calls.
    result_bytes: int = 8 * 1024 * 1024
    #: Receipts, with the acknowledged that are still in place. Beyond it the oldest is evicted.
    entries: int = 10_000
    #: Bytes of one result: an eighth of all, so that no single call costs every other its result.
    one_result: int = 1024 * 1024
    #: Seconds that a receipt is kept, and a line that nobody is connected to.
    ttl: float = 1800.0
    #: Lines. Beyond it one that nobody is connected to is forgotten before its time.
    lines: int = 1024


class Outcome(NamedTuple):
    """How a call ended, as its response says it."""

    success: bool
    payload: bytes = b""
    error: Optional[str] = None


class Verdict(NamedTuple):
    """What to do about a call. ``outcome`` comes with REPLAY only."""

    action: str
    outcome: Optional[Outcome] = None


def split(request_id: bytes) -> Tuple[bytes, int]:
    """Return the line of a request id and its number there."""
    return request_id[:_LINE], int.from_bytes(request_id[_LINE:], "big")


_RUNNING, _DONE, _DROPPED, _ACKNOWLEDGED = range(4)
_SETTLED = {_DROPPED: Verdict(DROPPED), _ACKNOWLEDGED: Verdict(UNKNOWN)}
_RUN, _JOIN, _UNKNOWN = Verdict(RUN), Verdict(JOIN), Verdict(UNKNOWN)


class _Entry:
    """One call. ``acknowledged`` while it runs: nobody will ask for what comes of it."""

    __slots__ = ("acknowledged", "expires_at", "id", "outcome", "size", "state", "waiters")

    def __init__(self, request_id: bytes) -> None:
        self.id = request_id
        self.state = _RUNNING
        self.waiters: Dict[Hashable, None] = {}
        self.acknowledged = False
        self.outcome: Optional[Outcome] = None
        self.size = 0
        self.expires_at = 0.0


class _Line:
    """One client's calls, by number; everything below the horizon is in the past.

    The client has ``released`` what is below that; evictions may put the horizon further.
    """

    __slots__ = ("attached", "entries", "horizon", "idle_since", "released", "running")

    def __init__(self) -> None:
        self.entries: Dict[int, _Entry] = {}
        self.horizon = self.released = FIRST_NUMBER
        self.running = 0
        self.attached = 0
        self.idle_since = 0.0


class Receipts:
    """The store. One owner, one thread; ``now`` is monotonic seconds and never goes back.

    A *waiter* is whoever is to be told of a result, such as a connection; anything hashable.
    Each method is O(1), amortised over calls and their numbers; ``leave`` costs what it lets go of,
    and room for a line is sought past idle ones with running calls. Memory is in proportion to the
    live entries and lines.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        self.limits = limits
        self._lines: Dict[bytes, _Line] = {}
        #: In the order of finishing, which is the order of expiry: all live equally long.
        self._finished: OrderedDict[bytes, _Entry] = OrderedDict()
        #: Those of them that hold a result.
        self._holding: OrderedDict[bytes, _Entry] = OrderedDict()
        self._held = 0
        #: How many calls have been told to run and have not finished.
        self.running = 0
        #: Lines that nobody is connected to, the longest idle first.
        self._idle: OrderedDict[bytes, _Line] = OrderedDict()
        #: What each waiter waits for.
        self._waits: Dict[Hashable, Dict[bytes, _Entry]] = {}

    # -- state --------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many calls are running or remembered."""
        return len(self._finished) + self.running

    @property
    def result_bytes(self) -> int:
        """How many bytes of results are held."""
        return self._held

    def next_sweep(self) -> Optional[float]:
        """Return when :meth:`sweep` has something to do next, in monotonic seconds; None: never.

        A line whose call takes longer than that may put it off.
        """
        moments = []
        if self._finished:
            moments.append(next(iter(self._finished.values())).expires_at)
        if self._idle:
            moments.append(next(iter(self._idle.values())).idle_since + self.limits.ttl)
        return min(moments) if moments else None

    def waiting(self, waiter: Hashable) -> int:
        """Return how many calls a waiter waits for."""
        return len(self._waits.get(waiter, ()))

    # -- lines --------------------------------------------------------------------------------

    def open_line(self, line: bytes, now: float) -> None:
        """Begin a line, attached once. ``line``: 8 random bytes that were never used before.

        Raises LocalProtocolError for a line that is there.
        """
        if len(line) != _LINE or line in self._lines:
            raise LocalProtocolError("a line needs {} new random bytes".format(_LINE))
        self.sweep(now)
        self._lines[line] = _Line()
        self._lines[line].attached = 1
        if len(self._lines) > self.limits.lines:
            self._make_room()

    def attach(self, line: bytes, now: float) -> bool:
        """Note that one more connection carries a line; False: it is not known any more."""
        self.sweep(now)
        found = self._lines.get(line)
        if found is None:
            return False
        found.attached += 1
        self._idle.pop(line, None)
        return True

    def detach(self, line: bytes, now: float) -> None:
        """Undo one ``open_line`` or ``attach``: its connection is gone."""
        found = self._lines[line]
        found.attached -= 1
        if not found.attached:
            found.idle_since = now
            self._idle[line] = found

    # -- the life of a call -------------------------------------------------------------------

    def accept(self, request_id: bytes, waiter: Hashable, now: float) -> Verdict:
        """Judge a request that has arrived. RUN is said once for each id, ever.

        After RUN and JOIN ``waiter`` is among those whom ``finish`` returns.
        """
        return self._judge(request_id, waiter, now, True)

    def ask(self, request_id: bytes, waiter: Hashable, now: float) -> Verdict:
        """Judge a request that its client asks about: as ``accept``, but RUN changes nothing."""
        return self._judge(request_id, waiter, now, False)

    def finish(
        self, request_id: bytes, success: bool, payload: bytes, error: Optional[str], now: float
    ) -> List[Hashable]:
        """Keep what came of a running call and return who waits for it, in order of arrival.

        Raises LocalProtocolError for a call that is not running.
        """
        number = split(request_id)[1]
        line, entry = self._find(request_id)
        if line is None or entry is None or entry.state != _RUNNING:
            raise LocalProtocolError("{} is not running".format(request_id.hex()))
        waiters = list(entry.waiters)
        for waiter in waiters:
            self._forget_wait(waiter, request_id)
        entry.waiters = {}
        line.running -= 1
        self.running -= 1
        if number < line.released:
            del line.entries[number]
            return waiters
        entry.state = _ACKNOWLEDGED
        entry.expires_at = now + self.limits.ttl
        self._finished[request_id] = entry
        if not entry.acknowledged:
            self._hold(entry, Outcome(success, payload, error))
        self.sweep(now)
        while len(self._finished) > self.limits.entries:
            self._evict()
        return waiters

    def is_awaited(self, request_id: bytes) -> bool:
        """Return whether anybody waits for what comes of a running call."""
        entry = self._find(request_id)[1]
        return entry is not None and bool(entry.waiters)

    def withdraw(self, request_id: bytes) -> None:
        """Forget a call that was told to run, has not begun and never will: RUN may be said again.

        Raises LocalProtocolError for a call that is not running, or that somebody waits for.
        """
        line, entry = self._find(request_id)
        if line is None or entry is None or entry.state != _RUNNING or entry.waiters:
            raise LocalProtocolError("{} cannot be withdrawn".format(request_id.hex()))
        del line.entries[split(request_id)[1]]
        line.running -= 1
        self.running -= 1

    def leave(self, waiter: Hashable) -> None:
        """Strike a waiter that is gone off every list; its calls run on."""
        for entry in self._waits.pop(waiter, {}).values():
            del entry.waiters[waiter]

    def ack(self, request_ids: Iterable[bytes]) -> None:
        """Let go of results that have arrived. What is not known is passed over."""
        for request_id in request_ids:
            entry = self._find(request_id)[1]
            if entry is not None:
                self._acknowledge(entry)

    def release(self, line: bytes, below: int) -> None:
        """Move a line's horizon up to a number: the client has settled every call below it."""
        found = self._lines.get(line)
        if found is None or below <= found.released:
            return
        entries = found.entries
        numbers: Iterable[int] = range(found.released, below)
        if below - found.released > len(entries):
            # A client may skip as many numbers as it likes.
            numbers = list(entries)
        found.released = below
        found.horizon = max(found.horizon, below)
        for number in numbers:
            entry = entries.get(number)
            if entry is None or number >= below:
                continue
            self._acknowledge(entry)
            if entry.state != _RUNNING:
                del entries[number]
                del self._finished[entry.id]

    def sweep(self, now: float) -> None:
        """Let go of what has expired. The other methods do it too; this is for an idle server."""
        while self._finished and next(iter(self._finished.values())).expires_at <= now:
            self._evict()
        while self._idle:
            token, line = next(iter(self._idle.items()))
            if line.idle_since + self.limits.ttl > now:
                break
            if line.entries:
                # A call that ran for long: its receipt lives on, and so does the line.
                line.idle_since = now
                self._idle.move_to_end(token)
            else:
                self._forget(token)

    # -- inside -------------------------------------------------------------------------------

    def _find(self, request_id: bytes) -> Tuple[Optional[_Line], Optional[_Entry]]:
        token, number = split(request_id)
        line = self._lines.get(token)
        return line, None if line is None else line.entries.get(number)

    def _judge(self, request_id: bytes, waiter: Hashable, now: float, enter: bool) -> Verdict:
        self.sweep(now)
        line, entry = self._find(request_id)
        if line is None:
            return _UNKNOWN
        if entry is None:
            number = split(request_id)[1]
            if number < line.horizon:
                return _UNKNOWN
            if enter:
                entry = line.entries[number] = _Entry(request_id)
                line.running += 1
                self.running += 1
                self._wait(entry, waiter)
            return _RUN
        if entry.state == _RUNNING:
            self._wait(entry, waiter)
            return _JOIN
        if entry.state == _DONE:
            return Verdict(REPLAY, entry.outcome)
        return _SETTLED[entry.state]

    def _wait(self, entry: _Entry, waiter: Hashable) -> None:
        entry.waiters[waiter] = None
        self._waits.setdefault(waiter, {})[entry.id] = entry

    def _forget_wait(self, waiter: Hashable, request_id: bytes) -> None:
        waits = self._waits[waiter]
        del waits[request_id]
        if not waits:
            del self._waits[waiter]

    def _hold(self, entry: _Entry, outcome: Outcome) -> None:
        size = len(outcome.payload) + len(outcome.error or "")
        if size > self.limits.one_result:
            entry.state = _DROPPED
            return
        entry.state = _DONE
        entry.outcome = outcome
        entry.size = size
        self._holding[entry.id] = entry
        self._held += size
        while self._held > self.limits.result_bytes:
            oldest = next(iter(self._holding.values()))
            self._let_go(oldest)
            oldest.state = _DROPPED

    def _let_go(self, entry: _Entry) -> None:
        """Give up the result, if there is one."""
        if entry.state == _DONE:
            del self._holding[entry.id]
            self._held -= entry.size
            entry.outcome = None

    def _acknowledge(self, entry: _Entry) -> None:
        entry.acknowledged = True
        if entry.state != _RUNNING:
            self._let_go(entry)
            entry.state = _ACKNOWLEDGED

    def _evict(self) -> None:
        """Forget the oldest receipt; its line's horizon passes it."""
        request_id, entry = self._finished.popitem(last=False)
        self._let_go(entry)
        token, number = split(request_id)
        line = self._lines[token]
        del line.entries[number]
        line.horizon = max(line.horizon, number + 1)

    def _make_room(self) -> None:
        for token, line in self._idle.items():
            if not line.running:
                self._forget(token)
                return

    def _forget(self, token: bytes) -> None:
        del self._idle[token]
        for entry in self._lines.pop(token).entries.values():
            self._let_go(entry)
            del self._finished[entry.id]
