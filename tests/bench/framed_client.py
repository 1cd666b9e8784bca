"""The measuring process of framed.py: one Python, one CPU, every target in short slices by turns.

Reads a JSON order on stdin, prints its version and a result per target as JSON. Linux only.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Ours is the one of this checkout; what else is imported comes with the interpreter.
sys.path[:1] = [_TESTS, os.path.dirname(_TESTS)]

from bench import client  # noqa: E402
from bench.framed_links import BURST, LARGE, SMALL, Link, open_link  # noqa: E402

#: Parts of a target's time, by what is done in them.
_ECHO, _BURST, _LARGE = 0.45, 0.25, 0.3


class Times(NamedTuple):
    """Seconds of each call so far, and the CPU seconds the echoes took on either side."""

    echo: List[float]
    burst: List[float]
    large: List[float]
    client_cpu: List[float]
    server_cpu: List[float]


def _verifier(wanted: client.Answer) -> Callable[[client.Answer], None]:
    """Return a function that takes nothing but ``wanted``."""

    def verify(answer: client.Answer) -> None:
        if answer != wanted:
            raise client.BadAnswer("not what was sent: {!r}".format(answer)[:300])

    return verify


def _slice(link: Link, large: bytes, seconds: float, times: Times, pid: int) -> None:
    """Measure one target for a moment. Raises client.BadAnswer and what its client raises."""
    echo = functools.partial(link.echo, SMALL)
    server, own = client.cpu_seconds(pid), time.process_time()
    times.echo.extend(client.sequential(echo, _verifier(SMALL), _ECHO * seconds))
    times.client_cpu.append(time.process_time() - own)
    times.server_cpu.append(client.cpu_seconds(pid) - server)

    burst = functools.partial(link.burst, SMALL, BURST)
    times.burst.extend(client.sequential(burst, _verifier([SMALL] * BURST), _BURST * seconds))
    if large:
        echo = functools.partial(link.echo, large)
        times.large.extend(client.sequential(echo, _verifier(large), _LARGE * seconds))


def _result(times: Times) -> Dict[str, Any]:
    """Return microseconds per call, and calls per second in a burst."""
    calls = len(times.echo)
    found = {
        "p50": client.quantile(times.echo, 0.5) * 1e6,
        "p99": client.quantile(times.echo, 0.99) * 1e6,
        "rate": BURST / client.quantile(times.burst, 0.5),
        "client_cpu": sum(times.client_cpu) / calls * 1e6,
        "server_cpu": sum(times.server_cpu) / calls * 1e6,
    }
    if times.large:
        found["large_p50"] = client.quantile(times.large, 0.5) * 1e6
    return {**found, "calls": calls + BURST * len(times.burst) + len(times.large)}


def measure(order: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Do one order. What goes wrong with a target ends that target, and is its result."""
    large = os.urandom(LARGE)
    part = order["seconds"] / order["slices"]
    found: Dict[str, Dict[str, Any]] = {}
    links: Dict[str, Link] = {}
    times: Dict[str, Times] = {}
    # The first turn is the warm-up: short, and forgotten.
    for seconds in [0.2 * part] + [part] * order["slices"]:
        for target in order["targets"]:
            name = target["name"]
            if name in found:
                continue
            try:
                if name not in links:
                    links[name] = open_link(target["kind"], target["ready"])
                    into = Times([], [], [], [], [])
                else:
                    into = times.setdefault(name, Times([], [], [], [], []))
                payload = large if target["large"] else b""
                _slice(links[name], payload, seconds, into, target["pid"])
            except Exception as error:
                # Of any kind: it makes the run INVALID, and the report says why.
                found[name] = {"calls": 0, "errors": 1, "error": repr(error)}
    for link in links.values():
        link.close()
    for name in times:
        found.setdefault(name, {"errors": 0, **_result(times[name])})
    return [{"target": target["name"], **found[target["name"]]} for target in order["targets"]]


def main() -> None:
    """Read, measure, print."""
    order = json.load(sys.stdin)
    os.sched_setaffinity(0, {order["cpu"]})
    print(json.dumps({"python": sys.version_info[:3], "results": measure(order)}))


if __name__ == "__main__":
    main()
