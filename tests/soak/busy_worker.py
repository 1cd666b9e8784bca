"""A worker tool computes for a minute: does the registry row of its host stay fresh?

    python3 tests/soak/busy_worker.py [seconds, default 60]

A server as a user runs it, with a tool that computes in pure Python on the worker thread. Every
half second the row is looked at from outside. Printed is the greatest age that its heartbeat ever
had; exit status 1 if that was more than two intervals (stale is six), if the row was gone or not
``ready`` once, or if the tool failed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from typing import Any, Dict

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = os.path.dirname(_TESTS)
sys.path.insert(1, _TESTS)

from fakes.served import Served  # noqa: E402

SECONDS = 60.0
#: Seconds until the row is entered at the latest.
DEADLINE = 20.0
#: Seconds between two heartbeats, by default.
INTERVAL = 5.0
TOOL = '''
import time
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker", read_only=True, timeout=600)
def compute(seconds: float) -> str:
    """Compute in pure Python."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for number in range(1000):
            count += number * number
    return "computed"
'''


def row(home: str) -> Dict[str, Any]:
    """Return the only row of the registry."""
    with open(os.path.join(home, "registry", "services.json"), encoding="utf-8") as file:
        (found,) = json.load(file)
    return dict(found)


def wait_for_row(home: str) -> None:
    """Wait until the row is there: a thread enters it when the server serves already."""
    end = time.monotonic() + DEADLINE
    while not os.path.exists(os.path.join(home, "registry", "services.json")):
        assert time.monotonic() < end, "no row was entered"
        time.sleep(0.05)


def run(seconds: float) -> int:
    """Call the tool, look at the row, print, and return the exit status."""
    with tempfile.TemporaryDirectory() as home:
        with open(os.path.join(home, "slow_tools.py"), "w", encoding="utf-8") as file:
            file.write(TOOL)
        with Served(home, "--tools", "slow_tools.py") as served, served.connect() as wire:
            wire.sock.settimeout(seconds + 30)
            answers = []
            caller = threading.Thread(
                target=lambda: answers.append(wire.tool("compute", {"seconds": seconds}))
            )
            wait_for_row(home)
            caller.start()
            oldest, looks, unready = 0.0, 0, 0
            while caller.is_alive():
                found = row(home)
                beat = found["last_heartbeat"]
                at = beat["secs_since_epoch"] + beat["nanos_since_epoch"] / 1e9
                oldest = max(oldest, time.time() - at)
                unready += found["metadata"].get("dispatch_status") != "ready"
                looks += 1
                caller.join(0.5)
            good = bool(answers) and not answers[0]["isError"]
    print(
        "{} looks in {:g} s: heartbeat at most {:.1f} s old, not ready {} times, tool {}".format(
            looks, seconds, oldest, unready, "answered" if good else "failed"
        )
    )
    return 0 if good and oldest <= 2 * INTERVAL and not unready else 1


if __name__ == "__main__":
    raise SystemExit(run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
