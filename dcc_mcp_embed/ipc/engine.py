"""The thread and the socket under a client's session, for as long as a connection is wanted."""

from __future__ import annotations

import socket
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, Optional, Tuple

from .. import collector
from ..address import TransportAddress
from ..clock import Clock
from ..errors import ConfigError
from ..net.loop import Loop
from ..net.promises import settle
from ..net.sockets import connect_address
from ..net.stream import Protocol, Stream
from ..net.thread import LoopThread
from ..net.timers import Timer
from ..rpc.hello import place
from ..transport_errors import IpcConnectionFailed, IpcNotSupported
from .actions import Action, Close, Dial, Finished
from .places import Target
from .session import Session

__all__ = ["Engine", "held_weakly"]

#: Seconds for one attempt to connect the socket.
_CONNECT_TIMEOUT = 5.0
#: Seconds that the last words of a connection may take.
_GRACE = 0.3
#: Seconds; selectors cannot wait for much longer, and an alarm that is too early does no harm.
_LONGEST = 3600.0
#: These say that the next attempt would do no better.
_FINAL = (ConfigError, IpcNotSupported, TypeError)


def _is_final(error: Exception) -> bool:
    cause = error.__cause__
    if isinstance(error, IpcConnectionFailed) and isinstance(cause, (OSError, ValueError)):
        # Python itself has refused: the path is too long, or the host is no name.
        return getattr(cause, "errno", None) is None
    return isinstance(error, _FINAL)


def held_weakly(method: Callable[[], Any]) -> Callable[[], None]:
    """Return what calls a method for as long as its owner lives, and does not hold the owner."""
    found = weakref.WeakMethod(method)

    def call() -> None:
        bound = found()
        if bound is not None:
            bound()

    return call


