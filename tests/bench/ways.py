#!/usr/bin/env python3
"""Measure one call by each way to a host: straight, through the bridge, through the gateway."""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS

from bench import client, command, messages, report  # noqa: E402
from bench.processes import ServerProcess, StartError, machine, placements  # noqa: E402
from bench.report import Verdict  # noqa: E402
from bench.venvs import ROOT, peer_python, preferred_python  # noqa: E402

_GATEWAY = ("gateway", ("dcc-mcp-server==0.20.49",))
_TOOLS = os.path.join(_TESTS, "bench", "tools.py")
#: The tool that is called: it takes no thread but the loop's, so the way is what is measured.
_TOOL = "echo_loop"
#: Bytes of a list of tools, by default (issue: 24 KiB).
_LIST_BUDGET = 24 * 1024
#: Seconds until the gateway has found a host: it looks every two, at its readiness every five.
_FOUND = 60.0
#: Turns in which a way's time of a round is cut, so that all share the same weather.
_SLICES = 3

Ask = Callable[[], bytes]


class Way(NamedTuple):
    """``ask`` makes one call and returns its answer; ``pids``: whose work it is, besides ours."""

    name: str
    ask: Ask
    pids: Tuple[int, ...]


class Program:
    """A process that is no server of ours: the bridge, or the gateway."""

    def __init__(self, line: Sequence[str], environ: Dict[str, str], piped: bool = False) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        pipe = subprocess.PIPE if piped else subprocess.DEVNULL
        self.process = subprocess.Popen(
            list(line), stdin=pipe, stdout=pipe, stderr=self._stderr, env=environ, cwd=ROOT
        )

    def said(self) -> str:
        """Return the end of what it has written to stderr."""
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "replace")[-1500:]

    def stop(self) -> None:
        """End it, by force if it does not go."""
        self.process.terminate()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._stderr):
            if stream is not None:
                stream.close()


def environment(home: str) -> Dict[str, str]:
    """Return that of every process here: they share a registry and nothing with this user."""
    more = {"HOME": home, "RUST_LOG": "warn", "PYTHONPATH": ROOT, "DCC_MCP_EMBED_HOME": home}
    return {**os.environ, **more, "DCC_MCP_REGISTRY_DIR": os.path.join(home, "registry")}


def serve(python: str, home: str, *more: str) -> ServerProcess:
    """Start a server with the tool."""
    line = [python, "-m", "dcc_mcp_embed", "serve", "--port", "0", "--tools", _TOOLS, *more]
    return ServerProcess(line, environment(home), ROOT)


# -- the ways -----------------------------------------------------------------------------------


def _over_http(stack: ExitStack, port: int, request: bytes) -> Ask:
    sock = stack.enter_context(client.connect(port))

    def ask() -> bytes:
        sock.sendall(request)
        return client.receive(sock)

    return ask


def _over_pipes(program: Program, message: Dict[str, Any]) -> Ask:
    writing, reading = program.process.stdin, program.process.stdout
    assert writing is not None
    assert reading is not None
    line = json.dumps(message).encode("ascii") + b"\n"

    def ask() -> bytes:
        writing.write(line)
        writing.flush()
        return reading.readline()

    return ask


def _call() -> Dict[str, Any]:
    return {"name": _TOOL, "arguments": {"text": messages.TEXT}}


def _gateway(stack: ExitStack, home: str, base: str) -> Tuple[Program, int]:
    python = peer_python(*_GATEWAY, base)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    line = [os.path.join(os.path.dirname(python), "dcc-mcp-server")]
    line += "gateway --host 127.0.0.1 --remote-port 0 --no-admin --gateway-persist".split()
    line += ["--port", str(port), "--registry-dir", os.path.join(home, "registry")]
    program = Program(line, environment(home))
    stack.callback(program.stop)
    return program, port


def _until(asked: Callable[[], bool], what: str, program: Program) -> None:
    """Wait until it is so. Raises StartError."""
    end = time.monotonic() + _FOUND
    while True:
        try:
            if asked():
                return
        except (OSError, ValueError, KeyError, client.BadAnswer):
            pass  # not yet
        if time.monotonic() > end or program.process.poll() is not None:
            raise StartError("not in time: {}; stderr ends with:\n{}".format(what, program.said()))
        time.sleep(0.2)


def _good(answer: bytes) -> bool:
    return messages.TEXT.encode("ascii") in answer and b'"isError":true' not in answer


def ways(stack: ExitStack, server: ServerProcess, home: str, python: str, base: str) -> List[Way]:
    """Start what stands between a client and the server, and return the ways through it."""
    facts = server.ready
    port, token = facts["port"], facts["token"]
    found = []

    modern = messages.modern(port, token, "tools/call", _call())
    found.append(Way("http", _over_http(stack, port, modern), (server.pid,)))

    line = [python, "-m", "dcc_mcp_embed", "bridge"]
    bridge = Program(line, environment(home), piped=True)
    stack.callback(bridge.stop)
    ask = _over_pipes(bridge, messages.stateless("tools/call", _call()))
    _until(lambda: _good(ask()), "the bridge has found the host", bridge)
    found.append(Way("bridge", ask, (server.pid, bridge.process.pid)))

    gateway, gate = _gateway(stack, home, base)
    pids = (server.pid, gateway.process.pid)
    slug = "standalone.{}.{}".format(facts["instance_id"].replace("-", "")[:8], _TOOL)
    rest = {"tool_slug": slug, "arguments": {"text": messages.TEXT}}
    wrapped = {"name": "call", "arguments": rest}
    proxied = "/mcp/" + facts["instance_id"]
    for name, path, message in (
        ("gateway-proxy", proxied, _rpc("tools/call", _call())),
        ("gateway-rest", "/v1/call", rest),
        ("gateway-call", "/mcp", _rpc("tools/call", wrapped)),
    ):
        request = messages.post(gate, None, message, path=path)

        def once(request: bytes = request) -> bool:
            with ExitStack() as brief:
                return _good(_over_http(brief, gate, request)())

        _until(once, "the gateway has found the host by " + path, gateway)
        found.append(Way(name, _over_http(stack, gate, request), pids))
    return found


