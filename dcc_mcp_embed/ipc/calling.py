"""Users' functions: called in order and never on a net loop's thread; no failure ends anything.

Where they run is chosen by how their owner was started: with ``await`` on the asyncio loop that
awaited, which runs coroutine functions too; without it on a thread of our own, made when there is
something to call.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, Callable, Optional

from .. import collector
from ..net.callables import is_awaitable
from ..net.promises import settle
from .call_places import AsyncioLoop, Item, Place, Thread
from .functions import close, report, shown

__all__ = ["Deliveries"]


class Deliveries:
    """A line of functions to call, and where they are called. :meth:`put` from any thread.

    ``errors``: how many raised. ``dropped``: how many were not called, because too many waited or
    because the place where they run is gone.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Reentrant: a finaliser may call us in the middle of it.
        self._lock = threading.RLock()
        self._place: Optional[Place] = None
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
        if not isinstance(place, AsyncioLoop) or place.loop is not loop:
            self._move(AsyncioLoop(loop, self._call, self._failed))

    def use_thread(self) -> None:
        """Call from now on on a thread of our own."""
        if not isinstance(self._place, Thread):
            self._move(Thread(self._name, self._call, self._failed))

    def _move(self, place: Place) -> None:
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
            if place.put(Item(what, function, args, size)):
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
        if not isinstance(place, Thread) or not place.will_come_to_it():
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

    def _call(self, place: Place, item: Item) -> Any:
        """Call, and return what is to be awaited, if anything; errors are noted."""
        place.load.remove(item.size)
        try:
            result = item.function(*item.args)
        except Exception as error:
            # A user's function may raise anything.
            self._failed(item.what, error)
            return None
        if not is_awaitable(result):
            return None
        if place.awaits:
            return result
        close(result)
        self._failed(
            item.what, TypeError("it returned an awaitable, and nothing here can await it")
        )
        return None

    def _failed(self, what: str, error: BaseException) -> None:
        with self._lock:
            self.errors += 1
        report("%s failed: %s", what, shown(error), error=error)
