"""Users' functions: called in order and never on a net loop's thread; no failure ends anything.

Where they run is chosen by how their owner was started: with ``await`` on the asyncio loop that
awaited, which runs coroutine functions too; without it on a thread of our own, made when there is
something to call.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, Optional, Set, Tuple

from .. import collector
from .promises import settle

__all__ = ["Deliveries", "close", "is_awaitable", "is_coroutine_function", "logger", "shown"]

logger = logging.getLogger("dcc_mcp_embed.ipc")

#: ``inspect.CO_COROUTINE``, without the import.
_CO_COROUTINE = 0x80
#: Functions that may wait to be called; beyond it those that may be dropped are.
_MOST_WAITING = 10_000
#: Bytes of what may be dropped that may wait.
_MOST_BYTES = 32 << 20
#: Seconds that the thread waits for more before it ends: the next burst makes another one.
_LINGER = 1.0

#: What it is, the function, its arguments, their bytes.
_Item = Tuple[str, Callable[..., Any], Tuple[Any, ...], int]


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Return whether calling it gives a coroutine; also for partials, methods and callables."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(type(function).__call__, "__code__", None)
    return bool(code is not None and code.co_flags & _CO_COROUTINE)


def is_awaitable(value: Any) -> bool:
    """Return whether ``await`` takes it. It looks at the type: an object may answer anything."""
    return hasattr(type(value), "__await__")


def close(awaitable: Any) -> None:
    """Give up a coroutine that will not be awaited, or anything else."""
    try:
        getattr(awaitable, "close", lambda: None)()
    except Exception as error:
        logger.error("closing %s failed: %s", type(awaitable), shown(error))


def shown(error: BaseException, show: Callable[[BaseException], str] = repr) -> str:
    """Return an exception's text, even if it raises another one when it is asked."""
    try:
        return show(error)
    except BaseException:
        return "(its text cannot be had)"


class Deliveries:
    """A line of functions to call, and where they are called. :meth:`put` from any thread.

    ``errors``: how many raised. ``dropped``: how many were not called, because too many waited or
    because the place where they run is gone.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Reentrant: a finaliser may call us in the middle of it.
        self._lock = threading.RLock()
        self._place: Optional[_Place] = None
        self.errors = 0
        self.dropped = 0

    @property
    def awaits(self) -> Optional[bool]:
        """Whether coroutine functions can be called; None until the place is chosen."""
        return None if self._place is None else self._place.awaits

    def use_asyncio(self) -> None:
        """Call from now on on the running asyncio loop. From a coroutine."""
        import asyncio

        loop = asyncio.get_running_loop()
        place = self._place
        if not isinstance(place, _AsyncioLoop) or place.loop is not loop:
            self._move(_AsyncioLoop(loop, self._call, self._failed))

    def use_thread(self) -> None:
        """Call from now on on a thread of our own."""
        if not isinstance(self._place, _Thread):
            self._move(_Thread(self._name, self._call, self._failed))

    def _move(self, place: _Place) -> None:
        previous, self._place = self._place, place
        if previous is not None:
            previous.end()

    def put(
        self,
        what: str,
        function: Callable[..., Any],
        *args: Any,
        droppable: bool = False,
        size: int = 0,
    ) -> bool:
        """Have a function called after those before it; ``what`` names it in the log. No waiting.

        False: it will not be, see ``dropped``. Only what is ``droppable`` counts as too many, or
        as too much by ``size``, the bytes of its arguments.
        """
        place = self._place
        if place is not None and place.load.add(size, droppable):
            if place.put((what, function, args, size)):
                return True
            place.load.remove(size)
        with self._lock:
            self.dropped += 1
        return False

    def catch_up(self, timeout: float) -> bool:
        """Wait until all that was put before has been called. False: not within ``timeout`` s.

        On the thread that calls it does not wait, nor for an asyncio loop: see :meth:`caught_up`.
        """
        place = self._place
        if not isinstance(place, _Thread) or not place.will_come_to_it():
            return True
        reached = threading.Event()
        with collector.blocking():
            return not self.put("catching up", reached.set) or reached.wait(timeout)

    def caught_up(self) -> Future[None]:
        """Return what will be done once all that was put before has been called, or has begun.

        For who awaits, on any loop; may be cancelled. Done at once where nothing is to be waited
        for: on the thread that calls, or if the asyncio loop that calls does not run.
        """
        reached: Future[None] = Future()
        place = self._place
        if (
            place is None
            or not place.will_come_to_it()
            or not self.put("catching up", settle, reached, None)
        ):
            reached.set_result(None)
        return reached

    def end(self) -> None:
        """Let the thread end once it has called what is waiting. A later :meth:`put` is fine."""
        if self._place is not None:
            self._place.end()

    def after_fork(self) -> None:
        """Forget, in the forked child, what only the parent's threads could have called."""
        self._lock = threading.RLock()
        self._place = None

    def _call(self, place: _Place, item: _Item) -> Any:
        """Call, and return what is to be awaited, if anything; errors are noted."""
        what, function, args, size = item
        place.load.remove(size)
        try:
            result = function(*args)
        except Exception as error:
            self._failed(what, error)
            return None
        if not is_awaitable(result):
            return None
        if place.awaits:
            return result
        close(result)
        self._failed(what, TypeError("it returned an awaitable, and nothing here can await it"))
        return None

    def _failed(self, what: str, error: BaseException) -> None:
        with self._lock:
            self.errors += 1
        logger.error("%s failed: %s", what, shown(error), exc_info=error)


