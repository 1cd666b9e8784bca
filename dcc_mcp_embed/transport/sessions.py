"""Sessions: what a manager remembers about its dealings with one instance.

A session is a record, not a connection: a new one is ``connected`` without a byte having been
sent. States and transitions are the reference's (dcc-mcp-core 0.12), except that a closed session
is replaced when its instance is asked for again (the reference hangs). Pure: no I/O, ``now`` is
passed in (seconds, monotonic); one lock, and nothing that blocks under it. A call in the middle of
another one of the same thread raises Internal (see ``reentry``).
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

from ..records import NamedTuple
from ..rpc.backoff import Backoff
from ..transport_errors import InvalidSessionState, ReconnectionFailed, SessionNotFound
from .config import SessionConfig
from .latency import Latencies, bucket_of
from .reentry import alone, reentered

__all__ = ["Peer", "SessionState", "SessionTable"]

#: Seconds that the end waits for whoever is in the middle of something.
_PATIENCE = 0.3


class SessionState(Enum):
    """What may happen to a session; ``value`` is what stands in a session's ``state``."""

    CONNECTED = "connected"
    #: Not used for longer than ``idle_timeout``; using it again makes it connected.
    IDLE = "idle"
    RECONNECTING = "reconnecting"
    #: Final.
    CLOSED = "closed"

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return "SessionState." + self.name


CONNECTED, IDLE, RECONNECTING, CLOSED = SessionState

#: State -> what it may become.
LEGAL: Dict[SessionState, FrozenSet[SessionState]] = {
    CONNECTED: frozenset((CONNECTED, IDLE, RECONNECTING, CLOSED)),
    IDLE: frozenset((CONNECTED, IDLE, RECONNECTING, CLOSED)),
    RECONNECTING: frozenset((CONNECTED, RECONNECTING, CLOSED)),
    CLOSED: frozenset(),
}


class Peer(NamedTuple):
    """Whom a session is with, as it was when the session began."""

    dcc_type: str
    instance_id: str
    host: str
    port: int
    transport_address: str


class _Session:
    __slots__ = (
        "attempts",
        "created",
        "error_count",
        "last_active",
        "last_error",
        "latencies",
        "peer",
        "request_count",
        "session_id",
        "state",
        "total_ms",
    )

    def __init__(self, session_id: str, peer: Peer, now: float) -> None:
        self.session_id = session_id
        self.peer = peer
        self.state = CONNECTED
        self.created = self.last_active = now
        self.request_count = self.error_count = self.attempts = 0
        self.total_ms = 0.0
        self.last_error: Optional[str] = None
        self.latencies = Latencies()

    def become(self, state: SessionState, expected: Optional[str] = None) -> None:
        if state not in LEGAL[self.state]:
            raise InvalidSessionState(self.session_id, self.state.value, expected or state.value)
        self.state = state

    def facts(self, now: float, wall: float) -> Dict[str, Any]:
        count = self.request_count
        p50, p95, p99 = self.latencies.percentiles((50, 95, 99))
        return {
            "id": self.session_id,
            **self.peer._asdict(),
            "state": self.state.value,
            "request_count": count,
            "error_count": self.error_count,
            "avg_latency_ms": self.total_ms / count if count else 0.0,
            "error_rate": self.error_count / count if count else 0.0,
            "reconnect_attempts": self.attempts,
            "last_error": self.last_error,
            "created_at": wall - (now - self.created),
            "last_active": wall - (now - self.last_active),
            "latency_p50_ms": p50,
            "latency_p95_ms": p95,
            "latency_p99_ms": p99,
        }


