"""What tests of ipc set up again and again: handlers that wait, servers, clients, loops."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, Callable, Coroutine, Dict, List, Optional

import pytest

from dcc_mcp_embed.ipc import SocketClient, SocketServer
from fakes.clock import FakeClock
from fakes.ipc_raw import DEADLINE, SECRET, until

__all__ = [
    "Entries",
    "Gate",
    "Places",
    "Stage",
    "Timed",
    "beside",
    "posix",
    "run",
    "same",
    "server",
]

posix = pytest.mark.skipif(os.name == "nt", reason="no unix sockets here")


class Entries(dict):
    """A dictionary of a library that has lost what it stood for."""

    def items(self) -> Any:
        raise KeyError("gone")


class Places(list):
    """A list of the same library."""

    def __iter__(self) -> Any:
        raise OverflowError("gone")


def same(data: Any) -> Any:
    """A handler that returns what it is given."""
    return data


def server(arguments: Optional[Dict[str, Any]] = None, **handlers: Any) -> SocketServer:
    """Return a server made with ``arguments``, at any port without a path; not started."""
    settings = dict({"secret": SECRET}, **(arguments or {}))
    if "socket_path" not in settings:
        settings.setdefault("port", 0)
    one = SocketServer(**settings)
    for name, handler in handlers.items():
        one.register_handler(name, handler)
    return one


class Gate:
    """A handler, or any function, that does not return before it is let; ``times``: its runs."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.let = threading.Event()
        self.times = 0

    def __call__(self, data: Any = None) -> Any:
        self.times += 1
        self.entered.set()
        assert self.let.wait(DEADLINE)
        return data

    def demand(self) -> None:
        """Wait until it runs."""
        assert self.entered.wait(DEADLINE)


def beside(function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    """Call it on a thread of its own; return what waits for its end and does what it did."""
    returned: List[Any] = []
    raised: List[BaseException] = []

    def call() -> None:
        try:
            returned.append(function(*args))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()

    def end() -> Any:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "it does not end"
        if raised:
            # Not kept: an error holds the frames that it came through, and these hold it.
            raise raised.pop()
        return returned[0]

    return end


def run(coroutine: Coroutine[Any, Any, Any], loop: Any = None) -> Any:
    """Run it on a loop of its own, closed in the end; the test's thread is left without one."""
    loop = loop or asyncio.new_event_loop()
    try:
        return loop.run_until_complete(asyncio.wait_for(coroutine, DEADLINE))
    finally:
        loop.close()


class Stage:
    """A server without asyncio, and clients that are gone at the end.

    Its handlers: ``echo`` returns its data, which is then in ``ran``; ``hold`` does too, but waits
    for ``leave``, after a release of ``entered``; ``fail`` raises KeyError.
    """

    def __init__(self, place: Dict[str, Any], secret: Any = SECRET, **options: Any) -> None:
        self.entered, self.leave = threading.Semaphore(0), threading.Event()
        self.ran: List[Any] = []
        self.clients: List[SocketClient] = []
        self.secret = secret
        arguments = dict(place, account_id="server", secret=secret, **options)
        self.server = server(arguments, echo=self._echo, hold=self._hold, fail=self._fail)
        self.server.start_background_sync()
        #: The arguments that lead a client here.
        self.where = dict(place)

    def _echo(self, data: Any) -> Any:
        self.ran.append(data)
        return data

    def _hold(self, data: Any) -> Any:
        self.entered.release()
        assert self.leave.wait(DEADLINE)
        return data

    def _fail(self, data: Any) -> Any:
        raise KeyError(data)

    def demand(self) -> None:
        """Wait until one more ``hold`` runs."""
        assert self.entered.acquire(timeout=DEADLINE)

    def client(self, **options: Any) -> SocketClient:
        """Return a client that is not connected yet."""
        settings = {"account_id": "client", "secret": self.secret, "reconnect_interval": 0.02}
        settings.update(self.where)
        client = SocketClient(**dict(settings, **options))
        self.clients.append(client)
        return client

    def connected(self, **options: Any) -> SocketClient:
        """Return a client that is."""
        client = self.client(**options)
        assert client.connect_sync(), client.last_error
        return client

    def close(self) -> None:
        self.leave.set()
        for client in self.clients:
            client.disconnect_sync()
        self.server.stop_sync()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


class Timed:
    """A server at a port whose time stands still, but for what :meth:`advance` lets pass."""

    def __init__(self, arguments: Optional[Dict[str, Any]] = None, **handlers: Any) -> None:
        self._clock = FakeClock()
        self.server = server(dict(arguments or {}, clock=self._clock), **handlers)

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due by then has been done on return."""
        done = threading.Event()
        loop = self.server._run.serving.loop

        def advance() -> None:
            self._clock.advance(seconds)
            # In the loop's next turn, which looks at sockets and timers first.
            loop.call_soon(done.set)

        loop.call_soon(advance)
        assert done.wait(DEADLINE)

    def __enter__(self) -> Timed:
        self.server.start_background_sync()
        return self

    def __exit__(self, *failure: object) -> None:
        loop = self.server._run.serving.loop
        stopped = beside(self.server.stop_sync)
        # It gives clients and handlers seconds, which do not pass by themselves.
        until(lambda: loop.call_soon(self._clock.advance, 1.0) or not self.server.running)
        stopped()