class Engine:
    """Drives one session on a net loop of its own; ends when the session is idle.

    ``find`` says where to connect to, on a thread that may block. ``handle`` is given the session's
    actions that are not about the socket, on the loop's thread. ``report(text, error)`` is told of
    defects. ``over`` is settled when the thread is about to end.
    """

    def __init__(
        self,
        session: Session,
        find: Callable[[], Target],
        handle: Callable[[Action], None],
        report: Callable[[str, BaseException], None],
        clock: Clock,
    ) -> None:
        self._session = session
        self._find = find
        self._handle = handle
        self._report = report
        self._clock = clock
        self._loop = Loop(clock, report)
        self.thread = LoopThread(self._loop, "dcc-mcp-embed ipc client")
        self.thread.on_fork(held_weakly(self._disown))
        self._lock = threading.RLock()
        self._open = True
        #: What other threads want of the session; empty and idle: this can end.
        self._posts: Deque[Tuple[Callable[..., Any], Tuple[Any, ...]]] = deque()
        self._wire: Optional[_Wire] = None
        #: One that is only still sending its last words.
        self._leaving: Optional[_Wire] = None
        self._alarm: Optional[Timer] = None
        self._working = False
        self.address: Optional[TransportAddress] = None
        self.over: Future[None] = Future()

    # -- any thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when the interpreter is about to end."""
        try:
            self.thread.start()
        except BaseException:
            # Ctrl-C too, while it is waited for: the error goes on, and no socket stays open.
            self._open = False
            self._loop.close()
            raise

    def is_current(self) -> bool:
        """Return whether the caller is the loop's thread, which must not wait for itself."""
        return self._loop.is_current()

    def post(self, function: Callable[..., Any], *args: Any) -> bool:
        """Call ``function(now, *args)`` on the loop's thread; False: it has ended."""
        with self._lock:
            if not self._open or not self.thread.alive:
                return False
            self._posts.append((function, args))
            self._loop.call_soon(self._run_posts)
            return True

    # -- loop ---------------------------------------------------------------------------------

    def _run_posts(self) -> None:
        # All of them: Ctrl-C may have kept a thread from asking for this.
        for _ in range(len(self._posts)):
            function, args = self._posts.popleft()
            self.event(function, *args)

    def event(self, function: Callable[..., Any], *args: Any) -> None:
        """Tell the session something and do what it says. Loop thread."""
        wire = self._wire
        self._session.note_unsent(0 if wire is None else wire.stream.unsent)
        try:
            function(self._clock.monotonic(), *args)
        finally:
            self._work()

    def _work(self) -> None:
        if self._working:
            return  # the one that does goes on until nothing is left
        self._working = True
        session = self._session
        try:
            while True:
                data = session.data_to_send()
                wire = self._wire
                if data and wire is not None:
                    wire.stream.write(data)
                    session.sent(wire.stream.unsent)
                actions = session.take()
                for action in actions:
                    try:
                        self._do(action)
                    except Exception as error:
                        # A defect; what comes after it must not wait for ever.
                        self._report("a defect in the client", error)
                if not actions and not data:
                    break
        finally:
            self._working = False
        self._set_alarm()

    def _do(self, action: Action) -> None:
        if isinstance(action, Dial):
            self._dial(action.number)
        elif isinstance(action, Close):
            self._close(action.politely)
        elif isinstance(action, Finished):
            self._loop.call_soon(self._finish)
        else:
            self._handle(action)

    def _set_alarm(self) -> None:
        now = self._clock.monotonic()
        delay = self._session.next_timer(now)
        if delay is None:
            return
        delay = min(delay, _LONGEST)
        alarm = self._alarm
        if alarm is not None:
            # Most deadlines never come: this one may well be for another one.
            if alarm.when <= now + delay:
                return
            alarm.cancel()
        self._alarm = self._loop.call_at(now + delay, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.event(self._session.tick)

    # -- connecting ---------------------------------------------------------------------------

    def _dial(self, number: int) -> None:
        thread = collector.Thread(self._connect, "dcc-mcp-embed ipc dial", (number,))
        try:
            thread.start()
        except RuntimeError as error:
            # The interpreter is about to end (3.12 on).
            self._session.dial_failed(self._clock.monotonic(), number, str(error), True)

    def _connect(self, number: int) -> None:
        """Make a connection. On a thread of its own, which may block."""
        try:
            target = self._find()
            self.address = target.address
            sock = connect_address(target.address, _CONNECT_TIMEOUT, self._clock)
        except Exception as error:
            # Whatever it is: who waits for the attempt has to be told why there is no connection.
            self.post(self._session.dial_failed, number, str(error), _is_final(error))
        else:
            if not self.post(self._connected, number, sock, target.key):
                sock.close()

    def _connected(self, now: float, number: int, sock: socket.socket, key: bytes) -> None:
        try:
            where = place(sock.getpeername())
        except OSError as error:
            sock.close()
            self._session.dial_failed(now, number, str(error))
            return
        if self._session.dialed(now, number, where, key):
            self._wire = _Wire(self, self._loop, sock, self._session)
        else:
            sock.close()

    def _close(self, politely: bool) -> None:
        wire, self._wire = self._wire, None
        if wire is None:
            return
        wire.engine = None
        if not politely:
            wire.stream.abort()
            return
        wire.stream.close()
        if not wire.stream.closed:
            self._leaving = wire
            self._loop.call_later(_GRACE, wire.stream.abort)

    def lost(self, wire: _Wire, error: Optional[Exception]) -> None:
        """The socket is gone. Loop thread."""
        if self._wire is wire:
            self._wire = None
            self.event(self._session.lost, error)

    # -- the end ------------------------------------------------------------------------------

    def _finish(self) -> None:
        with self._lock:
            if not self._open or not self._session.idle:
                return  # somebody wants a connection again: the session will say so anew
            if self._posts:
                self._loop.call_soon(self._run_posts)
                self._loop.call_soon(self._finish)
                return
            self._open = False
        # Nobody touches the session from here on; another engine may.
        if self._alarm is not None:
            self._alarm.cancel()
        self._leave()

    def _leave(self) -> None:
        leaving = self._leaving
        if leaving is not None and not leaving.stream.closed:
            self._loop.call_later(_GRACE / 20, self._leave)
            return
        self._loop.stop()
        settle(self.over, None)

    def _disown(self) -> None:
        """Close this process's copies, in a forked child."""
        self._lock = threading.RLock()
        self._open = False
        for wire in (self._wire, self._leaving):
            if wire is not None:
                wire.stream.disown()


class _Wire(Protocol):
    """One connected socket. ``engine`` is None once it is given up."""

    def __init__(self, engine: Engine, loop: Loop, sock: socket.socket, session: Session) -> None:
        self.engine: Optional[Engine] = engine
        self._session = session
        self.stream = Stream(loop, sock, self, read_always=True)

    def receive_data(self, data: bytes) -> None:
        if self.engine is not None:
            self.engine.event(self._session.receive_data, data)

    def receive_eof(self) -> None:
        if self.engine is not None:
            self.engine.event(self._session.receive_eof)

    def writable_again(self) -> None:
        if self.engine is not None:
            self.engine.event(self._session.writable_again)

    def connection_lost(self, error: Optional[Exception]) -> None:
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.lost(self, error)
