#!/usr/bin/env python3
"""Measure the framed wire against its floor and its peers; README.md says how to read it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from typing import Any, Dict, List, Tuple

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS

from bench import command, framed_report, report  # noqa: E402
from bench.framed_targets import TARGETS, Running, environment, python_with, start  # noqa: E402
from bench.processes import ask_client, machine, placements  # noqa: E402
from bench.venvs import preferred_python  # noqa: E402

_CLIENT = os.path.join(_TESTS, "bench", "framed_client.py")
_SESSIONS = os.path.join(_TESTS, "bench", "framed_sessions.py")
#: Turns in which the targets' time of a round is cut, so that they share the same weather.
_SLICES = 4


def _arguments() -> argparse.Namespace:
    names = [target.name for target in TARGETS]
    check = "exit status 1 when over budget or behind a peer"
    parser = command.parser("python3 tests/bench/framed.py", str(__doc__), names, check)
    parser.add_argument(
        "--records", type=int, metavar="N", help="calls to record in each of 1000 sessions"
    )
    options = command.parse(parser, full=(7, 1.2), quick=(3, 0.35))
    options.records = options.records or (200 if options.quick else 1000)
    return options


def _round(
    python: str,
    home: str,
    started: List[Running],
    cpus: Tuple[int, int],
    seconds: float,
    turn: int,
) -> Dict[str, Any]:
    """Return what one client process measured; the targets come in another order each turn."""
    for running in started:
        running.process.pin({cpus[0]})
    turned = started[turn % len(started) :] + started[: turn % len(started)]
    order = {
        "targets": [running.order() for running in turned],
        "cpu": cpus[1],
        "seconds": seconds,
        "slices": _SLICES,
    }
    timeout = 60.0 + 5 * seconds * len(started)
    return ask_client([python, _CLIENT], order, timeout, environment(home))


def run(options: argparse.Namespace, stack: ExitStack) -> int:
    """Measure and print. Return the exit status."""
    targets = [one for one in TARGETS if not options.only or one.name in options.only]
    base = options.python or preferred_python()
    python = python_with(base, targets)
    where = placements(os.sched_getaffinity(0), options.placement)
    home = stack.enter_context(tempfile.TemporaryDirectory())
    started: List[Running] = []
    for target in targets:
        started.append(start(target, python, home))
        stack.callback(started[-1].process.stop)

    print(machine(base))
    results: List[Dict[str, Any]] = []
    version: Tuple[int, ...] = ()
    for turn in range(options.rounds):
        for placement, cpus in where.items():
            done = _round(python, home, started, cpus, options.seconds, turn)
            version = tuple(done["python"])
            results += [{**one, "placement": placement, "round": turn} for one in done["results"]]
            print("round {}/{} {}".format(turn + 1, options.rounds, placement), file=sys.stderr)

    sessions = None
    if not options.only:
        order = {"cpu": max(os.sched_getaffinity(0)), "sessions": 1000, "calls": options.records}
        sessions = ask_client([python, _SESSIONS], order, 60.0 + 0.1 * options.records)

    floors = {target.name: target.floor for target in targets}
    results.sort(key=lambda unit: (list(floors).index(unit["target"]), unit["round"]))
    summary = report.medians(results, framed_report.METRICS)
    judged = [target.name for target in targets if target.judged]
    verdicts = framed_report.verdicts(results, summary, floors, judged, version)
    if sessions is not None:
        verdicts.append(framed_report.memory(sessions))
    if options.json:
        found = {"units": results, "medians": summary, "sessions": sessions}
        command.write(options.json, found, verdicts)
    print()
    print(framed_report.table(results, summary, floors))
    if sessions is not None:
        print(framed_report.books(sessions))
    lines, status = report.closing(results, verdicts, options.check)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    raise SystemExit(command.run_guarded(run, _arguments()))
