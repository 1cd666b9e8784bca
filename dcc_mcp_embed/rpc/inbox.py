"""What the peer sent of its own accord and nobody has taken yet, within bounds."""

from __future__ import annotations

from collections import deque
from typing import Deque, Optional, Union

from ..wire.messages import Notify, Request, Response

__all__ = ["FULL_BYTES", "FULL_MESSAGES", "Inbox", "Incoming"]

Incoming = Union[Request, Response, Notify]

#: From here on the channel stops reading on its own account (reference: 256 messages).
FULL_MESSAGES = 256
FULL_BYTES = 16 * 1024 * 1024
#: A call that waits for its reply has to read past what is in front of it; that may be put here,
#: up to so many times as much.
_BEYOND = 16


class Inbox:
    """A queue of messages, first in, first out. Guarded by its owner's lock."""

    __slots__ = ("_bytes", "_messages")

    def __init__(self) -> None:
        self._messages: Deque[Incoming] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether nothing more is to be read for its sake."""
        return len(self._messages) >= FULL_MESSAGES or self._bytes >= FULL_BYTES

    def put(self, message: Incoming) -> bool:
        """Append a message; False: there is no room even for what a call had to read past."""
        if len(self._messages) >= FULL_MESSAGES * _BEYOND or self._bytes >= FULL_BYTES * _BEYOND:
            return False
        self._messages.append(message)
        self._bytes += _size(message)
        return True

    def take(self) -> Optional[Incoming]:
        """Remove and return the oldest message, if there is one."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        self._bytes -= _size(message)
        return message

    def put_back(self, message: Incoming) -> None:
        """Make a message that was taken the oldest again; there is always room."""
        self._messages.appendleft(message)
        self._bytes += _size(message)


def _size(message: Incoming) -> int:
    # The byte field is the third of each: params, payload, data.
    return len(message[2])
