"""A gate in the way of what runs in another process: who comes to it is seen, and waits there.

with Gate() as gate:
    ...                     # a tool in the other process: pass_gate(gate.port)
    gate.arrived()          # it stands at the gate
    gate.open()             # it goes on
"""

from __future__ import annotations

import socket
from typing import Any, List

__all__ = ["PASS_GATE", "Gate"]

DEADLINE = 30.0
#: Source of what a tool calls; it returns when the gate opens, or whoever holds it has gone.
PASS_GATE = '''
import socket

def pass_gate(port):
    """Stand at the gate until it opens."""
    with socket.create_connection(("127.0.0.1", port), 60.0) as gate:
        gate.recv(1)
'''


class Gate:
    """Listens on ``port``, for one test."""

    def __init__(self) -> None:
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen(64)
        self.port: int = self._sock.getsockname()[1]
        self._held: List[socket.socket] = []

    def arrived(self, times: int = 1) -> None:
        """Wait until so many more stand at it."""
        self._sock.settimeout(DEADLINE)
        for _ in range(times):
            self._held.append(self._sock.accept()[0])

    def left(self) -> None:
        """Wait until the one that came first has gone, without the gate's having been opened."""
        first = self._held.pop(0)
        with first:
            first.settimeout(DEADLINE)
            try:
                assert first.recv(1) == b""
            except ConnectionError:
                pass  # it was killed

    def nobody_else(self) -> None:
        """Check that nobody has come who was not waited for."""
        self._sock.settimeout(0.0)
        try:
            self._held.append(self._sock.accept()[0])
        except BlockingIOError:
            return
        raise AssertionError("somebody else has come")

    def open(self) -> None:
        """Let those who stand at it go on."""
        for one in self._held:
            one.close()
        del self._held[:]

    def close(self) -> None:
        self.open()
        self._sock.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
