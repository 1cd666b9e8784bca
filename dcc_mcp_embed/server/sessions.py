"""MCP sessions of the handshake revisions: who a client said it is, and which it ended.

Nothing depends on a session being known. A missing id and one we never gave out (the host was
restarted) are served, because real clients do not recover from a 404; only an id that was ended
here answers 404. Pure; loop thread.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, Optional

__all__ = ["Session", "Sessions"]


class Session(NamedTuple):
    """``level`` is the least severe log message that the client wants (``logging/setLevel``)."""

    session_id: str
    version: str
    client: str
    level: Optional[str] = None


class Sessions:
    """A bounded table; the least recently used go first, and are then merely unknown."""

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._live: OrderedDict[str, Session] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def open(self, session_id: str, version: str, client: str) -> Session:
        """Begin a session under a fresh, unguessable id."""
        session = Session(session_id, version, client)
        self._live[session_id] = session
        if len(self._live) > self._limit:
            self._live.popitem(last=False)
        return session

    def get(self, session_id: str) -> Optional[Session]:
        """Return a live session and mark it as used, None if it is not known."""
        session = self._live.get(session_id)
        if session is not None:
            self._live.move_to_end(session_id)
        return session

    def set_level(self, session_id: str, level: str) -> None:
        """Note what a live session wants to be told of the log; of others nothing is kept."""
        session = self._live.get(session_id)
        if session is not None:
            self._live[session_id] = session._replace(level=level)

    def ended(self, session_id: str) -> bool:
        """Return whether this id was given out and ended here."""
        return session_id in self._ended

    def end(self, session_id: str) -> bool:
        """End a session; False if it is not known."""
        if self._live.pop(session_id, None) is None:
            return False
        self._ended[session_id] = None
        if len(self._ended) > self._limit:
            self._ended.popitem(last=False)
        return True
