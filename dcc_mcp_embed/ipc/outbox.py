"""What one event makes for several connections leaves together, each connection's in one write."""

from __future__ import annotations

from typing import Any, List

__all__ = ["Outbox"]


class Outbox:
    """Connections that have something to send. Loop thread."""

    def __init__(self) -> None:
        self._waiting: List[Any] = []

    def add(self, connection: Any) -> None:
        """Have ``connection.flush()`` called in the end; twice does no harm."""
        self._waiting.append(connection)

    def flush(self) -> None:
        """Send what there is to send; at the end of whatever made it."""
        waiting = self._waiting
        while waiting:
            waiting.pop().flush()
