"""One client of a SocketServer: its bytes to requests, answers and pushes to it. Loop thread only.

A stranger may say a hello of a few hundred bytes, within two seconds, and nothing else. Whatever a
client asks after it is answered; a connection ends only when what comes is not the protocol, when
the client is silent, or when it does not read.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, List, Optional, Type

from ..errors import RemoteProtocolError
from ..net.loop import Loop
from ..net.stream import Protocol, Stream
from ..net.timers import Timer
from ..rpc.hello import HELLO_TIMEOUT, Facts, ServerHello, place
from ..rpc.once import OnceServer
from ..rpc.peer import Ended, Greeted, Peer, Quotas
from ..rpc.pending import Probe
from ..rpc.resume import RESUME
from ..transport_errors import ConnectionClosed
from ..wire.frames import frame
from ..wire.messages import OURS, Notify, Request, Shutdown, encode
from .calls import Calls, UnderWay
from .health import Health
from .limits import MAX_FRAME
from .outbox import Outbox
from .tally import ServerTally

__all__ = ["HIGH_WATER", "LINGER", "Caller", "Room", "farewell"]

#: Unsent bytes at which a client is no longer read, and is left out of pushes.
HIGH_WATER = 1024 * 1024
#: Unsent bytes that no client that reads ever causes.
_MOST_UNSENT = 16 * MAX_FRAME
#: Seconds that a client may leave more than ``HIGH_WATER`` unread.
_STALL = 30.0
#: Seconds that a connection which is ending may go on writing to us; it is dropped.
LINGER = 1.0
#: Answers that are ready are sent together up to this size, bytes.
_BATCH = 64 * 1024
#: Requests that one read can hold must not count as too many at once (see Calls for that).
_QUOTAS = Quotas(requests=1 << 16, refuse=True, frame=MAX_FRAME, unsent=HIGH_WATER)


def farewell(reason: str) -> bytes:
    """Return the frame with which a connection is ended for a reason."""
    return frame(encode(Shutdown(reason), OURS))


class Room(ABC):
    """Where connections are, as they see it. ``health_interval`` None: nobody is pinged."""

    def __init__(
        self,
        loop: Loop,
        key: bytes,
        facts: Facts,
        health_interval: Optional[float],
        calls: Calls,
        outbox: Outbox,
        tally: ServerTally,
    ) -> None:
        self.loop = loop
        self.key = key
        self.facts = facts
        self.health_interval = health_interval
        self.calls = calls
        self.outbox = outbox
        self.tally = tally

    @abstractmethod
    def greeted(self, caller: Caller) -> None:
        """A stranger is a client from now on."""

    @abstractmethod
    def forget(self, caller: Caller) -> None:
        """A connection is closed."""

    @abstractmethod
    def turned_away(self, reason: str) -> None:
        """Somebody was not let in."""

    @abstractmethod
    def drop(self, caller: Caller, text: str, *args: Any) -> None:
        """End a connection that is of no use."""


class Caller(Protocol):
    """One connection. Raises OSError if its other end has gone already."""

    def __init__(self, room: Room, sock: socket.socket) -> None:
        self._room = room
        self._calls = room.calls
        self._tally = room.tally
        loop = room.loop
        clock = loop.clock
        where = place(sock.getsockname())
        self._hello: Optional[ServerHello] = ServerHello(room.key, where, room.facts, clock)
        self._peer = Peer(clock, hello=self._hello, quotas=_QUOTAS)
        self._once: Optional[OnceServer] = None
        self.opened = clock.monotonic()
        #: What the client calls itself; it proves nothing.
        self.account = ""
        #: Its requests that are under way.
        self.under_way = UnderWay()
        self._out: List[bytes] = []
        self._size = 0
        self._ending = False
        #: Whether it has said anything before the end of its hello; then its health knows.
        self._heard = False
        self._health: Optional[Health] = None
        self._stall: Optional[Timer] = None
        self.stream = Stream(loop, sock, self, HIGH_WATER)
        self._timer: Optional[Timer] = loop.call_later(HELLO_TIMEOUT, self._no_hello)

    # -- from the stream ----------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        if self._ending:
            return
        health = self._health
        if health is None:
            self._heard = True
        else:
            health.heard = True
        peer = self._peer
        peer.unsent = self.stream.unsent
        for event in peer.receive_data(data):
            if type(event) is Request:
                self._request(event)
            else:
                take = _TAKE.get(type(event))
                if take is not None:
                    take(self, event)
            if self._ending:
                break
        if peer.has_data and not self._ending:
            self._say(peer.data_to_send())
        self._room.outbox.flush()

    def receive_eof(self) -> None:
        self._ending = True
        self.stream.close()
        # What is left is sent first.
        self._end_within(_STALL)

    def writable_again(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._ending = True
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = None
        self._end_health()
        once, self._once = self._once, None
        if once is not None:
            # What has begun runs on; its line waits for the next connection.
            once.closed()
            self._calls.left(self)
            self._calls.arm_sweep()
        if self._heard:
            # Such as a client that has found that we do not know its secret.
            self._turn_away("it left before the end of the hello")
        self._hello = None
        self._room.forget(self)

    # -- requests -----------------------------------------------------------------------------

    def _request(self, request: Request) -> None:
        once = self._once
        if once is None:
            return  # cannot be: nothing but a hello is understood before it is done
        calls, tally = self._calls, self._tally
        name = request.method
        if name == RESUME:
            resumed, *replays = once.judge(request).answers
            # No handler's, so it is not counted.
            self._say(self._peer.answer(*resumed))
            tally.replayed += len(replays)
            for answer in replays:
                self.answer(*answer)
            return
        tally.requests += 1
        found = calls.find(name)
        if found is None:
            self.answer(request.id, *calls.no_such(name))
            return
        judgement = once.judge(request)
        if judgement.run:
            calls.begin(request, self, found, judgement.kept)
            return
        for answer in judgement.answers:
            calls.note_replay(answer[2])
            self.answer(*answer)

    def _greeted(self, event: Greeted) -> None:
        # The end of the hello leaves before any answer to what was sent right after it.
        self._say_peers()
        if self._ending:
            return  # it has gone: nobody would ever forget it
        hello, self._hello = self._hello, None
        self.account = "" if hello is None else hello.client
        room = self._room
        self._once = OnceServer(self._calls.receipts, room.facts.epoch, self, room.loop.clock)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        room.greeted(self)
        if room.health_interval is not None and not self._ending:
            self._health = Health(
                room.loop, room.health_interval, self._peer, self._say_peers, self._gone
            )

    def _notified(self, event: Notify) -> None:
        try:
            if self._once is not None:
                self._once.notified(event)
        except RemoteProtocolError as error:
            self.refuse(str(error))

    def _ended(self, event: Ended) -> None:
        if isinstance(event.error, ConnectionClosed):
            # It said so itself, and reads no more.
            self.receive_eof()
        elif self._once is not None:
            self.refuse(str(event.error))
        else:
            # What a stranger is to be told, the machine has said, unless it made no sense at all.
            self._turn_away(str(event.error))
            if self._peer.has_data:
                self._say(self._peer.data_to_send())
                self._end_politely()
            else:
                self.refuse(str(event.error))

    # -- answers ------------------------------------------------------------------------------

    def answer(
        self, request_id: bytes, success: bool, payload: bytes, error: Optional[str]
    ) -> None:
        """Answer a request; the outbox sends it."""
        if self._ending:
            return
        if success:
            self._tally.responses += 1
        else:
            self._tally.errors += 1
        self._say(self._peer.answer(request_id, success, payload, error))

    def push(self, data: bytes) -> bool:
        """Send a push's frame; False: the client does not read, and goes without."""
        if self._ending or self.stream.unsent > HIGH_WATER:
            return False
        self._say(data)
        return True

    def _say(self, data: bytes) -> None:
        if not self._out:
            self._room.outbox.add(self)
        self._out.append(data)
        self._size += len(data)
        if self._size >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Send what is to be said."""
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._size = 0
        stream = self.stream
        stream.write(data)
        unsent = stream.unsent
        if unsent > HIGH_WATER and self._stall is None and not stream.closed:
            self._stall = self._room.loop.call_later(_STALL, self._stalled)
        if unsent > _MOST_UNSENT:
            self._stalled()

    # -- the end ------------------------------------------------------------------------------

    def refuse(self, reason: str) -> None:
        """End the connection and tell the client why."""
        if self._ending:
            return
        self._say(farewell(reason))
        self._end_politely()

    def stop(self, reason: str) -> None:
        """As :meth:`refuse`; a connection that is ending already ends soon."""
        if self._ending:
            self._end_within(LINGER)
        else:
            self.refuse(reason)

    def make_room(self) -> None:
        """End the connection of a stranger: others wait."""
        self._turn_away("others came before the end of its hello")
        self.abort()

    def _turn_away(self, reason: str) -> None:
        if self._hello is not None:
            self._hello = None
            self._room.turned_away(reason)

    def abort(self) -> None:
        """End the connection now."""
        self._ending = True
        self.stream.abort()

    def _end_politely(self) -> None:
        self.flush()
        self._ending = True
        self._end_within(LINGER)
        self.stream.close_politely()

    def _end_within(self, seconds: float) -> None:
        if self.stream.closed:
            return
        self._end_health()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._room.loop.call_later(seconds, self.abort)

    # -- deadlines ----------------------------------------------------------------------------

    def _say_peers(self) -> None:
        """Send what the peer itself has to say."""
        self._say(self._peer.data_to_send())
        self.flush()

    def _gone(self, seconds: float) -> None:
        self._room.drop(self, "it has not answered for {:g} s", seconds)

    def _answered(self, event: Probe) -> None:
        if self._health is not None:
            self._health.answered(event)

    def _end_health(self) -> None:
        # Nothing is kept: it holds this connection.
        health, self._health = self._health, None
        if health is not None:
            health.stop()

    def _no_hello(self) -> None:
        self._timer = None
        self._turn_away("no hello within {:g} s".format(HELLO_TIMEOUT))
        self.refuse("say hello within {:g} s".format(HELLO_TIMEOUT))

    def _stalled(self) -> None:
        self._room.drop(self, "it does not read what it is sent: {} bytes", self.stream.unsent)


# Functions, not bound methods: what is held here must not hold a connection.
_TAKE: Dict[Type[Any], Callable[[Caller, Any], None]] = {
    Greeted: Caller._greeted,
    Notify: Caller._notified,
    Ended: Caller._ended,
    Probe: Caller._answered,
}
