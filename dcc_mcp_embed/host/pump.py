"""The executor's side of a dispatcher: run what waits in steps, survive whatever it raises.

All of it runs on the executor's own thread (a host's main thread, the worker).
"""

from __future__ import annotations

import threading
from types import GeneratorType
from typing import Any, Callable, Optional, Tuple

from ..clock import Clock
from ..errors import Cancelled, HostError, ToolError
from . import refusals
from .adapter import UndoChunk
from .job import CANCELLED, DETACHED, DONE, DROPPED, LATE, RUNNING, Job, Report
from .lane import Lane, weight_of

__all__ = ["MODAL_EVERY", "POLL_EVERY", "Pump", "closing", "refuse"]

#: How long between two looks at a job that returned a poll callable, seconds.
POLL_EVERY = 0.05
#: How long between two looks whether the dialog is gone that a suspended writer waits for, seconds.
MODAL_EVERY = 0.25


class Pump:
    """Run the jobs of a lane. See Dispatcher for the arguments."""

    def __init__(
        self,
        lane: Lane,
        executor: Any,
        clock: Clock,
        later: Callable[..., Any],
        log: Callable[[str, str], None],
        budget: float,
        turned: Callable[[], None],
        rested: Callable[[], None],
    ) -> None:
        self._lane = lane
        self._executor = executor
        self._clock = clock
        self._later = later
        self._log = log
        self._budget = budget
        self._turned = turned
        self._rested = rested
        #: Whether it is under way: also for the last job, of which the lane knows no more.
        self.pumping = False

    def run(self) -> Optional[KeyboardInterrupt]:
        """Run what is waiting: at least one job, then until the budget is spent. Executor's thread.

        Called from within a job (a tool that spins the host's event loop) it does nothing. Raises
        nothing, so that no tool and no adapter can end what calls it. A KeyboardInterrupt is
        returned, after its caller was told: Ctrl-C for a process that is run by us, and nothing
        to act on for a host's event loop or a worker.
        """
        if self.pumping:
            return None
        self.pumping = True
        interrupt: Optional[KeyboardInterrupt] = None
        start = self._clock.monotonic()
        with self._lane.lock:
            # The thread is free: whatever stalled it is over.
            turned = self._lane.show_life()
            self._lane.pumped_at = start
            self._lane.thread_id = threading.get_ident()
            self._lane.modal = None
            orphans = bool(self._lane.orphans)
        if turned:
            self._turned()
        try:
            if orphans:
                self.close_orphans()
            while True:
                job = self._lane.next()
                if job is None:
                    break
                try:
                    interrupt = self._step(job)
                except BaseException as raised:
                    # Ours or the adapter's fault, of any kind: the job's caller and the log have
                    # it, and the host's event loop goes on.
                    interrupt = raised if isinstance(raised, KeyboardInterrupt) else None
                    self._drop(job, raised)
                if interrupt is not None or self._clock.monotonic() - start >= self._budget:
                    break
        finally:
            self.pumping = False
            with self._lane.lock:
                self._lane.pumped_at = self._clock.monotonic()
                more = self._lane.runnable() is not None
                # What follows a step, a caller that is told or an object let go of, takes time too.
                turned = self._lane.show_life()
            if turned:
                self._turned()
            self._rested()
        if more:
            self.wake()
        try:
            return interrupt
        finally:
            # Its traceback holds this frame: no cycle may be left that only a collection would end.
            interrupt = None

    def wake(self) -> Optional[str]:
        """Have the executor run this; return why it cannot, None if it can. Any thread.

        What waits is not lost: the next wake runs it too.
        """
        try:
            self._executor.wake(self.run)
        except Exception as raised:
            # Of whatever kind the host's own ways raise, or the system that has no thread left.
            self._log("error", "The host could not be woken: {!r}".format(raised))
            return repr(raised)
        return None

    def _drop(self, job: Job, raised: BaseException) -> None:
        """Be rid of a job whose handling failed, as opposed to the job itself."""
        self._log("error", "The call of {} could not be handled: {!r}".format(job.name, raised))
        with self._lane.lock:
            self._lane.current = None
            job.ended = self._clock.monotonic()
            settled = job.settled
            claimed = job.claim_locked(DROPPED)
            if not claimed:
                job.claim_locked(LATE)
            self._lane.forget(job)
        if claimed:
            try:
                settled(job, None, HostError("{} broke off: {!r}".format(job.name, raised)))
            except Exception as again:
                # Of the very code, maybe, that failed before: there is only the log left.
                self._log("error", "{} was not told: {!r}".format(job.client, again))
        self._close(job)
        job.release()

    def _step(self, job: Job) -> Optional[KeyboardInterrupt]:
        # The end of a call that was cancelled is no step: no dialog holds it up.
        if job.writes and not job.cancel_requested and not self._writable(job):
            return None
        if job.started is None:
            if not job.claim(RUNNING):
                return None
            job.started = self._clock.monotonic()
        since = self._clock.monotonic()
        with self._lane.lock:
            self._lane.begin_step(job, since)
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
            if suspended and job.read is not None and value is not None and not _asks(job, value):
                value = job.read(value)
        except BaseException as raised:
            # The tool is anybody's code, and may mean to end the program; its caller is told.
            error = raised
            interrupt = raised if isinstance(raised, KeyboardInterrupt) else None
        finally:
            now = self._clock.monotonic()
            job.ran += now - since
            if chunk is not None:
                job.undo_steps += chunk.steps
            with self._lane.lock:
                turned = self._lane.end_step(now)
        if turned:
            # Calls had run out of time while this one had the thread.
            self._turned()
        if suspended and error is None:
            self._suspend(job, value)
        else:
            # The step may have gone well and only its undo step not, or it was cancelled; then the
            # tool is told here.
            if error is not None:
                self._close(job)
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
            # Whatever the host's API raises; the job's caller is told, and nothing is written.
            text = "The host could not say whether a dialog is open: {!r}".format(raised)
            self._log("error", text)
            modal = None
            if job.started is not None:
                self._close(job)
                self._end(job, None, HostError(text), self._clock.monotonic())
                return False
            refusal = HostError(text, state="not_started")
        else:
            if modal is None:
                # A pump that goes on from a job that was refused has not looked since.
                self._lane.modal = None
                return True
            refusal = refusals.modal(modal)
        with self._lane.lock:
            self._lane.modal = modal
            claimed = job.started is None and job.claim_locked(DROPPED)
            if claimed:
                self._lane.forget(job)
        if claimed:
            refuse(job, refusal)
        elif job.started is not None:
            self._wait(job, MODAL_EVERY)
        return False

    def _chunk(self, job: Job) -> Optional[UndoChunk]:
        if job.undo_label is None or (job.poll is not None):
            return None
        chunk: UndoChunk = self._executor.undo_chunk(job.undo_label)
        return chunk

    def _suspend(self, job: Job, value: Any) -> None:
        """Put a job that has more to do behind the others."""
        if _asks(job, value):
            self._park(job, value)
            return
        job.latest = value if value is not None else job.latest
        polled = job.poll is not None
        with self._lane.lock:
            shut = self._lane.shut is not None
            if not shut and not polled:
                self._lane.enqueue(job, self._clock.monotonic())
        if shut:
            self._close(job)
            return
        if value is not None and job.progress is not None:
            try:
                job.progress(value)
            except Exception as raised:
                # The call is worth more than word of how far it is.
                self._log("warning", "Progress of {} is lost: {!r}".format(job.name, raised))
        if polled:
            self._wait(job, getattr(job.poll, "every", POLL_EVERY))

    def _park(self, job: Job, question: Any) -> None:
        """Leave a job until somebody has answered: it holds no thread, and no other writer up."""
        with self._lane.lock:
            shut = self._lane.shut is not None
            cancelled = job.cancel_requested
            if self._lane.writer is job:
                self._lane.writer = None
            if not shut and cancelled:
                self._lane.enqueue(job, self._clock.monotonic())
            job.parked = not shut and not cancelled
        if shut:
            self._close(job)
        elif job.parked and job.asked is not None:
            try:
                job.asked(question)
            except Exception as raised:
                # The other jobs go on; this one ends with its caller's time, or when cancelled.
                self._log("error", "A question of {} is lost: {!r}".format(job.name, raised))

    def _wait(self, job: Job, delay: float) -> None:
        """Have the next step of a job come ``delay`` seconds later, or once it is cancelled."""
        with self._lane.lock:
            job.waits = not job.cancel_requested
            if not job.waits and self._lane.shut is None:
                self._lane.enqueue(job, self._clock.monotonic())
        if job.waits:
            self._later(delay, self._look_again, job)

    def _look_again(self, job: Job) -> None:
        with self._lane.lock:
            if not job.waits or self._lane.shut is not None:
                return
            job.waits = False
            self._lane.enqueue(job, self._clock.monotonic())
        self.wake()

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
            # Its value is of the tool's making, and runs its code once more; its caller is told.
            answer = None
            failure = HostError("The answer of {} could not be made: {!r}".format(job.name, raised))
        job.ended = now
        # Between steps only: a tool that ended by itself is reported as what it did.
        ending = CANCELLED if isinstance(error, Cancelled) and job.cancel_requested else DONE
        with self._lane.lock:
            settled = job.claim_locked(ending)
            if settled:
                job.answer = answer
                self._lane.forget(job)
        if settled:
            job.settled(job, answer, failure)
        elif job.state == DETACHED:
            self._keep(job, answer)
        job.release()

    def _keep(self, job: Job, answer: Any) -> None:
        """Have the answer of a job that outlived its caller be there for a while."""
        job.weight = weight_of(answer)
        with self._lane.lock:
            if job.claim_locked(LATE):
                job.answer = answer
                self._lane.forget(job)
        self._log("info", "{} ended after {:.1f} s".format(job.name, job.ran))

    def close_orphans(self) -> None:
        """End generators nobody waits for on the thread that ran them: they hold host objects."""
        with self._lane.lock:
            orphans, self._lane.orphans = self._lane.orphans, []
        for job in orphans:
            # One that is running right now called for the shutdown itself; see _suspend.
            if not getattr(job.stepper, "gi_running", False):
                self._close(job)

    def _close(self, job: Job) -> None:
        """End the work of a job between two steps. What is closed stays where it is.

        Without it an advance under way would start the tool anew.
        """
        close = closing(job)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            # The tool's own ``finally`` blocks run here. Its caller has had an answer.
            self._log("warning", "{} did not end cleanly: {!r}".format(job.name, error))


def _asks(job: Job, value: Any) -> bool:
    """Return whether what a job has yielded is a question that can be passed on."""
    return job.asked is not None and isinstance(value, job.question)


def closing(job: Job) -> Optional[Callable[[], Any]]:
    """Return what ends the work of a job that is between two steps; None if nothing does."""
    between = job.stepper if job.stepper is not None else job.poll
    close: Optional[Callable[[], Any]] = getattr(between, "close", None)
    return close


def refuse(job: Job, error: ToolError) -> None:
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
        return (True, getattr(job.poll, "latest", None)) if value is None else (False, value)
    if job.stepper is None:
        value = job.run()
        if callable(value):
            job.poll = value
            return True, None
        if type(value) is not GeneratorType:
            return False, value
        job.stepper = value
    sent, job.sent = job.sent, None
    try:
        if sent is None:
            return True, next(job.stepper)
        if sent[1] is None:
            return True, job.stepper.send(sent[0])
        return True, job.stepper.throw(sent[1])
    except StopIteration as end:
        return False, end.value
    finally:
        # An error's traceback holds this frame, which must not hold it.
        sent = None
