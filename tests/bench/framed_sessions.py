"""What it costs to keep the books: many sessions of one manager, many calls recorded in each.

Reads a JSON order on stdin, prints a JSON result. Run by framed.py. Linux only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import uuid
from typing import Any, Dict, List

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:1] = [_TESTS, os.path.dirname(_TESTS)]

from bench.client import quantile  # noqa: E402
from bench.processes import resident  # noqa: E402
from dcc_mcp_embed import TransportManager  # noqa: E402

#: Milliseconds that are recorded, in turn: from a tenth to several seconds. Once round, everything
#: a session ever keeps is there, so from then on memory has to stay as it is.
_LATENCIES = [0.1 * 1.17**step for step in range(70)]


def _instances(folder: str, count: int) -> List[str]:
    """Write a registry of so many rows that are alive; return their ids.

    Registering each would take a lock file of each for life. They are copies of one that was.
    """
    path = os.path.join(folder, "services.json")
    with TransportManager(folder, heartbeat=False, deregister_on_shutdown=False) as manager:
        manager.register_service("maya", "127.0.0.1", 1)
    with open(path, encoding="utf-8") as file:
        (row,) = json.load(file)
    rows = [{**row, "instance_id": str(uuid.uuid4())} for _ in range(count)]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(rows, file)
    return [row["instance_id"] for row in rows]


def measure(sessions: int, calls: int) -> Dict[str, Any]:
    """Return microseconds per call, and MB of memory when it had settled and in the end."""
    times: List[float] = []
    settled = 0.0
    with tempfile.TemporaryDirectory() as folder:
        instances = _instances(folder, sessions)
        with TransportManager(folder, heartbeat=False) as manager:
            opened = [manager.get_or_create_session("maya", one) for one in instances]
            record = manager.record_success
            for number in range(calls):
                latency = _LATENCIES[number % len(_LATENCIES)]
                before = time.perf_counter()
                for session in opened:
                    record(session, latency)
                times.append((time.perf_counter() - before) / sessions)
                if number == len(_LATENCIES):
                    settled = resident(os.getpid())
            last = resident(os.getpid())
            counts = {one["request_count"] for one in manager.list_sessions()}
    if counts != {calls}:
        raise AssertionError("{} calls were recorded, counted are {}".format(calls, counts))
    found = {"sessions": sessions, "calls": calls, "us": quantile(times, 0.5) * 1e6}
    return {**found, "settled_mb": settled, "last_mb": last}


def main() -> None:
    """Read, measure, print."""
    order = json.load(sys.stdin)
    os.sched_setaffinity(0, {order["cpu"]})
    print(json.dumps(measure(order["sessions"], order["calls"])))


if __name__ == "__main__":
    main()
