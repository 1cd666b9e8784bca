"""A hundred thousand messages, most of them spoiled, by every way into a host and its bridge.

    python3 tests/soak/mutator.py [messages, default 100000] [--seed N] [--senders N] [--from K]

Well-formed messages of every method (``seeds.py``) are spoiled in their fields, their JSON, their
bytes and their HTTP head (``spoiling.py``), cut in pieces and sent (``sender.py``): MCP of both
eras, the streams of sessions, HTTP+SSE, ``/v1``, what strangers may ask, the framed wire before and
after its hello, the sidecar's port; and ``bridge --http``, in a second process and in front of that
host. Connections end in every way there is.

After every thousand messages a good client is answered by each way, and what the messages have made
in the scene is deleted. In the end both processes have printed no traceback and logged no defect,
answered nothing with an internal error, and have no more memory, threads and descriptors than after
the first tenth, within bounds. Exit status 1 if not.

Conversation K comes from the seed and K alone: ``mutator.py 1 --from K`` holds it again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator, List, Sequence
from typing import Counter as Count

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = os.path.dirname(_TESTS)
sys.path.insert(1, _TESTS)

from dcc_mcp_embed.clock import SystemClock  # noqa: E402
from dcc_mcp_embed.secret import open_secret  # noqa: E402
from fakes.framed import FramedWire  # noqa: E402
from fakes.served import Served, ServedBridge  # noqa: E402
from soak.seeds import MODERN  # noqa: E402
from soak.sender import PATIENCE, Sender, Web, sidecar_port  # noqa: E402
from soak.weighing import Weighed  # noqa: E402

#: Messages between two looks at whether it still serves.
EVERY = 1000
#: Connections to its host that a bridge keeps for later calls: one for each that was under way, of
#: calls, cancellations, lists and the like (``bridge/relay.py``).
KEPT = 48
TOOLS = os.path.join(_TESTS, "soak", "mutator_tools.py")


#: What a process must not print: a defect of its own, in the words of Python, or of the bridge.
DEFECT = re.compile(r"Traceback|^dcc_mcp_embed bridge: error: ", re.MULTILINE)


# -- the good client ----------------------------------------------------------------------------


def check(host: Served, bridge: Served, key: bytes) -> None:
    """Have a good client answered by each way, and the scene emptied.

    Raises AssertionError, also if the server has logged a defect of its own.
    """
    for served in (host, bridge):
        with served.connect() as wire:
            wire.sock.settimeout(PATIENCE)
            _check_both_eras(wire)
    with host.connect() as wire:
        wire.sock.settimeout(PATIENCE)
        _empty(wire)
        assert wire.request("GET", "/v1/readyz").status == 200
        body = {"tool_slug": "standalone.x.on_worker", "arguments": {"text": "fine"}}
        answer = wire.request("POST", "/v1/call", body=json.dumps(body).encode("ascii"))
        assert answer.status == 200, answer
        assert b"fine" in answer.body, answer
        errors = wire.tool("get_log", {"level": "error"})["structuredContent"]["data"]["items"]
        assert not errors, errors
    with FramedWire(host.port, key) as framed:
        framed.greet()
        assert not framed.tool("get_scene_info")["isError"]
    with socket.create_connection(("127.0.0.1", sidecar_port(host)), PATIENCE) as sock:
        call = {"id": 1, "method": "dispatch", "params": {"action": "get_selection", "args": {}}}
        sock.sendall(json.dumps(call).encode("ascii") + b"\n")
        with sock.makefile("rb") as lines:
            assert json.loads(lines.readline().decode("utf-8"))["result"]["isError"] is False


def _check_both_eras(wire: Any) -> None:
    assert wire.rpc("ping").status == 200
    assert wire.tool("on_main")["content"][0]["text"] == "fine"
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    named = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "on_loop"}
    params = {"name": "on_loop", "arguments": {"text": "fine"}, "_meta": meta}
    answer = wire.rpc("tools/call", params, headers=named)
    assert answer.json["result"]["content"][0]["text"] == "fine", answer


def _empty(wire: Any) -> None:
    items = wire.tool("list_objects", {"limit": 500})["structuredContent"]["data"]["items"]
    roots = [item["path"] for item in items if item["path"].count("/") == 1]
    if roots:
        gone = wire.tool("delete_objects", {"paths": roots})
        assert not gone["isError"], gone


# -- the run ------------------------------------------------------------------------------------


class Run:
    """All senders at work on both processes, in rounds."""

    def __init__(
        self, host: Served, bridge: Served, key: bytes, options: argparse.Namespace
    ) -> None:
        self._good = (host, bridge, key)
        self._seed = options.seed
        self._numbers: Iterator[int] = itertools.count(options.first)
        self._lock = threading.Lock()
        webs = [
            Web(one.port, one.facts["token"], deque(maxlen=50), deque(maxlen=50))
            for one in (host, bridge)
        ]
        self._senders = [
            Sender(*webs, sidecar_port(host), key)  # type: ignore[misc]
            for _ in range(options.senders)
        ]
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
        check(*self._good)

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


def run(options: argparse.Namespace) -> int:
    """Send, print, and return the exit status."""
    with tempfile.TemporaryDirectory() as home:
        more = ("--tools", TOOLS, "--qtserver", "0", "--exec", "off", "--profile", "full")
        with Served(home, *more) as host, ServedBridge(home) as bridge:
            key = open_secret(home, SystemClock()).wire_key()
            check(host, bridge, key)
            both = [Weighed("host", host), Weighed("bridge", bridge, KEPT)]
            for one in both:
                print("start:  {} {}".format(one.name, one.first), flush=True)
            problems = attack(Run(host, bridge, key, options), both, options.messages)
            # The host's connections to the bridge go with it.
            for one, served in ((both[1], bridge), (both[0], host)):
                print("end:    {} {}, with nobody connected".format(one.name, one.settle()))
                status = served.end()
                if status or DEFECT.search(served.stderr):
                    text = "{}: exit status {}; it said:\n{}"
                    problems.append(text.format(one.name, status, served.stderr[-4000:]))
    for one in both:
        problems += one.too_much()
    for problem in problems[:20]:
        print("PROBLEM {}".format(problem))
    print("{} problems".format(len(problems)) if problems else "no problem")
    return 1 if problems else 0


def attack(one: Run, both: Sequence[Weighed], messages: int) -> List[str]:
    """Send all of it, weighing both after each tenth; return the problems."""
    problems: List[str] = []
    began = time.monotonic()
    tenth = max(1, messages // 10)
    step = min(EVERY, tenth)
    try:
        while one.sent < messages:
            before = one.sent
            one.send(min(step, messages - one.sent))
            if before // tenth != one.sent // tenth:
                rate = one.sent / (time.monotonic() - began)
                half = one.sent >= messages // 2
                sizes = "; ".join("{} {}".format(each.name, each.mark(half)) for each in both)
                print("{:>7} messages, {:.0f}/s: {}".format(one.sent, rate, sizes), flush=True)
    except (AssertionError, OSError, EOFError, KeyError, ValueError) as error:
        problems.append("after {} messages: {!r}".format(one.sent, error))
    finally:
        one.close()
    for what, times in sorted(one.counts.items()):
        print("  {:>22} {}".format(what, times))
    return problems + one.defects


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
