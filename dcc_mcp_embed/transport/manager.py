"""TransportManager: find hosts, connect to them, keep books about it.

The Python class of dcc-mcp-core 0.12 and 0.13, which has no successor there. It composes:
``services`` knows who there is, ``connections`` lends, ``sessions`` counts.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple, TypeVar, Union

from ..clock import Clock, SystemClock
from ..registry import forks
from ..registry.entry import ServiceEntry
from ..registry.file_registry import FileRegistry, open_registry
from ..registry.heartbeat import Heartbeat
from ..registry.rows import uuid_text
from ..rpc.outbound import OutboundTracker
from ..secret import Secret
from ..transport_errors import (
    ConnectionFailed,
    ConnectionTimeout,
    IpcConnectionFailed,
    ServiceNotFound,
)
from .channel import FramedChannel
from .config import Default, Seconds, TransportConfig, resolve
from .connections import Connections
from .dialing import Dialer
from .routing import RoutingStrategy
from .services import Owned, Services
from .sessions import Peer, SessionTable

__all__ = ["TransportManager"]

#: A row that has not been refreshed for so many heartbeats is stale (the reference).
_STALE_BEATS = 3
#: Longer than anybody waits for a call; what takes longer is settled as unknown at a reconnect.
_TRACKED_S = 86_400.0
#: Calls under way, and separately receipts; four connections full of calls, or about 2 MiB.
_MOST_TRACKED = 4096

_UNREACHABLE = (ConnectionFailed, ConnectionTimeout, IpcConnectionFailed)

T = TypeVar("T")


def _no_log(level: str, text: str) -> None:
    """Take log lines that nobody wants."""


class TransportManager(Services):
    """Services, sessions and connections of one program. Any thread; a context manager.

    ``registry_dir``: the shared directory, ``~`` being the user's own; None or "": the usual one
    (``DCC_MCP_REGISTRY_DIR``). The other five arguments of the reference win over the same fields
    of ``config``; a ``heartbeat_interval`` of 0: nobody refreshes, a ``connect_timeout`` of 0: as
    if not given. Keyword only: ``heartbeat``: refresh the rows registered here, on a thread of its
    own, or (a Heartbeat) on one that others share; and ``deregister_on_shutdown``: take them out
    again at the end, that of the program included. ``registry`` (a FileRegistry, which stays open,
    and in it the rows that others have registered), ``secret``, ``clock`` and ``log(level, text)``
    stand in for what would be made.

    Dictionaries, texts of errors and what still works after :meth:`shutdown` are the reference's.
    Ids are UUIDs; ValueError for what is none. Reading the registry raises RegistryFile only when
    its file cannot be read at all.
    """

    def __init__(
        self,
        registry_dir: Union[str, os.PathLike[str], None] = None,
        max_connections_per_dcc: int = Default(10),
        idle_timeout: Seconds = Default(300),
        heartbeat_interval: Seconds = Default(5),
        connect_timeout: Seconds = Default(10),
        reconnect_max_retries: int = Default(3),
        *,
        config: Optional[TransportConfig] = None,
        heartbeat: Union[bool, Heartbeat] = True,
        deregister_on_shutdown: bool = True,
        registry: Optional[FileRegistry] = None,
        secret: Optional[Secret] = None,
        clock: Optional[Clock] = None,
        log: Callable[[str, str], None] = _no_log,
    ) -> None:
        """Raises ConfigError for what cannot be used, RegistryFile for the directory."""
        self.config = resolve(
            config,
            max_connections_per_dcc,
            idle_timeout,
            heartbeat_interval,
            connect_timeout,
            reconnect_max_retries,
        )
        clock = clock or SystemClock()
        owned = Owned(registry is None, not isinstance(heartbeat, Heartbeat))
        if registry is None:
            directory = None if registry_dir is None else os.fspath(registry_dir)
            registry = open_registry(directory, os.environ, clock, log)
        heart = heartbeat if isinstance(heartbeat, Heartbeat) else None
        if heartbeat is True and self.config.heartbeat_interval:
            heart = Heartbeat(registry, self.config.heartbeat_interval, clock, log)
        super().__init__(registry, heart, owned, deregister_on_shutdown, clock)
        self._sessions = SessionTable(self.config.session, clock.uuid, clock.jitter)
        #: The calls under way to hosts that are one of us, and how the last ones ended.
        self.outbound = OutboundTracker(_TRACKED_S, clock=clock, max_records=_MOST_TRACKED)
        dial = Dialer(clock, secret, self.outbound, self._found_again)
        self._connections = Connections(self.config, clock, dial)
        forks.in_child(self)

    def deregister_service(self, dcc_type: str, instance_id: str) -> bool:
        """Remove a service, its session and its connections; False if it was not registered.

        Raises Shutdown, RegistryFile.
        """
        found = super().deregister_service(dcc_type, instance_id)
        instance_id = uuid_text(instance_id)
        self._sessions.close_peer(dcc_type, instance_id)
        self._connections.drop(dcc_type, instance_id)
        return found

    # -- sessions -----------------------------------------------------------------------------

    def get_or_create_session(self, dcc_type: str, instance_id: Optional[str] = None) -> str:
        """Return the id of the session with an instance; with None, the first available one.

        A new session is ``connected`` although nothing was sent; a closed one is replaced. Raises
        Shutdown, ServiceNotFound.
        """
        return self._session_with(self._resolve(dcc_type, instance_id))

    def get_or_create_session_routed(
        self,
        dcc_type: str,
        strategy: Optional[RoutingStrategy] = None,
        hint: Optional[str] = None,
    ) -> str:
        """Return the id of the session with the instance that ``strategy`` picks.

        Raises Shutdown, ServiceNotFound.
        """
        strategy = strategy or RoutingStrategy.FIRST_AVAILABLE
        return self._session_with(self._resolve(dcc_type, None, strategy, hint))

    def get_session(self, session_id: str) -> Optional[Dict[str, Any]]:
        """Return the facts about a session, None if there is none: see :meth:`SessionTable.get`."""
        clock = self._clock
        return self._sessions.get(uuid_text(session_id), clock.monotonic(), clock.wall())

    def record_success(self, session_id: str, latency_ms: float) -> None:
        """Count a call that went well; nothing happens if the session is not known."""
        self._record(session_id, latency_ms, None)

    def record_error(self, session_id: str, latency_ms: float, error: str) -> None:
        """Count a call that failed; nothing happens if the session is not known."""
        if not isinstance(error, str):
            raise TypeError("error: expected text, not {!r}".format(error))
        self._record(session_id, latency_ms, error)

    def begin_reconnect(self, session_id: str) -> int:
        """Count an attempt to reconnect; return the milliseconds to wait before it.

        Raises SessionNotFound, InvalidSessionState for a closed session, and ReconnectionFailed
        when none are left: the session is closed then.
        """
        return self._sessions.begin_reconnect(uuid_text(session_id))

    def reconnect_success(self, session_id: str) -> None:
        """Say that it worked: the session is connected. Raises as :meth:`begin_reconnect`."""
        self._sessions.reconnect_success(uuid_text(session_id), self._clock.monotonic())

    def close_session(self, session_id: str) -> bool:
        """Forget a session; False if it is not known."""
        return self._sessions.close(uuid_text(session_id))

    def list_sessions(self) -> List[Dict[str, Any]]:
        """Return the facts about every session, the oldest first."""
        return self._sessions.list(self._clock.monotonic(), self._clock.wall())

    def list_sessions_for_dcc(self, dcc_type: str) -> List[Dict[str, Any]]:
        """Return the facts about the sessions with one kind of host, the oldest first."""
        return self._sessions.list(self._clock.monotonic(), self._clock.wall(), dcc_type)

    def session_count(self) -> int:
        """Return how many sessions there are."""
        return len(self._sessions)

    # -- connections --------------------------------------------------------------------------

    @contextmanager
    def connection(
        self,
        dcc_type: str,
        instance_id: Optional[str] = None,
        *,
        strategy: Optional[RoutingStrategy] = None,
        hint: Optional[str] = None,
        timeout: Optional[Seconds] = None,
    ) -> Iterator[FramedChannel]:
        """Lend a connection for a ``with`` block; its calls are counted in the session.

        Without an ``instance_id`` the ``strategy`` picks, by default the first available. Waits
        for a free connection for ``timeout`` seconds (default ``acquire_timeout``, 0: not at all)
        and for a new one another ``connect_timeout``. After the block the channel is of no use; the
        connection is lent again unless it is broken, or something may still come that was meant for
        this block. A service that says it is one of us has proved it (``channel.hello``); any other
        is **not authenticated**, and is sent nothing but what is said in the block.

        To one of us a ``call`` outlives its connection: within its own time it goes on over a new
        one, and does not run twice. Whether it ran may come to be unknown all the same (the host
        was started anew, or remembers nothing of it any more): UnknownOutcome.

        Raises Shutdown, ServiceNotFound, AcquireTimeout, PoolExhausted, WouldDeadlock, ConfigError
        for the time or the secret, and what connecting raises: ConnectionTimeout,
        IpcConnectionFailed (there is no connection), ConnectionFailed (whoever answers over TCP is
        not who was meant).
        """

        def lend(row: ServiceEntry) -> FramedChannel:
            session_id = self._session_with(row)

            def observe(latency_ms: float, error: Optional[str]) -> None:
                self._record(session_id, latency_ms, error)

            return lending.enter_context(self._connections.lent(row, timeout, observe))

        with ExitStack() as lending:
            yield self._reach(lend, dcc_type, instance_id, strategy, hint)

    def call(
        self,
        dcc_type: str,
        method: str,
        params: Any = None,
        instance_id: Optional[str] = None,
        timeout_ms: int = 30000,
    ) -> Dict[str, Any]:
        """Call one method over a connection lent for it: see :meth:`FramedChannel.call`."""
        with self.connection(dcc_type, instance_id) as channel:
            return channel.call(method, params, timeout_ms)

    def acquire_connection(self, dcc_type: str, instance_id: Optional[str] = None) -> str:
        """Reserve a live connection for this thread; return the connection's id.

        It counts as in use until :meth:`release_connection`, or until somebody needs it and the
        thread has ended. Raises as :meth:`connection`.
        """
        return self._reach(self._connections.borrow, dcc_type, instance_id).connection_id

    def release_connection(self, dcc_type: str, instance_id: str) -> None:
        """Give back the connection to an instance that this thread reserved first.

        If it has none, the first of a thread that has ended. Otherwise nothing happens.
        """
        self._connections.give_back_oldest(dcc_type, uuid_text(instance_id))

    def pool_size(self) -> int:
        """Return how many connections there are, in use or not."""
        return self._connections.size()

    def pool_count_for_dcc(self, dcc_type: str) -> int:
        """Return how many connections to one kind of host there are, in use or not."""
        return self._connections.size(dcc_type)

    # -- life ---------------------------------------------------------------------------------

    def cleanup(self) -> Tuple[int, int, int]:
        """Remove what is dead or over its time; also after :meth:`shutdown`. Raises RegistryFile.

        Return how many services were removed (not refreshed for three heartbeats, and their
        owners provably gone), sessions became idle or were closed, and connections were closed.
        """
        stale = _STALE_BEATS * self.config.heartbeat_interval
        return (
            len(self.registry.sweep(stale)),
            self._sessions.sweep(self._clock.monotonic()),
            self._connections.sweep(),
        )

    def shutdown(self) -> None:
        """End it: close connections and sessions, deregister the services. Twice is fine.

        Calls that wait for their answers get Shutdown; one that is connecting anew hears of it
        within the two seconds of a hello. It waits for nobody for long, so that a host can end.
        """
        if self._shut:
            return
        self._shut = True
        # Each part whatever becomes of those before: there is no second time.
        with ExitStack() as parts:
            parts.callback(super().shutdown)
            parts.callback(self._sessions.close_all)
            parts.callback(self._connections.shut)

    def disown(self) -> None:
        """Begin anew in a forked child, without what belongs to the parent."""
        super().disown()
        self.outbound.disown()
        self._sessions.disown()
        self._connections.disown()

    def __enter__(self) -> TransportManager:
        return self

    def __exit__(self, *failure: object) -> None:
        self.shutdown()

    def __len__(self) -> int:
        return len(self._sessions)

    def __repr__(self) -> str:
        return "TransportManager(services={}, sessions={}, pool={})".format(
            len(self.registry.entries()), len(self._sessions), self._connections.size()
        )

    # -- inside -------------------------------------------------------------------------------

    def _in_flight(self, dcc_type: str) -> Dict[str, int]:
        return self._connections.in_flight(dcc_type)

    def _reach(
        self,
        connect: Callable[[ServiceEntry], T],
        dcc_type: str,
        instance_id: Optional[str],
        strategy: Optional[RoutingStrategy] = None,
        hint: Optional[str] = None,
    ) -> T:
        """Return ``connect(row)`` for the row a caller means.

        One that was picked, cannot be connected to, and whose owner is provably gone, is removed,
        and another one is picked.
        """
        passed_over: Set[str] = set()
        while True:
            row = self._resolve(dcc_type, instance_id, strategy, hint)
            try:
                return connect(row)
            except _UNREACHABLE:
                known = instance_id is not None or row.instance_id in passed_over
                if known or not self.registry.is_gone(row.dcc_type, row.instance_id):
                    raise
            passed_over.add(row.instance_id)
            self.registry.sweep()

    def _found_again(self, row: ServiceEntry) -> ServiceEntry:
        """Return a row as it is now. Raises ServiceNotFound when its owner has gone."""
        now = self.registry.get(row.dcc_type, row.instance_id)
        if now is None or self.registry.is_gone(row.dcc_type, row.instance_id):
            raise ServiceNotFound(row.dcc_type, row.instance_id)
        return now

    def _session_with(self, row: ServiceEntry) -> str:
        peer = Peer(
            row.dcc_type,
            row.instance_id,
            row.host,
            row.port,
            row.effective_address().to_connection_string(),
        )
        return self._sessions.open(peer, self._clock.monotonic())

    def _record(self, session_id: str, latency_ms: float, error: Optional[str]) -> None:
        now = self._clock.monotonic()
        # The text as it was given out is the usual case, and looking is cheaper than reading it.
        if not self._sessions.record(session_id, latency_ms, now, error):
            self._sessions.record(uuid_text(session_id), latency_ms, now, error)
