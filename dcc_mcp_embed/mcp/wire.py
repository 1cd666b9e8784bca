"""A way to a server, whichever it is: what the transports have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..net.tasks import Wait
from ..wire import jsonrpc
from .connection import Broken

__all__ = [
    "Duplex",
    "Expired",
    "Fields",
    "Heard",
    "HttpFailed",
    "Refused",
    "Wire",
    "is_answer",
    "messages_in",
]

Fields = Sequence[Tuple[str, str]]
#: Takes a message that is not the answer that is waited for. Loop thread.
Heard = Callable[[Dict[str, Any]], None]


class HttpFailed(Exception):
    """A request was answered with an HTTP status that carries no answer of JSON-RPC."""

    def __init__(self, status: int, text: str) -> None:
        shown = " ".join(text.split())[:300]
        super().__init__("HTTP {}{}".format(status, ": " + shown if shown else ""))
        self.status = status
        self.text = text


class Refused(HttpFailed):
    """The server wants to know who calls, or does not want this one (401, 403)."""


class Expired(Exception):
    """The server does not know the session any more; the request was not taken."""


class Wire(ABC):
    """A way to one server. Coroutines; loop thread."""

    #: Whether requests carry headers.
    has_headers = False
    #: Whether it has ended for good: whoever wants more opens another.
    lost = False
    #: Seconds that :meth:`leave` may take.
    patience = 2.0

    @property
    def going(self) -> bool:
        """Return whether something is left of it that has yet to end, once it is closed."""
        return False

    async def gone(self) -> None:
        """Return once nothing is left of it, or that takes too long. After :meth:`close`."""
        return

    @abstractmethod
    async def open(self) -> None:
        """Get ready; anew if it was lost. Raises Broken, ConfigError."""

    @abstractmethod
    async def ask(self, message: Dict[str, Any], fields: Fields, heard: Heard) -> Dict[str, Any]:
        """Send a request and return its answer, which may be an error.

        What else comes on its behalf goes to ``heard``. Raises Broken, HttpFailed, Expired.
        """

    @abstractmethod
    async def tell(self, message: Dict[str, Any], fields: Fields) -> None:
        """Send a notification, or an answer of ours. Raises as :meth:`ask` does."""

    @abstractmethod
    def opened(self, version: str) -> None:
        """Take note of the revision that a handshake has led to."""

    @abstractmethod
    async def listen(self, heard: Heard) -> None:
        """Take what the server says of its own accord, if that has a way of its own."""

    @abstractmethod
    async def leave(self) -> None:
        """Tell the server that the session is over. Raises what it likes; :meth:`close` follows."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything now; what is under way breaks."""

    @abstractmethod
    def disown(self) -> None:
        """Close this process's copies, in a forked child."""


class Duplex(Wire):
    """A wire on which answers come by a way of their own. A subclass sends; it tells what comes."""

    def __init__(self) -> None:
        self._pending: Dict[Any, Wait[Dict[str, Any]]] = {}
        self._heard: Optional[Heard] = None
        #: Why it has ended; empty as long as it has not.
        self.over = ""

    @abstractmethod
    async def send(self, message: Dict[str, Any]) -> None:
        """Send a message; return once it is on its way. Raises Broken."""

    async def ask(self, message: Dict[str, Any], fields: Fields, heard: Heard) -> Dict[str, Any]:
        # Nothing shows on whose behalf a message comes; what comes before the first question is
        # of no use to anybody.
        self._heard = heard
        ident = message["id"]
        if self.lost:
            raise Broken(self.over, False)
        wait = self._pending[ident] = Wait()
        try:
            return await self.answer(message, wait)
        finally:
            self._pending.pop(ident, None)

    async def answer(self, message: Dict[str, Any], wait: Wait[Dict[str, Any]]) -> Dict[str, Any]:
        """Send a request and return its answer, which ``wait`` is settled with."""
        await self.send(message)
        return await wait

    async def tell(self, message: Dict[str, Any], fields: Fields) -> None:
        if self.lost:
            raise Broken(self.over, False)
        await self.send(message)

    def opened(self, version: str) -> None:
        pass  # its messages say nothing of that

    async def listen(self, heard: Heard) -> None:
        self._heard = heard

    def begun(self) -> None:
        """Take note that it begins, maybe anew."""
        self.over = ""
        self.lost = False

    def came(self, message: Dict[str, Any]) -> None:
        """Take a message from the server."""
        ident = message.get("id")
        wait = self._pending.get(ident) if type(ident) in (int, str) else None
        if wait is not None and is_answer(message, ident):
            wait.settle(message)
        elif self._heard is not None:
            self._heard(message)

    def ended(self, reason: str) -> None:
        """Take note that nothing more comes; whoever waits is told. The first reason counts."""
        if not self.lost:
            self.over = reason
            self.lost = True
            for wait in list(self._pending.values()):
                wait.fail(Broken(reason, True))


def messages_in(data: bytes) -> List[Dict[str, Any]]:
    """Return the messages in a body or an event: one, or those of a batch. Raises Fault."""
    value = jsonrpc.decode(data)
    found = value if type(value) is list else [value]
    for one in found:
        if type(one) is not dict:
            raise jsonrpc.Fault(jsonrpc.INVALID_REQUEST, "A message is a JSON object")
    return found


def is_answer(message: Dict[str, Any], ident: Optional[Any]) -> bool:
    """Return whether a message answers the request with this id."""
    return (
        "method" not in message
        and message.get("id") == ident
        and ("result" in message or "error" in message)
    )
