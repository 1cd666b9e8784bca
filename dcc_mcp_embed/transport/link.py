"""A framed connection that threads share, without a thread of its own.

A frame that is half read when a thread leaves is still there, whole, for the next one. One lock
guards everything and is never held while anything blocks: the socket does not block, and is read
and written under the lock. What it does not take at once is sent by whoever waits, by its own
sender above all, who also reads meanwhile, so that two ends that both send a lot get on. A call in
the middle of another one of the same thread, unless that just waits, raises Internal.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Callable, Deque, Iterable, Optional

from ..clock import Clock
from ..net.readiness import READ, WRITE
from ..rpc.inbox import Inbox, Incoming
from ..rpc.peer import Ended, Event, Greeted, Peer
from ..rpc.pending import Call, Pending, Probe, fresh
from ..transport_errors import ConnectionClosed, Internal, TransportError
from ..wire.messages import Notify, Request, Response
from .outbox import Outbox, Sending
from .reentry import alone, reentered
from .turns import Turns

__all__ = ["Link"]

#: Larger than any usual message, small enough that the buffer is not a page fault each time.
_READ_SIZE = 64 * 1024
#: Once that was filled.
_READ_MORE = 256 * 1024
#: Reads one look at a connection may take: a peer that never stops must not keep us.
_LOOKS = 16
_QUEUE_FULL = "the receive queue is full"


class _Delivery(Pending):
    """Somebody waits for a message of the peer's own accord."""

    __slots__ = ("message",)

    def __init__(self, deadline: Optional[float]) -> None:
        # The fields of the base without a call, as in Call.
        self.deadline = deadline
        self.timeout_ms = 0
        self.done = False
        self.error = None
        self.waiter = None
        self.message: Optional[Incoming] = None


