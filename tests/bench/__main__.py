#!/usr/bin/env python3
"""Measure ours against its peers, interleaved in one run; README.md says how to read it."""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import Any, Dict, List, Optional, Set, Tuple

# Run as a folder, this folder is first on the path; its names are those of the package "bench".
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS

from bench import messages, report  # noqa: E402
from bench.client import BadAnswer  # noqa: E402
from bench.processes import ServerProcess, StartError  # noqa: E402
from bench.targets import TARGETS, Running, start  # noqa: E402
from bench.venvs import SetupError, preferred_python  # noqa: E402

_CLIENT = os.path.join(_TESTS, "bench", "client.py")


def _arguments() -> argparse.Namespace:
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python3 tests/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="medians are over them (5)")
    parser.add_argument("--seconds", type=float, help="per target, placement and round (2.5)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=", ".join(names))
    parser.add_argument("--placement", choices=("same", "split"), help="only this one")
    parser.add_argument("--python", metavar="PATH", help="the interpreter of our server")
    parser.add_argument("--quick", action="store_true", help="a minute in all, noisier")
    parser.add_argument(
        "--nice",
        type=int,
        metavar="N",
        help="run servers and client at this niceness; below 0 needs the right to",
    )
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    parser.add_argument(
        "--check", action="store_true", help="exit status 1 unless ours beats dcc-mcp-core"
    )
    options = parser.parse_args()
    rounds, seconds = (3, 0.8) if options.quick else (5, 2.5)
    options.rounds = options.rounds or rounds
    options.seconds = options.seconds or seconds
    return options


def placements(cpus: Set[int], only: Optional[str]) -> Dict[str, Tuple[int, int]]:
    """Return placement -> (CPU of the server, CPU of the client)."""
    first, last = min(cpus), max(cpus)
    found = {"same": (last, last)}
    if first != last:
        found["split"] = (first, last)
    return {name: pair for name, pair in found.items() if only in (None, name)}


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
    done = subprocess.run(
        [sys.executable, "-I", _CLIENT],
        input=json.dumps(order).encode("ascii"),
        stdout=subprocess.PIPE,
        timeout=60.0 + 10 * seconds,
    )
    if done.returncode:
        return {"calls": 0, "errors": 1, "error": "the measuring process failed; see above"}
    result: Dict[str, Any] = json.loads(done.stdout.decode("utf-8"))
    return result


def bare_memory(python: str) -> float:
    """Return the resident memory of an interpreter that has done nothing, MB."""
    code = "print('{}', flush=True); import time; time.sleep(60)"
    bare = ServerProcess([python, "-I", "-c", code])
    try:
        return bare.resident()
    finally:
        bare.stop()


def run(options: argparse.Namespace, stack: ExitStack) -> int:
    """Measure and print. Return the exit status."""
    base = preferred_python()
    ours = options.python or base
    where = placements(os.sched_getaffinity(0), options.placement)
    home = stack.enter_context(tempfile.TemporaryDirectory())
    started: List[Running] = []
    for target in TARGETS:
        if not options.only or target.name in options.only:
            started.append(start(target, ours, base, home))
            stack.callback(started[-1].process.stop)

    print(
        "{}, {} CPUs, load {:.1f}; ours on {}".format(
            platform.platform(), os.cpu_count(), os.getloadavg()[0], _version(ours)
        )
    )
    if os.getloadavg()[0] > 0.5:
        print("something else is running here: compare within this run only")
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
        _write(options.json, results, memory, summary, verdicts)
    return _print(results, memory, summary, verdicts, options.check)


def _version(python: str) -> str:
    code = "import platform; print('Python', platform.python_version())"
    return subprocess.check_output([python, "-c", code]).decode("ascii").strip()


def _write(path: str, results: Any, memory: Any, summary: Any, verdicts: Any) -> None:
    found = {
        "platform": platform.platform(),
        "units": results,
        "medians": summary,
        "memory": memory,
        "verdicts": [one._asdict() for one in verdicts],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
        file.write("\n")


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
    print("\nverdicts")
    for verdict in verdicts:
        print("{:3}  {}".format("yes" if verdict.good else "NO", verdict.text))
    errors = [unit for unit in results if unit["errors"]]
    for unit in errors:
        print("ERROR {target} {placement} round {round}: {error}".format(**unit))
    if errors:
        print("\nINVALID: there were errors, so the numbers above prove nothing")
        return 1
    gates = [verdict for verdict in verdicts if verdict.gating]
    if check and not gates:
        print("\n--check has nothing to look at: it needs ours-loop and dcc-mcp-core")
        return 1
    return int(check and not all(verdict.good for verdict in gates))


def main() -> int:
    """Run with what the command line says."""
    options = _arguments()
    status = 1
    if options.nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, options.nice)
    try:
        with ExitStack() as stack:
            status = run(options, stack)
    except (BadAnswer, SetupError, StartError) as error:
        print("INVALID: {}".format(error), file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
