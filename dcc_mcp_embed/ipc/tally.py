"""What is counted at both ends: written on the loop's thread, and read by any for the stats."""

from __future__ import annotations

from typing import Optional

__all__ = ["ClientTally", "ServerTally"]


class ClientTally:
    """What a client's ``get_stats`` tells of its session. Seconds, monotonic."""

    def __init__(self) -> None:
        self.requests = self.responses = self.errors = self.timeouts = 0
        self.resent = self.joined = self.unknown_outcomes = 0
        self.pushes = self.heartbeats = self.reconnects = 0
        self.last_error: Optional[str] = None
        self.last_latency: Optional[float] = None
        self.connected_since: Optional[float] = None


class ServerTally:
    """What a server's ``get_stats`` counts since the last start, under the names it has there."""

    def __init__(self) -> None:
        self.connections_total = self.refused = self.dropped = 0
        self.requests = self.responses = self.errors = 0
        self.replayed = self.joined = self.unknown_outcomes = 0
        self.pushes = self.pushes_skipped = 0
