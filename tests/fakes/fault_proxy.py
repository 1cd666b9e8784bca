"""A proxy between two of ours that does to their connections what networks and hosts do.

    with FaultProxy(server_address, key=secret.wire_key()) as proxy:
        ...  connect to proxy.address instead
        proxy.stall(UP); proxy.kill_all(); proxy.follow(random_faults(seed))

One thread of its own does everything; the methods return when it has been done. Bytes are never
changed (but see ``hello_relay``), doubled, left out or put in another order: a stream is cut, or it
is whole.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import selectors
import socket
import struct
import threading
import time
from collections import Counter, deque
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.rpc.hello import place

from .hello_relay import DOWN, UP, HelloRelay
from .places import listening

__all__ = ["DOWN", "KINDS", "UP", "Fault", "FaultProxy", "random_faults"]

#: Seconds in which the thread has to do what it is asked.
DEADLINE = 20.0
#: Bytes held for an end that does not read, in one direction.
_HELD = 256 * 1024
_READ = 64 * 1024
#: Pieces are so long at most, and so many bytes are sent in pieces.
_PIECE, _IN_PIECES = 7, 300
_FOR_EVER = float("inf")
#: Seconds that something is late by, or that a connection lasts that is killed in its first words.
_SHORT = (0.0005, 0.015)


class Fault(NamedTuple):
    """One step of a plan: wait for ``pause`` seconds, then do it.

    ``kind``: see ``KINDS``. ``ways``: what is stalled or delayed. ``seconds``: for how long, or how
    late, or after what time. ``reset``: a kill is a RST, not an end in order. ``share``: the chance
    of each connection to be hit.
    """

    pause: float
    kind: str
    ways: Tuple[str, ...] = (UP, DOWN)
    seconds: float = 0.0
    reset: bool = False
    share: float = 1.0


#: Kind -> how often, in comparison. ``kill, kill``: also the next connection, in the middle of its
#: first words; ``kill, refuse``: nobody is let in for a while.
KINDS = {
    "stall, kill": 6,
    "kill": 2,
    "kill, kill": 1,
    "kill, refuse": 1,
    "stall": 1,
    "split": 2,
    "delay": 1,
}


def random_faults(
    seed: int,
    pause: Tuple[float, float] = (0.1, 0.4),
    stall: Tuple[float, float] = (0.05, 0.15),
    share: float = 1.0,
) -> Iterator[Fault]:
    """Yield faults for ever, always the same for one seed."""
    chance = random.Random(seed)
    kinds, weights = list(KINDS), list(KINDS.values())
    while True:
        kind = chance.choices(kinds, weights)[0]
        ways: Tuple[str, ...] = chance.choice([(UP,), (DOWN,)])
        if kind == "stall" and chance.random() < 0.5:
            ways = (UP, DOWN)
        seconds = chance.uniform(*(stall if "stall" in kind or "refuse" in kind else _SHORT))
        reset = chance.random() < 0.5
        yield Fault(chance.uniform(*pause), kind, ways, seconds, reset, share)


class _Flow:
    """One direction of one connection."""

    def __init__(self, way: str) -> None:
        self.way = way
        #: (when it may go on, bytes), in order.
        self.held: Deque[Tuple[float, bytes]] = deque()
        self.size = 0
        self.stalled_until = 0.0
        self.late = 0.0
        #: Bytes that are still to go in tiny pieces.
        self.in_pieces = 0
        self.eof = False
        self.shut = False

    def stalled(self, now: float) -> bool:
        return now < self.stalled_until

    def reads(self, now: float) -> bool:
        return not self.eof and self.size < _HELD and not self.stalled(now)

    def writes(self, now: float) -> bool:
        return bool(self.held) and self.held[0][0] <= now and not self.stalled(now)

    def due(self, now: float) -> float:
        """Return when something changes by itself."""
        moments = [self.stalled_until] if self.stalled(now) else []
        if self.held and self.held[0][0] > now:
            moments.append(self.held[0][0])
        return min(moments) if moments else _FOR_EVER

    def take(self, data: bytes, now: float) -> None:
        # Never before what came earlier, even if that was held up longer.
        due = max(now + self.late, self.held[-1][0] if self.held else 0.0)
        self.held.append((due, data))
        self.size += len(data)


class _Pair:
    """Two sockets and what is on its way between them."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        self.flows = {UP: _Flow(UP), DOWN: _Flow(DOWN)}
        self.relay: Optional[HelloRelay] = None

    def ends(self) -> List[Tuple[socket.socket, _Flow, _Flow]]:
        """Return (socket, what it is read for, what is written to it)."""
        up, down = self.flows[UP], self.flows[DOWN]
        return [(self.near, up, down), (self.far, down, up)]


