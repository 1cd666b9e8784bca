"""Changes of status, and whom they are told to: once each, in order, one after the other.

They are told by the calls that they come of, before these return, on their own threads; one call at
a time, which tells what comes of others meanwhile. So a callback may call what it likes: what comes
of that is told after it. Nothing is told on the loop's thread, which a callback would hold up.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Callable, Deque, Dict, Generator, Iterator, List, Optional, Sequence, Tuple

from .. import collector
from ..clock import Clock
from ..net.callables import is_awaitable, is_coroutine_function
from ..net.loop import Loop
from ..net.promises import awaited_for, offer
from ..net.tasks import within
from .calling import called, run_here, running_loop
from .records import StatusCallback

__all__ = ["Events"]

Event = Dict[str, Any]
#: The first fields of a key: a user and a plugin, a user, or nobody in particular.
About = Tuple[str, ...]

#: Seconds to wait for a callback that another thread is calling: it may wait for this one.
_PATIENCE = 5.0
#: Seconds that a callback may take where nobody waits for it.
_LONGEST = 30.0
#: These are not meant for us.
_NOT_OURS = (KeyboardInterrupt, SystemExit)

#: Whether whoever calls here is called by a callback.
_in_callback: ContextVar[bool] = ContextVar("dcc_mcp_embed.mcp callback", default=False)


class _Change:
    """What has happened, and who is still to be told of it. ``told``: settled once nobody is."""

    __slots__ = ("callbacks", "event", "key", "told")

    def __init__(
        self, key: Tuple[str, str], event: Event, callbacks: Sequence[StatusCallback]
    ) -> None:
        self.key = key
        self.event = event
        self.callbacks = deque(callbacks)
        self.told: Future[None] = Future()


class Events:
    """Holds what has happened until somebody tells it. Any thread, where nothing else is said.

    ``left()`` is called when whoever was telling leaves that to others.
    """

    def __init__(self, clock: Clock, logger: logging.Logger, left: Callable[[], None]) -> None:
        self._clock = clock
        self._logger = logger
        self._left = left
        self._callbacks: List[StatusCallback] = []
        self.disown()

    def disown(self) -> None:
        """Begin anew, in a forked child: another thread may have been at it."""
        # The collector may end who told on a loop that is gone, on whichever thread it comes.
        self._lock = threading.RLock()
        self._waiting: Deque[_Change] = deque()
        self._telling: Optional[_Change] = None
        #: Who tells it, and on which loop of asyncio, if on one.
        self._teller: object = None
        self._where: Any = None

    def add(self, callback: StatusCallback) -> None:
        """Tell ``callback(event)`` too, a function or a coroutine function; twice is once."""
        with self._lock:
            if callback not in self._callbacks:
                self._callbacks.append(callback)

    def remove(self, callback: StatusCallback) -> None:
        """Tell it no more; one that is not told is fine."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def happened(self, key: Tuple[str, str], old: str, new: str, reason: str) -> None:
        """Take note of a change."""
        if old == new:
            return
        event = {
            "user_id": key[0],
            "plugin_name": key[1],
            "old_status": old,
            "new_status": new,
            "reason": reason,
            "timestamp": datetime.fromtimestamp(self._clock.wall()).isoformat(),
        }
        with self._lock:
            if self._callbacks:
                self._waiting.append(_Change(key, event, self._callbacks))

    # -- telling ------------------------------------------------------------------------------

    def tell(self, about: About) -> None:
        """Tell all of it on this thread; go on once what is ``about`` them has been told.

        Coroutines get an asyncio loop of their own.
        """
        if self._idle:
            return
        # From a callback what comes of it is told when that has returned.
        held_up = None if _in_callback.get() else running_loop()
        with closing(self._turns(held_up=held_up)) as turns:
            for callback, event in turns:
                try:
                    with _calling_back():
                        _run(callback, event)
                except _NOT_OURS:
                    raise
                except BaseException as error:
                    # Of whatever kind: the caller has nothing to do with it.
                    self._broke(error)
        wait(self._untold(about), _PATIENCE)

    async def tell_here(self, about: About) -> None:
        """Tell all of it so on the asyncio loop that runs this."""
        if self._idle:
            return
        with closing(self._turns(running_loop())) as turns:
            for callback, event in turns:
                try:
                    with _calling_back():
                        value: Any = callback(event)
                except _NOT_OURS:
                    raise
                except BaseException as error:
                    self._broke(error)
                else:
                    broken = await _failure_of(value) if is_awaitable(value) else None
                    if broken is not None:
                        self._broke(broken)
        for told in self._untold(about):
            await awaited_for(told, _PATIENCE)

    async def tell_aside(
        self, loop: Loop, asyncio_loop: Any, broke: Callable[[BaseException], None]
    ) -> None:
        """Tell all of it where coroutine functions run, or on threads for that. Loop thread."""
        if self._idle:
            return
        with closing(self._turns()) as turns:
            for callback, event in turns:
                try:
                    with within(loop, _LONGEST):
                        await called(loop, _marked(callback), (event,), asyncio_loop)
                except Exception as error:
                    broke(error)

    @property
    def _idle(self) -> bool:
        return not self._waiting and self._telling is None

    def _turns(
        self, where: Any = None, held_up: Any = None
    ) -> Generator[Tuple[StatusCallback, Event], None, None]:
        """Yield who is to be told what next; nothing if somebody else is at it.

        ``where``: the loop of asyncio on which it is told; ``held_up``: one that cannot go on
        before this has returned.
        """
        me = object()
        with self._lock:
            change = self._telling
            if change is not None:
                if self._where is None or (self._where.is_running() and self._where is not held_up):
                    return
                # That loop stands still: it is taken from there.
                self._waiting.appendleft(change)
            self._teller, self._where = me, where
            self._telling = change = self._next()
        try:
            while change is not None:
                with self._lock:
                    if self._teller is not me:
                        return
                    over = not change.callbacks
                    callback = None if over else change.callbacks.popleft()
                if over:
                    offer(change.told, None)
                    with self._lock:
                        if self._teller is me:
                            self._telling = change = self._next()
                # It may have been taken back since.
                elif callback in self._callbacks:
                    yield callback, dict(change.event)
        finally:
            with self._lock:
                left = change is not None and self._teller is me
                if change is not None and left:
                    # Whoever tells has been interrupted, or cancelled.
                    self._telling = None
                    self._waiting.appendleft(change)
            if left:
                self._left()

    def _next(self) -> Optional[_Change]:
        return self._waiting.popleft() if self._waiting else None

    def _untold(self, about: About) -> List[Future[None]]:
        """Return what to wait for: what others tell, unless these wait for whoever asks."""
        if _in_callback.get():
            return []
        with self._lock:
            changes = [*self._waiting] if self._telling is None else [self._telling, *self._waiting]
        return [one.told for one in changes if one.key[: len(about)] == about]

    def _broke(self, error: BaseException) -> None:
        self._logger.error("a callback failed: %r", error, exc_info=error)


