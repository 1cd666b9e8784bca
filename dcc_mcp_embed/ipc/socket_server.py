"""SocketServer: answers named requests of other processes, and pushes to them.

    @request("add")
    async def add(data):
        return {"result": data["a"] + data["b"]}

    asyncio.run(SocketServer(socket_path="/tmp/my.sock").start())

Without asyncio: handlers are plain functions, and the methods end in ``_sync``.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, Callable, Dict, Optional

from ..clock import Clock, SystemClock
from ..errors import ConfigError, StartError
from ..net.promises import awaited, offer, waited
from ..rpc.receipts import Limits
from .handlers import Handlers, request
from .outcomes import Handler
from .places import Path, SecretLike, check, listen
from .pushes import Accounts, Push
from .run import Plan, Run
from .standby import OnLoop, Standby
from .tally import ServerTally

__all__ = ["SocketServer", "request"]


class SocketServer:
    """Serves requests at a unix socket or a TCP port of this machine. Any thread.

    ``socket_path``, or ``host`` and ``port`` (0: any free one, see :attr:`address`), or neither:
    then the place is in the user's own directory and named by ``account_id``. Where the system has
    no unix sockets ``socket_path`` is a private file that leads clients to a port. A place where
    somebody else listens is refused, one that a dead process left behind is taken over.
    ``secret``: what clients must know; None: the user's own, which all programs of this user know.

    Started with ``await``, handlers may be coroutine functions, which run on the loop that awaited;
    plain functions run on worker threads, at most 64 at once; where more have to wait, the clients
    take turns. A handler gets the request's data and
    returns what JSON can say; what it raises, the client is told. However often a SocketClient
    sends a request, it runs at most once. Of one client 1024 requests with 64 MiB of data may be
    under way, and 256 MiB of all: what is too much is answered ``host_busy``. Every
    ``health_check_interval`` seconds each client is pinged, and dropped if nothing is heard of it
    in three quarters of that time.

    ``limits``: what is kept of finished requests. Raises ConfigError, ValueError, TypeError.
    """

    def __init__(
        self,
        socket_path: Optional[Path] = None,
        account_id: Optional[str] = None,
        enable_health_check: bool = True,
        health_check_interval: float = 30.0,
        host: Optional[str] = None,
        port: Optional[int] = None,
        secret: SecretLike = None,
        *,
        limits: Limits = Limits(),
        clock: Optional[Clock] = None,
    ) -> None:
        if enable_health_check:
            _check_interval(health_check_interval)
        check(socket_path, account_id, host, port, secret)
        self.account_id = account_id
        self._place = (socket_path, account_id, host, port, secret)
        self._clock = clock or SystemClock()
        self._handlers = Handlers()
        self._plan = Plan(
            self._handlers,
            self._clock.uuid(),
            limits,
            health_check_interval if enable_health_check else None,
            self._clock,
        )
        #: Starts and registrations, one at a time.
        self._lock = threading.RLock()
        self._run: Optional[Run] = None
        self._sync = False

    # -- handlers -----------------------------------------------------------------------------

    def register_handler(self, name: str, handler: Handler) -> None:
        """Have ``handler(data)`` answer the requests called ``name``; also while running.

        Raises ValueError for a name that another function has, is reserved or no text; TypeError
        for what cannot be called, and for a coroutine function where the server was started without
        asyncio.
        """
        with self._lock:
            self._handlers.register(name, handler, self._sync and self.running)

    # -- start --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Serve until :meth:`stop`, or until this is cancelled, which stops the server first.

        Raises IpcConnectionFailed ("bind failed: …") where it cannot listen, ConfigError when the
        user's secret cannot be read, StartError if it runs already.
        """
        import asyncio

        run = self._start_on(asyncio.get_event_loop())
        try:
            await run.over()
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def start_background(self) -> None:
        """Start serving and return once it listens. Raises as :meth:`start`."""
        import asyncio

        self._start_on(asyncio.get_event_loop())

    def start_sync(self) -> None:
        """Serve until :meth:`stop_sync` from elsewhere, or Ctrl-C, which is raised after the stop.

        Raises as :meth:`start`, and TypeError if a handler of this server's own is a coroutine
        function; one that ``@request`` has entered is answered ``unsupported`` when it is called.
        """
        standby = Standby()
        run = self._start(None, standby.litter)
        run.ended.add_done_callback(lambda future: standby.end())
        try:
            standby.wait()
        finally:
            self.stop_sync()

    def start_background_sync(self) -> None:
        """Start serving and return once it listens. Raises as :meth:`start_sync`.

        Where a host's objects may live (see ``collector``) the garbage of handlers is collected
        when the host's own threads allocate, as its event loop does.
        """
        self._start(None, lambda: None)

    def _start_on(self, asyncio_loop: Any) -> Run:
        return self._start(asyncio_loop, OnLoop(asyncio_loop).litter)

    def _start(self, asyncio_loop: Any, litter: Callable[[], None]) -> Run:
        with self._lock:
            if self.running:
                raise StartError("the server runs already: stop() it before it is started again")
            plain = asyncio_loop is None
            self._handlers.begin(plain)
            self._sync = plain
            listening = listen(*self._place, self._clock)
            self._run = Run(self._plan, listening, asyncio_loop, litter)
            return self._run

    # -- stop ---------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop serving; idempotent. Requests under way have a second to come to their end.

        Whoever still waits then is told that the server is stopping. Coroutine handlers are
        cancelled; plain ones run on, and nobody hears of them.
        """
        run = self._ask_to_stop()
        if run is not None:
            await run.over()

    def stop_sync(self) -> None:
        """Stop serving and return when it is done; see :meth:`stop`."""
        run = self._ask_to_stop()
        if run is not None:
            run.wait()

    def _ask_to_stop(self) -> Optional[Run]:
        run = self._run
        if run is None or not run.running:
            return None
        run.close()
        return run

    async def __aenter__(self) -> SocketServer:
        await self.start_background()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    def __enter__(self) -> SocketServer:
        self.start_background_sync()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop_sync()

    # -- pushes -------------------------------------------------------------------------------

    async def push(self, type: str, data: Any = None, to: Accounts = None) -> int:
        """Send a push to clients and return to how many; see :meth:`push_sync`."""
        return await awaited(self._push(type, data, to))

    def push_sync(self, type: str, data: Any = None, to: Accounts = None) -> int:
        """Send a push to clients and return to how many; 0 while the server does not run.

        ``to``: the account of those who get it, several accounts, or None for all. A client with
        more than 1 MiB unread goes without. Nobody answers a push: one that is sent may still be
        lost with its connection. Raises InvalidMessage for what is no push or cannot be said as
        JSON, TooLarge, and TypeError for accounts that are none.
        """
        return waited(self._push(type, data, to))

    def _push(self, type: str, data: Any, to: Accounts) -> Future[int]:
        push = Push(type, data, to)
        answer: Future[int] = Future()
        run = self._run
        if run is None or not run.running:
            offer(answer, 0)
        else:
            run.serving.pushes.send(push, answer)
        return answer

    # -- state --------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether it serves, from the start until all of it has stopped."""
        run = self._run
        return run is not None and run.running

    @property
    def address(self) -> Any:
        """Where it really listens, a TransportAddress with the true port; None before a start."""
        run = self._run
        return None if run is None else run.serving.address

    def get_stats(self) -> Dict[str, Any]:
        """Return what there is and has been since the last start, as a new dictionary.

        running, address (text or None), account_id, uptime_seconds;
        connections: clients now; connections_total; clients: account -> connections now;
        refused: connections that were turned away, or left in the middle of the hello (who says
        nothing at all has only looked whether anybody listens); dropped: clients that were silent
        or read nothing;
        requests: that have come; responses, errors: answers that were sent, also those again;
        in_flight: requests under way; replayed: answered once more from what was kept; joined:
        answered on a later connection than they came on; unknown_outcomes: answered that nobody
        knows whether they ran; receipts, receipt_bytes: what is kept of finished requests, and of
        their results;
        threads: plain handlers that run, 64 at most; waiting: requests that wait for one of them to
        return, and are answered ``host_busy`` when none does for 5 seconds;
        pushes: sent, each client counted; pushes_skipped: clients that went without.
        """
        run = self._run
        stats: Dict[str, Any] = {
            "running": self.running,
            "address": None if run is None else str(run.serving.address),
            "account_id": self.account_id,
            "uptime_seconds": 0.0,
            "connections": 0,
            "clients": {},
            "in_flight": 0,
            "receipts": 0,
            "receipt_bytes": 0,
            "threads": 0,
            "waiting": 0,
        }
        stats.update(vars(ServerTally() if run is None else run.serving.tally))
        if run is not None and run.running:
            door, calls = run.serving.door, run.serving.calls
            stats["uptime_seconds"] = self._clock.monotonic() - run.started_at
            stats["connections"] = door.connections
            # Copied in one step: the loop's thread may be changing it.
            stats["clients"] = dict(door.accounts)
            stats["in_flight"] = calls.in_flight
            stats["receipts"] = len(calls.receipts)
            stats["threads"] = calls.handling.threads.held
            stats["waiting"] = calls.handling.waiting
            stats["receipt_bytes"] = calls.receipts.result_bytes
        return stats

    def __repr__(self) -> str:
        where = self.address if self.running else "not running"
        return "<SocketServer {}>".format(where)


def _check_interval(seconds: Any) -> None:
    if not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise ConfigError(
            "health_check_interval must be a number of seconds above 0, not {!r}: "
            "enable_health_check=False for none".format(seconds)
        )
