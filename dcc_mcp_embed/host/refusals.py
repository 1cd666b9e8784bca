"""What a caller is told when its job does not simply run: one function per case."""

from __future__ import annotations

from typing import Optional

from ..errors import (
    Cancelled,
    HostBusy,
    HostModal,
    NotFound,
    TimeoutNotStarted,
    TimeoutRunning,
    WouldDeadlock,
)

__all__ = [
    "cancelled_in_time",
    "held",
    "modal",
    "not_woken",
    "queue_full",
    "stalled",
    "timed_out_running",
    "timed_out_waiting",
    "unknown_job",
    "would_deadlock",
]


def queue_full(limit: int) -> HostBusy:
    return HostBusy(
        "{} calls are waiting for the host already.".format(limit),
        hint="Wait for some of them; batch small changes into one call.",
        retry_after_ms=1000,
    )


def held(peer: str) -> HostBusy:
    return HostBusy(
        "The host's main thread waits for {}; a call from there cannot be served meanwhile.".format(
            peer
        ),
        hint="Try again when that call is over.",
        retry_after_ms=1000,
    )


def not_woken(why: str) -> HostBusy:
    return HostBusy(
        "The thread that this call needs could not be woken: {}".format(why),
        hint="Nothing was changed; try again in a moment.",
        retry_after_ms=1000,
    )


def stalled(timeouts: int, who: Optional[str], retry_after: float) -> HostBusy:
    return HostBusy(
        "The host's main thread does not answer: {} calls in a row ran out of time.".format(
            timeouts
        ),
        hint=who or "Ask get_status what holds it.",
        retry_after_ms=int(retry_after * 1000),
    )


def timed_out_waiting(name: str, waited: float, who: Optional[str]) -> TimeoutNotStarted:
    return TimeoutNotStarted(
        "{} waited {:.1f} s for the host's main thread and was never started.".format(name, waited),
        hint=who or "Nothing was changed; calling again is safe.",
        retry_after_ms=2000,
    )


def timed_out_running(name: str, waited: float, job_id: str) -> TimeoutRunning:
    return TimeoutRunning(
        "{} is still running after {:.1f} s.".format(name, waited),
        hint="Do not call it again; ask get_job for job_id {!r}.".format(job_id),
        details={"job_id": job_id},
    )


def cancelled_in_time() -> Cancelled:
    return Cancelled("The call was cancelled before it started.", state="not_started")


def modal(title: str) -> HostModal:
    return HostModal(
        "A dialog is open in the host: {!r}.".format(title),
        hint="Ask the user to close it; reading works meanwhile.",
        retry_after_ms=5000,
    )


def unknown_job(job_id: str, kept: int) -> NotFound:
    return NotFound(
        "No job {!r} is known here.".format(job_id),
        hint="Results of calls that outlived their time are kept for ten minutes, those of the "
        "last {} at most; large ones go sooner.".format(kept),
    )


def would_deadlock(name: str) -> WouldDeadlock:
    return WouldDeadlock(
        "{} was called from the host's main thread and needs that same thread.".format(name),
        hint="Call the function itself, or call from another thread.",
    )
