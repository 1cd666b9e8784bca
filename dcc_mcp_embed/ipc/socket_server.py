"""SocketServer: answers named requests of other processes, and pushes to them.

    @request("add")
    async def add(data):
        return {"result": data["a"] + data["b"]}

    asyncio.run(SocketServer(socket_path="/tmp/my.sock").start())

Without asyncio: handlers are plain functions, and the methods end in ``_sync``.
"""

from __future__ import annotations

import gc
import os
import threading
import weakref
from concurrent import futures
from concurrent.futures import Future
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, TypeVar, Union

from .. import collector
from ..clock import Clock, SystemClock
from ..errors import ConfigError, StartError, TooLarge
from ..net.loop import Loop
from ..net.readiness import SLICE_S
from ..net.thread import LoopThread
from ..rpc.hello import Facts
from ..rpc.receipts import Limits, Receipts
from ..rpc.resume import RESUME
from ..transport_errors import TransportError
from ..wire import jsonrpc
from ..wire.frames import frame
from ..wire.messages import OURS, Notify, encode
from .calling import is_coroutine_function, logger
from .handling import Handler, Handling
from .limits import MAX_DATA
from .places import Path, SecretLike, check, listen
from .serving import Found, Names, Serving, settle
from .utils import RequestHandlerRegistry

