"""What the control tools see of a server. Loop thread; never waits, never asks the host."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..clock import Clock
from ..errors import HostBusy, NotFound, PermissionDenied
from ..host.dispatch import Dispatcher
from ..host.identity import Instance
from ..host.job import Job
from ..host.lane import KEPT_RESULTS
from ..host.refusals import unknown_job
from ..logbook import LogBook
from ..tools.finding import Finder
from ..tools.keeping import KeptResults
from ..tools.table import ToolTable

__all__ = ["MOST_WAITING", "Control"]

#: Calls that wait for the end of a job at once.
MOST_WAITING = 64


class Control:
    """Status, log and jobs of one server. ``lanes`` maps a thread's name to its dispatcher."""

    #: Calls that wait for the end of a job.
    _waiting = 0

    def __init__(
        self,
        clock: Clock,
        version: str,
        instance: Instance,
        lanes: Dict[str, Dispatcher],
        logbook: LogBook,
        facts: Callable[[], Dict[str, Any]],
        tools: ToolTable,
    ) -> None:
        self._clock = clock
        self._version = version
        self._instance = instance
        self._lanes = lanes
        self._logbook = logbook
        self._facts = facts
        self._started = clock.monotonic()
        self.tools = tools
        self.finder = Finder(tools)
        self.kept = KeptResults(clock)
        #: What guests see of it.
        self.guests: Control = self
        self.guests = _ForGuests(self)

    def status(self) -> Dict[str, Any]:
        """Return what ``get_status`` shows: the main thread's state first, the rest below it."""
        status = self._lanes["main"].status()
        worker = self._lanes["worker"].status()
        status["worker"] = {"holder": worker["holder"], "queue_depth": worker["queue_depth"]}
        status["uptime_s"] = round(self._clock.monotonic() - self._started, 1)
        status["versions"] = {
            "dcc_mcp_embed": self._version,
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            self._instance.dcc_type: self._instance.version,
        }
        status["tools"] = {"listed": len(self.tools.listing()), "all": len(self.tools)}
        status.update(self._facts())
        return status

    def log(self, lines: int, level: str, since: int) -> List[Dict[str, Any]]:
        """Return log lines, oldest first."""
        return [line.to_dict() for line in self._logbook.read(lines, level, since)]

    def instance(self) -> Dict[str, Any]:
        """Return the block that results carry."""
        return self._instance.block

    def job(self, job_id: str) -> Tuple[Dict[str, Any], Optional[Dict[str, Any]]]:
        """Return one job's state and, when it has ended, its CallToolResult. Raises NotFound."""
        _, job = self._find(job_id)
        return self._shown(job), job.answer

    def jobs(self) -> List[Dict[str, Any]]:
        """Return the states of all jobs that wait, run or outlived their time, oldest first."""
        found = [job for lane in self._lanes.values() for job in lane.jobs()]
        found.sort(key=lambda job: job.created)
        return [
            self._shown(job)
            for job in found
            if (job.name not in _OURS or job.name in self.tools) and self._sees(job)
        ]

    def demand_room(self) -> None:
        """Raise HostBusy if no other call may wait for the end of a job."""
        if self._waiting >= MOST_WAITING:
            raise HostBusy(
                "{} calls wait for the end of jobs already.".format(MOST_WAITING),
                hint="Ask without wait_ms, or wait for the calls that wait.",
                retry_after_ms=5000,
            )

    def watch(self, job_id: str, told: Callable[[], None]) -> Callable[[], None]:
        """Have ``told()`` called once a job is over, on any thread; return what takes it back.

        One that is not known is over.
        """
        try:
            lane, job = self._find(job_id)
        except NotFound:
            told()
            return _nothing
        leave = lane.watch(job, told)
        self._waiting += 1

        def left() -> None:
            self._waiting -= 1
            leave()

        return left

    def _sees(self, job: Job) -> bool:
        return True

    def _shown(self, job: Job) -> Dict[str, Any]:
        now = self._clock.monotonic()
        latest = job.latest
        return {
            "job_id": job.job_id,
            "tool": job.name,
            "client": job.client,
            "state": _SHOWN.get(job.state, job.state),
            "age_ms": int(((job.ended or now) - job.created) * 1000),
            "progress": latest._asdict() if hasattr(latest, "_asdict") else None,
        }

    def cancel(self, job_id: str) -> Tuple[str, str]:
        """Cancel a job; returns (state before, effect). Raises NotFound."""
        lane, _ = self._find(job_id)
        before, effect = lane.cancel(job_id)
        return _SHOWN.get(before, before), effect

    def _find(self, job_id: str) -> Tuple[Dispatcher, Job]:
        for lane in self._lanes.values():
            try:
                job = lane.find(job_id)
            except NotFound:
                continue
            if self._sees(job):
                return lane, job
        raise unknown_job(job_id, KEPT_RESULTS)


class _ForGuests(Control):
    """The same for those who come through the gateway or a sidecar, to whom no code is open.

    So neither is what the user's own calls do and return, and those are the ones with code.
    """

    def __init__(self, whole: Control) -> None:
        vars(self).update(vars(whole))
        self.guests = self

    def status(self) -> Dict[str, Any]:
        """Return the same without stacks, which name what is defined in code that runs."""
        status = super().status()
        for holder in (status["holder"], status["worker"]["holder"]):
            if holder is not None:
                holder.pop("stack", None)
        return status

    def log(self, lines: int, level: str, since: int) -> List[Dict[str, Any]]:
        """Raise PermissionDenied: what a tool raised is in the log, and that may tell of code."""
        raise PermissionDenied(
            "The log is not shown to those who come through the gateway or a sidecar: it can hold "
            "what the user's own code has said.",
            hint="Connect to the host itself, with the URL that it shows its user.",
        )

    def _sees(self, job: Job) -> bool:
        return job.guest


def _nothing() -> None:
    """Do so."""


# Jobs that are no calls, unless a tool has that name.
_OURS = ("ask", "collect", "first-contact", "safe-stop")
# The states an agent needs to tell apart.
_SHOWN = {"detached": "running", "late": "finished", "done": "finished"}
