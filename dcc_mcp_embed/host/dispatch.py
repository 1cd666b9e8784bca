"""Run jobs on one thread, honestly: bounded queue, budget, deadlines, undo, one answer per job.

The dispatcher decides what runs when; an *executor* gets its pump called on the right thread: the
host adapter for the main thread, :class:`.worker.Worker` for the worker thread. Three kinds of
thread meet here. Callers submit, cancel and let jobs expire; the executor's thread runs the pump
(``pump``); anybody asks for the status. All state is in one :class:`.lane.Lane` under one lock.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..clock import Clock
from ..errors import HostShuttingDown, ToolError
from . import refusals
from .holder import STACK_AFTER, Holder, stack_of
from .job import ABANDONED, CANCELLED, DETACHED, DROPPED, QUEUED, RUNNING, Job
from .lane import KEPT_RESULTS, Hold, Lane
from .pump import Pump, closing, refuse

__all__ = ["Dispatcher"]

#: How often a refused call may wake a stalled thread again, seconds.
PROBE_EVERY = 2.0


def _nothing() -> None:
    """Do so."""


class Dispatcher:
    """Queue and run jobs for one executor.

    ``executor`` offers ``wake(pump)``, ``is_main_thread()``, ``modal_state()`` and
    ``undo_chunk(label)`` (see HostAdapter). ``later(delay, function, *args)`` calls back after
    ``delay`` seconds on any thread. ``log(level, text)`` takes what nobody is there to be told.
    ``turned()`` is called, on any thread, when :attr:`stalled` may have changed; it must be quick
    and raise nothing.
    """

    def __init__(
        self,
        executor: Any,
        clock: Clock,
        later: Callable[..., Any],
        log: Callable[[str, str], None],
        limit: int = 64,
        budget: float = 0.008,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._limit = limit
        self._lane = Lane()
        self._pump = Pump(self._lane, executor, clock, later, log, budget, turned, self._rest)
        self._turned = turned
        self._probed_at = 0.0
        self._rested: Callable[[], None] = _nothing
        #: What the executor is woken with: always the same callable, which raises nothing.
        self.pump = self._pump.run

    # -- callers: any thread ------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Queue ``job``; its caller must call :meth:`expire` once it waits no longer.

        Raises HostShuttingDown or HostBusy, and then the job is not queued and never settled.
        """
        now = self._clock.monotonic()
        probe = False
        refusal: Optional[ToolError] = None
        with self._lane.lock:
            if self._lane.shut is not None:
                refusal = HostShuttingDown(self._lane.shut, state="not_started")
            elif self._lane.ending is not None:
                refusal = HostShuttingDown(self._lane.ending, state="not_started")
            elif self._lane.held_by is not None:
                refusal = refusals.held(self._lane.held_by)
            elif self._lane.stalled:
                probe = now - self._probed_at >= PROBE_EVERY
                if probe:
                    self._probed_at = now
                refusal = refusals.stalled(self._lane.timeouts, self._who(now, job), PROBE_EVERY)
            elif len(self._lane.queue) >= self._limit:
                refusal = refusals.queue_full(self._limit)
            else:
                self._add(job, now)
        problem = self._pump.wake() if refusal is None or probe else None
        if problem is not None and refusal is None and self._take_back(job):
            refusal = refusals.not_woken(problem)
        if refusal is not None:
            try:
                raise refusal
            finally:
                # Its traceback holds this frame, which must not hold it.
                refusal = None

    def submit_last(self, job: Job) -> None:
        """Queue the job that is to end all this; nothing but the end itself refuses it.

        Raises HostShuttingDown, and then it is not queued and never settled.
        """
        with self._lane.lock:
            shut = self._lane.shut
            if shut is None:
                self._add(job, self._clock.monotonic())
        if shut is not None:
            raise HostShuttingDown(shut, state="not_started")
        self._pump.wake()

    def prod(self) -> None:
        """Wake the thread again, in case that it was not heard. Any thread."""
        self._pump.wake()

    def _add(self, job: Job, now: float) -> None:
        job.attach(self._lane.lock, now)
        self._lane.enqueue(job, now)
        self._lane.live[job.job_id] = job

    def _take_back(self, job: Job) -> bool:
        """Return whether a job that was just added did not begin, and now never will."""
        with self._lane.lock:
            taken = job.state == QUEUED and job.claim_locked(DROPPED)
            if taken:
                self._lane.forget(job)
            return taken

    def call(self, job: Job, timeout: float) -> Any:
        """Run ``job`` and wait for its answer at most ``timeout`` seconds; raises its ToolError.

        ``job.settled`` is taken over. Raises WouldDeadlock on the executor's own thread.
        """
        if self._executor.is_main_thread():
            raise refusals.would_deadlock(job.name)
        over = threading.Event()
        box: List[Any] = [None, None]

        def settled(_: Job, answer: Any, error: Optional[BaseException]) -> None:
            box[:] = (answer, error)
            over.set()

        job.settled = settled
        self.submit(job)
        if not over.wait(timeout):
            self.expire(job)
            over.wait()
        if box[1] is not None:
            try:
                raise box[1]
            finally:
                box.clear()
        return box[0]

    def expire(self, job: Job) -> None:
        """Settle ``job`` as timed out if it is not settled yet. Any thread."""
        now = self._clock.monotonic()
        error: Optional[ToolError] = None
        with self._lane.lock:
            turned = False
            waited = now - job.created
            # Taken now: once it is detached its thread may end and release it at any moment.
            settled = job.settled
            if job.claim_locked(ABANDONED):
                turned = self._lane.count_timeout(job, now)
                self._lane.forget(job)
                error = refusals.timed_out_waiting(job.name, waited, self._who(now, job))
            elif job.claim_locked(DETACHED):
                turned = self._lane.count_timeout(job, now)
                error = refusals.timed_out_running(job.name, waited, job.job_id)
        if turned:
            self._turned()
        if error is not None:
            settled(job, None, error)
        if job.state == ABANDONED:
            job.release()
            self._rest()

    def cancel(self, job_id: str) -> Tuple[str, str]:
        """Cancel a job and return (its state before, the effect). Any thread. Raises NotFound.

        Effects: ``removed_from_queue`` (it never runs), ``cancel_requested`` (a generator or what
        is polled ends now, if it is between two steps, or after the one that runs; other tools only
        if they look), ``already_done``.
        """
        with self._lane.lock:
            job = self._lane.find(job_id, self._clock.monotonic())
            if job is None:
                raise refusals.unknown_job(job_id, KEPT_RESULTS)
            before = job.state
            removed = before == QUEUED and job.claim_locked(CANCELLED)
            idle = False
            if removed:
                self._lane.forget(job)
            elif before in (RUNNING, DETACHED):
                job.cancel_requested = True
                # Its end is its next step, which is not to wait for anything.
                idle = job.parked or job.waits
                if idle:
                    self._requeue(job)
        if idle:
            self._pump.wake()
        if removed:
            refuse(job, refusals.cancelled_in_time())
            self._rest()
            return before, "removed_from_queue"
        return before, "cancel_requested" if before in (RUNNING, DETACHED) else "already_done"

    def resume(self, job: Job, answer: Any, error: Optional[BaseException] = None) -> bool:
        """Have a parked generator go on with ``answer``, or with ``error`` raised in it.

        Any thread. Returns False, and does nothing, if it is not parked (any more).
        """
        with self._lane.lock:
            if not job.parked or self._lane.shut is not None:
                return False
            job.sent = (answer, error)
            self._requeue(job)
        self._pump.wake()
        return True

    def _requeue(self, job: Job) -> None:
        job.parked = job.waits = False
        self._lane.enqueue(job, self._clock.monotonic())

    def find(self, job_id: str) -> Job:
        """Return a job that waits, runs or outlived its caller. Any thread. Raises NotFound."""
        with self._lane.lock:
            job = self._lane.find(job_id, self._clock.monotonic())
        if job is None:
            raise refusals.unknown_job(job_id, KEPT_RESULTS)
        return job

    def jobs(self) -> List[Job]:
        """Return all jobs that are known, oldest first. Any thread."""
        with self._lane.lock:
            self._lane.sweep(self._clock.monotonic())
            return list(self._lane.kept.values()) + list(self._lane.live.values())

    def watch(self, job: Job, told: Callable[[], None]) -> Callable[[], None]:
        """Call ``told()`` once ``job`` is over, now if it is; return what takes that back.

        Any thread, as is ``told``, which must be quick and raise nothing.
        """
        with self._lane.lock:
            live = self._lane.live.get(job.job_id) is job
            if live:
                job.watchers += (told,)
        if not live:
            told()

        def leave() -> None:
            with self._lane.lock:
                job.watchers = tuple(one for one in job.watchers if one is not told)

        return leave

    def hold(self, peer: str) -> Hold:
        """Return a context in which the executor's own thread blocks waiting for ``peer``.

        Calls that arrive meanwhile are refused with HostBusy instead of waiting for a thread that
        may, through them, wait for itself.
        """
        return Hold(self._lane, peer)

    def finish(self, reason: str, rested: Callable[[], None]) -> None:
        """Refuse new jobs, let those that are there come to their end. Any thread.

        From now on ``rested()`` is called, on any thread, whenever :attr:`resting` may have become
        true; it must be quick and raise nothing.
        """
        with self._lane.lock:
            self._rested = rested
            self._lane.ending = reason

    def _rest(self) -> None:
        if self._lane.ending is not None and self.resting:
            self._rested()

    def shutdown(self, reason: str) -> None:
        """Refuse new jobs and settle every waiting caller. Any thread; once is enough."""
        with self._lane.lock:
            if self._lane.shut is not None:
                return
            self._lane.shut = reason
            waiting = [job for job in self._lane.live.values() if job.state in (QUEUED, RUNNING)]
            dropped = []
            for job in waiting:
                started = job.state == RUNNING
                if job.claim_locked(DROPPED):
                    dropped.append((job, job.settled, "running" if started else "not_started"))
            orphans = [job for job in self._lane.live.values() if closing(job) is not None]
            self._lane.orphans = orphans
            watched = list(self._lane.live.values())
            self._lane.queue.clear()
            self._lane.live.clear()
            if self._lane.writer is not self._lane.current:
                # Suspended, and never to be continued.
                self._lane.writer = None
        for job, settled, state in dropped:
            job.cancel_requested = True
            settled(job, None, HostShuttingDown(reason, state=state))
            if state == "not_started":
                job.release()
        for job in watched:
            job.tell_watchers()
        if self._executor.is_main_thread():
            self._pump.close_orphans()
        elif orphans:
            # Else there is nothing to do there: a worker's thread must not be made for that, and
            # cannot be when the interpreter ends (3.12).
            self._pump.wake()

    def disown(self, reason: str) -> None:
        """Refuse new jobs in a forked child; those that it inherited are its parent's to settle.

        The child's only thread.
        """
        self._lane.disown(reason)

    # -- status: any thread -------------------------------------------------------------------

    @property
    def stalled(self) -> bool:
        """Return whether calls ran out of time in a row and the thread has not moved since."""
        return self._lane.stalled

    @property
    def shut(self) -> bool:
        """Return whether no new job will run any more."""
        return self._lane.shut is not None or self._lane.ending is not None

    @property
    def resting(self) -> bool:
        """Return whether no job waits, runs, is between two steps or is being answered.

        One that waits for its client's answer may do so for long: that counts as rest.
        """
        with self._lane.lock:
            live = self._lane.live
            return not self._pump.pumping and (not live or all(j.parked for j in live.values()))

    def holder(self) -> Optional[Holder]:
        """Return who has the thread, None if nobody of ours. Any thread.

        A writer has it from its start to its end, between two steps too: no other may write then.
        """
        with self._lane.lock:
            job, since = self._lane.held()
            suspended, ident = self._lane.current is None, self._lane.thread_id
        if job is None:
            return None
        age = self._clock.monotonic() - since
        stack = stack_of(ident) if age >= STACK_AFTER and not suspended else None
        return Holder(job.name, job.client, job.job_id, age, stack)

    def status(self) -> Dict[str, Any]:
        """Describe the queue for ``get_status``. Any thread; takes no host call."""
        holder = self.holder()
        now = self._clock.monotonic()
        with self._lane.lock:
            pumped = self._lane.pumped_at
            waiting = self._lane.queue[0].created if self._lane.queue else None
            return {
                "verdict": self._verdict(holder),
                "holder": holder.to_dict() if holder else None,
                "queue_depth": len(self._lane.queue),
                "oldest_wait_ms": int((now - waiting) * 1000) if waiting is not None else 0,
                "pump_age_ms": int((now - pumped) * 1000) if pumped is not None else None,
                "modal": self._lane.modal,
            }

    def _verdict(self, holder: Optional[Holder]) -> str:
        if self.shut:
            return "shutting_down"
        if self._lane.stalled:
            return "hung"
        if self._lane.modal is not None:
            return "modal"
        if holder is not None or self._lane.held_by is not None:
            return "busy"
        return "healthy"

    def _who(self, now: float, waiting: Job) -> Optional[str]:
        """Say who is in the way of ``waiting``; a suspended writer is, but only of writers."""
        job, since = self._lane.held()
        if job is None or (self._lane.current is None and not waiting.writes):
            return None
        return "{} of {} has held it for {:.1f} s{}.".format(
            job.name,
            job.client or "another client",
            now - since,
            " and is between two steps" if self._lane.current is None else "",
        )
