"""Coroutines on a loop of ours: what reads as one story runs in steps on the loop's thread.

No asyncio. A :class:`Task` drives a coroutine that awaits :class:`Wait`, :func:`sleep` and other
coroutines of this kind. All of it on the loop's thread; the loop's clock tells the time.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import (
    Any,
    Callable,
    Coroutine,
    Deque,
    Generator,
    Generic,
    Iterable,
    Optional,
    Set,
    TypeVar,
)

from .loop import Loop
from .timers import Timer

__all__ = [
    "Cut",
    "Ended",
    "Group",
    "Inbox",
    "Lock",
    "Task",
    "TimedOut",
    "Wait",
    "gather",
    "sleep",
    "within",
]

_T = TypeVar("_T")
Done = Callable[[Any, Optional[BaseException]], None]


class Cut(BaseException):
    """A task is cancelled: raised where it waits. What it holds is let go of in ``finally``."""


class TimedOut(Exception):
    """What stood in :func:`within` took too long."""


class Ended(Exception):
    """There is nothing more in an :class:`Inbox`."""


class Wait(Generic[_T]):
    """What is settled once, and awaited by one task."""

    __slots__ = ("_error", "_task", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self._task: Optional[Task] = None

    def settle(self, value: Any = None) -> None:
        """Set the value; later ones are dropped."""
        if not self.done:
            self.done, self._value = True, value
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Set what is raised; later ones are dropped."""
        if not self.done:
            self.done, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.ready(self)

    def watched_by(self, task: Task) -> None:
        """Have a task go on once this is settled."""
        self._task = task

    def __await__(self) -> Generator[Wait[_T], None, _T]:
        if not self.done:
            yield self
        # The error leads to frames that hold this: it is not kept.
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error
        value: _T = self._value
        return value


_local = threading.local()


class Task:
    """A coroutine under way. ``done(value, error)`` is called once it is over, Cut included."""

    __slots__ = ("_coroutine", "_done", "_loop", "_waiting")

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, Any], done: Done) -> None:
        self._loop = loop
        self._coroutine: Optional[Coroutine[Any, Any, Any]] = coroutine
        self._done: Optional[Done] = done
        self._waiting: Optional[Wait[Any]] = None
        loop.call_soon(self._begin)

    @property
    def over(self) -> bool:
        return self._coroutine is None

    def cancel(self) -> None:
        """Raise Cut where it waits, in the loop's next turn."""
        self._loop.call_soon(self._cut)

    def throw(self, error: BaseException) -> None:
        """Raise an error where it waits; nothing if it is over. Not from within the task."""
        try:
            if self._coroutine is not None:
                self._step(error)
        finally:
            # It holds the frames that hold it.
            del error

    def _cut(self) -> None:
        if self._coroutine is not None:
            self._step(Cut())

    def ready(self, wait: Wait[Any]) -> None:
        """Have it go on in the loop's next turn, as what it waits for is settled."""
        self._loop.call_soon(self._go_on, wait)

    def _begin(self) -> None:
        if self._coroutine is not None:
            self._step(None)

    def _go_on(self, wait: Wait[Any]) -> None:
        # An error that was thrown meanwhile may have led it elsewhere.
        if self._waiting is wait:
            self._step(None)

    def _step(self, error: Optional[BaseException]) -> None:
        coroutine = self._coroutine
        assert coroutine is not None
        self._waiting = None
        before = getattr(_local, "task", None)
        _local.task = self
        try:
            wait = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            self._finish(stop.value, None)
        except BaseException as problem:
            # Cut too: whoever began the task is told of its end, whatever it is.
            self._finish(None, problem)
        else:
            self._waiting = wait
            wait.watched_by(self)
        finally:
            _local.task = before
            del error

    def _finish(self, value: Any, error: Optional[BaseException]) -> None:
        done, self._done, self._coroutine = self._done, None, None
        assert done is not None
        done(value, error)