class FaultProxy:
    """Forwards to ``target``, which may be changed at any time, for connections from then on.

    ``path``: of a unix socket to listen at; None: a port of 127.0.0.1. ``key``: the user's, where a
    hello has to pass. ``counts``: connections, unreachable, refused, kills, resets, stalls, splits,
    delays, and bytes up and down. ``states``: what the server said of the calls that it was asked
    about (``new``, ``running``, ``done``, ...).
    """

    def __init__(
        self, target: TransportAddress, path: Optional[str] = None, key: Optional[bytes] = None
    ) -> None:
        self.target = target
        self.counts: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self._key = key
        self._refusing = False
        self._pairs: List[_Pair] = []
        self._short_lived: Deque[float] = deque()
        self._plan: Optional[object] = None
        self._orders: Deque[Callable[[], None]] = deque()
        self._timers: List[Tuple[float, int, Callable[[], Any]]] = []
        self._numbers = itertools.count()
        self._closing = False
        self._chance = random.Random(0)
        self._path = path
        self._listener, self.address = listening(path)
        self._listener.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._registered: Dict[socket.socket, int] = {}
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)
        self._thread.start()

    # -- orders -------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self.address.port or 0

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._pairs)

    def kill_all(self, reset: bool = False) -> int:
        """End every connection; what is on its way is lost. Return how many there were."""
        return self._ask(lambda: self._kill(list(self._pairs), reset))

    def stall(self, *ways: str, seconds: float = _FOR_EVER) -> None:
        """Pass nothing on in these directions (default: both), on the connections there are."""
        self._ask(lambda: self._stall(list(self._pairs), ways or (UP, DOWN), seconds))

    def go_on(self) -> None:
        """End all stalls and delays."""
        self._ask(self._go_on)

    def split(self) -> None:
        """Send the next bytes on each connection in tiny pieces."""
        self._ask(lambda: self._split(list(self._pairs)))

    def delay(self, seconds: float, *ways: str) -> None:
        """Pass everything on so much later from now on."""
        self._ask(lambda: self._delay(list(self._pairs), ways or (UP, DOWN), seconds))

    def refuse(self, seconds: float = _FOR_EVER) -> None:
        """End new connections at once; those there are stay."""
        self._ask(lambda: self._refuse(seconds))

    def cut_next(self, *seconds: float) -> None:
        """Kill each of the next connections so many seconds after it began."""
        self._ask(lambda: self._short_lived.extend(seconds))

    def accept(self) -> None:
        """Undo :meth:`refuse`."""
        self._ask(lambda: self._set_refusing(False))

    def follow(self, faults: Iterator[Fault]) -> None:
        """Do as a plan says, until its end or :meth:`calm`."""
        self._ask(lambda: self._follow(faults))

    def calm(self) -> None:
        """Give up the plan, end all stalls and delays, and accept again."""

        def calm() -> None:
            self._plan = None
            self._short_lived.clear()
            self._go_on()
            self._refusing = False

        self._ask(calm)

    def close(self) -> None:
        """End everything."""
        if self._closing:
            return

        def close() -> None:
            self._closing = True

        self._ask(close)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the proxy does not end"

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<FaultProxy {} to {}: {}>".format(self.address, self.target, dict(self.counts))

    # -- the thread ---------------------------------------------------------------------------

    def _ask(self, order: Callable[[], Any]) -> Any:
        done = threading.Event()
        result: List[Any] = []

        def run() -> None:
            try:
                result.append(order())
            finally:
                done.set()

        self._orders.append(run)
        try:
            self._wake.send(b"\0")
        except OSError:
            pass  # full, and it will wake up; or it was awake already, and was told to end
        assert done.wait(DEADLINE), "the proxy's thread is gone"
        return result[0]

    def _later(self, seconds: float, run: Callable[[], Any]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), run))

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        finally:
            self._kill(list(self._pairs), False)
            self._selector.close()
            for sock in (self._listener, self._wake, self._woken):
                sock.close()
            if self._path is not None:
                os.unlink(self._path)

    def _turn(self) -> None:
        now = time.monotonic()
        due = self._timers[0][0] if self._timers else _FOR_EVER
        for pair in self._pairs:
            due = min(due, pair.flows[UP].due(now), pair.flows[DOWN].due(now))
            self._watch(pair, now)
        timeout = None if due == _FOR_EVER else max(0.0, due - now)
        ready = {key.fileobj: mask for key, mask in self._selector.select(timeout)}
        if ready.pop(self._woken, None):
            self._woken.recv(4096)
        while self._orders:
            self._orders.popleft()()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        if ready.pop(self._listener, None):
            self._accept()
        for pair in list(self._pairs):
            for sock, read, written in pair.ends():
                mask = ready.get(sock, 0)
                if mask and pair in self._pairs:
                    self._serve(pair, sock, mask, read, written, now)

    def _watch(self, pair: _Pair, now: float) -> None:
        for sock, read, written in pair.ends():
            mask = (selectors.EVENT_READ if read.reads(now) else 0) | (
                selectors.EVENT_WRITE if written.writes(now) else 0
            )
            before = self._registered.get(sock, 0)
            if mask == before:
                continue
            if not before:
                self._selector.register(sock, mask)
            elif mask:
                self._selector.modify(sock, mask)
            else:
                self._selector.unregister(sock)
            self._registered[sock] = mask

    def _accept(self) -> None:
        try:
            near = self._listener.accept()[0]
        except OSError:
            return
        if self._refusing:
            self.counts["refused"] += 1
            _cut(near, True)
            return
        far = self._dial(self.target)
        if far is None:
            self.counts["unreachable"] += 1
            _cut(near, True)
            return
        pair = _Pair(near, far)
        if self._key is not None:
            where = place(near.getsockname()), place(far.getpeername())
            pair.relay = HelloRelay(self._key, *where, self.states)
        for sock in (near, far):
            sock.setblocking(False)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.counts["connections"] += 1
        self._pairs.append(pair)
        if self._short_lived:
            self._later(self._short_lived.popleft(), lambda: self._kill([pair], False))

    def _dial(self, target: TransportAddress) -> Optional[socket.socket]:
        # On this machine: it connects at once, or not.
        sock = socket.socket() if target.is_tcp else socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(DEADLINE)
            sock.connect((target.host, target.port) if target.is_tcp else target.path)
        except OSError:
            sock.close()
            return None
        return sock

    def _serve(
        self,
        pair: _Pair,
        sock: socket.socket,
        mask: int,
        read: _Flow,
        written: _Flow,
        now: float,
    ) -> None:
        try:
            if mask & selectors.EVENT_READ and read.reads(now):
                data = sock.recv(_READ)
                if data:
                    passed = data if pair.relay is None else pair.relay.passed(read.way, data)
                    if passed:
                        read.take(passed, now)
                else:
                    read.eof = True
            if mask & selectors.EVENT_WRITE and written.writes(now):
                self._write(sock, written, now)
        except BlockingIOError:
            return
        except OSError:
            self._drop(pair, False)
            return
        self._pass_the_end_on(pair)

    def _write(self, sock: socket.socket, flow: _Flow, now: float) -> None:
        due, data = flow.held.popleft()
        wanted = len(data)
        if flow.in_pieces:
            wanted = self._chance.randint(1, _PIECE)
        try:
            sent = sock.send(data[:wanted])
        except BlockingIOError:
            sent = 0
        flow.size -= sent
        flow.in_pieces = max(0, flow.in_pieces - sent)
        self.counts["bytes " + flow.way] += sent
        if sent < len(data):
            # The reader gets a moment, so that it reads this piece alone.
            flow.held.appendleft((now + 0.0003 if flow.in_pieces else due, data[sent:]))

    def _pass_the_end_on(self, pair: _Pair) -> None:
        """Shut down for sending where the other end has; over when both have."""
        for _, read, written in pair.ends():
            sock = pair.near if written.way == DOWN else pair.far
            if written.eof and not written.held and not written.shut:
                written.shut = True
                try:
                    sock.shutdown(socket.SHUT_WR)
                except OSError:
                    self._drop(pair, False)
                    return
            if written.shut and read.shut:
                self._drop(pair, False)
                return

    # -- faults, on the thread ----------------------------------------------------------------

    def _drop(self, pair: _Pair, reset: bool) -> None:
        if pair not in self._pairs:
            return
        self._pairs.remove(pair)
        for sock in (pair.near, pair.far):
            if self._registered.pop(sock, 0):
                self._selector.unregister(sock)
            _cut(sock, reset)

    def _kill(self, pairs: List[_Pair], reset: bool) -> int:
        there = [pair for pair in pairs if pair in self._pairs]
        for pair in there:
            self._drop(pair, reset)
        self.counts["resets" if reset else "kills"] += len(there)
        return len(there)

    def _stall(self, pairs: List[_Pair], ways: Tuple[str, ...], seconds: float) -> None:
        until = time.monotonic() + seconds
        for pair in pairs:
            for way in ways:
                pair.flows[way].stalled_until = until
        self.counts["stalls"] += len(pairs)

    def _split(self, pairs: List[_Pair]) -> None:
        for pair in pairs:
            for flow in pair.flows.values():
                flow.in_pieces = _IN_PIECES
        self.counts["splits"] += len(pairs)

    def _delay(self, pairs: List[_Pair], ways: Tuple[str, ...], seconds: float) -> None:
        for pair in pairs:
            for way in ways:
                pair.flows[way].late = seconds
        self.counts["delays"] += len(pairs)

    def _go_on(self) -> None:
        for pair in self._pairs:
            for flow in pair.flows.values():
                flow.stalled_until = flow.late = 0.0

    def _set_refusing(self, refusing: bool) -> None:
        self._refusing = refusing

    def _refuse(self, seconds: float) -> None:
        self._refusing = True
        if seconds != _FOR_EVER:
            self._later(seconds, lambda: self._set_refusing(False))

    def _follow(self, faults: Iterator[Fault]) -> None:
        plan = self._plan = object()

        def planned(seconds: float, run: Callable[[], Any]) -> None:
            self._later(seconds, lambda: run() if self._plan is plan else None)

        def go(upcoming: Optional[Fault], after: float) -> None:
            if upcoming is not None:
                planned(after + upcoming.pause, lambda: step(upcoming))

        def step(fault: Fault) -> None:
            hit = [pair for pair in self._pairs if self._chance.random() < fault.share]
            lasts = 0.0
            if fault.kind.startswith("kill"):
                self._kill(hit, fault.reset)
                if fault.kind == "kill, kill":
                    self._short_lived.extend([fault.seconds] * len(hit))
                elif fault.kind == "kill, refuse":
                    self._refuse(fault.seconds)
                    lasts = fault.seconds
            elif fault.kind == "split":
                self._split(hit)
            elif fault.kind == "delay":
                self._delay(hit, fault.ways, fault.seconds)
            elif fault.kind == "stall":
                self._stall(hit, fault.ways, fault.seconds)
                lasts = fault.seconds
            else:
                # For ever, or something might pass in the moment between its end and the kill.
                self._stall(hit, fault.ways, _FOR_EVER)
                planned(fault.seconds, lambda: self._kill(hit, fault.reset))
                lasts = fault.seconds
            go(next(faults, None), lasts)

        go(next(faults, None), 0.0)


def _cut(sock: socket.socket, reset: bool) -> None:
    if reset:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # gone already
    sock.close()
