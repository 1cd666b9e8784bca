#!/usr/bin/env python3
"""Measure our MCP client next to the official Python SDK's, on the same server, by turns."""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS

from bench import client, command, messages, report  # noqa: E402
from bench.processes import ServerProcess, StartError, machine, placements  # noqa: E402
from bench.report import Verdict  # noqa: E402
from bench.venvs import ROOT, peer_python, preferred_python  # noqa: E402

_HERE = os.path.join(_TESTS, "bench")
#: It takes no thread but the loop's, so that the client is what is measured.
_TOOL = "echo_loop"
_SDKS = {"sdk-2.x": ("mcp-2.x", ("mcp==2.3.0",)), "sdk-1.x": ("mcp-1.x", ("mcp==1.30.0",))}
#: Turns in which a client's time of a round is cut, so that all share the same weather.
_SLICES = 3
#: Seconds for a program to begin, or for what it has been told besides the measuring.
_PATIENCE = 60.0


class Way(NamedTuple):
    """A way to call: of which program, and what it is ordered to do alone and eight at once."""

    name: str
    program: str
    one: Optional[str]
    eight: str


WAYS = (
    Way("ours-sync", "ours", "sync one", "sync eight"),
    Way("ours-async", "ours", "async one", "async eight"),
    Way("ours-batch", "ours", None, "batch eight"),
    Way("sdk-2.x", "sdk-2.x", "one", "eight"),
    Way("sdk-1.x", "sdk-1.x", "one", "eight"),
)


class Client:
    """A program that measures itself, and waits for orders meanwhile."""

    def __init__(self, line: Sequence[str], environ: Dict[str, str]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self.process = subprocess.Popen(
            list(line),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environ,
            cwd="/",
        )
        try:
            self._answer(_PATIENCE)
        except BaseException:
            self.stop()
            raise

    def ask(self, way: str, seconds: float) -> Dict[str, Any]:
        """Order something and return what it has measured. Raises StartError."""
        assert self.process.stdin is not None
        order = json.dumps({"way": way, "seconds": seconds})
        self.process.stdin.write(order.encode("ascii") + b"\n")
        self.process.stdin.flush()
        return self._answer(_PATIENCE + 10 * seconds)

    def _answer(self, limit: float) -> Dict[str, Any]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], limit)[0]:
            raise StartError("a client hung for {:.0f} s".format(limit))
        line = self.process.stdout.readline()
        if not line.startswith(b"{"):
            self._stderr.seek(0)
            said = self._stderr.read().decode("utf-8", "replace")[-1500:]
            raise StartError("a client ended; its stderr ends with:\n" + said)
        answer: Dict[str, Any] = json.loads(line.decode("ascii"))
        return answer

    def pin(self, cpu: int) -> None:
        """Let every thread of it run on one CPU only."""
        for thread in os.listdir("/proc/{}/task".format(self.process.pid)):
            os.sched_setaffinity(int(thread), {cpu})

    def stop(self) -> None:
        """Let it end, by force if it does not go."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._stderr.close()


def start(
    stack: ExitStack, home: str, python: str, base: str, names: Sequence[str]
) -> Tuple[ServerProcess, Dict[str, Client]]:
    """Start the server and the programs of these names."""
    registry = os.path.join(home, "registry")
    environ = {**os.environ, "DCC_MCP_EMBED_HOME": home, "DCC_MCP_REGISTRY_DIR": registry}
    tools = os.path.join(_HERE, "tools.py")
    line = [python, "-m", "dcc_mcp_embed", "serve", "--port", "0", "--tools", tools]
    server = ServerProcess(line, environ, ROOT)
    stack.callback(server.stop)
    last = [server.ready["url"], _TOOL, messages.TEXT]
    found = {}
    for name in names:
        if name == "ours":
            line = [python, os.path.join(_HERE, "peers", "client_ours.py"), ROOT, *last]
        else:
            own = peer_python(*_SDKS[name], base)
            line = [own, os.path.join(_HERE, "peers", "client_sdk.py"), *last]
        found[name] = Client(line, environ)
        stack.callback(found[name].stop)
    return server, found


def measure(
    ways: Sequence[Way], clients: Dict[str, Client], seconds: float
) -> List[Dict[str, Any]]:
    """Return a unit for each way, measured by turns: times in µs, calls per second."""
    part = seconds / 2 / _SLICES
    alone: Dict[str, List[Dict[str, Any]]] = {way.name: [] for way in ways}
    at_once: Dict[str, List[Dict[str, Any]]] = {way.name: [] for way in ways}
    for turn in range(_SLICES):
        for way in ways:
            program = clients[way.program]
            if turn == 0:
                program.ask(way.eight, 0.05)
            if way.one is not None:
                alone[way.name].append(program.ask(way.one, part))
            at_once[way.name].append(program.ask(way.eight, part))
    return [_unit(way.name, alone[way.name], at_once[way.name]) for way in ways]


def _unit(
    name: str, alone: Sequence[Dict[str, Any]], at_once: Sequence[Dict[str, Any]]
) -> Dict[str, Any]:
    many = [time for one in at_once for time in one["times"]]
    unit: Dict[str, Any] = {
        "target": name,
        "errors": 0,
        "rate": len(many) / sum(one["seconds"] for one in at_once),
        "cpu_many": sum(one["cpu"] for one in at_once) / len(many) * 1e6,
        "calls": len(many),
    }
    times = [time for one in alone for time in one["times"]]
    if times:
        unit["p50"] = client.quantile(times, 0.5) * 1e6
        unit["p99"] = client.quantile(times, 0.99) * 1e6
        unit["cpu"] = sum(one["cpu"] for one in alone) / len(times) * 1e6
        unit["calls"] += len(times)
    return unit


# -- the report ---------------------------------------------------------------------------------


def _compared(units: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Give each unit how many times as quick it is as the SDK's 2.x in the same round."""
    peer = next((unit for unit in units if unit["target"] == "sdk-2.x"), None)
    found = []
    for unit in units:
        more = {}
        if peer is not None:
            more["times_rate"] = unit["rate"] / peer["rate"]
            if "p50" in unit:
                more["times_p50"] = peer["p50"] / unit["p50"]
        found.append(dict(unit, **more))
    return found


