"""The places where users' functions are called: an asyncio loop, or a thread of our own.

Each is given ``call(place, item)``, which calls and returns what is to be awaited, if anything, and
``failed(what, error)``.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Callable, Deque, NamedTuple, Optional, Set, Tuple

from .. import collector
from .functions import close

__all__ = ["AsyncioLoop", "Item", "Load", "Place", "Thread"]

#: Functions that may wait to be called; beyond it those that may be dropped are.
_MOST_WAITING = 10_000
#: Bytes of what may be dropped that may wait.
_MOST_BYTES = 32 << 20
#: Seconds that the thread waits for more before it ends: the next burst makes another one.
_LINGER = 1.0


class Item(NamedTuple):
    """A function to call. ``what`` names it in the log; ``size``: bytes of its arguments."""

    what: str
    function: Callable[..., Any]
    args: Tuple[Any, ...]
    size: int


class Load:
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


class Place(ABC):
    """Where functions are called."""

    #: Whether coroutine functions can be called there.
    awaits: bool

    def __init__(
        self, call: Callable[[Place, Item], Any], failed: Callable[[str, BaseException], None]
    ) -> None:
        self.load = Load()
        self._run = call
        self._failed = failed
        self._items: Deque[Item] = deque()

    @abstractmethod
    def put(self, item: Item) -> bool:
        """Have it called; False: it will not be."""

    @abstractmethod
    def end(self) -> None:
        """Nothing more will be put soon: what is there for it need not stay."""

    @abstractmethod
    def will_come_to_it(self) -> bool:
        """Return whether who waits for what was put may not wait in vain."""


class AsyncioLoop(Place):
    """An asyncio loop. Everything begins in order, and coroutines go on beside each other."""

    awaits = True

    def __init__(
        self,
        loop: Any,
        call: Callable[[Place, Item], Any],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__(call, failed)
        self.loop = loop
        #: What has been made a task and has not begun; others wait for that.
        self._beginning: Set[object] = set()
        # asyncio keeps tasks by weak references only.
        self._tasks: Set[Any] = set()

    def put(self, item: Item) -> bool:
        try:
            self.loop.call_soon_threadsafe(self._call, item)
        except RuntimeError:
            # The loop is closed.
            return False
        return True

    def end(self) -> None:
        pass  # the loop is somebody else's

    def will_come_to_it(self) -> bool:
        # A coroutine that waits here does not keep it from going on.
        return bool(self.loop.is_running())

    def _call(self, item: Item) -> None:
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

    def _begin(self, item: Item) -> None:
        import asyncio

        awaitable = self._run(self, item)
        if awaitable is None:
            return
        token = object()
        self._beginning.add(token)
        # The arguments are not held: the coroutine has what it needs of them.
        what, size = item.what, item.size
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


class Thread(Place):
    """A daemon thread, there while there is something to call and a moment longer."""

    awaits = False

    def __init__(
        self,
        name: str,
        call: Callable[[Place, Item], Any],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__(call, failed)
        self._name = name
        self._condition = threading.Condition()
        self._thread: Optional[threading.Thread] = None
        self._lingers = True

    def will_come_to_it(self) -> bool:
        # Without a thread everything has been called; the thread itself cannot wait for itself.
        with self._condition:
            return self._thread not in (None, threading.current_thread())

    def put(self, item: Item) -> bool:
        with self._condition:
            self._lingers = True
            self._items.append(item)
            if self._thread is not None:
                self._condition.notify()
                return True
            thread = collector.Thread(self._serve, self._name)
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
        while True:
            item = self._next()
            if item is None:
                return
            try:
                self._run(self, item)
            except BaseException as error:
                # What ends a program, too: nobody sits at this thread to have it ended.
                self._failed(item.what, error)

    def _next(self) -> Optional[Item]:
        """Return the next item; None: there is none for a while, and this thread is let go."""
        with self._condition:
            if not self._items and self._lingers:
                self._condition.wait(_LINGER)
            if self._items:
                return self._items.popleft()
            self._thread = None
            return None