__all__ = ["SocketServer", "request"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Seconds that the loop's thread has to end once everything is closed.
_GRACE = 5.0
#: So many small collections, and then one of everything.
_FULL_EVERY = 64

#: For every server of this process, after its own.
_decorated = RequestHandlerRegistry()


def request(name: str) -> Callable[[_Function], _Function]:
    """Return a decorator that has a function handle ``name`` in every server of this process.

    The function is called with the request's data. Raises ValueError for a name that is taken by
    another function, reserved, or no text.
    """
    _demand_free(name)
    return _decorated.register(name)


def _demand_free(name: Any) -> None:
    if name == RESUME:
        raise ValueError("{!r} is reserved: choose another name".format(name))


class _Run:
    """What there is between a start and its stop."""

    def __init__(
        self, serving: Serving, thread: LoopThread, ended: Future[None], started_at: float
    ) -> None:
        self.serving = serving
        self.thread = thread
        #: Done once everything is closed.
        self.ended = ended
        self.started_at = started_at
        self.process = os.getpid()

    @property
    def running(self) -> bool:
        return not self.ended.done() and self.process == os.getpid()


class SocketServer:
    """Serves requests at a unix socket or a TCP port of this machine. Any thread.

    ``socket_path``, or ``host`` and ``port`` (0: any free one, see :attr:`address`), or neither:
    then the place is in the user's own directory and named by ``account_id``. Where the system has
    no unix sockets ``socket_path`` is a private file that leads clients to a port. A place where
    somebody else listens is refused, one that a dead process left behind is taken over.
    ``secret``: what clients must know; None: the user's own, which all programs of this user know.

    Started with ``await``, handlers may be coroutine functions, which run on the loop that awaited;
    plain functions run on worker threads, at most 64 at once. A handler gets the request's data and
    returns what JSON can say; what it raises, the client is told. However often a SocketClient
    sends a request, it runs at most once. Every ``health_check_interval`` seconds each client is
    pinged, and dropped if nothing is heard of it in three quarters of that time.

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
        if enable_health_check and not 0 < health_check_interval < float("inf"):
            raise ConfigError(
                "health_check_interval must be a number of seconds above 0, not {!r}".format(
                    health_check_interval
                )
            )
        check(socket_path, account_id, host, port, secret)
        self.account_id = account_id
        self._place = (socket_path, account_id, host, port, secret)
        self._health_interval = health_check_interval if enable_health_check else None
        self._limits = limits
        self._clock = clock or SystemClock()
        self._instance_id = self._clock.uuid()
        self._handlers = RequestHandlerRegistry()
        #: What was looked up before, by name.
        self._found: Dict[str, Found] = {}
        #: Starts and registrations, one at a time.
        self._lock = threading.RLock()
        self._run: Optional[_Run] = None
        self._sync = False

    # -- handlers -----------------------------------------------------------------------------

    def register_handler(self, name: str, handler: Handler) -> None:
        """Have ``handler(data)`` answer the requests called ``name``; also while running.

        Raises ValueError for a name that another function has, is reserved or no text; TypeError
        for what cannot be called, and for a coroutine function where the server was started without
        asyncio.
        """
        _demand_free(name)
        with self._lock:
            if self._sync and self.running and is_coroutine_function(handler):
                raise TypeError(_no_coroutines([name]))
            self._handlers.register(name)(handler)
            self._found.pop(name, None)

    def _find(self, name: str) -> Optional[Found]:
        return self._found.get(name) or self._look_up(name)

    def _look_up(self, name: str) -> Optional[Found]:
        with self._lock:
            handler = self._handlers.get_handler(name) or _decorated.get_handler(name)
            if handler is None:
                return None
            found = self._found[name] = (handler, is_coroutine_function(handler))
            return found

    def _names(self) -> List[str]:
        return list(dict.fromkeys([*self._handlers.names, *_decorated.names]))

    # -- start --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Serve until :meth:`stop`, or until this is cancelled, which stops the server first.

        Raises IpcConnectionFailed ("bind failed: …") where it cannot listen, ConfigError when the
        user's secret cannot be read, StartError if it runs already.
        """
        import asyncio

        run = self._start(asyncio.get_event_loop(), lambda: None)
        try:
            await _over(run)
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def start_background(self) -> None:
        """Start serving and return once it listens. Raises as :meth:`start`."""
        import asyncio

        self._start(asyncio.get_event_loop(), lambda: None)

    def start_sync(self) -> None:
        """Serve until :meth:`stop_sync` from elsewhere, or Ctrl-C, which is raised after the stop.

        Raises as :meth:`start`, and TypeError if a handler of this server's own is a coroutine
        function; one that ``@request`` has entered is answered ``unsupported`` when it is called.
        """
        waiting = _Waiting()
        run = self._start(None, waiting.litter)
        run.ended.add_done_callback(lambda future: waiting.end())
        try:
            waiting.wait()
        finally:
            self.stop_sync()

    def start_background_sync(self) -> None:
        """Start serving and return once it listens. Raises as :meth:`start_sync`."""
        self._start(None, lambda: None)

    def _start(self, asyncio_loop: Any, litter: Callable[[], None]) -> _Run:
        with self._lock:
            if self.running:
                raise StartError("the server runs already: stop() it before it is started again")
            if asyncio_loop is None:
                self._demand_plain()
            self._sync = asyncio_loop is None
            self._found.clear()
            self._run = self._open(asyncio_loop, litter)
            return self._run

    def _open(self, asyncio_loop: Any, litter: Callable[[], None]) -> _Run:
        clock = self._clock
        listening = listen(*self._place, clock)
        ended: Future[None] = Future()
        loop = Loop(clock, _defect)
        facts = Facts(self._instance_id, clock.uuid(), self._limits.entries)
        names = Names(self._find, self._names)
        serving = Serving(
            loop,
            listening,
            Receipts(self._limits),
            facts,
            names,
            self._health_interval,
            lambda text, *args: handling.workers.run(logger.warning, text, *args),
            ended,
        )
        serving.handling = handling = Handling(serving.done, asyncio_loop, litter)
        thread = LoopThread(loop, "dcc-mcp-embed ipc server")
        try:
            thread.on_fork(serving.disown)
            handling.workers.start()
            serving.begin_listening()
            thread.start()
        except BaseException as error:
            handling.stop()
            listening.close()
            loop.close()
            if isinstance(error, RuntimeError):
                # The interpreter is at its end, or the system has no more threads.
                raise StartError("no thread could be started: {}".format(error)) from error
            raise
        # The loop's thread holds it until it ends: this is for the interpreter's exit.
        weakref.finalize(serving, listening.leave)
        return _Run(serving, thread, ended, clock.monotonic())

    def _demand_plain(self) -> None:
        names = [
            name
            for name in self._handlers.names
            if is_coroutine_function(self._handlers.get_handler(name))  # type: ignore[arg-type]
        ]
        if names:
            raise TypeError(_no_coroutines(names))

    # -- stop ---------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop serving; idempotent. Requests under way have a second to come to their end.

        Whoever still waits then is told that the server is stopping. Coroutine handlers are
        cancelled; plain ones run on, and nobody hears of them.
        """
        run = self._ask_to_stop()
        if run is not None:
            await _over(run)

    def stop_sync(self) -> None:
        """Stop serving and return when it is done; see :meth:`stop`."""
        run = self._ask_to_stop()
        if run is not None:
            with collector.blocking():
                while not run.ended.done():
                    # In slices where Ctrl-C does not interrupt a wait.
                    futures.wait([run.ended], SLICE_S)
                run.thread.finish(_GRACE)

    def _ask_to_stop(self) -> Optional[_Run]:
        run = self._run
        if run is None or not run.running:
            return None
        run.serving.loop.call_soon(run.serving.close)
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

    async def push(
        self, type: str, data: Any = None, to: Union[None, str, Iterable[str]] = None
    ) -> int:
        """Send a push to clients and return to how many; see :meth:`push_sync`."""
        import asyncio

        return await asyncio.wrap_future(self._push(type, data, to))

    def push_sync(
        self, type: str, data: Any = None, to: Union[None, str, Iterable[str]] = None
    ) -> int:
        """Send a push to clients and return to how many; 0 while the server does not run.

        ``to``: the account of those who get it, several accounts, or None for all. A client with
        more than 1 MiB unread goes without. Nobody answers a push: one that is sent may still be
        lost with its connection. Raises TypeError, ValueError for what JSON cannot say, TooLarge.
        """
        with collector.blocking():
            return self._push(type, data, to).result()

    def _push(self, type: str, data: Any, to: Union[None, str, Iterable[str]]) -> Future[int]:
        if not isinstance(type, str) or not type:
            raise ValueError("a push's type is a text that is not empty, not {!r}".format(type))
        accounts = None if to is None else [to] if isinstance(to, str) else list(to)
        if not all(isinstance(account, str) for account in accounts or ()):
            raise TypeError("accounts are texts, not {!r}".format(to))
        content = jsonrpc.encode(data)
        if len(content) > MAX_DATA:
            raise TooLarge(
                "The push {!r} has {} bytes, and {} can be sent at most.".format(
                    type[:100], len(content), MAX_DATA
                ),
                state="not_started",
            )
        try:
            data = frame(encode(Notify(None, type, content), OURS))
        except TransportError as error:
            raise ValueError(str(error)) from None
        answer: Future[int] = Future()
        run = self._run
        if run is None or not run.running:
            settle(answer, 0)
        else:
            run.serving.ask(data, accounts, answer)
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
        refused: connections that were turned away, or left before the end of the hello; dropped:
        clients that were silent or read nothing;
        requests: that have come; responses, errors: answers that were sent, also those again;
        in_flight: requests under way; replayed: answered once more from what was kept; joined:
        answered on a later connection than they came on; unknown_outcomes: answered that nobody
        knows whether they ran; receipts, receipt_bytes: what is kept of finished requests, and of
        their results;
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
        }
        serving = None if run is None else run.serving
        for key, attribute in _COUNTS:
            stats[key] = 0 if serving is None else getattr(serving, attribute)
        if run is not None and run.running:
            serving = run.serving
            stats["uptime_seconds"] = self._clock.monotonic() - run.started_at
            stats["connections"] = serving.connections
            # Copied in one step: the loop's thread may be changing it.
            stats["clients"] = dict(serving.accounts)
            stats["in_flight"] = serving.in_flight
            stats["receipts"] = len(serving.receipts)
            stats["receipt_bytes"] = serving.receipts.result_bytes
        return stats

    def __repr__(self) -> str:
        where = self.address if self.running else "not running"
        return "<SocketServer {}>".format(where)


#: Key of the stats -> what counts it.
_COUNTS: Tuple[Tuple[str, str], ...] = (
    ("connections_total", "connections_total"),
    ("refused", "refused"),
    ("dropped", "dropped"),
    ("requests", "requests"),
    ("responses", "responses"),
    ("errors", "errors"),
    ("replayed", "replayed"),
    ("joined", "joined"),
    ("unknown_outcomes", "unknown"),
    ("pushes", "pushes"),
    ("pushes_skipped", "pushes_skipped"),
)


async def _over(run: _Run) -> None:
    """Wait until a run is over. Whoever is cancelled meanwhile leaves the others waiting."""
    import asyncio

    await asyncio.shield(asyncio.wrap_future(run.ended))
    # It ends right now, if it has not.
    run.thread.finish(_GRACE)


class _Waiting:
    """The thread that has started a server and has nothing to do but to wait for its end.

    Garbage of the workers is collected here: they must not do it, and nobody else may be there.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._ended = False
        self._littered = False

    def end(self) -> None:
        """End the wait. Any thread."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def litter(self) -> None:
        """Have a collection run. Any thread."""
        with self._condition:
            self._littered = True
            self._condition.notify_all()

    def wait(self) -> None:
        """Wait for the end."""
        for number in range(1, 1 << 62):
            with self._condition:
                while not (self._ended or self._littered):
                    # In slices where Ctrl-C does not interrupt a wait.
                    self._condition.wait(SLICE_S)
                if self._ended:
                    return
                self._littered = False
            gc.collect(2 if number % _FULL_EVERY == 0 else 0)


def _no_coroutines(names: List[str]) -> str:
    return (
        "the handlers of {} are coroutine functions, which need an asyncio loop: start the server "
        "with `await start()` or `await start_background()`, or make them plain functions".format(
            ", ".join(repr(name) for name in names)
        )
    )


def _defect(name: str, error: BaseException) -> None:
    logger.error("%s failed: %r", name, error, exc_info=error)
