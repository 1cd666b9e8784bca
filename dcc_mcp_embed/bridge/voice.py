"""The ways to a client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Dict

from ..wire import jsonrpc
from .stdio import LineWriter

__all__ = ["LineVoice", "Voice", "encoded"]

Message = Dict[str, Any]


class Voice(ABC):
    """A way to a client, for one of its requests or for what is about none. The desk's thread."""

    @abstractmethod
    def reply(self, message: Message) -> None:
        """Send the answer."""

    @abstractmethod
    def cancelled(self, message: Message) -> None:
        """Send the answer to a request that its client has cancelled, if there must be one."""

    @abstractmethod
    def tell(self, message: Message) -> None:
        """Send a notification that must not be lost."""

    @abstractmethod
    def offer(self, message: Message) -> None:
        """Send a notification if there is room for it."""

    @abstractmethod
    def ask(self, message: Message) -> bool:
        """Send a request; return whether there is a way for it."""


class LineVoice(Voice):
    """One line each; whoever sends waits while the client does not read."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def reply(self, message: Message) -> None:
        self._writer.put(encoded(message))

    def cancelled(self, message: Message) -> None:
        """Say nothing: the client expects no answer."""

    def tell(self, message: Message) -> None:
        self._writer.put(encoded(message))

    def offer(self, message: Message) -> None:
        self._writer.offer(encoded(message))

    def ask(self, message: Message) -> bool:
        self._writer.put(encoded(message))
        return True


def encoded(message: Message) -> bytes:
    """Return a message's bytes; of what cannot be sent, an error that says so."""
    try:
        return jsonrpc.encode(message)
    except (ValueError, RecursionError) as error:
        text = "The answer cannot be sent: {}".format(error)
        return jsonrpc.encode(jsonrpc.error(message.get("id"), jsonrpc.INTERNAL_ERROR, text))