class Link(Turns):
    """One connection and the threads that wait for it. Any thread.

    Takes over a connected socket. Times are deadlines in monotonic seconds, None for none.
    """

    def __init__(self, sock: socket.socket, peer: Peer, clock: Clock) -> None:
        super().__init__(sock, clock)
        self._peer = peer
        self._receivers: Deque[_Delivery] = deque()
        self._outbox = Outbox(sock)
        #: Sending has failed; what the peer had sent before may still be read.
        self._mute = False
        self._inbox = Inbox()
        self._read_size = _READ_SIZE
        #: Why nothing goes any more.
        self.failure: Optional[TransportError] = None
        #: Messages for which there was no room.
        self.dropped = 0
        #: Told of notifications instead of the inbox: see FramedChannel.listener.
        self.listener: Optional[Callable[[str, bytes], None]] = None

    # -- callers ------------------------------------------------------------------------------

    def greet(self, deadline: Optional[float]) -> bool:
        """Do the hello; False if it is not done by the deadline. Raises what ended it."""
        greeting = self._peer.greeting
        greeting.deadline = deadline
        with alone(self._lock):
            self._answer()
            try:
                self._wait(greeting)
            finally:
                self._leave()
        greeting.demand()
        return greeting.done

    def call(self, method: str, params: bytes, deadline: float, timeout_ms: int) -> Response:
        """Send a request and return its answer.

        Raises CallTimeout, CallFailed, ConnectionClosed or what else ended the connection,
        Serialization, FrameTooLarge, Internal.
        """
        call, data = self._peer.compose(method, params, deadline, timeout_ms)
        # As ``alone`` does, but for the step.
        if self._lock._is_owned():
            raise reentered()
        with self._lock:
            self._peer.begin(call)
            self._carry(call, data)
        return call.result()

    def expect(self, call: Call) -> None:
        """Have a call settled by its answer from now on. Raises Internal, or what ended it."""
        with alone(self._lock):
            self._peer.begin(call)

    def drop(self, call: Call) -> None:
        """Expect the answer to a call no longer."""
        with alone(self._lock):
            self._peer.abandon(call)

    def carry(self, call: Call, data: bytes, expected: bool = True) -> Response:
        """Send the frame of a call, or nothing, and return its answer.

        ``expected``: :meth:`expect` has been called. Raises as :meth:`call`.
        """
        if self._lock._is_owned():
            raise reentered()
        with self._lock:
            if not expected:
                self._peer.begin(call)
            self._carry(call, data)
        return call.result()

    def _carry(self, call: Call, data: bytes) -> None:
        try:
            sending = self._send(data, call.deadline) if data else None
            if sending is None or self._finish(sending):
                self._wait(call)
        finally:
            if not call.done:
                self._peer.abandon(call)
            if self._followers:
                self._leave()

    def post(self, data: bytes) -> None:
        """Send a frame that nobody waits for: what the socket does not take now goes out later."""
        with alone(self._lock):
            self._send(data, None)

    def ping(self, deadline: float, timeout_ms: int) -> float:
        """Return the seconds a ping takes. Raises PingTimeout and as :meth:`call`."""
        with alone(self._lock):
            self._demand()
            probe = self._peer.ping(deadline, timeout_ms)
            try:
                sending = self._send(self._peer.data_to_send(), deadline)
                if sending is None or self._finish(sending):
                    self._wait(probe)
            finally:
                if not probe.done:
                    self._peer.abandon(probe)
                self._leave()
        probe.demand()
        return probe.round_trip

    def send(self, data: bytes, deadline: float, timeout_ms: int) -> None:
        """Send one frame. Raises Internal when it is not out by the deadline, and as above."""
        with alone(self._lock):
            self._deliver(data, deadline, timeout_ms)

    def answer(self, response: Response, deadline: float, timeout_ms: int) -> None:
        """Send the answer to a request, in that request's form. Raises as :meth:`send`."""
        with alone(self._lock):
            # Here, because the reader keeps in mind which forms requests have.
            self._deliver(self._peer.answer(*response), deadline, timeout_ms)

    def receive(self, deadline: Optional[float]) -> Optional[Incoming]:
        """Return the next message of the peer's own accord; None after the deadline.

        What has arrived is handed out before the end of the connection is raised.
        """
        with alone(self._lock):
            if self._inbox:
                return self._inbox.take()
            self._demand()
            delivery = _Delivery(deadline)
            self._receivers.append(delivery)
            try:
                self._wait(delivery)
            except BaseException:
                message = delivery.message
                if message is not None and not self._hand_over(message):
                    self._inbox.put_back(message)
                raise
            finally:
                if not delivery.done:
                    self._receivers.remove(delivery)
                self._leave()
        delivery.demand()
        return delivery.message

    def receive_now(self) -> Optional[Incoming]:
        """Return a message that is here already, or None. Raises as :meth:`receive`."""
        with alone(self._lock):
            message = self._inbox.take()
            for _ in range(_LOOKS):
                if message is not None or not self._look():
                    break
                message = self._inbox.take()
            if message is None:
                self._demand()
        return message

    def alive(self) -> bool:
        """Return whether the connection is still there, as far as the socket knows. No waiting.

        In the middle of another call of this thread, as far as that call has found out.
        """
        if self._lock._is_owned():
            return self.failure is None
        with self._lock:
            for _ in range(_LOOKS):
                if self._inbox.full or not self._look():
                    break
            return self.failure is None

    def close(self, error: TransportError, farewell: bool) -> None:
        """End the connection: whoever waits gets ``error``; with ``farewell`` the peer is told."""
        with alone(self._lock):
            if self.failure is not None:
                return
            if farewell and not self._outbox:
                self._peer.shutdown()
                self._send(self._peer.data_to_send(), None)
            self._end(error)

    @property
    def is_entered(self) -> bool:
        """Whether the calling thread is inside, as in a listener: it holds the lock."""
        return bool(self._lock._is_owned())

    def abandon(self) -> None:
        """Close this process's copy of the socket after a fork; the child's only thread.

        The connection itself goes on: it is the parent's. No lock: its holder may not exist here.
        """
        self.failure = self.failure or ConnectionClosed()
        self._sock.close()

    @property
    def unread(self) -> bool:
        """Whether a message is here that nobody has received."""
        return bool(self._inbox)

    @property
    def in_flight(self) -> int:
        """How many calls and pings wait for an answer."""
        return self._peer.in_flight

    def _demand(self) -> None:
        if self.failure is not None:
            raise fresh(self.failure)

    # -- the socket; with the lock held -------------------------------------------------------

    def _deliver(self, data: bytes, deadline: float, timeout_ms: int) -> None:
        self._demand()
        sending = self._send(data, deadline)
        if sending is None:
            self._demand()
            return
        try:
            finished = self._finish(sending)
        finally:
            self._leave()
        sending.demand()
        if not finished:
            raise Internal("send timed out after {}ms: the peer does not read".format(timeout_ms))

    def _wanted(self, needs: int) -> int:
        if self._outbox.size:
            needs |= WRITE
        # A full queue is read past only for those who wait for an answer.
        if not needs & READ and (not self._inbox.full or self._peer.in_flight):
            needs |= READ
        return needs

    def _turn(self, ready: int) -> None:
        if ready & WRITE and self.failure is None:
            self._flush()
        if ready & READ and self.failure is None:
            self._read()

    def _look(self) -> bool:
        """Take in what is here, without waiting; False if nothing is, or somebody else does it."""
        if self._led or self.failure is not None:
            return False
        ready = self._readiness.wait(READ | WRITE if self._outbox else READ, 0)
        self._turn(ready)
        return bool(ready & READ)

    def _read(self) -> bool:
        """Read once and deal with it; False if nothing was there."""
        try:
            data = self._sock.recv(self._read_size)
            self._read_size = _READ_MORE if len(data) >= _READ_SIZE else _READ_SIZE
            events = self._peer.receive_data(data) if data else self._peer.receive_eof()
            ended = events.pop() if self._peer.ended is not None and events else None
            self._deal(events)
            # Before the end: the peer may still have to be told why.
            if self._peer.has_data:
                self._answer()
            if ended is not None:
                self._deal((ended,))
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self._deal(self._peer.receive_eof())
        except BaseException:
            # Ctrl-C between the kernel and us: what was read, or an answer, may be lost.
            self._end(Internal("interrupted while reading"))
            raise
        return True

    def _answer(self) -> None:
        """Send what the peer machine has to say of its own accord."""
        data = self._peer.data_to_send()
        if data:
            self._send(data, None)

    def _send(self, data: bytes, deadline: Optional[float]) -> Optional[Sending]:
        """Send what the socket takes; return what stands for the rest, if there is any."""
        if self._mute or self.failure is not None:
            return None
        try:
            sending = self._outbox.send(data, deadline)
        except OSError:
            self._fall_silent()
            return None
        except BaseException:
            self._end(Internal("interrupted while sending"))
            raise
        if sending is not None:
            self._peer.unsent = self._outbox.size
        return sending

    def _flush(self) -> None:
        try:
            out = self._outbox.flush()
        except OSError:
            self._fall_silent()
            return
        except BaseException:
            self._end(Internal("interrupted while sending"))
            raise
        self._peer.unsent = self._outbox.size
        for sending in out:
            self._wake(sending)

    def _finish(self, sending: Sending) -> bool:
        """Wait until it is out; False at its deadline, and then it is not to be sent any more."""
        try:
            self._wait(sending)
        finally:
            if not sending.done and not self._outbox.withdraw(sending):
                self._end(Internal("a frame was cut off: the peer did not read in time"))
            self._peer.unsent = self._outbox.size
        return sending.done and sending.error is None

    def _fall_silent(self) -> None:
        """The peer takes nothing any more: hear what it had said before, then end."""
        if self._mute:
            return
        self._mute = True
        for _ in range(_LOOKS):
            if self.failure is not None or not self._read():
                break
        self._deal(self._peer.receive_eof())

    # -- what was read; with the lock held ----------------------------------------------------

    def _deal(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, (Call, Probe)):
                if event.waiter is not None:
                    self._wake(event)
            elif isinstance(event, Ended):
                self._fail(event.error)
            elif isinstance(event, Greeted):
                self._wake(self._peer.greeting)
            else:
                self._arrive(event)

    def _arrive(self, message: Incoming) -> None:
        listener = self.listener
        if listener is not None and isinstance(message, Notify):
            listener(message.topic, message.data)
            return
        if self._hand_over(message) or self._inbox.put(message):
            return
        self.dropped += 1
        if isinstance(message, Request) and not self._outbox:
            self._send(self._peer.answer(message.id, False, b"", _QUEUE_FULL), None)

    def _hand_over(self, message: Incoming) -> bool:
        """Give a message to the first who waits for one."""
        if not self._receivers:
            return False
        delivery = self._receivers.popleft()
        delivery.message = message
        delivery.done = True
        self._wake(delivery)
        return True

    def _end(self, error: TransportError) -> None:
        self._deal(self._peer.end(error))

    def _fail(self, error: TransportError) -> None:
        """Tell everybody who is still there, and let the socket go."""
        self.failure = error
        self._wake(self._peer.greeting)
        for pending in (*self._receivers, *self._outbox.clear()):
            pending.fail(fresh(error))
            self._wake(pending)
        self._receivers.clear()
        self._let_go()
