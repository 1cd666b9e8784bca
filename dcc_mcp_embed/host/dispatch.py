"""Run jobs on one thread, honestly: bounded queue, budget, deadlines, undo, one answer per job.

The dispatcher decides what runs when; an *executor* gets its pump called on the right thread: the
host adapter for the main thread, :class:`.worker.Worker` for the worker thread. Three kinds of
thread meet here. Callers submit, cancel and let jobs expire; the executor's thread runs
:meth:`Dispatcher.pump`; anybody asks for the status. All state is under one lock; everything is
decided under it and done after it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from types import GeneratorType
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from ..clock import Clock
from ..errors import Cancelled, HostError, HostShuttingDown, ToolError
from . import refusals
from .adapter import UndoChunk
from .holder import STACK_AFTER, Holder, stack_of
from .job import (
    ABANDONED,
    CANCELLED,
    DETACHED,
    DONE,
    DROPPED,
    LATE,
    QUEUED,
    RUNNING,
    Job,
    Report,
)

__all__ = ["Dispatcher"]

#: Jobs that outlived their caller and can still be asked for; the oldest go first.
KEPT_RESULTS = 64
#: After so many time-outs in a row new calls are refused at once until the thread shows life.
STALLED_AFTER = 2
#: How often a refused call may wake a stalled thread again, seconds.
PROBE_EVERY = 2.0
#: How long between two looks at a job that returned a poll callable, seconds.
POLL_EVERY = 0.05
#: How long between two looks whether the dialog is gone that a suspended writer waits for, seconds.
MODAL_EVERY = 0.25


class Dispatcher:
    """Queue and run jobs for one executor.

    ``executor`` offers ``wake(pump)``, ``is_main_thread()``, ``modal_state()`` and
    ``undo_chunk(label)`` (see HostAdapter). ``later(delay, function, *args)`` calls back after
    ``delay`` seconds on any thread. ``log(level, text)`` takes what nobody is there to be told.
    """

    def __init__(
        self,
        executor: Any,
        clock: Clock,
        later: Callable[..., Any],
        log: Callable[[str, str], None],
        limit: int = 64,
        budget: float = 0.008,
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._later = later
        self._log = log
        self._limit = limit
        self._budget = budget
        self._lock = threading.Lock()
        self._queue: Deque[Job] = deque()
        self._live: Dict[str, Job] = {}
        self._kept: OrderedDict[str, Job] = OrderedDict()
        self._shut: Optional[str] = None
        self._writer: Optional[Job] = None
        self._current: Optional[Job] = None
        self._current_since = 0.0
        self._thread_id = 0
        self._pumping = False
        self._pumped_at: Optional[float] = None
        self._timeouts = 0
        self._probed_at = 0.0
        self._held_by: Optional[str] = None
        self._modal: Optional[str] = None
        self._orphans: List[Job] = []

    # -- callers: any thread ------------------------------------------------------------------

    def submit(self, job: Job, deadline: Optional[float] = None) -> None:
        """Queue ``job``; its caller must call :meth:`expire` once ``deadline`` has passed.

        Raises HostShuttingDown or HostBusy, and then the job is not queued and never settled.
        """
        now = self._clock.monotonic()
        probe = False
        refusal: Optional[ToolError] = None
        with self._lock:
            if self._shut is not None:
                refusal = HostShuttingDown(self._shut, state="not_started")
            elif self._held_by is not None:
                refusal = refusals.held(self._held_by)
            elif self._timeouts >= STALLED_AFTER:
                probe = now - self._probed_at >= PROBE_EVERY
                if probe:
                    self._probed_at = now
                refusal = refusals.stalled(self._timeouts, self._who(now, job), PROBE_EVERY)
            elif len(self._queue) >= self._limit:
                refusal = refusals.queue_full(self._limit)
            else:
                job.attach(self._lock, now)
                job.deadline = deadline
                self._queue.append(job)
                self._live[job.job_id] = job
        if refusal is None or probe:
            self._executor.wake(self.pump)
        if refusal is not None:
            try:
                raise refusal
            finally:
                # Its traceback holds this frame, which must not hold it.
                refusal = None

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
        self.submit(job, self._clock.monotonic() + timeout)
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
        with self._lock:
            waited = now - job.created
            # Taken now: once it is detached its thread may end and release it at any moment.
            settled = job.settled
            if job.claim_locked(ABANDONED):
                self._timeouts += 1
                self._forget(job)
                error = refusals.timed_out_waiting(job.name, waited, self._who(now, job))
            elif job.claim_locked(DETACHED):
                self._timeouts += 1
                error = refusals.timed_out_running(job.name, waited, job.job_id)
        if error is not None:
            settled(job, None, error)
        if job.state == ABANDONED:
            job.release()

    def cancel(self, job_id: str) -> Tuple[str, str]:
        """Cancel a job and return (its state before, the effect). Any thread. Raises NotFound.

        Effects: ``removed_from_queue`` (it never runs), ``cancel_requested`` (a generator ends
        before its next step, other tools only if they look), ``already_done``.
        """
        with self._lock:
            job = self._live.get(job_id) or self._kept.get(job_id)
            if job is None:
                raise refusals.unknown_job(job_id, KEPT_RESULTS)
            before = job.state
            removed = before == QUEUED and job.claim_locked(CANCELLED)
            if removed:
                self._forget(job)
            elif before in (RUNNING, DETACHED):
                job.cancel_requested = True
        if removed:
            _refuse(job, refusals.cancelled_in_time())
            return before, "removed_from_queue"
        return before, "cancel_requested" if before in (RUNNING, DETACHED) else "already_done"

    def find(self, job_id: str) -> Job:
        """Return a job that waits, runs or outlived its caller. Any thread. Raises NotFound."""
        with self._lock:
            job = self._live.get(job_id) or self._kept.get(job_id)
        if job is None:
            raise refusals.unknown_job(job_id, KEPT_RESULTS)
        return job

    def jobs(self) -> List[Job]:
        """Return all jobs that are known, oldest first. Any thread."""
        with self._lock:
            return list(self._kept.values()) + list(self._live.values())

    def hold(self, peer: str) -> _Hold:
        """Return a context in which the executor's own thread blocks waiting for ``peer``.

        Calls that arrive meanwhile are refused with HostBusy instead of waiting for a thread that
        may, through them, wait for itself.
        """
        return _Hold(self, peer)

    def shutdown(self, reason: str) -> None:
        """Refuse new jobs and settle every waiting caller. Any thread; once is enough."""
        with self._lock:
            if self._shut is not None:
                return
            self._shut = reason
            waiting = [job for job in self._live.values() if job.state in (QUEUED, RUNNING)]
            dropped = []
            for job in waiting:
                started = job.state == RUNNING
                if job.claim_locked(DROPPED):
                    dropped.append((job, job.settled, "running" if started else "not_started"))
            self._orphans = [job for job in self._live.values() if job.stepper is not None]
            self._queue.clear()
            self._live.clear()
            if self._writer is not self._current:
                # Suspended, and never to be continued.
                self._writer = None
        for job, settled, state in dropped:
            job.cancel_requested = True
            settled(job, None, HostShuttingDown(reason, state=state))
            if state == "not_started":
                job.release()
        if self._executor.is_main_thread():
            self._close_orphans()
        else:
            self._executor.wake(self.pump)

    def _close_orphans(self) -> None:
        """End generators nobody waits for on the thread that ran them: they hold host objects."""
        with self._lock:
            orphans, self._orphans = self._orphans, []
        for job in orphans:
            # One that is running right now called for the shutdown itself; see _suspend.
            if job.stepper is not None and not job.stepper.gi_running:
                self._close_stepper(job)

    def _close_stepper(self, job: Job) -> None:
        # It stays where it is: without it an advance under way would start the tool anew.
        try:
            job.stepper.close()
        except BaseException as error:
            self._log("warning", "{} did not end cleanly: {!r}".format(job.name, error))

    # -- status: any thread -------------------------------------------------------------------

    def holder(self) -> Optional[Holder]:
        """Return who has the thread, None if nobody of ours. Any thread.

        A writer has it from its start to its end, between two steps too: no other may write then.
        """
        with self._lock:
            job, since = self._held()
            suspended, ident = self._current is None, self._thread_id
        if job is None:
            return None
        age = self._clock.monotonic() - since
        stack = stack_of(ident) if age >= STACK_AFTER and not suspended else None
        return Holder(job.name, job.client, job.job_id, age, stack)

    def _held(self) -> Tuple[Optional[Job], float]:
        """Return the job that has the thread, and since when."""
        job = self._current or self._writer
        if job is None:
            return None, 0.0
        if job.writes and job.started is not None:
            return job, job.started
        return job, self._current_since

    def status(self) -> Dict[str, Any]:
        """Describe the queue for ``get_status``. Any thread; takes no host call."""
        holder = self.holder()
        now = self._clock.monotonic()
        with self._lock:
            pumped = self._pumped_at
            waiting = self._queue[0].created if self._queue else None
            return {
                "verdict": self._verdict(holder),
                "holder": holder.to_dict() if holder else None,
                "queue_depth": len(self._queue),
                "oldest_wait_ms": int((now - waiting) * 1000) if waiting is not None else 0,
                "pump_age_ms": int((now - pumped) * 1000) if pumped is not None else None,
                "modal": self._modal,
            }

    def _verdict(self, holder: Optional[Holder]) -> str:
        if self._shut is not None:
            return "shutting_down"
        if self._timeouts >= STALLED_AFTER:
            return "hung"
        if self._modal is not None:
            return "modal"
        if holder is not None or self._held_by is not None:
            return "busy"
        return "healthy"

    def _who(self, now: float, waiting: Job) -> Optional[str]:
        """Say who is in the way of ``waiting``; a suspended writer is, but only of writers."""
        job, since = self._held()
        if job is None or (self._current is None and not waiting.writes):
            return None
        return "{} of {} has held it for {:.1f} s{}.".format(
            job.name,
            job.client or "another client",
            now - since,
            " and is between two steps" if self._current is None else "",
        )

    def _forget(self, job: Job) -> None:
        """Drop a job that is settled; one that outlived its caller is kept for a while."""
        self._live.pop(job.job_id, None)
        if job.state in (ABANDONED, CANCELLED, DROPPED, LATE) and job in self._queue:
            self._queue.remove(job)
        if job.state == LATE:
            self._kept[job.job_id] = job
            while len(self._kept) > KEPT_RESULTS:
                self._kept.popitem(last=False)
        if self._writer is job:
            self._writer = None

    # -- the executor's thread ----------------------------------------------------------------

    def pump(self) -> Optional[KeyboardInterrupt]:
        """Run what is waiting: at least one job, then until the budget is spent. Executor's thread.

        Called from within a job (a tool that spins the host's event loop) it does nothing. Raises
        nothing, so that no tool and no adapter can end what calls it. A KeyboardInterrupt is
        returned, after its caller was told: Ctrl-C for a process that is run by us, and nothing
        to act on for a host's event loop or a worker.
        """
        if self._pumping:
            return None
        self._pumping = True
        interrupt: Optional[KeyboardInterrupt] = None
        start = self._clock.monotonic()
        with self._lock:
            # The thread is free: whatever stalled it is over.
            self._timeouts = 0
            self._pumped_at = start
            self._thread_id = threading.get_ident()
            self._modal = None
            orphans = bool(self._orphans)
        try:
            if orphans:
                self._close_orphans()
            while True:
                job = self._next()
                if job is None:
                    break
                try:
                    interrupt = self._step(job)
                except BaseException as raised:
                    interrupt = raised if isinstance(raised, KeyboardInterrupt) else None
                    self._drop(job, raised)
                if interrupt is not None or self._clock.monotonic() - start >= self._budget:
                    break
        finally:
            self._pumping = False
            with self._lock:
                self._pumped_at = self._clock.monotonic()
                more = self._runnable() is not None
        if more:
            try:
                self._executor.wake(self.pump)
            except Exception as raised:
                # The next call wakes it again.
                self._log("error", "The host could not be woken: {!r}".format(raised))
        try:
            return interrupt
        finally:
            # Its traceback holds this frame: no cycle may be left that only a collection would end.
            interrupt = None

    def _runnable(self) -> Optional[Job]:
        """Return the first job that may run: no writer while another is between two steps."""
        writer = self._writer
        for job in self._queue:
            if writer is None or job is writer or not job.writes:
                return job
        return None

    def _next(self) -> Optional[Job]:
        with self._lock:
            job = self._runnable()
            if job is not None:
                self._queue.remove(job)
            return job

    def _drop(self, job: Job, raised: BaseException) -> None:
        """Be rid of a job whose handling failed, as opposed to the job itself."""
        self._log("error", "The call of {} could not be handled: {!r}".format(job.name, raised))
        with self._lock:
            self._current = None
            settled = job.settled
            claimed = job.claim_locked(DROPPED)
            if not claimed:
                job.claim_locked(LATE)
            self._forget(job)
        if claimed:
            try:
                settled(job, None, HostError("{} broke off: {!r}".format(job.name, raised)))
            except Exception as again:
                self._log("error", "{} was not told: {!r}".format(job.client, again))
        if job.stepper is not None:
            self._close_stepper(job)
        job.release()

    def _step(self, job: Job) -> Optional[KeyboardInterrupt]:
        if job.writes and not self._writable(job):
            return None
        if job.started is None:
            if not job.claim(RUNNING):
                return None
            job.started = self._clock.monotonic()
        since = self._clock.monotonic()
        with self._lock:
            self._current, self._current_since = job, since
            if job.writes:
                self._writer = job
        suspended = False
        value: Any = None
        error: Optional[BaseException] = None
        interrupt: Optional[KeyboardInterrupt] = None
        chunk: Optional[UndoChunk] = None
        try:
            chunk = self._chunk(job)
            if chunk is None:
                suspended, value = _advance(job)
            else:
                with chunk:
                    suspended, value = _advance(job)
        except BaseException as raised:
            error = raised
            interrupt = raised if isinstance(raised, KeyboardInterrupt) else None
        finally:
            now = self._clock.monotonic()
            job.ran += now - since
            if chunk is not None:
                job.undo_steps += chunk.steps
            with self._lock:
                self._current = None
        if suspended and error is None:
            self._suspend(job, value)
        else:
            # The step may have gone well and only its undo step not; then the tool is told here.
            if job.stepper is not None:
                self._close_stepper(job)
            self._end(job, value, error, now)
        try:
            return interrupt
        finally:
            # Their tracebacks hold this frame: no cycle may be left that only a collection ends.
            error = interrupt = None

    def _writable(self, job: Job) -> bool:
        """Return whether nothing in the host forbids the next step of a job that writes.

        With a dialog open a job that has not started is refused, one between two steps stays there.
        """
        refusal: ToolError
        try:
            modal = self._executor.modal_state()
        except Exception as raised:
            text = "The host could not say whether a dialog is open: {!r}".format(raised)
            self._log("error", text)
            modal = None
            if job.started is not None:
                if job.stepper is not None:
                    self._close_stepper(job)
                self._end(job, None, HostError(text), self._clock.monotonic())
                return False
            refusal = HostError(text, state="not_started")
        else:
            if modal is None:
                return True
            refusal = refusals.modal(modal)
        with self._lock:
            self._modal = modal
            claimed = job.started is None and job.claim_locked(DROPPED)
            if claimed:
                self._forget(job)
        if claimed:
            _refuse(job, refusal)
        elif job.started is not None:
            self._later(MODAL_EVERY, self._look_again, job)
        return False

    def _chunk(self, job: Job) -> Optional[UndoChunk]:
        if job.undo_label is None or (job.poll is not None):
            return None
        chunk: UndoChunk = self._executor.undo_chunk(job.undo_label)
        return chunk

    def _suspend(self, job: Job, value: Any) -> None:
        """Put a job that has more to do behind the others."""
        job.latest = value if value is not None else job.latest
        waits = job.poll is not None
        with self._lock:
            shut = self._shut is not None
            if not shut and not waits:
                self._queue.append(job)
        if shut:
            if job.stepper is not None:
                self._close_stepper(job)
            return
        if value is not None and job.progress is not None:
            try:
                job.progress(value)
            except Exception as raised:
                self._log("warning", "Progress of {} is lost: {!r}".format(job.name, raised))
        if waits:
            self._later(POLL_EVERY, self._look_again, job)

    def _look_again(self, job: Job) -> None:
        with self._lock:
            if self._shut is not None:
                return
            self._queue.append(job)
        self._executor.wake(self.pump)

    def _end(self, job: Job, value: Any, error: Optional[BaseException], now: float) -> None:
        report = Report(
            ((job.started or now) - job.created) * 1000,
            job.ran * 1000,
            job.undo_label,
            job.undo_steps,
        )
        failure: Optional[ToolError] = None
        try:
            answer = job.finish(value, error, report)
        except BaseException as raised:
            answer = None
            failure = HostError("The answer of {} could not be made: {!r}".format(job.name, raised))
        job.ended = now
        # Between steps only: a tool that ended by itself is reported as what it did.
        ending = CANCELLED if isinstance(error, Cancelled) and job.cancel_requested else DONE
        with self._lock:
            settled = job.claim_locked(ending)
            if settled or job.claim_locked(LATE):
                job.answer = answer
                self._forget(job)
        if settled:
            job.settled(job, answer, failure)
        elif job.state == LATE:
            self._log("info", "{} ended after {:.1f} s".format(job.name, job.ran))
        job.release()


class _Hold:
    """See :meth:`Dispatcher.hold`."""

    def __init__(self, dispatcher: Dispatcher, peer: str) -> None:
        self._dispatcher = dispatcher
        self._peer = peer

    def __enter__(self) -> None:
        with self._dispatcher._lock:
            self._before = self._dispatcher._held_by
            self._dispatcher._held_by = self._peer

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._dispatcher._lock:
            self._dispatcher._held_by = self._before


def _refuse(job: Job, error: ToolError) -> None:
    """Settle a job that has not started and never will."""
    job.settled(job, None, error)
    job.release()


def _advance(job: Job) -> Tuple[bool, Any]:
    """Take one step: (True, progress or None) if there is more, (False, value) at the end."""
    if job.cancel_requested and (job.stepper is not None or job.poll is not None):
        if job.stepper is not None:
            # Its ``finally`` blocks run here, on the host's thread and inside the undo step.
            job.stepper.close()
        raise Cancelled("The call was cancelled between two steps.")
    if job.poll is not None:
        value = job.poll()
        return (True, None) if value is None else (False, value)
    if job.stepper is None:
        value = job.run()
        if callable(value):
            job.poll = value
            return True, None
        if type(value) is not GeneratorType:
            return False, value
        job.stepper = value
    try:
        return True, next(job.stepper)
    except StopIteration as end:
        return False, end.value
