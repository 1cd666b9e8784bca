"""Three tools that stand on their own: when to try again, is it alive, who handles what."""

from __future__ import annotations

from typing import Any, Awaitable, Callable, Dict, List, Optional, TypeVar, Union

from ..clock import Clock, SystemClock
from ..errors import EmbedError

__all__ = ["BackoffStrategy", "HealthChecker", "RequestHandlerRegistry"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

#: Seconds that a check which was cancelled may take to clean up.
_GRACE = 0.25


def _positive(name: str, value: float) -> float:
    if not value > 0:  # NaN is not
        raise ValueError("{} must be more than 0 seconds, not {!r}".format(name, value))
    return value


class BackoffStrategy:
    """Growing delays between attempts, in seconds; ``reset`` after a success.

    The delays are ``initial_delay``, then ``multiplier`` times the one before, never more than
    ``max_delay``. ``jitter`` (0..1) is the part of each that chance may take off, so that many
    clients of one server do not come back at the same moment. Raises ValueError. Not thread-safe.
    """

    def __init__(
        self,
        initial_delay: float = 0.5,
        max_delay: float = 15.0,
        multiplier: float = 1.5,
        jitter: float = 0.0,
        *,
        clock: Optional[Clock] = None,
    ) -> None:
        if not 0.0 <= initial_delay < float("inf"):
            raise ValueError(
                "initial_delay must be a number of seconds from 0, not {!r}".format(initial_delay)
            )
        if not max_delay >= initial_delay:
            raise ValueError(
                "max_delay ({!r}) must not be less than initial_delay ({!r})".format(
                    max_delay, initial_delay
                )
            )
        if not 1.0 <= multiplier < float("inf"):
            raise ValueError("multiplier must be a number from 1, not {!r}".format(multiplier))
        if not 0.0 <= jitter <= 1.0:
            raise ValueError("jitter must be from 0 to 1, not {!r}".format(jitter))
        self.initial_delay = initial_delay
        self.max_delay = max_delay
        self.multiplier = multiplier
        self.jitter = jitter
        self._clock = clock or SystemClock()
        #: Delays that were given since the start or the last reset.
        self.attempts = 0
        self._next = initial_delay

    def get_delay(self) -> float:
        """Return the seconds to wait before the next attempt; the one after waits longer."""
        delay = self._next
        self._next = min(self.max_delay, delay * self.multiplier)
        self.attempts += 1
        return delay * (1.0 - self.jitter * self._clock.jitter()) if self.jitter else delay

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self.attempts = 0
        self._next = self.initial_delay


class HealthChecker:
    """Ask a function whether something is alive, and believe it for a limited time only.

    ``interval``: seconds between the beginnings of two checks, for whoever repeats them (see
    ``due_in``); ``timeout``: seconds that one may take. Raises ValueError. One loop at a time.
    """

    def __init__(
        self, interval: float = 5.0, timeout: float = 3.0, *, clock: Optional[Clock] = None
    ) -> None:
        self.interval = _positive("interval", interval)
        self.timeout = _positive("timeout", timeout)
        self._clock = clock or SystemClock()
        self._began: Optional[float] = None
        #: What the last check found; None before the first.
        self.healthy: Optional[bool] = None
        #: Why the last check failed; None if it did not.
        self.last_error: Optional[BaseException] = None
        #: Checks that failed since the last one that did not.
        self.failures = 0

    def due_in(self) -> float:
        """Return the seconds until the next check is due; 0: it is."""
        if self._began is None:
            return 0.0
        return max(0.0, self._began + self.interval - self._clock.monotonic())

    async def check(self, func: Callable[[], Union[Awaitable[Any], Any]]) -> bool:
        """Call ``func`` and return whether it says that all is well; failures do not raise.

        A coroutine function, or anything that returns an awaitable, is awaited and, when its time
        is over, cancelled. A plain function runs right here, on the loop's thread: it must not
        block, as nothing could end it. What counts as well is any result but a false one; None (it
        has just returned) is as good as True.
        """
        import asyncio

        self._began = self._clock.monotonic()
        try:
            result = func()
            if hasattr(result, "__await__"):
                result = await self._limited(result)
            if result is not None and not result:
                raise EmbedError("the check returned {!r}".format(result))
        except asyncio.CancelledError:
            # Of whoever waits for us; an Exception until Python 3.8.
            raise
        except Exception as error:
            # Whatever a check raises is its answer.
            self.healthy, self.last_error = False, error
            self.failures += 1
            return False
        self.healthy, self.last_error = True, None
        self.failures = 0
        return True

    async def _limited(self, awaitable: Awaitable[Any]) -> Any:
        import asyncio

        # Not wait_for: that waits for as long as the function does not let itself be cancelled.
        task = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait([task], timeout=self.timeout)
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=_GRACE)
                raise TimeoutError("no answer within {:g} s".format(self.timeout))
        finally:
            if not task.done():
                task.cancel()
                task.add_done_callback(_look_away)
        if task.cancelled():
            raise EmbedError("the check was cancelled from inside")
        return task.result()


def _look_away(task: Any) -> None:
    # A task whose exception nobody has looked at complains when it is collected.
    if not task.cancelled():
        task.exception()


class RequestHandlerRegistry:
    """Handlers by the name of the request they answer. Any thread may look up.

    Works as a decorator: ``@registry.register("echo")``.
    """

    def __init__(self) -> None:
        self._handlers: Dict[str, Callable[..., Any]] = {}

    def register(self, name: str) -> Callable[[_Handler], _Handler]:
        """Return a decorator that enters a function under ``name`` and returns it unchanged.

        Entering the same function again changes nothing. Raises ValueError for another function
        under a name that is taken, and for a name that is no text or empty; TypeError for what
        cannot be called.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(
                "a request's name is a text that is not empty, not {!r}: "
                'write @register("name")'.format(name)
            )

        def enter(handler: _Handler) -> _Handler:
            if not callable(handler):
                raise TypeError(
                    "the handler of {!r} must be a function, not {!r}".format(name, handler)
                )
            taken = self._handlers.setdefault(name, handler)
            # Equal, not identical: a bound method is made anew each time it is looked up.
            if taken != handler:
                raise ValueError(
                    "the request {!r} is handled by {} already: choose another name, or remove "
                    "that handler first".format(name, getattr(taken, "__qualname__", taken))
                )
            return handler

        return enter

    def remove(self, name: str) -> bool:
        """Remove a handler; False: there was none."""
        return self._handlers.pop(name, None) is not None

    def get_handler(self, name: str) -> Optional[Callable[..., Any]]:
        """Return the handler of a request, None if nobody handles it."""
        return self._handlers.get(name)

    @property
    def names(self) -> List[str]:
        """The names that are handled, in the order in which they were entered."""
        return list(self._handlers)
