"""The jobs of one thread, as plain state: what waits, what runs, what is kept.

Everything here is guarded by :attr:`Lane.lock`; the two that share it, the callers' side
(``dispatch``) and the thread's side (``pump``), decide under the lock and act after it.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, deque
from typing import Any, Deque, Dict, List, Optional, Tuple

from .job import ABANDONED, CANCELLED, DROPPED, LATE, Job

__all__ = [
    "KEPT_BYTES",
    "KEPT_FOR",
    "KEPT_RESULTS",
    "STALLED_AFTER",
    "Hold",
    "Lane",
    "weight_of",
]

#: Jobs that outlived their caller and can still be asked for, and the bytes of their answers; the
#: oldest go first.
KEPT_RESULTS = 64
KEPT_BYTES = 8 * 1024 * 1024
#: Seconds for which they can. What is over goes when one is kept or asked for.
KEPT_FOR = 600.0
#: What weighs as much as Python says; anything else, numbers mostly, is taken for so many bytes.
_PLAIN = (dict, list, tuple, str, bytes)
_OTHER = 32
#: After so many time-outs in a row new calls are refused at once until the thread shows life.
STALLED_AFTER = 2
#: Seconds for which a thread that ended a step counts as one that moves: longer than our pauses
#: between two steps (``pump.MODAL_EVERY``), far shorter than what a caller waits.
MOVED_FOR = 1.0


class Lane:
    """See the module. Methods are called with the lock held, :meth:`next` takes it itself."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        #: Waiting for the thread, in order; a suspended job joins again at the end.
        self.queue: Deque[Job] = deque()
        #: Not over, by id.
        self.live: Dict[str, Job] = {}
        #: Over, and nobody was told the result, by id.
        self.kept: OrderedDict[str, Job] = OrderedDict()
        self._kept_bytes = 0
        #: Why no new jobs are taken, once that is so.
        self.shut: Optional[str] = None
        #: Why no new jobs are taken while those that are there come to their end.
        self.ending: Optional[str] = None
        #: The writer that has begun and not ended; between its steps no other writer runs.
        self.writer: Optional[Job] = None
        #: The job whose step runs right now, and since when.
        self.current: Optional[Job] = None
        self.current_since = 0.0
        #: The thread, and when it last began or ended a pump or ended a step.
        self.thread_id = 0
        self.pumped_at: Optional[float] = None
        #: Calls in a row that ran out of time with a thread that did not move meanwhile.
        self.timeouts = 0
        #: The peer that the thread itself waits for.
        self.held_by: Optional[str] = None
        #: The title of the dialog that was open when last looked.
        self.modal: Optional[str] = None
        #: Jobs whose generators have to be closed on the thread.
        self.orphans: List[Job] = []

    def disown(self, reason: str) -> None:
        """Forget every job in a forked child. The child's only thread."""
        # Whoever held the old one does not exist here.
        self.lock = threading.Lock()
        self.shut = reason
        self.queue.clear()
        self.live.clear()
        self.kept.clear()
        self._kept_bytes = 0
        self.orphans = []
        self.writer = self.held_by = None

    @property
    def stalled(self) -> bool:
        """Return whether the thread is taken for one that does not answer."""
        return self.timeouts >= STALLED_AFTER

    def show_life(self) -> bool:
        """Note that the thread moves; return whether it had been taken for stalled."""
        stalled = self.stalled
        self.timeouts = 0
        return stalled

    def enqueue(self, job: Job, now: float) -> None:
        """Have a job wait for the thread behind the others."""
        job.queued = now
        self.queue.append(job)

    def begin_step(self, job: Job, now: float) -> None:
        """Note that the thread is a job's from now on."""
        self.current, self.current_since = job, now
        if job.writes:
            self.writer = job

    def end_step(self, now: float) -> bool:
        """Note that it no longer is; return whether the thread had been taken for stalled."""
        self.current = None
        self.pumped_at = now
        return self.show_life()

    def count_timeout(self, job: Job, now: float) -> bool:
        """Count a job that ran out of time; return whether by it the thread is taken for stalled.

        It counts if the thread did not move in all of the job's time, or for MOVED_FOR while the
        job waited for it. One that waits for something else, a client's answer or the next look,
        says nothing of the thread.
        """
        if job.parked or job.waits:
            return False
        began = job.created if job.started is None else job.started
        moved = began if self.pumped_at is None else self.pumped_at
        if moved > began and now - max(moved, job.queued) < MOVED_FOR:
            return False
        self.timeouts += 1
        return self.timeouts == STALLED_AFTER

    def held(self) -> Tuple[Optional[Job], float]:
        """Return the job that has the thread, and since when."""
        job = self.current or self.writer
        if job is None:
            return None, 0.0
        if job.writes and job.started is not None:
            return job, job.started
        return job, self.current_since

    def runnable(self) -> Optional[Job]:
        """Return the first job that may run: no writer while another is between two steps."""
        writer = self.writer
        for job in self.queue:
            if writer is None or job is writer or not job.writes:
                return job
        return None

    def next(self) -> Optional[Job]:
        """Take the next job from the queue, None if none may run."""
        with self.lock:
            job = self.runnable()
            if job is not None:
                self.queue.remove(job)
            return job

    def forget(self, job: Job) -> None:
        """Drop a job that is settled; one that outlived its caller is kept for a while."""
        self.live.pop(job.job_id, None)
        if job.state in (ABANDONED, CANCELLED, DROPPED, LATE) and job in self.queue:
            self.queue.remove(job)
        if job.state == LATE:
            self._keep(job)
        if self.writer is job:
            self.writer = None

    def find(self, job_id: str, now: float) -> Optional[Job]:
        """Return a job that waits, runs or outlived its caller, None if there is none."""
        self.sweep(now)
        return self.live.get(job_id) or self.kept.get(job_id)

    def sweep(self, now: float) -> None:
        """Drop what was kept long enough."""
        while self.kept:
            oldest = next(iter(self.kept.values()))
            if (oldest.ended or 0.0) + KEPT_FOR > now:
                return
            self._lose_oldest()

    def _keep(self, job: Job) -> None:
        self.sweep(job.ended or 0.0)
        self.kept[job.job_id] = job
        self._kept_bytes += job.weight
        while len(self.kept) > KEPT_RESULTS or self._kept_bytes > KEPT_BYTES:
            self._lose_oldest()

    def _lose_oldest(self) -> None:
        self._kept_bytes -= self.kept.popitem(last=False)[1].weight


class Hold:
    """A context in which the thread itself waits for ``peer``, see the dispatcher's ``hold``.

    Takes the lock itself. Nests.
    """

    def __init__(self, lane: Lane, peer: str) -> None:
        self._lane = lane
        self._peer = peer

    def __enter__(self) -> None:
        with self._lane.lock:
            self._before = self._lane.held_by
            self._lane.held_by = self._peer

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._lane.lock:
            self._lane.held_by = self._before


def weight_of(answer: Any) -> int:
    """Return about how many bytes of memory an answer takes, or one that is no more kept."""
    weight, seen, rest = 0, set(), [answer]
    while rest and weight <= KEPT_BYTES:
        one = rest.pop()
        kind = type(one)
        if kind in (dict, list, tuple):
            if id(one) in seen:
                continue
            seen.add(id(one))
            rest.extend(one)
            if kind is dict:
                rest.extend(one.values())
        # Nothing is asked of what is the host's.
        weight += sys.getsizeof(one) if kind in _PLAIN else _OTHER
    return weight
