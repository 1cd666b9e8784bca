"""What a check is given: one running host, and how to run something on its main thread."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Iterable, List, Optional

from ...clock import Clock
from ..dispatch import Dispatcher
from ..job import Job, Report

__all__ = ["SECONDS", "Call", "LeftOut", "World"]

#: How long a check waits for what must come, seconds: a host draws after each call, and not always
#: with a graphics card.
SECONDS = 20.0


class LeftOut(Exception):
    """Raised by a check that cannot be made here; the text says why."""


class Call:
    """One job of a check, and how often its caller was told what. Any thread but the main one."""

    def __init__(self, world: World, function: Callable[[], Any], **options: Any) -> None:
        self._world = world
        self._over = threading.Event()
        #: Each answer that the caller was given: (value, error). There must be one only.
        self.told: List[Any] = []
        #: How often the function has begun.
        self.begun = 0
        #: How the dispatcher saw its run, None if there was none.
        self.report: Optional[Report] = None

        def run() -> Any:
            self.begun += 1
            return function()

        self.job = Job(
            world.clock.uuid(),
            "selftest",
            run,
            self._finish,
            self._settled,
            client="selftest",
            **dict({"writes": False}, **options),
        )

    def submit(self) -> Call:
        """Queue it. Raises HostBusy, HostShuttingDown."""
        self._world.lane.submit(self.job)
        return self

    def submit_last(self) -> Call:
        """Queue it although the server is about to end, which then waits for it."""
        self._world.lane.submit_last(self.job)
        return self

    def expire(self) -> Call:
        """Have its time be over now."""
        self._world.lane.expire(self.job)
        return self

    def wait(self, seconds: float = SECONDS) -> Any:
        """Return its value or raise its error; TimeoutError if nobody is told anything."""
        if not self._over.wait(seconds):
            self.expire()
            raise TimeoutError("nobody was told anything for {:g} s".format(seconds))
        value, error = self.told[0]
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback holds this frame, which must not hold it.
                error = None
        return value

    def _finish(self, value: Any, error: Optional[BaseException], report: Report) -> Any:
        self.report = report
        return value, error

    def _settled(self, _: Job, answer: Any, error: Optional[BaseException]) -> None:
        self.told.append((None, error) if answer is None else answer)
        self._over.set()


class World:
    """One running host.

    ``lane`` is the dispatcher of its main thread. ``call(name, arguments, timeout)`` calls a tool
    and returns its value, ``read(uri, timeout)`` reads a resource; both raise ToolError.
    ``backend`` is a SceneBackend. ``about`` says what this is (versions). ``stage`` plays what only
    a test can, see :data:`suite.STAGED`. ``secrets`` are texts that no report may hold.
    """

    def __init__(
        self,
        adapter: Any,
        lane: Dispatcher,
        backend: Any,
        call: Callable[[str, Optional[Dict[str, Any]], float], Any],
        read: Callable[[str, float], Any],
        clock: Clock,
        about: Dict[str, str],
        stage: Any = None,
        secrets: Iterable[Optional[str]] = (),
        owed: Optional[List[Callable[[], None]]] = None,
    ) -> None:
        self.adapter = adapter
        self.lane = lane
        self.backend = backend
        self._call = call
        self._read = read
        self.clock = clock
        self.about = about
        self.stage = stage
        self.secrets = [one for one in secrets if one]
        self.owed: List[Callable[[], None]] = [] if owed is None else owed

    def start(self, function: Callable[[], Any], **options: Any) -> Call:
        """Queue ``function()`` for the main thread; ``options`` are those of Job."""
        return Call(self, function, **options).submit()

    def run(self, function: Callable[[], Any], **options: Any) -> Any:
        """Run ``function()`` on the main thread and return its value."""
        return self.start(function, **options).wait()

    def call(self, name: str, arguments: Optional[Dict[str, Any]] = None) -> Any:
        """Call a tool and return its value. Raises ToolError."""
        return self._call(name, arguments, SECONDS)

    def read(self, uri: str) -> Any:
        """Read a resource and return its value. Raises ToolError."""
        return self._read(uri, SECONDS)

    def occupied(self) -> Occupied:
        """Return a context in which the main thread is kept by one job of ours."""
        return Occupied(self)


class Occupied:
    """Keep the main thread as long as the context lasts, :data:`SECONDS` at most.

    ``call`` is the job that keeps it; ``leave()`` lets it go at once.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._entered = threading.Event()
        self._leave = threading.Event()
        self.call = Call(world, self._stay)

    def _stay(self) -> str:
        self._entered.set()
        return "left" if self._leave.wait(SECONDS) else "kept too long"

    def leave(self) -> None:
        self._leave.set()

    def __enter__(self) -> Occupied:
        self.call.submit()
        if not self._entered.wait(SECONDS):
            self.leave()
            self.call.expire()
            raise TimeoutError("the main thread took no job for {:g} s".format(SECONDS))
        return self

    def __exit__(self, *_: Any) -> None:
        self.leave()
