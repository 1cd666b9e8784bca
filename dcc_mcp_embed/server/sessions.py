"""MCP sessions of the handshake revisions: who a client said it is, and which it ended.

Nothing depends on a session being known. A missing id and one we never gave out (the host was
restarted) are served, because real clients do not recover from a 404; only an id that was ended
here answers 404. Pure; loop thread.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable, Dict, List, Optional, Set

from .channel import Channel
from .replays import Replays

__all__ = ["Session", "Sessions"]

#: Characters of a session id that we did not give out and take all the same.
_MAX_ID = 128


class Session:
    """What is known of one client, and the ways to it.

    ``level`` is the least severe log message that it wants (``logging/setLevel``);
    ``capabilities`` is what it said it can do, None if it never said so here; ``channel`` are its
    streams, once it has any; ``subscriptions`` are uris; ``asked`` maps the id of a request of ours
    to what takes (result, error).
    """

    __slots__ = (
        "_make",
        "asked",
        "capabilities",
        "channel",
        "client",
        "level",
        "session_id",
        "subscriptions",
        "version",
    )

    def __init__(
        self,
        session_id: str,
        version: str,
        client: str,
        capabilities: Optional[Dict[str, Any]],
        make: Callable[[Session], Channel],
    ) -> None:
        self._make = make
        self.session_id = session_id
        self.version = version
        self.client = client
        self.capabilities = capabilities
        self.level: Optional[str] = None
        self.channel: Optional[Channel] = None
        self.subscriptions: Set[str] = set()
        self.asked: Dict[str, Callable[[Any, Any], None]] = {}

    def streams(self) -> Channel:
        """Return its streams, made when they are first wanted."""
        channel = self.channel
        if channel is None:
            channel = self.channel = self._make(self)
        return channel


class Sessions:
    """A bounded table; the least recently used go first, and are then merely unknown.

    ``epoch`` tells the event ids of this process from those of an earlier one.
    """

    def __init__(self, limit: int = 1024, epoch: str = "0") -> None:
        self._limit = limit
        self._epoch = epoch
        self._replays = Replays()
        self._live: OrderedDict[str, Session] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def all(self) -> List[Session]:
        """Return every live session."""
        return list(self._live.values())

    def open(
        self,
        session_id: str,
        version: str,
        client: str,
        capabilities: Optional[Dict[str, Any]] = None,
    ) -> Session:
        """Begin a session under a fresh, unguessable id."""
        session = Session(session_id, version, client, capabilities, self._channel)
        self._live[session_id] = session
        if len(self._live) > self._limit:
            _leave(self._live.popitem(last=False)[1])
        return session

    def _channel(self, session: Session) -> Channel:
        return Channel(session.session_id, session.version, self._epoch, self._replays)

    def get(self, session_id: str) -> Optional[Session]:
        """Return a live session and mark it as used, None if it is not known."""
        session = self._live.get(session_id)
        if session is not None:
            self._live.move_to_end(session_id)
        return session

    def known(self, session_id: str, version: str) -> Optional[Session]:
        """Return a session; one that an earlier process gave out lives on under its id.

        None for what is no session id.
        """
        session = self.get(session_id)
        if session is None and len(session_id) <= _MAX_ID and session_id not in self._ended:
            session = self.open(session_id, version, "")
        return session

    def ended(self, session_id: str) -> bool:
        """Return whether this id was given out and ended here."""
        return session_id in self._ended

    def end(self, session_id: str) -> bool:
        """End a session; False if it is not known."""
        session = self._live.pop(session_id, None)
        if session is None:
            return False
        self._ended[session_id] = None
        if len(self._ended) > self._limit:
            self._ended.popitem(last=False)
        _leave(session)
        return True


def _leave(session: Session) -> None:
    """End what a session had: nobody answers for it any more."""
    asked, session.asked = session.asked, {}
    for take in asked.values():
        take(None, {"code": 0, "message": "the session was ended"})
    if session.channel is not None:
        session.channel.close()
