"""Who comes to a SocketServer, who is let in, and who is there. Loop thread."""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, List, Optional

from ..net.listener import PER_TURN
from ..net.loop import READ, Loop
from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from ..rpc.hello import Facts
from .caller import LINGER, Caller, Room, farewell
from .calls import Calls
from .outbox import Outbox
from .places import Listening
from .tally import ServerTally

__all__ = ["Door"]

#: Clients at once.
_MOST_CALLERS = 256
#: Connections at once that have not said hello; one too many costs the oldest its place, but for
#: those that have just come.
_MOST_STRANGERS = 32
#: Seconds that a connection counts as one that has just come.
_GRACE = 1.0
#: Seconds without accepting when the process is out of files.
_REST = 0.25
#: Seconds after a remark about a refused connection in which there is no other.
_QUIET = 10.0

_STOPPED = "the server has been stopped"


class Door(Room):
    """See the module. ``log(text, *args)``: a remark; ``left()``: a connection is closed.

    ``accounts``: of the clients that are there, each with its number of connections.
    """

    def __init__(
        self,
        loop: Loop,
        listening: Listening,
        facts: Facts,
        health_interval: Optional[float],
        calls: Calls,
        outbox: Outbox,
        tally: ServerTally,
        log: Callable[..., Any],
        left: Callable[[], None],
    ) -> None:
        super().__init__(loop, listening.key, facts, health_interval, calls, outbox, tally)
        self._listening = listening
        self._log = log
        self._left = left
        self._strangers: Dict[Caller, None] = {}
        self._callers: Dict[Caller, None] = {}
        self._refused: Dict[Stream, None] = {}
        self.accounts: Dict[str, int] = {}
        self._rest: Optional[Timer] = None
        self._quiet_until = 0.0
        self._closing = False

    # -- who comes ----------------------------------------------------------------------------

    def open(self) -> None:
        """Take connections from now on."""
        self.loop.register(self._listening.sock, READ, self._ready)

    def _ready(self, events: int) -> None:
        for _ in range(PER_TURN):
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
            self.open()

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
            if self.loop.clock.monotonic() - caller.opened < age:
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

    # -- who is there -------------------------------------------------------------------------

    @property
    def callers(self) -> List[Caller]:
        """The clients that are connected."""
        return list(self._callers)

    @property
    def connections(self) -> int:
        """How many clients are connected. Any thread."""
        return len(self._callers)

    @property
    def empty(self) -> bool:
        """Whether nobody is there, nor a stranger."""
        return not self._callers and not self._strangers

    def turned_away(self, reason: str) -> None:
        """Note that somebody was not let in."""
        if self._closing:
            return
        self.tally.refused += 1
        now = self.loop.clock.monotonic()
        if now >= self._quiet_until:
            # Whoever tries again and again shall not fill the log.
            self._quiet_until = now + _QUIET
            self._log("a connection was refused: %s", reason)

    def greeted(self, caller: Caller) -> None:
        """Count a stranger as a client from now on."""
        self._strangers.pop(caller, None)
        self._callers[caller] = None
        self.tally.connections_total += 1
        self.accounts[caller.account] = self.accounts.get(caller.account, 0) + 1

    def drop(self, caller: Caller, text: str, *args: Any) -> None:
        """End a connection that is of no use."""
        self.tally.dropped += 1
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
        self._left()

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Let nobody in any more, and send strangers away."""
        self._closing = True
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        elif self._listening.sock.fileno() >= 0:
            self.loop.unregister(self._listening.sock)
        self._listening.close()
        for caller in list(self._strangers):
            caller.stop(_STOPPED)

    def clear(self) -> None:
        """End all connections; the ones that were refused at once."""
        for stream in list(self._refused):
            stream.abort()
        for caller in self.callers:
            caller.stop(_STOPPED)

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
