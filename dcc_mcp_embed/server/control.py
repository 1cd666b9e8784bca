"""What the control tools see of a server. Loop thread; never waits, never asks the host."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..clock import Clock
from ..errors import NotFound
from ..host.dispatch import Dispatcher
from ..host.identity import Instance
from ..host.job import Job
from ..logbook import LogBook
from ..tools.finding import Finder
from ..tools.keeping import KeptResults
from ..tools.table import ToolTable

__all__ = ["Control"]


class Control:
    """Status, log and jobs of one server. ``lanes`` maps a thread's name to its dispatcher."""

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
            self._shown(job) for job in found if job.name not in _OURS or job.name in self.tools
        ]

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
        main = self._lanes["main"]
        for lane in self._lanes.values():
            try:
                return lane, lane.find(job_id)
            except NotFound:
                continue
        return main, main.find(job_id)


# Jobs that are no calls, unless a tool has that name.
_OURS = ("ask", "collect", "first-contact", "safe-stop")
# The states an agent needs to tell apart.
_SHOWN = {"detached": "running", "late": "finished", "done": "finished"}
