"""Frames that a socket has not taken yet, in order, each whole or not at all."""

from __future__ import annotations

import socket
from collections import deque
from typing import Deque, List, Optional

from ..net.readiness import WRITE
from ..net.stream import SEND_FLAGS
from ..rpc.pending import Pending

__all__ = ["Outbox", "Sending"]


class Sending(Pending):
    """A frame that is not out yet."""

    __slots__ = ("begun", "left")
    needs = WRITE

    def __init__(self, left: memoryview, begun: bool, deadline: Optional[float]) -> None:
        super().__init__(deadline)
        self.left = left
        #: Whether a part of the frame is out: then the rest must follow, or the stream is spoilt.
        self.begun = begun


class Outbox:
    """Sends over a socket that does not block. Guarded by its owner's lock."""

    __slots__ = ("_sock", "_waiting", "size")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: Deque[Sending] = deque()
        #: Bytes that are not out yet.
        self.size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, data: bytes, deadline: Optional[float]) -> Optional[Sending]:
        """Send a frame, or what the socket takes of it; return what stands for the rest.

        Raises OSError.
        """
        sent = 0
        if not self._waiting:
            try:
                sent = self._sock.send(data, SEND_FLAGS)
            except (BlockingIOError, InterruptedError):
                pass
            if sent == len(data):
                return None
        sending = Sending(memoryview(data)[sent:], sent > 0, deadline)
        self._waiting.append(sending)
        self.size += len(sending.left)
        return sending

    def flush(self) -> List[Sending]:
        """Send what the socket takes now; return what is out. Raises OSError."""
        out: List[Sending] = []
        waiting = self._waiting
        try:
            while waiting:
                sending = waiting[0]
                sent = self._sock.send(sending.left, SEND_FLAGS)
                self.size -= sent
                sending.left = sending.left[sent:]
                sending.begun = True
                if not sending.left:
                    sending.done = True
                    out.append(waiting.popleft())
        except (BlockingIOError, InterruptedError):
            pass
        return out

    def withdraw(self, sending: Sending) -> bool:
        """Take back a frame that is not out; False if a part of it is."""
        if sending.begun:
            return False
        self._waiting.remove(sending)
        self.size -= len(sending.left)
        return True

    def clear(self) -> List[Sending]:
        """Forget everything; return what is not out."""
        lost = list(self._waiting)
        self._waiting.clear()
        self.size = 0
        return lost