@contextmanager
def _calling_back() -> Iterator[None]:
    before = _in_callback.set(True)
    try:
        yield
    finally:
        _in_callback.reset(before)


def _marked(callback: StatusCallback) -> Callable[[Event], Any]:
    """Return a callback by which it can be known who calls, on whichever thread."""
    if is_coroutine_function(callback):

        async def tell(event: Event) -> None:
            with _calling_back():
                await callback(event)  # type: ignore[misc]

        return tell

    def told(event: Event) -> Any:
        with _calling_back():
            return callback(event)

    return told


def _run(callback: StatusCallback, event: Event) -> None:
    """Call it on this thread; a coroutine on another one, if a loop of asyncio runs on this."""
    if running_loop() is None or not is_coroutine_function(callback):
        run_here(callback, (event,))
        return
    told: Future[None] = Future()

    def run() -> None:
        try:
            told.set_result(run_here(_marked(callback), (event,)))
        except BaseException as error:
            told.set_exception(error)

    collector.Thread(run, "dcc-mcp-embed mcp callback").start()
    told.result()


async def _failure_of(value: Any) -> Optional[BaseException]:
    """Await it as a task of its own, so that it is no cancellation of ours if that is cancelled."""
    import asyncio

    loop = asyncio.get_running_loop()
    with _calling_back():
        task = asyncio.ensure_future(value)
    try:
        await asyncio.wait([task])
    except BaseException:
        # This one is cancelled; or thrown away, on a loop that is closed.
        if not loop.is_closed():
            task.cancel()
        raise
    return RuntimeError("it was cancelled") if task.cancelled() else task.exception()
