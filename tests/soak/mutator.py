"""A hundred thousand messages, most of them spoiled, by every way into one served process.

    python3 tests/soak/mutator.py [messages, default 100000] [--seed N] [--senders N] [--from K]

Well-formed messages of every method (``seeds.py``) are spoiled in their fields, their JSON, their
bytes and their HTTP head (``spoiling.py``), cut in pieces and sent (``sender.py``): MCP of both
eras, the streams of sessions, HTTP+SSE, ``/v1``, what strangers may ask, the framed wire before and
after its hello, the sidecar's port. Connections end in every way there is.

After every thousand messages a good client is answered by each way, and what the messages have made
in the scene is deleted. In the end the process has printed no traceback and logged no defect,
answered nothing with an internal error, and has no more memory, threads and descriptors than after
the first tenth, within bounds. Exit status 1 if not.

Conversation K comes from the seed and K alone: ``mutator.py 1 --from K`` holds it again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Deque, Dict, Iterator, List, NamedTuple
from typing import Counter as Count

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = os.path.dirname(_TESTS)
sys.path.insert(1, _TESTS)

from dcc_mcp_embed.clock import SystemClock  # noqa: E402
from dcc_mcp_embed.secret import open_secret  # noqa: E402
from fakes.framed import FramedWire  # noqa: E402
from fakes.served import Served  # noqa: E402
from soak.seeds import MODERN  # noqa: E402
from soak.sender import PATIENCE, Sender, sidecar_port  # noqa: E402

#: Messages between two looks at whether it still serves.
EVERY = 1000
#: Mebibytes that the last nine tenths may add, and the last half alone. Some large answers at the
#: same moment are good for three, which stay with the process.
GROWTH, LATE_GROWTH = 12.0, 6.0
#: Threads and descriptors that there may be more of at the end, with nobody connected.
SPARE = 3
#: Seconds until whatever waits for a peer that has left has given up.
QUIET = 15.0
TOOLS = os.path.join(_TESTS, "soak", "mutator_tools.py")


class Size(NamedTuple):
    """What a process has: memory (MiB), threads, descriptors."""

    memory: float
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return "{:.1f} MiB, {} threads, {} descriptors".format(*self)


def size(pid: int) -> Size:
    """Measure a process by /proc."""
    with open("/proc/{}/status".format(pid), encoding="ascii", errors="replace") as file:
        found = dict(line.split(":", 1) for line in file)
    memory = int(found["VmRSS"].split()[0]) / 1024.0
    return Size(memory, int(found["Threads"]), len(os.listdir("/proc/{}/fd".format(pid))))


# -- the good client ----------------------------------------------------------------------------


def check(served: Served, key: bytes) -> None:
    """Have a good client answered by each way, and the scene emptied.

    Raises AssertionError, also if the server has logged a defect of its own.
    """
    with served.connect() as wire:
        wire.sock.settimeout(PATIENCE)
        assert wire.rpc("ping").status == 200
        items = wire.tool("list_objects", {"limit": 500})["structuredContent"]["data"]["items"]
        roots = [item["path"] for item in items if item["path"].count("/") == 1]
        if roots:
            gone = wire.tool("delete_objects", {"paths": roots})
            assert not gone["isError"], gone
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        named = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "on_loop"}
        params = {"name": "on_loop", "arguments": {"text": "fine"}, "_meta": meta}
        answer = wire.rpc("tools/call", params, headers=named)
        assert answer.json["result"]["content"][0]["text"] == "fine", answer
        assert wire.request("GET", "/v1/readyz").status == 200
        body = {"tool_slug": "standalone.x.on_worker", "arguments": {"text": "fine"}}
        answer = wire.request("POST", "/v1/call", body=json.dumps(body).encode("ascii"))
        assert answer.status == 200, answer
        assert b"fine" in answer.body, answer
        errors = wire.tool("get_log", {"level": "error"})["structuredContent"]["data"]["items"]
        assert not errors, errors
    with FramedWire(served.port, key) as framed:
        framed.greet()
        assert not framed.tool("get_scene_info")["isError"]
    with socket.create_connection(("127.0.0.1", sidecar_port(served)), PATIENCE) as sock:
        call = {"id": 1, "method": "dispatch", "params": {"action": "get_selection", "args": {}}}
        sock.sendall(json.dumps(call).encode("ascii") + b"\n")
        with sock.makefile("rb") as lines:
            assert json.loads(lines.readline().decode("utf-8"))["result"]["isError"] is False


# -- the run ------------------------------------------------------------------------------------


class Run:
    """All senders at work on one process, in rounds."""

    def __init__(self, served: Served, key: bytes, options: argparse.Namespace) -> None:
        self._served = served
        self._key = key
        self._seed = options.seed
        self._numbers: Iterator[int] = itertools.count(options.first)
        self._lock = threading.Lock()
        sessions: Deque[str] = deque(maxlen=50)
        self._senders = [Sender(served, key, sessions) for _ in range(options.senders)]
        self.sent = 0

    def send(self, messages: int) -> None:
        """Send that many, or a few more, and check that it still serves."""
        until = self.sent + messages

        def work(sender: Sender) -> None:
            while True:
                with self._lock:
                    if self.sent >= until:
                        return
                    number = next(self._numbers)
                said = sender.converse(self._seed, number)
                with self._lock:
                    self.sent += said

        with ThreadPoolExecutor(len(self._senders)) as pool:
            for _ in pool.map(work, self._senders):
                pass  # raises what a sender raised
        check(self._served, self._key)

    @property
    def defects(self) -> List[str]:
        return [defect for sender in self._senders for defect in sender.defects]

    @property
    def counts(self) -> Count[str]:
        total: Count[str] = Counter()
        for sender in self._senders:
            total.update(sender.counts)
        return total

    def close(self) -> None:
        for sender in self._senders:
            sender.close()


def settled(pid: int, wanted: Size) -> Size:
    """Return what a process has once its threads and descriptors are few again, or in the end."""
    end = time.monotonic() + QUIET
    while True:
        now = size(pid)
        few = max(now.threads - wanted.threads, now.descriptors - wanted.descriptors) <= SPARE
        if few or time.monotonic() > end:
            return now
        time.sleep(0.2)


def run(options: argparse.Namespace) -> int:
    """Send, print, and return the exit status."""
    with tempfile.TemporaryDirectory() as home:
        more = ("--tools", TOOLS, "--qtserver", "0", "--exec", "off", "--profile", "full")
        with Served(home, *more) as served:
            key = open_secret(home, SystemClock()).wire_key()
            check(served, key)
            first = size(served.process.pid)
            print("start:  {}".format(first), flush=True)
            marks = attack(served, key, options)
            problems = marks.pop("problems")
            last = settled(served.process.pid, first)
            status = served.end()
        if status or "Traceback" in served.stderr:
            problems.append("exit status {}; it said:\n{}".format(status, served.stderr[-4000:]))
    print("end:    {}, with nobody connected".format(last))
    problems += too_much(first, marks, last)
    for problem in problems[:20]:
        print("PROBLEM {}".format(problem))
    print("{} problems".format(len(problems)) if problems else "no problem")
    return 1 if problems else 0


def attack(served: Served, key: bytes, options: argparse.Namespace) -> Dict[str, Any]:
    """Send all of it; return memory after a tenth and after half, and the problems."""
    one = Run(served, key, options)
    marks: Dict[str, Any] = {"problems": []}
    began = time.monotonic()
    tenth = max(1, options.messages // 10)
    step = min(EVERY, tenth)
    try:
        while one.sent < options.messages:
            before = one.sent
            one.send(min(step, options.messages - one.sent))
            if before // tenth != one.sent // tenth:
                now = size(served.process.pid)
                rate = one.sent / (time.monotonic() - began)
                print("{:>7} messages, {:.0f}/s: {}".format(one.sent, rate, now), flush=True)
                marks.setdefault("tenth", now.memory)
                if one.sent >= options.messages // 2:
                    marks.setdefault("half", now.memory)
    except (AssertionError, OSError, EOFError, KeyError, ValueError) as error:
        marks["problems"].append("after {} messages: {!r}".format(one.sent, error))
    finally:
        one.close()
    for what, times in sorted(one.counts.items()):
        print("  {:>22} {}".format(what, times))
    marks["problems"] += one.defects
    return marks


def too_much(first: Size, marks: Dict[str, Any], last: Size) -> List[str]:
    """Return what has grown beyond its bound."""
    bounds = [
        ("threads", last.threads - first.threads, SPARE),
        ("descriptors", last.descriptors - first.descriptors, SPARE),
    ]
    for mark, bound in (("tenth", GROWTH), ("half", LATE_GROWTH)):
        if mark in marks:
            bounds.append(("MiB since the first " + mark, last.memory - marks[mark], bound))
    for what, grown, bound in bounds:
        print("  {:+.1f} {} (at most {:+.1f})".format(grown, what, bound))
    return ["{:+.1f} {}".format(grown, what) for what, grown, bound in bounds if grown > bound]


def main() -> int:
    """Run with what the command line says."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("messages", type=int, nargs="?", default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--senders", type=int, default=8, help="threads that send")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="K")
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