_COLUMNS = (
    ("p50", "p50 µs"),
    ("p99", "p99 µs"),
    ("cpu", "CPU/call µs"),
    ("rate", "8 at once /s"),
    ("cpu_many", "8x CPU/call"),
    ("times_p50", "p50 vs sdk-2.x"),
    ("times_rate", "/s vs sdk-2.x"),
)


def table(summary: report.Summary) -> str:
    """Return each way's figures, and how many times as quick as the SDK's 2.x it is."""
    rows = [["client", "CPUs", *(title for _, title in _COLUMNS)]]
    for name, by_placement in summary.items():
        for placement, values in by_placement.items():
            cells = []
            for key, _ in _COLUMNS:
                value = values.get(key)
                quick = key.startswith("times") and value is not None
                cells.append("{:.2f} x".format(value) if quick else report.number(value))
            rows.append([name, placement, *cells])
    return report.aligned(rows)


def judged(summary: report.Summary) -> List[Verdict]:
    """Return whether ours is quicker than the SDK's, both of them."""
    found = []
    for placement in ("same", "split"):
        for key, text, best in (
            ("p50", "{}: a call takes ours less than {} ({:.0f} < {:.0f} µs)", min),
            ("rate", "{}: ours makes more calls at once than {} ({:.0f} > {:.0f} /s)", max),
        ):
            ours = summary.get("ours-sync", {}).get(placement, {}).get(key)
            peers = {
                name: summary[name][placement][key]
                for name in _SDKS
                if key in summary.get(name, {}).get(placement, {})
            }
            if ours is None or not peers:
                continue
            name = best(peers, key=lambda one: peers[one])
            good = ours < peers[name] if best is min else ours > peers[name]
            found.append(Verdict(text.format(placement, name, ours, peers[name]), good, True))
    return found


def run(options: argparse.Namespace, stack: ExitStack) -> int:
    """Measure and print. Return the exit status."""
    base = preferred_python()
    python = options.python or base
    home = stack.enter_context(tempfile.TemporaryDirectory())
    where = placements(os.sched_getaffinity(0), options.placement)
    print(machine(python))
    ways = [way for way in WAYS if not options.only or way.name in options.only]
    names = list(dict.fromkeys(way.program for way in ways))
    server, clients = start(stack, home, python, base, names)
    results: List[Dict[str, Any]] = []
    for turn in range(options.rounds):
        for placement, cpus in where.items():
            server.pin({cpus[0]})
            for one in clients.values():
                one.pin(cpus[1])
            turned = [*ways[turn % len(ways) :], *ways[: turn % len(ways)]]
            units = _compared(measure(turned, clients, options.seconds))
            results += [dict(unit, placement=placement, round=turn) for unit in units]
            print("round {}/{} {}".format(turn + 1, options.rounds, placement), file=sys.stderr)
    order = [way.name for way in ways]
    results.sort(key=lambda unit: (order.index(unit["target"]), unit["round"]))
    summary = report.medians(results, [key for key, _ in _COLUMNS])
    print()
    print(table(summary))
    verdicts = judged(summary)
    if options.json:
        command.write(options.json, {"units": results}, verdicts)
    lines, status = report.closing(results, verdicts, options.check)
    print("\n".join(lines))
    return status


def main() -> int:
    """Run with what the command line says."""
    check = "exit status 1 unless ours is quicker than the SDK's"
    names = [way.name for way in WAYS]
    parser = command.parser("python3 tests/bench/mcp_client.py", str(__doc__), names, check)
    return command.run_guarded(run, command.parse(parser, full=(7, 1.5), quick=(2, 0.6)))


if __name__ == "__main__":
    raise SystemExit(main())
