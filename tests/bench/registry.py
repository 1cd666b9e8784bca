#!/usr/bin/env python3
"""Measure what the shared registry costs: ``python3 tests/bench/registry.py [--check]``.

Run it with the interpreter that is to be measured. Rows are as large as real ones. A heartbeat is
one change under the lock: read, parse, change, write, fsync, replace. The floor beside it is the
system's part of that: the same bytes written, synchronised and renamed, nothing read.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, NamedTuple

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS
sys.path.insert(1, os.path.dirname(_TESTS))

from dcc_mcp_embed.clock import SystemClock  # noqa: E402
from dcc_mcp_embed.registry.file_registry import FileRegistry  # noqa: E402
from dcc_mcp_embed.registry.place import Place  # noqa: E402

_SIZES = (1, 10, 100)
#: Milliseconds for one heartbeat among a hundred rows (DESIGN.md §12).
_BUDGET = 10.0
_FLOOR = "floor: write, fsync, rename"
_ONE = "heartbeat of one row"
#: What a server's row holds, in the number and length of its texts.
_METADATA = {"key_number_{:02}".format(n): "value of some length " + "x" * 20 for n in range(16)}


class Case(NamedTuple):
    """One line of the table: what is called, and among how many rows."""

    name: str
    rows: int
    call: Callable[[], Any]


def registry_with(directory: str, own: int, others: int) -> FileRegistry:
    """Return a registry with rows of its own among those of another."""
    os.mkdir(directory, 0o700)
    clock = SystemClock()
    found = [FileRegistry(Place(directory, "argument"), clock) for _ in range(2)]
    for registry, count in zip(found, (own, others)):
        for port in range(count):
            registry.register("maya", "127.0.0.1", port, version="2025", metadata=_METADATA)
    _keep.append(found[1])
    return found[0]


#: The others' registries: as long as they are there, their rows are alive.
_keep: List[FileRegistry] = []


def floor(directory: str) -> Callable[[], None]:
    """Return a call that replaces the registry's file by a copy, and syncs it, like a change."""
    path = os.path.join(directory, "services.json")
    with open(path, "rb") as file:
        content = file.read()

    def replace() -> None:
        with open(path + ".copy", "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".copy", path)

    return replace


def cases(home: str) -> List[Case]:
    """Return everything that is measured."""
    found = []
    for rows in _SIZES:
        directory = os.path.join(home, "one-of-{}".format(rows))
        registry = registry_with(directory, 1, rows - 1)
        found.append(Case(_FLOOR, rows, floor(directory)))
        found.append(Case(_ONE, rows, registry.beat))
        found.append(Case("look at all", rows, registry.entries))
        found.append(Case("look for the dead", rows, registry.sweep))
    for rows in _SIZES[1:]:
        registry = registry_with(os.path.join(home, "all-{}".format(rows)), rows, 0)
        found.append(Case("heartbeat of all rows", rows, registry.beat))
    return found


class Taken(NamedTuple):
    """Medians of one call, ms: as long as it took, and what it kept the processor busy."""

    wall: float
    cpu: float


def measure(case: Case, seconds: float) -> Taken:
    """Call again and again for so long."""
    walls, cpus = [], []
    end = time.perf_counter() + seconds
    while len(walls) < 5 or time.perf_counter() < end:
        begun, busy = time.perf_counter(), time.thread_time()
        case.call()
        cpus.append(time.thread_time() - busy)
        walls.append(time.perf_counter() - begun)
    return Taken(statistics.median(walls) * 1000, statistics.median(cpus) * 1000)


def print_table(medians: Dict[Case, Taken]) -> float:
    """Print; return the heartbeat of one row among a hundred, ms."""
    floors = {case.rows: taken for case, taken in medians.items() if case.name == _FLOOR}
    print("{:28} {:>5} {:>9} {:>9} {:>9}".format("", "rows", "ms", "of it CPU", "x floor"))
    for case, taken in medians.items():
        ratio = taken.wall / floors[case.rows].wall
        line = "{:28} {:5} {:9.3f} {:9.3f} {:9.2f}"
        print(line.format(case.name, case.rows, taken.wall, taken.cpu, ratio))
    return next(t.wall for case, t in medians.items() if (case.name, case.rows) == (_ONE, 100))


def main() -> int:
    """Measure and print; with ``--check`` the exit status is 1 over the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="the best of so many medians (5)")
    parser.add_argument("--seconds", type=float, default=0.3, help="per number and round (0.3)")
    parser.add_argument("--directory", help="where (a file system of its own kind), else temporary")
    parser.add_argument("--check", action="store_true", help="exit status 1 over the budget")
    options = parser.parse_args()
    print(
        "{}, Python {}, load {:.1f}".format(
            platform.platform(), platform.python_version(), os.getloadavg()[0]
        )
    )
    with tempfile.TemporaryDirectory(dir=options.directory) as home:
        found = cases(home)
        medians: Dict[Case, Taken] = {}
        for _ in range(options.rounds):
            for case in found:
                taken = measure(case, options.seconds)
                medians[case] = min(taken, medians.get(case, taken))
        size = os.path.getsize(os.path.join(home, "one-of-100", "services.json"))
        print("100 rows are {:.0f} KiB".format(size / 1024))
        one = print_table(medians)
        for registry in _keep:
            registry.close()
    good = one <= _BUDGET
    print(
        "{:3}  a heartbeat among 100 rows takes at most {:g} ms ({:.2f})".format(
            "yes" if good else "NO", _BUDGET, one
        )
    )
    return int(options.check and not good)


if __name__ == "__main__":
    raise SystemExit(main())
