"""One call on its way through a queue: its states, and the single claim that settles it.

A job is *settled* when its caller has its answer; that happens exactly once. Which thread may do
it is decided by :meth:`Job.claim`, one compare-and-set under the dispatcher's lock.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, FrozenSet, Optional, Tuple

from ..records import NamedTuple

__all__ = [
    "ABANDONED",
    "CANCELLED",
    "DETACHED",
    "DONE",
    "DROPPED",
    "LATE",
    "QUEUED",
    "RUNNING",
    "Job",
    "Report",
]

QUEUED = "queued"
RUNNING = "running"
#: Settled: it ran to its end while the caller waited.
DONE = "done"
#: Settled: its time was over before it started; it will never run.
ABANDONED = "abandoned"
#: Settled: its time was over while it ran; it runs on and its result can be fetched.
DETACHED = "detached"
#: It ran to its end after its caller had been told ``timeout_running``.
LATE = "late"
#: Settled: cancelled before it started, or between two steps.
CANCELLED = "cancelled"
#: Settled: refused or given up by the dispatcher (modal dialog, shutdown).
DROPPED = "dropped"

# state -> states it may go to. Whatever is not here never happens.
_NEXT: Dict[str, FrozenSet[str]] = {
    QUEUED: frozenset((RUNNING, ABANDONED, CANCELLED, DROPPED)),
    RUNNING: frozenset((DONE, DETACHED, CANCELLED, DROPPED)),
    DETACHED: frozenset((LATE,)),
    DONE: frozenset(),
    ABANDONED: frozenset(),
    CANCELLED: frozenset(),
    DROPPED: frozenset(),
    LATE: frozenset(),
}


class Report(NamedTuple):
    """What the dispatcher knows about a finished run. Times in milliseconds."""

    queued_ms: float
    ran_ms: float
    undo_label: Optional[str]
    undo_steps: int


def _over(*_: Any) -> Any:
    raise AssertionError("this job is over")


class Job:
    """One unit of work for the thread of a dispatcher.

    ``run()`` is called there and returns the value, a generator (one step per advance), or a
    callable to be polled until it returns something else than None. ``finish(value, error,
    report)`` is called there too, once, and makes the answer; host objects never leave the thread.
    ``settled(job, answer, error)`` is called exactly once, by whichever thread settles the job:
    ``answer`` from ``finish``, or ``error`` (a ToolError) if there is no answer and will be none
    for this caller. ``progress(value)`` gets what a generator yields; ``asked(value)`` gets what it
    yields of type ``question``, and then it is parked until the dispatcher's ``resume``. The last
    three must be quick and thread-safe. ``read(value)``, if given, makes what is yielded fit to be
    passed on, on the job's thread; what it raises ends the job.
    """

    __slots__ = (
        "_lock",
        "answer",
        "asked",
        "cancel_requested",
        "client",
        "created",
        "ended",
        "finish",
        "guest",
        "job_id",
        "latest",
        "name",
        "parked",
        "poll",
        "progress",
        "question",
        "queued",
        "ran",
        "read",
        "run",
        "sent",
        "settled",
        "started",
        "state",
        "stepper",
        "undo_label",
        "undo_steps",
        "waits",
        "watchers",
        "weight",
        "writes",
    )

    def __init__(
        self,
        job_id: str,
        name: str,
        run: Callable[[], Any],
        finish: Callable[[Any, Optional[BaseException], Report], Any],
        settled: Callable[[Job, Any, Optional[BaseException]], None],
        client: str = "",
        writes: bool = True,
        undo_label: Optional[str] = None,
        progress: Optional[Callable[[Any], None]] = None,
        question: Any = (),
        asked: Optional[Callable[[Any], None]] = None,
        read: Optional[Callable[[Any], Any]] = None,
        guest: bool = False,
    ) -> None:
        self._lock: Optional[threading.Lock] = None
        self.job_id = job_id
        self.name = name
        self.run = run
        self.finish = finish
        self.settled = settled
        self.client = client
        self.writes = writes
        self.undo_label = undo_label
        self.progress = progress
        self.question = question
        self.asked = asked
        self.read = read
        #: Whether its caller is one who is to see nothing of what others do.
        self.guest = guest
        #: Whether its generator waits for an answer: it is in no queue then and has no thread.
        self.parked = False
        #: Whether somebody is to look at it later: it is in no queue until then.
        self.waits = False
        #: (answer, error) that its generator is to be sent next.
        self.sent: Any = None
        self.state = QUEUED
        self.cancel_requested = False
        self.created = 0.0
        #: When it last joined the queue.
        self.queued = 0.0
        self.started: Optional[float] = None
        self.ended: Optional[float] = None
        self.ran = 0.0
        self.undo_steps = 0
        self.stepper: Any = None
        self.poll: Optional[Callable[[], Any]] = None
        self.latest: Any = None
        self.answer: Any = None
        #: Bytes of the answer that is kept for a caller who is gone.
        self.weight = 0
        #: What is called once it is over, see the dispatcher's ``watch``.
        self.watchers: Tuple[Callable[[], None], ...] = ()

    def tell_watchers(self) -> None:
        """Tell whoever watches it that it is over. Any thread."""
        if self.watchers:
            assert self._lock is not None
            with self._lock:
                watchers, self.watchers = self.watchers, ()
            for told in watchers:
                told()

    def release(self) -> None:
        """Let go of what the run needed; what is left says how it ended. Once, at the very end.

        Its functions hold the call's context, which holds the job: a cycle that only a garbage
        collection would end, and none runs while the host is idle.
        """
        self.stepper = self.poll = self.progress = self.asked = self.sent = None
        self.run = self.finish = self.settled = _over
        self.tell_watchers()

    def attach(self, lock: threading.Lock, now: float) -> None:
        """Give the job to the dispatcher whose ``lock`` guards its state from now on."""
        self._lock = lock
        self.created = now

    def claim(self, state: str) -> bool:
        """Go to ``state`` if that is allowed from where the job is now. Any thread.

        Exactly one of several competing claims succeeds; the one that does acts on it.
        """
        assert self._lock is not None
        with self._lock:
            return self.claim_locked(state)

    def claim_locked(self, state: str) -> bool:
        """Do the same for a caller that holds the dispatcher's lock."""
        if state not in _NEXT[self.state]:
            return False
        self.state = state
        return True

    def cancelled(self) -> bool:
        """Return whether somebody asked for this job to end; for tools that look. Any thread."""
        return self.cancel_requested

    def __repr__(self) -> str:
        return "<Job {} {} {}>".format(self.job_id, self.name, self.state)