class SessionTable:
    """All sessions of one manager, by id and by instance. Any thread."""

    def __init__(
        self, config: SessionConfig, new_id: Callable[[], str], chance: Callable[[], float]
    ) -> None:
        self._config = config
        self._backoff = Backoff(
            config.reconnect_backoff_base,
            config.reconnect_backoff_cap,
            config.reconnect_backoff_jitter,
        )
        self._new_id = new_id
        self._chance = chance
        self._lock: Any = threading.RLock()
        self._by_id: Dict[str, _Session] = {}
        self._by_peer: Dict[Tuple[str, str], _Session] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, peer: Peer, now: float) -> str:
        """Return the id of the session with ``peer``, a new one unless there is a usable one.

        One that is reconnecting is returned as it is; a closed one is replaced.
        """
        with alone(self._lock):
            known = self._by_peer.get(peer[:2])
            if known is not None and known.state is not CLOSED:
                if known.state is not RECONNECTING:
                    known.become(CONNECTED)
                    known.last_active = now
                return known.session_id
            if known is not None:
                del self._by_id[known.session_id]
            fresh = _Session(self._new_id(), peer, now)
            self._by_id[fresh.session_id] = self._by_peer[peer[:2]] = fresh
            return fresh.session_id

    def get(self, session_id: str, now: float, wall: float) -> Optional[Dict[str, Any]]:
        """Return the facts about one session, None if there is none with this id.

        The reference's twelve keys come first, in its order; then ``last_error`` (text or None),
        ``created_at`` and ``last_active`` (Unix time) and three percentiles (milliseconds).
        """
        with alone(self._lock):
            session = self._by_id.get(session_id)
            return None if session is None else session.facts(now, wall)

    def list(self, now: float, wall: float, dcc_type: Optional[str] = None) -> List[Dict[str, Any]]:
        """Return the facts about all sessions, or those of one type, the oldest first."""
        with alone(self._lock):
            wanted = [
                session_id
                for session_id, session in self._by_id.items()
                if dcc_type is None or session.peer.dcc_type == dcc_type
            ]
        # One at a time: a thousand together would hold up whoever has a call to record.
        found = (self.get(session_id, now, wall) for session_id in wanted)
        return [facts for facts in found if facts is not None]

    def record(
        self, session_id: str, latency_ms: float, now: float, error: Optional[str] = None
    ) -> bool:
        """Count one call; False, and nothing happens, if there is no such session.

        Raises OverflowError for a latency that is none.
        """
        bucket = bucket_of(latency_ms)
        # As ``alone`` does, but for the step: this is on every call's way.
        if self._lock._is_owned():
            raise reentered()
        with self._lock:
            session = self._by_id.get(session_id)
            if session is None:
                return False
            session.request_count += 1
            session.total_ms += latency_ms
            session.last_active = now
            session.latencies.add(bucket)
            if error is not None:
                session.error_count += 1
                session.last_error = error
            return True

    def begin_reconnect(self, session_id: str) -> int:
        """Count one more attempt and return how many milliseconds to wait before it.

        Raises SessionNotFound, InvalidSessionState, and ReconnectionFailed when no attempts are
        left: the session is closed then.
        """
        config = self._config
        with alone(self._lock):
            session = self._found(session_id)
            session.become(RECONNECTING, "connected or idle")
            session.attempts += 1
            if session.attempts > config.reconnect_max_retries:
                session.become(CLOSED)
                raise ReconnectionFailed(
                    session_id, config.reconnect_max_retries, "max retries exceeded"
                )
            attempt = session.attempts
        return round(1000 * self._backoff.delay(attempt, self._chance()))

    def reconnect_success(self, session_id: str, now: float) -> None:
        """Make a session connected and forget its attempts.

        Raises SessionNotFound and InvalidSessionState.
        """
        with alone(self._lock):
            session = self._found(session_id)
            session.become(CONNECTED)
            session.attempts = 0
            session.last_active = now

    def close(self, session_id: str) -> bool:
        """Forget a session; False if there is none with this id."""
        with alone(self._lock):
            session = self._by_id.get(session_id)
            if session is not None:
                self._forget(session)
            return session is not None

    def close_peer(self, dcc_type: str, instance_id: str) -> bool:
        """Forget the session with one instance; False if there is none."""
        with alone(self._lock):
            session = self._by_peer.get((dcc_type, instance_id))
            if session is not None:
                self._forget(session)
            return session is not None

    def close_all(self) -> None:
        """Forget every session, unless somebody is in the middle of something and stays there."""
        lock = self._lock
        # At the end of a program nobody may be left to finish what holds it.
        if lock._is_owned() or not lock.acquire(timeout=_PATIENCE):
            return
        try:
            self._by_id.clear()
            self._by_peer.clear()
        finally:
            lock.release()

    def disown(self) -> None:
        """Forget everything, lock and all: in a forked child nobody is left to release it."""
        self._lock = threading.RLock()
        self.close_all()

    def sweep(self, now: float) -> int:
        """Let time pass: return how many sessions became idle or were closed and forgotten."""
        config = self._config
        with alone(self._lock):
            old = [
                session
                for session in self._by_id.values()
                if now - session.created > config.max_session_lifetime
            ]
            for session in old:
                self._forget(session)
            unused = [
                session
                for session in self._by_id.values()
                if session.state is CONNECTED and now - session.last_active > config.idle_timeout
            ]
            for session in unused:
                session.become(IDLE)
            return len(old) + len(unused)

    def _found(self, session_id: str) -> _Session:
        session = self._by_id.get(session_id)
        if session is None:
            raise SessionNotFound(session_id)
        return session

    def _forget(self, session: _Session) -> None:
        del self._by_id[session.session_id]
        del self._by_peer[session.peer[:2]]
