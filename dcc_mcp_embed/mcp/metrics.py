"""How often a tool was called, and how long that took."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Deque, Dict, Optional

from ..clock import SystemClock

__all__ = ["ToolMetrics"]

#: The latest calls, of which percentiles are.
_SAMPLE = 512

_wall = SystemClock().wall


@dataclass
class ToolMetrics:
    """Calls of one tool. Durations in milliseconds. One thread records, any reads."""

    total_calls: int = 0
    success_calls: int = 0
    failed_calls: int = 0
    total_duration_ms: float = 0.0
    last_call_time: Optional[datetime] = None
    _latest: Deque[float] = field(
        default_factory=lambda: deque(maxlen=_SAMPLE), repr=False, compare=False
    )

    @property
    def avg_duration_ms(self) -> float:
        """Return how long a call takes on average; 0 if there was none."""
        return self.total_duration_ms / self.total_calls if self.total_calls else 0.0

    @property
    def success_rate(self) -> float:
        """Return which part of the calls has succeeded, 0 to 1."""
        return self.success_calls / self.total_calls if self.total_calls else 0.0

    def record_success(self, duration_ms: float) -> None:
        """Count a call that has succeeded."""
        self._record(duration_ms)
        self.success_calls += 1

    def record_failure(self, duration_ms: float) -> None:
        """Count a call that has failed."""
        self._record(duration_ms)
        self.failed_calls += 1

    def _record(self, duration_ms: float) -> None:
        # First of all the number of calls: whoever reads meanwhile sees no rate above 1.
        self.total_calls += 1
        self.total_duration_ms += duration_ms
        self.last_call_time = datetime.fromtimestamp(_wall())
        self._latest.append(duration_ms)

    def percentile(self, part: float) -> float:
        """Return the shortest duration that so many of the latest calls keep to; 0 if none was.

        ``part`` 0 to 1.
        """
        latest = sorted(self._latest)
        if not latest:
            return 0.0
        return latest[max(0, math.ceil(part * len(latest)) - 1)]

    def to_dict(self) -> Dict[str, Any]:
        """Return it as :meth:`.facade.MCPClientFacade.get_metrics` shows it."""
        last = self.last_call_time
        return {
            "total_calls": self.total_calls,
            "success_calls": self.success_calls,
            "failed_calls": self.failed_calls,
            "success_rate": round(self.success_rate, 3),
            "avg_duration_ms": round(self.avg_duration_ms, 2),
            "last_call_time": last.isoformat() if last is not None else None,
            "p50_duration_ms": round(self.percentile(0.5), 2),
            "p95_duration_ms": round(self.percentile(0.95), 2),
            "p99_duration_ms": round(self.percentile(0.99), 2),
        }
