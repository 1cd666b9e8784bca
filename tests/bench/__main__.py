#!/usr/bin/env python3
"""Measure ours against its peers, interleaved in one run; README.md says how to read it."""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import Any, Dict, List, Tuple

# Run as a folder, this folder is first on the path; its names are those of the package "bench".
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS

from bench import command, messages, report  # noqa: E402
from bench.processes import (  # noqa: E402
    ClientError,
    ServerProcess,
    ask_client,
    machine,
    placements,
)
from bench.targets import TARGETS, Running, start  # noqa: E402
from bench.venvs import ROOT, preferred_python  # noqa: E402

_CLIENT = os.path.join(_TESTS, "bench", "client.py")


def _arguments() -> argparse.Namespace:
    names = [target.name for target in TARGETS]
    check = "exit status 1 unless ours beats dcc-mcp-core"
    parser = command.parser("python3 tests/bench", str(__doc__), names, check)
    parser.add_argument(
        "--nice",
        type=int,
        metavar="N",
        help="run servers and client at this niceness; below 0 needs the right to",
    )
    return command.parse(parser, full=(5, 2.5), quick=(3, 0.8))


def measure(running: Running, server_cpu: int, client_cpu: int, seconds: float) -> Dict[str, Any]:
    """Return what one client process measured of one target."""
    running.process.pin({server_cpu})
    order = {
        "kind": running.target.kind,
        "port": running.process.ready["port"],
        "pid": running.process.pid,
        "cpu": client_cpu,
        "seconds": seconds,
        "small": [base64.b64encode(one).decode("ascii") for one in running.small],
        "large": base64.b64encode(running.large).decode("ascii"),
        "text": messages.TEXT,
        "large_text": messages.LARGE_TEXT,
    }
    try:
        return ask_client([sys.executable, "-I", _CLIENT], order, 60.0 + 10 * seconds)
    except ClientError as error:
        return {"calls": 0, "errors": 1, "error": str(error)}


def bare_memory(python: str) -> float:
    """Return the resident memory of an interpreter that has done nothing, MB."""
    code = "print('{}', flush=True); import time; time.sleep(60)"
    bare = ServerProcess([python, "-I", "-c", code])
    try:
        return bare.resident()
    finally:
        bare.stop()


def write_byte_code(python: str) -> None:
    """Compile as an installation does; what the server compiles itself stays in its memory."""
    folders = ("dcc_mcp_embed", "adapters", "vendor")
    subprocess.check_call([python, "-m", "compileall", "-q", *folders], cwd=ROOT)


def run(options: argparse.Namespace, stack: ExitStack) -> int:
    """Measure and print. Return the exit status."""
    base = preferred_python()
    ours = options.python or base
    where = placements(os.sched_getaffinity(0), options.placement)
    home = stack.enter_context(tempfile.TemporaryDirectory())
    write_byte_code(ours)
    started: List[Running] = []
    for target in TARGETS:
        if not options.only or target.name in options.only:
            started.append(start(target, ours, base, home))
            stack.callback(started[-1].process.stop)

    print(machine(ours))
    results: List[Dict[str, Any]] = []
    for number in range(options.rounds):
        for placement, (server_cpu, client_cpu) in where.items():
            for running in started:
                unit = measure(running, server_cpu, client_cpu, options.seconds)
                unit.update(target=running.target.name, placement=placement, round=number)
                results.append(unit)
            print("round {}/{} {}".format(number + 1, options.rounds, placement), file=sys.stderr)

    memory = {one.target.name: (one.idle, one.process.resident()) for one in started}
    idle = [one.idle for one in started if one.target.name == "ours-loop"]
    rise = idle[0] - bare_memory(ours) if idle else None
    summary = report.medians(results)
    verdicts = report.verdicts(summary, rise)
    if options.json:
        found = {"units": results, "medians": summary, "memory": memory}
        command.write(options.json, found, verdicts)
    return _print(results, memory, summary, verdicts, options.check)


def _print(
    results: List[Dict[str, Any]],
    memory: Dict[str, Tuple[float, float]],
    summary: Dict[str, Dict[str, Dict[str, float]]],
    verdicts: List[report.Verdict],
    check: bool,
) -> int:
    """Print the report; return the exit status."""
    print()
    print(report.table(summary, memory))
    print("\nratios (above 1: ours takes longer, or does more calls)")
    print("\n".join(report.ratios(summary)))
    lines, status = report.closing(results, verdicts, check)
    print("\n".join(lines))
    return status


def main() -> int:
    """Run with what the command line says."""
    options = _arguments()
    if options.nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, options.nice)
    return command.run_guarded(run, options)


if __name__ == "__main__":
    raise SystemExit(main())