def _rpc(method: str, params: Dict[str, Any]) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


# -- measuring ----------------------------------------------------------------------------------


def _verify(answer: bytes) -> None:
    if not _good(answer):
        raise client.BadAnswer("not the result: {!r}".format(answer[:300]))


def measure(found: Sequence[Way], cpus: Tuple[int, int], seconds: float) -> List[Dict[str, Any]]:
    """Return a unit for each way, measured by turns: calls, p50 and p99 in µs.

    ``cpus``: of the processes that serve, and of this one, which asks.
    """
    os.sched_setaffinity(0, {cpus[1]})
    for pid in {pid for way in found for pid in way.pids}:
        for thread in os.listdir("/proc/{}/task".format(pid)):
            os.sched_setaffinity(int(thread), {cpus[0]})
    times: Dict[str, List[float]] = {way.name: [] for way in found}
    gc.disable()
    try:
        for _ in range(_SLICES):
            for way in found:
                client.sequential(way.ask, _verify, 0.02)
                times[way.name] += client.sequential(way.ask, _verify, seconds / _SLICES)
    finally:
        gc.enable()
    return [
        {
            "target": name,
            "calls": len(values),
            "errors": 0,
            "p50": client.quantile(values, 0.5) * 1e6,
            "p99": client.quantile(values, 0.99) * 1e6,
        }
        for name, values in times.items()
    ]


def listing(port: int, token: Optional[str]) -> Tuple[int, int]:
    """Return (tools, bytes) of the answer to ``tools/list``."""
    with ExitStack() as brief:
        answer = _over_http(brief, port, messages.modern(port, token, "tools/list", {}))()
    body = answer.partition(b"\r\n\r\n")[2]
    return len(json.loads(body.decode("utf-8"))["result"]["tools"]), len(body)


# -- the report ---------------------------------------------------------------------------------


def table(results: Sequence[Dict[str, Any]]) -> str:
    """Return each way's figures, and how often the straight way's time it takes."""
    summary = report.medians(results, ("p50", "p99", "calls", "times"))
    rows = [["way", "CPUs", "p50 µs", "p99 µs", "× http", "calls"]]
    for name, by_placement in summary.items():
        for placement, values in by_placement.items():
            cells = [report.number(values[key]) for key in ("p50", "p99")]
            cells += ["{:.2f}".format(values["times"]), "{:,.0f}".format(values["calls"])]
            rows.append([name, placement, *cells])
    return report.aligned(rows)


def _compared(units: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Give each unit its share of the straight way in the same round."""
    straight = next(unit["p50"] for unit in units if unit["target"] == "http")
    return [dict(unit, times=unit["p50"] / straight) for unit in units]


def run(options: argparse.Namespace, stack: ExitStack) -> int:
    """Measure and print. Return the exit status."""
    base = preferred_python()
    python = options.python or base
    home = stack.enter_context(tempfile.TemporaryDirectory())
    os.mkdir(os.path.join(home, "registry"), 0o700)
    where = placements(os.sched_getaffinity(0), options.placement)
    print(machine(python))

    listed: Dict[str, Tuple[int, int]] = {}
    with tempfile.TemporaryDirectory() as other:
        for profile in ("core", "full"):
            # Without tools of an author: the lists that every host has.
            line = [python, "-m", "dcc_mcp_embed", "serve", "--port", "0", "--profile", profile]
            one = ServerProcess(line, environment(other), ROOT)
            try:
                listed[profile] = listing(one.ready["port"], one.ready["token"])
            finally:
                one.stop()

    server = serve(python, home, "--gateway")
    stack.callback(server.stop)
    found = ways(stack, server, home, python, base)
    if options.only:
        found = [way for way in found if way.name in options.only or way.name == "http"]
    results: List[Dict[str, Any]] = []
    for turn in range(options.rounds):
        for placement, cpus in where.items():
            turned = found[turn % len(found) :] + found[: turn % len(found)]
            units = _compared(measure(turned, cpus, options.seconds))
            results += [dict(unit, placement=placement, round=turn) for unit in units]
            print("round {}/{} {}".format(turn + 1, options.rounds, placement), file=sys.stderr)
    order = [way.name for way in found]
    results.sort(key=lambda unit: (order.index(unit["target"]), unit["round"]))

    print()
    for profile, (tools, size) in listed.items():
        print("tools/list, {}: {} tools, {:,} bytes".format(profile, tools, size))
    print()
    print(table(results))
    core = listed["core"][1]
    text = "tools/list by default at most {:,} bytes ({:,})".format(_LIST_BUDGET, core)
    verdicts = [Verdict(text, core <= _LIST_BUDGET, True)]
    if options.json:
        command.write(options.json, {"units": results, "lists": listed}, verdicts)
    lines, status = report.closing(results, verdicts, options.check)
    print("\n".join(lines))
    return status


def main() -> int:
    """Run with what the command line says."""
    names = ["http", "bridge", "gateway-proxy", "gateway-rest", "gateway-call"]
    check = "exit status 1 when the list of tools is over its budget"
    parser = command.parser("python3 tests/bench/ways.py", str(__doc__), names, check)
    return command.run_guarded(run, command.parse(parser, full=(7, 1.5), quick=(3, 0.4)))


if __name__ == "__main__":
    raise SystemExit(main())
