"""One connection of a client: what is to be sent, when it was heard, why it ended. Pure."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..clock import Clock
from ..rpc.hello import NOT_OURS, ClientHello, HelloRefused
from ..rpc.peer import Ended, Peer, Quotas
from ..transport_errors import ConnectionClosed, FrameTooLarge, Serialization
from ..wire.messages import Message, Request
from .limits import MAX_FRAME

__all__ = ["Link"]

#: Bytes that wait for the server to read, from which on requests are held. More than the stream's:
#: it says when less than that are left.
_HIGH_WATER = 2 * 1024 * 1024
#: Requests have a limit of their own: see Errands.
_QUOTAS = Quotas(in_flight=1 << 20, frame=MAX_FRAME)
#: A server's reason gets that far into an error.
_SAID = 200
#: Here a secret may have been given.
_WRONG_SECRET = (
    "whoever answers does not know the secret (the `secret=` that was given, or this user's own), "
    "or a forwarded port has another number than the server's"
)


class _Hello(ClientHello):
    """Remembers why it was refused: whoever refuses now will refuse again."""

    refused: Optional[str] = None

    def receive(self, message: Message) -> Optional[Request]:
        try:
            return super().receive(message)
        except HelloRefused as refusal:
            self.refused = refusal.reason
            raise


class Link:
    """See the module. ``heard``: when the server was last heard, monotonic seconds."""

    def __init__(self, now: float, place: str, key: bytes, account_id: str, clock: Clock) -> None:
        self._hello: Optional[_Hello] = _Hello(key, place, clock, client=account_id)
        self.peer = Peer(clock, hello=self._hello, quotas=_QUOTAS)
        self.heard = now
        self._out: List[bytes] = []
        self._size = 0

    @property
    def unsent(self) -> int:
        """Bytes that the socket did not take yet; the shell keeps it up to date."""
        return self.peer.unsent

    @unsent.setter
    def unsent(self, size: int) -> None:
        self.peer.unsent = size

    @property
    def full(self) -> bool:
        """Whether the server does not read what it is sent."""
        return self.peer.unsent + self._size >= _HIGH_WATER

    def say(self, data: bytes) -> None:
        """Have a frame sent."""
        self._out.append(data)
        self._size += len(data)

    def data_to_send(self) -> bytes:
        """Return what is to be sent now, and forget it."""
        peer, out = self.peer, self._out
        if peer.has_data:
            out.append(peer.data_to_send())
        if not out:
            return b""
        self._out, self._size = [], 0
        return out[0] if len(out) == 1 else b"".join(out)

    def greeted(self) -> None:
        """The hello is done."""
        self._hello = None

    def reason(self, event: Ended) -> Tuple[str, bool]:
        """Return why the connection has ended, and whether the next would end for it as well."""
        error, hello = event.error, self._hello
        if hello is not None and hello.refused is not None:
            # Told before the socket is closed, if there is something to tell.
            return _WRONG_SECRET if hello.refused == NOT_OURS else hello.refused, True
        if hello is not None and isinstance(error, (FrameTooLarge, Serialization)):
            return "whoever answers there is no SocketServer ({})".format(error), False
        if isinstance(error, ConnectionClosed):
            said = "" if event.reason is None else ": " + event.reason[:_SAID]
            return "the server closed the connection" + said, False
        return str(error), False
