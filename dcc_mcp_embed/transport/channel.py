"""FramedChannel: messages and calls over one connection, from any thread."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

from ..clock import Clock
from ..errors import EmbedError
from ..host import guard
from ..rpc.hello import Facts
from ..rpc.inbox import Incoming
from ..transport_errors import Internal, TransportError
from ..wire.messages import Response, id_bytes, id_text
from .arguments import Content, as_content, milliseconds, wait
from .carrier import Carrier, Listener
from .codec import envelope_dict
from .link import Link

__all__ = ["FramedChannel"]

_SHUT = "FramedChannel has been shut down"
#: For the sends that the reference gives no time of their own: a peer that reads nothing for so
#: long does not read.
_SEND_MS = 30_000


class FramedChannel:
    """A connection to a peer that speaks the framed wire. Any thread; blocks the calling one only.

    From ``connect_ipc`` or ``IpcListener.accept`` it is raw, as the reference's: **nobody has been
    authenticated**, neither end knows who the other is, and nothing is encrypted. One that was
    opened with the user's key knows its peer, and has what it said of itself in ``hello``.

    ``params``, ``payload`` and ``data`` are bytes, a list of integers 0..255, a mapping (sent as
    UTF-8 JSON), or None for nothing; they are received as bytes. Times are whole milliseconds.

    There is no thread behind it: the peer's pings are answered, and its end is noticed, while some
    thread waits here or looks (``is_running``, ``try_recv``). A call that a host makes from its own
    main thread to itself raises WouldDeadlock.
    """

    def __init__(self, carrier: Carrier, address: Tuple[str, int], clock: Clock) -> None:
        self._carrier = carrier
        self._address = address
        self._clock = clock
        self._shut = False
        #: Told of each call that was made: milliseconds, and the error's text if it failed.
        self.observer: Optional[Callable[[float, Optional[str]], None]] = None

    # -- calls --------------------------------------------------------------------------------

    def call(self, method: str, params: Content = None, timeout_ms: int = 30_000) -> Dict[str, Any]:
        """Send a request and return its answer: id, success (True), payload, error (None).

        Raises CallFailed with the peer's words, CallTimeout (whether it ran is not known; a late
        answer comes by ``recv``, on an authenticated channel it is dropped), ConnectionClosed at
        once when the peer is gone, WouldDeadlock, FrameTooLarge, Internal. On one that a manager
        lends to a server of ours also UnknownOutcome, what connecting raises when the call was not
        sent, ServiceNotFound, TrackerFull.
        """
        self._demand()
        begun = self._clock.monotonic()
        deadline = begun + milliseconds(timeout_ms)
        observer = self.observer
        try:
            if guard.is_served_main_thread():
                with guard.blocking(self._address):
                    response = self._carrier.call(
                        _text(method), as_content(params), deadline, timeout_ms
                    )
            else:
                response = self._carrier.call(
                    _text(method), as_content(params), deadline, timeout_ms
                )
        except EmbedError as error:
            if observer is not None:
                observer((self._clock.monotonic() - begun) * 1000, str(error))
            raise
        if observer is not None:
            observer((self._clock.monotonic() - begun) * 1000, None)
        return {
            "id": id_text(response.id),
            "success": response.success,
            "payload": response.payload,
            "error": response.error,
        }

    def ping(self, timeout_ms: int = 5000) -> int:
        """Return the whole milliseconds a message and its answer take, by our own clock.

        Raises PingTimeout, ConnectionClosed.
        """
        return int(self.round_trip(timeout_ms) * 1000)

    def round_trip(self, timeout_ms: int = 5000) -> float:
        """Return what :meth:`ping` measures, in seconds."""
        self._demand()
        return self._link.ping(self._deadline(timeout_ms), timeout_ms)

    # -- messages -----------------------------------------------------------------------------

    def send_request(self, method: str, params: Content = None, timeout_ms: int = _SEND_MS) -> str:
        """Send a request and return its UUID; its answer comes by :meth:`recv`.

        This and the other sends return when the system has taken the bytes. Raises Internal when it
        has not in time, because the peer does not read: then the frame was taken back, or, if a
        part of it was out already, the connection is closed. ConnectionClosed, FrameTooLarge.
        """
        self._demand()
        ident, data = self._carrier.request(_text(method), as_content(params))
        self._link.send(data, self._deadline(timeout_ms), timeout_ms)
        return id_text(ident)

    def send_response(
        self,
        request_id: str,
        success: bool,
        payload: Content = None,
        error: Optional[str] = None,
        timeout_ms: int = _SEND_MS,
    ) -> None:
        """Answer the request with this UUID, in the form it came in.

        Raises ValueError ("invalid UUID: …"), otherwise as :meth:`send_request`.
        """
        self._demand()
        response = Response(id_bytes(request_id), success, as_content(payload), error)
        self._link.answer(response, self._deadline(timeout_ms), timeout_ms)

    def send_notify(self, topic: str, data: Content = None, timeout_ms: int = _SEND_MS) -> None:
        """Send a notification. Raises as :meth:`send_request`."""
        self._demand()
        frame = self._carrier.peer.notification(_text(topic), as_content(data))
        self._link.send(frame, self._deadline(timeout_ms), timeout_ms)

    def recv(self, timeout_ms: Optional[int] = None) -> Optional[Dict[str, Any]]:
        """Return the next message that is no answer to a call, or None after the time.

        A dictionary with ``type``: request (id, method, params), response (id, success, payload,
        error), notify (id, topic, data). Without a time it waits for as long as it takes; on the
        main thread of a host that this process serves for 30 s.

        At most 256 messages (16 MiB) are kept for whoever is to receive them; then nothing more is
        read, and the peer has to wait. Only a call or ping reads past that, up to 16 times as much;
        what goes beyond is counted in ``dropped``, requests among it are answered with a failure.
        Raises ConnectionClosed, after everything that had arrived.
        """
        self._demand()
        message = wait(self._receive, timeout_ms, self._address[0])
        return self._given(message)

    def try_recv(self) -> Optional[Dict[str, Any]]:
        """Return a message that is here already, or None. Raises ConnectionClosed as ``recv``."""
        self._demand()
        return self._given(self._link.receive_now())

    @property
    def listener(self) -> Listener:
        """Who is told of notifications, ``listener(topic, data)``, instead of their being received.

        It is called on whichever thread reads, with the link's lock held: it must be quick, must
        not raise (that ends the connection), and must not call back into the channel (that raises
        Internal). It outlives a connection that is made anew, and ends with a lease.
        """
        return self._carrier.listener

    @listener.setter
    def listener(self, listener: Listener) -> None:
        self._demand()
        self._carrier.listen(listener)

    # -- state --------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the connection is there. Looks at the socket, so it knows of the peer's end."""
        return not self._shut and self._link.alive()

    def alive(self) -> bool:
        """Return :attr:`is_running`. Does not wait."""
        return self.is_running

    @property
    def in_flight(self) -> int:
        """How many calls and pings wait for an answer right now."""
        return self._link.in_flight

    @property
    def dropped(self) -> int:
        """How many messages came for which there was no room; see :meth:`recv`."""
        return self._link.dropped

    @property
    def unread(self) -> bool:
        """Whether a message, or the begin of one, is here that nobody has received."""
        return self._link.unread or self._carrier.peer.mid_frame

    @property
    def hello(self) -> Optional[Facts]:
        """What the peer proved to be; None on a raw channel."""
        return self._carrier.peer.facts

    def shutdown(self) -> None:
        """Close the connection; idempotent, any thread. Whoever waits here gets an error at once.

        An authenticated peer is told; a raw one sees the connection end, as with the reference.
        """
        self.break_off(Internal(_SHUT))

    close = shutdown

    def break_off(self, error: TransportError) -> None:
        """Close the connection as :meth:`shutdown` does, with ``error`` for whoever waits here."""
        if self._shut:
            # Also after ``abandon``, where the link's lock may be held by nobody who still exists.
            return
        self._carrier.close(error, farewell=self._carrier.peer.facts is not None)
        self._shut = True

    def abandon(self) -> None:
        """Close a forked child's copy of the socket; its parent's peer notices nothing."""
        self._shut = True
        self._carrier.abandon()

    def __enter__(self) -> FramedChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __bool__(self) -> bool:
        return not self._shut

    def __repr__(self) -> str:
        if self._shut:
            return "FramedChannel(shutdown)"
        return "FramedChannel(running={})".format(str(self._link.failure is None).lower())

    # -- inside -------------------------------------------------------------------------------

    @property
    def _link(self) -> Link:
        return self._carrier.link

    def _given(self, message: Optional[Incoming]) -> Optional[Dict[str, Any]]:
        if message is None:
            return None
        if isinstance(message, Response):
            self._carrier.received(message)
        return envelope_dict(message)

    def _demand(self) -> None:
        if self._shut:
            raise Internal(_SHUT)

    def _receive(self, timeout_ms: Optional[int]) -> Optional[Incoming]:
        if timeout_ms is None:
            return self._link.receive(None)
        return self._link.receive(self._deadline(timeout_ms))

    def _deadline(self, timeout_ms: int) -> float:
        return self._clock.monotonic() + milliseconds(timeout_ms)


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string, not {!r}".format(value))
    return value
