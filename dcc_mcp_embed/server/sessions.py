"""MCP sessions of the handshake revisions: who a client said it is, and which it ended.

Nothing depends on a session being known. A missing id and one we never gave out (the host was
restarted) are served, because real clients do not recover from a 404; only an id that was ended
here answers 404. Loop thread.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from typing import Any, Callable, Dict, List, Optional, Set

from ..clock import Clock
from .channel import Channel
from .gateway import share
from .replays import Replays

__all__ = ["IDLE", "Session", "Sessions"]

#: Characters of a session id that we did not give out and take all the same.
_MAX_ID = 128
#: A session without a stream of which nothing was heard for so long is over, seconds: clients leave
#: without a word (and one opens a session only to see whether it can).
IDLE = 4 * 3600.0


class Session:
    """What is known of one client, and the ways to it.

    ``level`` is the least severe log message that it wants (``logging/setLevel``);
    ``capabilities`` is what it said it can do, None if it never said so here; ``guest``: it was
    opened by one; ``used``: when it was heard of last; ``channel`` are its streams, once it has
    any; ``subscriptions`` are uris; ``asked`` maps the id of a request of ours to what takes
    (result, error).
    """

    __slots__ = (
        "_make",
        "asked",
        "capabilities",
        "channel",
        "client",
        "guest",
        "level",
        "session_id",
        "subscriptions",
        "used",
        "version",
    )

    def __init__(
        self,
        session_id: str,
        version: str,
        client: str,
        capabilities: Optional[Dict[str, Any]],
        make: Callable[[Session], Channel],
        guest: bool,
        used: float,
    ) -> None:
        self._make = make
        self.session_id = session_id
        self.version = version
        self.client = client
        self.capabilities = capabilities
        self.guest = guest
        self.used = used
        self.level: Optional[str] = None
        self.channel: Optional[Channel] = None
        self.subscriptions: Set[str] = set()
        self.asked: Dict[str, Callable[[Any, Any], None]] = {}

    @property
    def introduced(self) -> bool:
        """Return whether its client has opened it here: else its id and revision are a claim."""
        return self.capabilities is not None

    @property
    def attached(self) -> bool:
        """Return whether a connection carries a stream of it now."""
        return self.channel is not None and self.channel.attached

    def streams(self) -> Channel:
        """Return its streams, made when they are first wanted."""
        channel = self.channel
        if channel is None:
            channel = self.channel = self._make(self)
        return channel


class Sessions:
    """A bounded table; who makes room for others is then merely unknown.

    Those without a stream go first, of them the guests', of those the least recently used. Of
    guests there are but a few. ``epoch`` tells the event ids of this process from those of an
    earlier one.
    """

    def __init__(self, clock: Clock, limit: int = 1024, epoch: str = "0") -> None:
        self._clock = clock
        self._limit = limit
        self._epoch = epoch
        self._replays = Replays()
        #: The least recently used first.
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
        guest: bool = False,
    ) -> Session:
        """Begin a session under a fresh, unguessable id."""
        now = self._clock.monotonic()
        self._expire(now)
        self._make_room(guest)
        session = Session(session_id, version, client, capabilities, self._channel, guest, now)
        self._live[session_id] = session
        return session

    def _expire(self, now: float) -> None:
        for session in list(takewhile(lambda one: one.used < now - IDLE, self._live.values())):
            if session.attached:
                self.get(session.session_id)
            else:
                self._drop(session)

    def _make_room(self, guest: bool) -> None:
        """Drop one session if there is no room for another."""
        found = [one for one in self._live.values() if one.guest] if guest else []
        if len(found) < share(self._limit):
            if len(self._live) < self._limit:
                return
            found = self.all()
        self._drop(min(found, key=lambda one: (one.attached, not one.guest)))

    def _drop(self, session: Session) -> None:
        del self._live[session.session_id]
        _leave(session)

    def _channel(self, session: Session) -> Channel:
        return Channel(session.session_id, session.version, self._epoch, self._replays)

    def get(self, session_id: str) -> Optional[Session]:
        """Return a live session and mark it as used, None if it is not known."""
        session = self._live.get(session_id)
        if session is not None:
            session.used = self._clock.monotonic()
            self._live.move_to_end(session_id)
        return session

    def known(self, session_id: str, version: str, guest: bool = False) -> Optional[Session]:
        """Return a session; one that an earlier process gave out lives on under its id.

        None for what is no session id.
        """
        session = self.get(session_id)
        if session is None and len(session_id) <= _MAX_ID and session_id not in self._ended:
            session = self.open(session_id, version, "", None, guest)
        return session

    def ended(self, session_id: str) -> bool:
        """Return whether this id was given out and ended here."""
        return session_id in self._ended

    def end(self, session_id: str) -> bool:
        """End a session; False if it is not known."""
        session = self._live.get(session_id)
        if session is None:
            return False
        self._ended[session_id] = None
        if len(self._ended) > self._limit:
            self._ended.popitem(last=False)
        self._drop(session)
        return True


def _leave(session: Session) -> None:
    """End what a session had: nobody answers for it any more."""
    asked, session.asked = session.asked, {}
    for take in asked.values():
        take(None, {"code": 0, "message": "the session was ended"})
    # Also if there is none yet: one that a call made afterwards would keep what nobody fetches.
    session.streams().close()
