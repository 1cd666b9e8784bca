"""SocketClient: requests to a SocketServer in another process, and what that one pushes."""

from __future__ import annotations

import logging
import math
import operator
import weakref
from concurrent.futures import Future, wait
from typing import Any, Callable, Dict, Optional, TypeVar

from .. import collector
from ..clock import Clock, SystemClock
from ..errors import ConfigError, WouldDeadlock
from ..net.promises import awaited, awaited_for, waited
from ..wire.messages import Response
from .actions import Options
from .answers import outcome
from .client_core import ClientCore
from .functions import report
from .places import Path, SecretLike, locate

__all__ = ["SocketClient"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

#: Seconds in which the thread of a client that is disconnected has to end.
_GRACE = 1.0
#: Seconds; who waits for longer waits for ever.
_LONGEST = 1e9


class SocketClient:
    """One account's connection to a server. Any thread; nothing happens before ``connect``.

    Where the server is: ``socket_path``, or ``host`` and ``port`` (TCP), or neither, then the
    default place of ``account_id``; the same as its server was given. ``account_id`` is also what
    the client is called there, in stats and for pushes, in at most 200 characters. ``secret``: None
    is the user's own.

    Each method comes twice: ``await client.request(…)`` on any running asyncio loop, and
    ``client.request_sync(…)`` without one. Functions of yours (push handlers, callbacks) run on the
    asyncio loop that awaited ``connect``, in order, coroutine functions as tasks that begin in
    order; after ``connect_sync`` they are plain functions and run on a thread of ours, one after
    the other. What one of them raises is logged and counted.

    ``auto_reconnect``: a connection that breaks is made again, after pauses that grow from half a
    second up to ``reconnect_interval`` (less up to a quarter, by chance), until it works or, if
    ``max_reconnect_attempts`` is not 0, so many have failed in a row. Meanwhile requests wait, at
    most for their ``request_timeout``. Those that were under way are taken up again: each runs
    once, or ends as UnknownOutcome where the server cannot tell any more whether it ran.

    At most 1000 requests with 64 MiB of data are under way; others wait for their turn, in order.

    ``heartbeat_interval``: so often the server is asked for a sign of life, and within two of them
    a dead connection is noticed; 0: never. All times are seconds.

    Call ``disconnect`` in the end: a client whose functions refer to it lives until then.

    Raises ConfigError for settings that cannot be.
    """

    def __init__(
        self,
        socket_path: Optional[Path] = None,
        account_id: Optional[str] = None,
        auto_reconnect: bool = True,
        reconnect_interval: float = 3.0,
        max_reconnect_attempts: int = 0,
        heartbeat_interval: float = 30.0,
        request_timeout: float = 10.0,
        host: Optional[str] = None,
        port: Optional[int] = None,
        secret: SecretLike = None,
        *,
        clock: Optional[Clock] = None,
    ) -> None:
        clock = clock or SystemClock()
        if account_id is not None and not isinstance(account_id, str):
            raise TypeError("account_id must be a text, not {!r}".format(account_id))
        self._timeout = _seconds("request_timeout", request_timeout, math.inf)
        options = Options(
            account_id or "",
            bool(auto_reconnect),
            _seconds("reconnect_interval", reconnect_interval),
            _count("max_reconnect_attempts", max_reconnect_attempts),
            _seconds("heartbeat_interval", heartbeat_interval) if heartbeat_interval else 0.0,
        )
        find = locate(socket_path, account_id, host, port, secret, clock)
        self._core = ClientCore(options, find, clock)
        # One that is dropped without a word must not go on for ever. Not at exit: its thread is a
        # daemon, and the server sees the connection end.
        weakref.finalize(self, self._core.dropped).atexit = False

    # -- the connection -----------------------------------------------------------------------

    async def connect(self, max_retries: int = 5) -> bool:
        """Connect and return whether it went well; ``max_retries``: attempts after the first.

        False: :attr:`last_error` says why. A server that refuses us is not asked again. The connect
        callback has been called by then. True at once if there is a connection.
        """
        self._core.deliveries.use_asyncio()
        since = self._core.session.tally.connected_since
        well = await awaited(self._core.connect(_count("max_retries", max_retries)))
        if self._is_new(well, since):
            await awaited_for(self._core.deliveries.caught_up(), self._patience())
        return self._told(well)

    def connect_sync(self, max_retries: int = 5) -> bool:
        """See :meth:`connect`. Raises TypeError if a handler is a coroutine function."""
        self._demand_not_ours("connect_sync")
        self._core.demand_plain()
        self._core.deliveries.use_thread()
        since = self._core.session.tally.connected_since
        well = waited(self._core.connect(_count("max_retries", max_retries)))
        if self._is_new(well, since):
            self._core.deliveries.catch_up(self._patience())
        return self._told(well)

    async def disconnect(self) -> None:
        """End the connection, if there is one; idempotent.

        Requests that wait to be sent raise NotConnected, those under way UnknownOutcome. The
        disconnect callback has been called by then; for a function of yours that blocks before it
        this waits for ``request_timeout``, but not longer than 10 seconds.
        """
        await awaited(self._core.disconnect())
        await awaited_for(self._core.deliveries.caught_up(), self._patience())
        await awaited_for(self._core.over(), _GRACE)
        self._core.join(_GRACE)

    def disconnect_sync(self) -> None:
        """See :meth:`disconnect`, also for how long a function that blocks is waited for."""
        self._demand_not_ours("disconnect_sync")
        waited(self._core.disconnect())
        self._core.deliveries.catch_up(self._patience())
        with collector.blocking():
            wait([self._core.over()], _GRACE)
        self._core.join(_GRACE)

    # -- requests -----------------------------------------------------------------------------

    async def request(self, name: str, data: Any = None, timeout: Optional[float] = None) -> Any:
        """Return what the server's handler of ``name`` makes of ``data``; both are JSON values.

        ``timeout``: seconds, None is ``request_timeout``. Cancelled, it is waited for no longer,
        but a request that was sent runs all the same. Raises RequestFailed (the server's words,
        with ``code``), CallTimeout (it may have run; NotSent: it has not), UnknownOutcome (nobody
        can tell whether it ran), NotConnected, InvalidMessage (no JSON), FrameTooLarge.
        """
        return outcome(name, await awaited(self._ask(name, data, timeout)))

    def request_sync(self, name: str, data: Any = None, timeout: Optional[float] = None) -> Any:
        """See :meth:`request`."""
        self._demand_not_ours("request_sync")
        return outcome(name, waited(self._ask(name, data, timeout)))

    async def health_check(self, timeout: Optional[float] = None) -> bool:
        """Return whether the server answers now, within ``timeout`` (None: ``request_timeout``).

        Its handlers may all be busy. False while there is no connection.
        """
        return await awaited(self._core.check(self._limit(timeout)))

    def health_check_sync(self, timeout: Optional[float] = None) -> bool:
        """See :meth:`health_check`."""
        self._demand_not_ours("health_check_sync")
        return waited(self._core.check(self._limit(timeout)))

    # -- functions to call --------------------------------------------------------------------

    def on_push(self, push_type: str) -> Callable[[_Handler], _Handler]:
        """Return a decorator: its function is called with ``(push_type, data)`` for such pushes.

        Raises ValueError if another function has the type, TypeError for a coroutine function after
        ``connect_sync``.
        """
        if not isinstance(push_type, str) or not push_type:
            raise ValueError(
                "a push's type is a text that is not empty, not {!r}: "
                'write @client.on_push("type")'.format(push_type)
            )

        def enter(handler: _Handler) -> _Handler:
            self._core.set_push_handler(push_type, handler)
            return handler

        return enter

    def set_connect_callback(self, callback: Optional[Callable[[], Any]]) -> None:
        """Have ``callback()`` called whenever a connection has been made; None: no more."""
        self._core.set_callback("connect", callback)

    def set_disconnect_callback(self, callback: Optional[Callable[[], Any]]) -> None:
        """Have ``callback()`` called whenever a connection has ended; None: no more."""
        self._core.set_callback("disconnect", callback)

    # -- state --------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._core.session.connected

    @property
    def last_error(self) -> Optional[str]:
        """Why the last attempt failed or the last connection ended; None: neither has happened."""
        return self._core.session.tally.last_error

    def get_stats(self) -> Dict[str, Any]:
        """Return what there is to know, in a new dictionary. Any thread.

        ``connected``; ``state``: disconnected, connecting, connected or reconnecting;
        ``account_id``; ``address``: a text, None before the first attempt; ``uptime_seconds``: of
        this connection.

        ``requests``: all that can be sent as they are; they end as ``responses`` (answers),
        ``errors`` (the server failed, or there was no connection), ``timeouts``,
        ``unknown_outcomes``, or cancelled; until then they are ``held`` (to be sent) or
        ``in_flight``. ``resent`` and ``joined``: sent again, and waited for, after a reconnect.

        ``pushes``: received; ``pushes_unhandled``: of a type that nobody handles;
        ``callback_errors``: handlers and callbacks that raised; ``callbacks_dropped``: not called,
        because too many waited, or more than 32 MiB of pushes, or their asyncio loop was closed.

        ``heartbeats``; ``reconnects``; ``last_error``; ``last_latency_ms``: of a heartbeat or a
        health check, None before the first.
        """
        return self._core.stats()

    def __repr__(self) -> str:
        stats = self._core.stats()
        return "<SocketClient {} {}>".format(stats["account_id"] or "", stats["state"])

    async def __aenter__(self) -> SocketClient:
        if not await self.connect():
            raise self._core.session.not_connected()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    def __enter__(self) -> SocketClient:
        if not self.connect_sync():
            raise self._core.session.not_connected()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect_sync()

    # -- inside -------------------------------------------------------------------------------

    def _ask(self, name: str, data: Any, timeout: Optional[float]) -> Future[Response]:
        return self._core.request(name, data, self._limit(timeout))

    def _limit(self, timeout: Optional[float]) -> float:
        return self._timeout if timeout is None else _seconds("timeout", timeout, math.inf)

    def _patience(self) -> float:
        """Return for how long a callback that blocks is waited for."""
        return min(self._timeout, 10.0)

    def _is_new(self, well: bool, since: Optional[float]) -> bool:
        """Return whether a connection has been made; ``since``: ``connected_since`` before."""
        return well and (since is None or self._core.session.tally.connected_since != since)

    def _told(self, well: bool) -> bool:
        if not well:
            report("%r could not connect: %s", self, self.last_error, level=logging.WARNING)
        return well

    def _demand_not_ours(self, method: str) -> None:
        if self._core.is_current():
            raise WouldDeadlock(
                "{} was called on the client's own thread, which it would wait for".format(method)
            )


def _seconds(name: str, value: float, most: float = _LONGEST) -> float:
    """Return a time; more than clocks can add up is for ever. Raises ConfigError."""
    try:
        good = 0 < value <= most  # NaN is not
    except TypeError:
        good = False
    if not good:
        raise ConfigError("{} must be seconds, more than 0, not {!r}".format(name, value))
    return float(value) if value <= _LONGEST else math.inf


def _count(name: str, value: int) -> int:
    """Return a whole number from 0. Raises ConfigError."""
    try:
        count = operator.index(value)
    except TypeError:
        count = -1
    if count < 0:
        raise ConfigError("{} must be a whole number from 0, not {!r}".format(name, value))
    return count
