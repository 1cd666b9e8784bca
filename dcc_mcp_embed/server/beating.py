"""Tell a client that asked for progress that its call is still under way. Loop thread.

Clients give up on a call from which they hear nothing (Claude Code, Cursor); whatever they hear
starts their clock anew. What a tool reports itself goes out besides, as fast as it can be told.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict

from ..net.loop import Loop
from .running import Running

__all__ = ["AHEAD", "EVERY", "Beat", "Steps", "state_of"]

#: Seconds between two reports: with what a timer may be late, less than two.
EVERY = 1.9
#: Steps of one call that are on their way to the loop thread; the oldest give way to the newest.
AHEAD = 8

Answer = Callable[[Dict[str, Any]], None]


class Beat:
    """Call ``tell`` with how it is with ``running``, every so often until it is answered.

    :meth:`answered` is what is to be called with the result instead of ``answer``.
    """

    __slots__ = ("_answer", "_began", "_loop", "_running", "_tell", "_timer")

    def __init__(
        self, loop: Loop, running: Running, tell: Callable[[str], None], answer: Answer
    ) -> None:
        self._loop = loop
        self._running = running
        self._tell = tell
        self._answer = answer
        self._began = loop.clock.monotonic()
        self._timer = loop.call_later(EVERY, self._beat)

    def answered(self, result: Dict[str, Any]) -> None:
        """Be silent from now on and pass the result on."""
        self._timer.cancel()
        self._answer(result)

    def _beat(self) -> None:
        self._timer = self._loop.call_later(EVERY, self._beat)
        self._tell(state_of(self._running, self._loop.clock.monotonic(), self._began))


class Steps:
    """The way of a tool's own reports to ``tell``: the last arrives, however fast they come."""

    __slots__ = ("_coming", "_loop", "_steps", "_tell")

    def __init__(self, loop: Loop, tell: Callable[[Any], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._steps: Deque[Any] = deque(maxlen=AHEAD)
        self._coming = False

    def take(self, step: Any) -> None:
        """Pass one report on. The tool's own thread."""
        self._steps.append(step)
        # Looked at after that, and lowered before they are taken: none is left behind.
        if not self._coming:
            self._coming = True
            self._loop.call_soon(self._report)

    def _report(self) -> None:
        self._coming = False
        for _ in range(len(self._steps)):
            self._tell(self._steps.popleft())


def state_of(running: Running, now: float, began: float) -> str:
    """Return in words what a call waits for, or how long it has run."""
    job = running.job
    if running.withdraw is not None:
        return "waiting for the user's consent for {:.0f} s".format(now - began)
    if job is None:
        return "waiting for {:.0f} s".format(now - began)
    if job.parked:
        return "waiting for the client's answer"
    started = job.started
    if started is None:
        return "queued for {:.0f} s, {} ahead".format(now - began, _ahead(running))
    said = getattr(job.latest, "message", None)
    text = "running for {:.0f} s".format(now - started)
    return "{}: {}".format(text, said) if said else text


def _ahead(running: Running) -> int:
    """Return how many calls run, or will run, before a queued one."""
    job, lane = running.job, running.lane
    assert job is not None and lane is not None
    count = 0
    for other in lane.jobs():
        if other is job:
            break
        if other.ended is None:
            count += 1
    return count
