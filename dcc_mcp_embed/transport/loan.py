"""What a borrower gets of a connection: a channel of its own that ends with the lease."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Set

from ..errors import UnknownOutcome
from ..transport_errors import CallFailed, Internal
from .arguments import Content
from .channel import FramedChannel

__all__ = ["LentChannel"]

#: For the sends: see FramedChannel.
_SEND_MS = 30_000
#: Errors of a call that was answered, or of one that was never sent; or it ended with a connection
#: that is gone already.
_HARMLESS = (CallFailed, UnknownOutcome, TypeError, ValueError, OverflowError)


class LentChannel(FramedChannel):
    """A connection of the pool for the time of one lease; then it is another borrower's.

    ``observer(latency_ms, error)`` is told of each call. Any thread.
    """

    def __init__(
        self, channel: FramedChannel, observer: Callable[[float, Optional[str]], None]
    ) -> None:
        super().__init__(channel._carrier, channel._address, channel._clock)
        self.observer = observer
        self._channel = channel
        self._over = False
        #: What may still come, or is being waited for: ids of requests, and whoever receives.
        self._open: Set[Any] = set()
        #: A call was left without its answer.
        self._torn = False

    def end(self) -> bool:
        """End the lease; return whether the next borrower will find nothing of this one's.

        An answer that has not come, or a message that nobody has received, would be the next one's.
        """
        self._over = self._shut = True
        self.observer = None
        channel = self._channel
        try:
            if self._torn or self._open or channel.in_flight:
                return False
            # The look takes in what has arrived.
            return channel.alive() and not channel.unread
        finally:
            if self._carrier.listener is not None:
                self._carrier.listen(None)

    def call(self, method: str, params: Content = None, timeout_ms: int = 30_000) -> Dict[str, Any]:
        try:
            return FramedChannel.call(self, method, params, timeout_ms)
        except _HARMLESS:
            raise
        except BaseException:
            self._torn = True
            raise

    def send_request(self, method: str, params: Content = None, timeout_ms: int = _SEND_MS) -> str:
        sending = object()
        self._open.add(sending)
        request_id = super().send_request(method, params, timeout_ms)
        # Not if it failed: a part of it may be out.
        self._open.add(request_id)
        self._open.discard(sending)
        return request_id

    def recv(self, timeout_ms: Optional[int] = None) -> Optional[Dict[str, Any]]:
        receiving = object()
        self._open.add(receiving)
        try:
            return self._received(super().recv(timeout_ms))
        finally:
            self._open.discard(receiving)

    def try_recv(self) -> Optional[Dict[str, Any]]:
        return self._received(super().try_recv())

    def _received(self, message: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
        if message is not None and message["type"] == "response":
            self._open.discard(message["id"])
        return message

    def _demand(self) -> None:
        if self._over:
            raise Internal("the connection was given back; borrow one again")
        super()._demand()
