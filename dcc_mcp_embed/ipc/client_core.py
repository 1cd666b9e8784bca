"""What a SocketClient does, in futures: for its two faces, the one with ``await`` and the other.

It does not know the client, so that one that nobody holds any more can be collected, and end.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import Future
from typing import Any, Callable, Dict, Optional

from ..clock import Clock
from ..errors import EmbedError
from ..net.callables import is_coroutine_function
from ..net.promises import fail, settle
from ..wire.messages import Response
from .actions import Action, Answered, Connected, Disconnected, Errand, Options, Pushed
from .answers import decode, encode
from .calling import Deliveries
from .engine import Engine, held_weakly
from .places import Target
from .session import Session

__all__ = ["ClientCore"]

_Function = Callable[..., Any]


class ClientCore:
    """One client. Any thread, but for :meth:`_handle`: that is the engine's."""

    def __init__(self, options: Options, find: Callable[[], Target], clock: Clock) -> None:
        self._options = options
        self._find = find
        self._clock = clock
        self._lock = threading.RLock()
        self._engine: Optional[Engine] = None
        self.session = Session(options, clock)
        self.deliveries = Deliveries("dcc-mcp-embed ipc callbacks")
        self._push_handlers: Dict[str, _Function] = {}
        self._callbacks: Dict[str, _Function] = {}
        self._unhandled = 0

    # -- functions of the user ----------------------------------------------------------------

    def set_callback(self, event: str, function: Optional[_Function]) -> None:
        """Have ``function`` called at each ``connect`` or ``disconnect``; None: nothing."""
        if function is None:
            self._callbacks.pop(event, None)
            return
        self._demand(function, "the {} callback".format(event))
        self._callbacks[event] = function

    def set_push_handler(self, topic: str, function: _Function) -> None:
        """Have ``function(topic, data)`` called for pushes of this type."""
        self._demand(function, "the handler of the push {!r}".format(topic))
        taken = self._push_handlers.setdefault(topic, function)
        if taken != function:
            raise ValueError(
                "the push {!r} is handled by {} already: handle both in one function".format(
                    topic, getattr(taken, "__qualname__", taken)
                )
            )

    def demand_plain(self) -> None:
        """Raise TypeError if a function needs an asyncio loop."""
        for topic, function in list(self._push_handlers.items()):
            _demand_plain(function, "the handler of the push {!r}".format(topic))
        for event, function in list(self._callbacks.items()):
            _demand_plain(function, "the {} callback".format(event))

    def _demand(self, function: _Function, what: str) -> None:
        if not callable(function):
            raise TypeError("{} must be a function, not {!r}".format(what, function))
        if self.deliveries.awaits is False:
            _demand_plain(function, what)

    # -- what the client wants ----------------------------------------------------------------

    def is_current(self) -> bool:
        """Return whether the caller is the thread that all of this waits for."""
        engine = self._engine
        return engine is not None and engine.is_current()

    def connect(self, retries: int) -> Future[bool]:
        """Return what will be True once there is a connection, False if none came about."""
        future: Future[bool] = Future()
        with self._lock:
            engine = self._engine
            # A new one, too, may have ended before it is told: by a disconnect() in between.
            while engine is None or not engine.post(self.session.connect, retries, future):
                # Known before it runs: if Ctrl-C comes in between, disconnect() ends it.
                engine = self._engine = Engine(
                    self.session, self._find, self._handle, self._defect, self._clock
                )
                engine.thread.on_fork(held_weakly(self._after_fork))
                engine.over.add_done_callback(lambda _: self.deliveries.end())
                engine.start()
        self._withdraw_if_cancelled(future, engine, self.session.withdraw)
        return future

    def disconnect(self) -> Future[Any]:
        """Return what will be done once the connection has been ended."""
        future: Future[Any] = Future()
        engine = self._engine
        if engine is None or not engine.post(self.session.disconnect, future):
            future.set_result(True)
        return future

    def over(self) -> Future[None]:
        """Return what will be done once the engine has ended; may be cancelled."""
        done: Future[None] = Future()
        engine = self._engine
        if engine is None or not engine.thread.alive:
            done.set_result(None)
        else:
            engine.over.add_done_callback(lambda _: settle(done, None))
        return done

    def join(self, grace: float) -> None:
        """Wait for the thread of an engine that is over, and let go of it."""
        self.deliveries.end()
        engine = self._engine
        if engine is not None and engine.over.done() and not engine.is_current():
            engine.thread.finish(grace)

    def request(self, name: str, data: Any, timeout: float) -> Future[Response]:
        """Return what will be the response. Raises InvalidMessage, FrameTooLarge, NotConnected."""
        params = encode(name, data)
        future: Future[Response] = Future()
        deadline = None if timeout == math.inf else self._clock.monotonic() + timeout
        milliseconds = 0 if deadline is None else int(timeout * 1000)
        errand = Errand(name, params, deadline, milliseconds, future)
        engine = self._engine
        if engine is None or not engine.post(self.session.ask, errand):
            with self._lock:
                raise self.session.refuse()
        self._withdraw_if_cancelled(future, engine, self.session.abandon, errand)
        return future

    def check(self, timeout: float) -> Future[bool]:
        """Return what will be True if the server answers within ``timeout`` seconds."""
        future: Future[bool] = Future()
        engine = self._engine
        if engine is None or not engine.post(self.session.check, timeout, future):
            future.set_result(False)
        return future

    def dropped(self) -> None:
        """The client is gone, and nobody has disconnected it."""
        engine = self._engine
        if engine is not None:
            self._callbacks.clear()
            self._push_handlers.clear()
            engine.post(self.session.disconnect, Future())
            self.deliveries.end()

    def stats(self) -> Dict[str, Any]:
        """Return the numbers; see ``SocketClient.get_stats``."""
        session, engine = self.session, self._engine
        tally = session.tally
        since, latency = tally.connected_since, tally.last_latency
        address = None if engine is None else engine.address
        return {
            "connected": session.connected,
            "state": session.state,
            "account_id": self._options.account_id or None,
            "address": None if address is None else str(address),
            "uptime_seconds": 0.0 if since is None else self._clock.monotonic() - since,
            "requests": tally.requests,
            "responses": tally.responses,
            "errors": tally.errors,
            "timeouts": tally.timeouts,
            "unknown_outcomes": tally.unknown_outcomes,
            "in_flight": session.in_flight,
            "held": session.held,
            "resent": tally.resent,
            "joined": tally.joined,
            "pushes": tally.pushes,
            "pushes_unhandled": self._unhandled,
            "callback_errors": self.deliveries.errors,
            "callbacks_dropped": self.deliveries.dropped,
            "heartbeats": tally.heartbeats,
            "reconnects": tally.reconnects,
            "last_error": tally.last_error,
            "last_latency_ms": None if latency is None else latency * 1000.0,
        }

    # -- from the engine ----------------------------------------------------------------------

    def _handle(self, action: Action) -> None:
        if isinstance(action, Errand):
            future, action.waiter = action.waiter, None
            if action.response is not None:
                settle(future, action.response)
            elif action.error is not None:
                fail(future, action.error)
        elif isinstance(action, Answered):
            settle(action.waiter, action.well)
        elif isinstance(action, Pushed):
            self._push(action)
        elif isinstance(action, (Connected, Disconnected)):
            event = "connect" if isinstance(action, Connected) else "disconnect"
            callback = self._callbacks.get(event)
            if callback is not None:
                self.deliveries.put("the {} callback".format(event), callback)

    def _push(self, pushed: Pushed) -> None:
        topic, data = pushed
        handler = self._push_handlers.get(topic)
        if handler is None:
            self._unhandled += 1
            return
        what = "the handler of the push {!r:.80}".format(topic)
        # Read where it is called: this thread has other things to do.
        self.deliveries.put(what, _call_with, handler, topic, data, droppable=True, size=len(data))

    def _defect(self, text: str, error: BaseException) -> None:
        self.deliveries.put(text, _raise, error)

    def _after_fork(self) -> None:
        """In a forked child: nothing of the parent's connection is ours, not even its numbers."""
        self._lock = threading.RLock()
        self._engine = None
        self.session = Session(self._options, self._clock)
        self.deliveries.after_fork()

    def _withdraw_if_cancelled(
        self,
        future: Future[Any],
        engine: Engine,
        withdraw: Callable[..., None],
        errand: Optional[Errand] = None,
    ) -> None:
        # Its own parameter: a function that held the future would be a cycle with it.
        def done(future: Future[Any]) -> None:
            if future.cancelled():
                engine.post(withdraw, future if errand is None else errand)

        future.add_done_callback(done)


def _demand_plain(function: _Function, what: str) -> None:
    if is_coroutine_function(function):
        raise TypeError(
            "{} is a coroutine function, which runs on an asyncio loop: connect with `await "
            "client.connect()` instead of connect_sync(), or give a plain function".format(what)
        )


def _call_with(handler: _Function, topic: str, data: bytes) -> Any:
    return handler(topic, decode(data, "the push {!r:.80}".format(topic)))


def _raise(error: BaseException) -> None:
    raise EmbedError("a defect in the client: {!r}".format(error)) from error