class within:
    """Raise TimedOut in the body, where it waits, once it has taken ``seconds``. In a task.

    None: it may take for ever.
    """

    __slots__ = ("_loop", "_over", "_seconds", "_task", "_timer")

    def __init__(self, loop: Loop, seconds: Optional[float]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._over: Optional[Cut] = None
        self._timer: Optional[Timer] = None

    def __enter__(self) -> None:
        self._task: Task = _local.task
        if self._seconds is not None:
            self._timer = self._loop.call_later(max(0.0, self._seconds), self._too_long)

    def _too_long(self) -> None:
        self._over = Cut()
        self._task.throw(self._over)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        over, self._over = self._over, None
        if self._timer is not None:
            self._timer.cancel()
        if over is not None and error is over:
            raise TimedOut() from None


async def sleep(loop: Loop, seconds: float) -> None:
    """Go on ``seconds`` later."""
    wait: Wait[None] = Wait()
    timer = loop.call_later(max(0.0, seconds), wait.settle)
    try:
        await wait
    finally:
        timer.cancel()


class Inbox(Generic[_T]):
    """What comes, for one task to take, in order."""

    __slots__ = ("_end", "_items", "_wait")

    def __init__(self) -> None:
        self._items: Deque[_T] = deque()
        self._end: Optional[BaseException] = None
        self._wait: Optional[Wait[None]] = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: _T) -> None:
        """Add something; dropped after the end."""
        if self._end is None:
            self._items.append(item)
            self._wake()

    def end(self, error: Optional[Exception] = None) -> None:
        """Let nothing more come; then ``error`` is raised, or Ended. Only the first end counts."""
        if self._end is None:
            self._end = error or Ended()
            self._wake()

    def _wake(self) -> None:
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.settle()

    async def get(self) -> _T:
        """Return the next. Raises what :meth:`end` says once there is nothing more."""
        while not self._items:
            if self._end is not None:
                # Once only: kept, it would hold the frames that hold this.
                end, self._end = self._end, Ended()
                try:
                    raise end
                finally:
                    del end
            self._wait = Wait()
            await self._wait
        return self._items.popleft()


class Group:
    """Tasks that end with whatever they belong to. ``failed(error)`` hears of what they raise."""

    def __init__(self, loop: Loop, failed: Callable[[BaseException], None]) -> None:
        self._loop = loop
        self._failed = failed
        self._tasks: Set[Task] = set()
        self._closed = False

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> Optional[Task]:
        """Run a coroutine whose value nobody wants; None after :meth:`cancel`."""
        if self._closed:
            coroutine.close()
            return None

        def done(value: Any, error: Optional[BaseException]) -> None:
            self._tasks.discard(task)
            if error is not None and not isinstance(error, Cut):
                self._failed(error)

        task = Task(self._loop, coroutine, done)
        self._tasks.add(task)
        return task

    def cancel(self) -> None:
        """Cancel all of them, and take no more."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()


async def gather(loop: Loop, coroutines: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Run all of them at once, and go on when the last is over; raise what the first raised."""
    left = list(coroutines)
    running, over = len(left), Wait[None]()
    failure: Optional[BaseException] = None

    def done(value: Any, error: Optional[BaseException]) -> None:
        nonlocal running, failure
        running -= 1
        failure = error if failure is None else failure
        if not running:
            over.settle()

    tasks = [Task(loop, coroutine, done) for coroutine in left]
    try:
        if tasks:
            await over
    except BaseException:
        # It is cut short, and they with it.
        for task in tasks:
            task.cancel()
        raise
    if failure is not None:
        try:
            raise failure
        finally:
            del failure


class Lock:
    """Lets one task at a time into its body, in the order in which they came: ``async with``."""

    __slots__ = ("_held", "_line")

    def __init__(self) -> None:
        self._held = False
        self._line: Deque[Wait[None]] = deque()

    async def __aenter__(self) -> None:
        if not self._held:
            self._held = True
            return
        wait: Wait[None] = Wait()
        self._line.append(wait)
        try:
            await wait
        except BaseException:
            # Cut, while it waited or just as its turn came, which then is the next one's.
            if wait.done:
                self._leave()
            else:
                self._line.remove(wait)
            raise

    async def __aexit__(self, *_: Any) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._line:
            self._line.popleft().settle()
        else:
            self._held = False
