"""One request to a host, as MCP, and what is said about it while it is under way.

The host knows it by an id, and its progress by a token, that nobody else has: a UUID that is made
here. What the client called them stays on this side.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional

from ..clock import Clock
from ..errors import Cancelled, EmbedError, RemoteProtocolError
from ..transport.channel import FramedChannel
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.revisions import (
    META_CAPABILITIES,
    META_CLIENT,
    META_LOG_LEVEL,
    META_VERSION,
    STATELESS,
)

__all__ = ["MCP", "Errand", "Wishes"]

#: The method of hosts that takes them, and the topic of what is said meanwhile.
MCP = "mcp"
#: Notifications of one errand that wait to be passed on; more are left out.
_AHEAD = 64
#: Seconds after which a host is told once more that nobody wants an answer: the first word may have
#: come before the request itself, and any of them may be lost with a connection.
_PAUSES = (0.1, 1.0)
#: Milliseconds for that word to go out.
_SAY_MS = 5000


class Wishes(NamedTuple):
    """What the client wants to hear meanwhile, from which level on, if any; and what it is.

    ``capabilities``: what it can be asked, as it says it.
    """

    progress: bool = False
    level: Optional[str] = None
    client: str = ""
    capabilities: Mapping[str, Any] = {}


class Errand:
    """A request of one client to one host. Each method says on which thread.

    ``heard(message)`` is called with notifications of the host, as bytes, on the thread that reads
    them; for each :meth:`passed_on` is to be called.
    """

    def __init__(
        self,
        method: str,
        params: Dict[str, Any],
        clock: Clock,
        wishes: Wishes = Wishes(),
        heard: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self.method = method
        self.params = params
        self.id = clock.token_bytes(16).hex()
        self._wishes = wishes
        self._heard = heard
        self._lock = threading.Lock()
        self._ahead = 0
        self._lost = False
        self._cancelled = False
        self._channel: Optional[FramedChannel] = None
        self._over = threading.Event()

    def encode(self) -> bytes:
        """Return the message. Raises ValueError, RecursionError."""
        wishes = self._wishes
        meta: Dict[str, Any] = {
            META_VERSION: STATELESS[-1],
            META_CAPABILITIES: dict(wishes.capabilities),
            META_CLIENT: {"name": wishes.client, "version": ""},
        }
        if wishes.progress:
            meta["progressToken"] = self.id
        if wishes.level is not None:
            meta[META_LOG_LEVEL] = wishes.level
        params = dict(self.params, _meta=meta)
        return jsonrpc.encode(
            {"jsonrpc": "2.0", "id": self.id, "method": self.method, "params": params}
        )

    def carry(self, channel: FramedChannel, data: bytes, timeout_ms: int) -> Dict[str, Any]:
        """Send it and return its result. The worker's thread.

        Raises Fault for an error that the host answers, RemoteProtocolError for what is no answer,
        Cancelled if nobody wanted it before it was sent, otherwise as ``FramedChannel.call``.
        """
        try:
            with self._lock:
                if self._cancelled:
                    raise Cancelled("The call was cancelled; it was not sent.", state="not_started")
                self._channel = channel
            channel.listener = self._listen
            answer = channel.call(MCP, data, timeout_ms)
        finally:
            with self._lock:
                self._channel = None
            self._over.set()
        return _result(bytes(answer["payload"]))

    def cancel(self, said: Callable[[], None]) -> None:
        """Tell the host that nobody wants the answer any more. Waits: on a worker.

        ``said()`` is called once the first word is out, or there is nobody to say it to.
        """
        with self._lock:
            self._cancelled = True
        params = {"requestId": self.id}
        data = jsonrpc.encode(jsonrpc.notification("notifications/cancelled", params))
        going = self._say(data)
        said()
        for pause in _PAUSES:
            if not going or self._over.wait(pause):
                return
            going = self._say(data)

    def _say(self, data: bytes) -> bool:
        """Send a notification; False if there is nobody to hear it, nor ever will be."""
        with self._lock:
            channel = self._channel
        if channel is None:
            # It has not begun, or it is over.
            return False
        try:
            channel.send_notify(MCP, data, _SAY_MS)
        except EmbedError:
            # The connection is lost: perhaps the next one.
            pass
        return True

    def _listen(self, topic: str, data: bytes) -> None:
        # With the connection's lock held: it is looked at elsewhere.
        if topic != MCP:
            return
        with self._lock:
            if self._ahead >= _AHEAD:
                self._lost = True
                return
            self._ahead += 1
        self._heard(data)

    def passed_on(self) -> bool:
        """Say that a notification was dealt with; return whether others were lost. Any thread."""
        with self._lock:
            self._ahead -= 1
            lost, self._lost = self._lost, False
            return lost


def _result(payload: bytes) -> Dict[str, Any]:
    try:
        message = jsonrpc.decode(payload)
    except Fault as fault:
        raise RemoteProtocolError(fault.message) from None
    if type(message) is not dict:
        raise RemoteProtocolError("its answer is no JSON object")
    result, error = message.get("result"), message.get("error")
    if type(result) is dict:
        return result
    if type(error) is dict and type(error.get("code")) is int:
        raise Fault(error["code"], str(error.get("message")), None, error.get("data"))
    raise RemoteProtocolError("its answer is neither a result nor an error")