class _Load:
    """What waits at one place, and the coroutines that go on there. Any thread.

    Of each place its own: a loop that has ended may have left things behind that are never called.
    """

    def __init__(self) -> None:
        # Reentrant: a finaliser may call us in the middle of it.
        self._lock = threading.RLock()
        self._number = self._bytes = 0

    def add(self, size: int, droppable: bool) -> bool:
        """Count one more; False: it may be dropped, and there is no room for it."""
        with self._lock:
            full = self._number >= _MOST_WAITING or self._bytes + size > _MOST_BYTES
            if droppable and full:
                return False
            self._number += 1
            self._bytes += size
            return True

    def remove(self, size: int) -> None:
        """Count one less."""
        with self._lock:
            self._number -= 1
            self._bytes -= size


class _Place:
    """Where functions are called."""

    awaits = False

    def __init__(self) -> None:
        self.load = _Load()

    def put(self, item: _Item) -> bool:
        raise NotImplementedError

    def will_come_to_it(self) -> bool:
        """Return whether who waits for what was put may not wait in vain."""
        raise NotImplementedError

    def end(self) -> None:
        """Nothing more will be put soon."""


class _AsyncioLoop(_Place):
    """An asyncio loop. Everything begins in order, and coroutines go on beside each other."""

    awaits = True

    def __init__(
        self,
        loop: Any,
        call: Callable[[_Place, _Item], Any],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__()
        self.loop = loop
        self._run = call
        self._failed = failed
        self._items: Deque[_Item] = deque()
        #: What has been made a task and has not begun; others wait for that.
        self._beginning: Set[object] = set()
        # asyncio keeps tasks by weak references only.
        self._tasks: Set[Any] = set()

    def put(self, item: _Item) -> bool:
        try:
            self.loop.call_soon_threadsafe(self._call, item)
        except RuntimeError:
            # The loop is closed.
            return False
        return True

    def will_come_to_it(self) -> bool:
        # A coroutine that waits here does not keep it from going on.
        return bool(self.loop.is_running())

    def _call(self, item: _Item) -> None:
        self._items.append(item)
        self._next()

    def _next(self) -> None:
        """Call what waits, up to the next that is a task about to begin: that one goes on."""
        try:
            while self._items and not self._beginning:
                self._begin(self._items.popleft())
        except BaseException:
            # It ends the loop, which may be run again.
            self._go_on()
            raise

    def _go_on(self) -> None:
        if self._items:
            self.loop.call_soon(self._next)

    def _begin(self, item: _Item) -> None:
        import asyncio

        awaitable = self._run(self, item)
        if awaitable is None:
            return
        token = object()
        self._beginning.add(token)
        what, size = item[0], item[3]
        self.load.add(size, False)
        task = asyncio.ensure_future(self._await(token, awaitable))
        self._tasks.add(task)

        def done(task: Any) -> None:
            if token in self._beginning:
                # It was cancelled before it could begin.
                self._beginning.discard(token)
                close(awaitable)
                self._go_on()
            self._tasks.discard(task)
            self.load.remove(size)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self._failed(what, error)

        task.add_done_callback(done)

    async def _await(self, token: object, awaitable: Any) -> None:
        self._beginning.discard(token)
        self._go_on()
        await awaitable


class _Thread(_Place):
    """A daemon thread, there while there is something to call and a moment longer."""

    def __init__(
        self,
        name: str,
        call: Callable[[_Place, _Item], Any],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__()
        self._name = name
        self._run = call
        self._failed = failed
        self._condition = threading.Condition()
        self._items: Deque[_Item] = deque()
        self._thread: Optional[threading.Thread] = None
        self._lingers = True

    def will_come_to_it(self) -> bool:
        # Without a thread everything has been called; the thread itself cannot wait for itself.
        with self._condition:
            return self._thread not in (None, threading.current_thread())

    def put(self, item: _Item) -> bool:
        with self._condition:
            self._lingers = True
            self._items.append(item)
            if self._thread is not None:
                self._condition.notify()
                return True
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is about to end (3.12 on).
                self._items.clear()
                return False
            self._thread = thread
            return True

    def end(self) -> None:
        with self._condition:
            self._lingers = False
            self._condition.notify()

    def _serve(self) -> None:
        collector.guard()
        try:
            while True:
                item = self._next()
                if item is None:
                    return
                try:
                    self._run(self, item)
                except BaseException as error:
                    # What ends a program, too: nobody sits at this thread to have it ended.
                    self._failed(item[0], error)
        finally:
            collector.unguard()

    def _next(self) -> Optional[_Item]:
        """Return the next item; None: there is none for a while, and this thread is let go."""
        with self._condition:
            if not self._items and self._lingers:
                self._condition.wait(_LINGER)
            if self._items:
                return self._items.popleft()
            self._thread = None
            return None
