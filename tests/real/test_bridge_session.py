"""A session of 200 calls through the bridge, in which the host is killed twice and started anew.

Bridge and host run under the same interpreter: a mayapy-like 3.7, and the one that Blender has.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from typing import Any, Dict, Iterator, List

import pytest

import helpers
from fakes.bridged import Bridged
from fakes.gate import PASS_GATE, Gate
from fakes.served import environment
from real.processes import Process

pytestmark = pytest.mark.heavy

HOST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blender_bridge_host.py")
CALLS = 200
#: Calls that the client has open at once.
BURST = 12
TOOLS = (
    PASS_GATE
    + '''
import dcc_mcp_embed

def note(path, text):
    with open(path, "a") as file:
        file.write(text + "\\n")
    return {"text": text}

@dcc_mcp_embed.tool()
def on_main(path: str, text: str) -> dict:
    """Write a line on the host's main thread."""
    return note(path, text)

@dcc_mcp_embed.tool(thread="worker")
def on_worker(path: str, text: str) -> dict:
    """Write a line beside it."""
    return note(path, text)

@dcc_mcp_embed.tool(thread="worker")
def stuck(path: str, text: str, port: int) -> dict:
    """Write a line, then stand before a gate."""
    note(path, text)
    pass_gate(port)
    return {"text": text}
'''
)


class Kind:
    """A kind of host, and the interpreter that the bridge is given."""

    def __init__(self, dcc: str, home: str) -> None:
        self.dcc = dcc
        self._home = home
        self._tools = os.path.join(home, "session_tools.py")
        with open(self._tools, "w", encoding="utf-8") as file:
            file.write(TOOLS)

    @contextlib.contextmanager
    def host(self) -> Iterator[Process]:
        with Process(self._command(), environment(self._home), self._home, self.dcc) as process:
            process.facts = process.json_line()  # type: ignore[attr-defined]
            yield process

    def _command(self) -> List[str]:
        if self.dcc == "standalone":
            serve = ["-m", "dcc_mcp_embed", "serve", "--port", "0", "--tools", self._tools]
            return [self.python(), *serve]
        program = shutil.which("blender")
        helpers.require(program, "Blender")
        assert program is not None
        options = json.dumps({"root": helpers.ROOT, "tools": self._tools})
        blender = [program, "-b", "--factory-startup", "-noaudio", "--python-exit-code", "3"]
        return [*blender, "--python", HOST, "--", options]

    def python(self) -> str:
        """Return the host's own interpreter."""
        if self.dcc == "standalone":
            return helpers.python("3.7")
        with self.host() as process:
            return str(process.facts["python"])  # type: ignore[attr-defined]


class Session:
    """Numbered calls of one client, and what is known of each."""

    def __init__(self, bridge: Bridged, path: str) -> None:
        self._bridge = bridge
        self._path = path
        #: Id of a call -> the line that it writes.
        self.sent: Dict[int, str] = {}

    def begin(self, tool: str, **more: Any) -> int:
        text = "call {}".format(len(self.sent) + 1)
        ident = self._bridge.start_call(tool, path=self._path, text=text, **more)
        self.sent[ident] = text
        return ident

    def quick(self, count: int) -> List[int]:
        tools = ("on_main", "on_worker")
        return [self.begin(tools[number % 2]) for number in range(count)]

    def succeeds(self, count: int) -> None:
        """Make so many calls, some at a time, each of which must succeed."""
        while count:
            burst = self.quick(min(BURST, count))
            count -= len(burst)
            for ident in burst:
                content = self._bridge.told(ident)
                assert content["ok"] and content["data"] == {"text": self.sent[ident]}, content

    def lines(self) -> List[str]:
        with open(self._path, encoding="ascii") as file:
            return file.read().splitlines()

    def check(self, ident: int) -> str:
        """Return how a call ended that may not have succeeded; what it says must be so."""
        content, text = self._bridge.told(ident), self.sent[ident]
        ran = self.lines().count(text)
        if content["ok"]:
            assert content["data"] == {"text": text} and ran == 1
            return "ok"
        error = content["error"]
        assert error["message"] and error["hint"], error
        if error["code"] != "unknown_outcome":
            assert error["state"] == "not_started" and ran == 0, error
        return str(error["code"])


@pytest.mark.parametrize("dcc", ["standalone", "blender"])
def test_no_call_of_a_session_is_lost_when_its_host_is_killed(tmp_path, dcc):
    kind = Kind(dcc, str(tmp_path))
    instances, ports = [], set()
    with Gate() as gate, Bridged(str(tmp_path), python=kind.python()) as bridge:
        bridge.initialize()
        assert bridge.ask("ping") == {}
        session = Session(bridge, str(tmp_path / "ran"))
        for kill in range(3):
            with kind.host() as host:
                facts: Dict[str, Any] = host.facts  # type: ignore[attr-defined]
                instances.append(facts["instance_id"])
                ports.add(facts["port"])
                if kill == 0:
                    bridge.appears("on_main", "stuck")
                # The bridge finds it before the client has to ask for it.
                bridge.until(lambda: here(bridge, instances[-1]))
                if kill == 2:
                    session.succeeds(CALLS - len(session.sent))
                    break
                session.succeeds(60)
                flying = [session.begin("stuck", port=gate.port) for _ in range(3)]
                # The host's worker has one; the others are in its line.
                gate.arrived()
                bridge.until(lambda: waiting(bridge) == 2)
                flying += session.quick(BURST)
                host.end(signal.SIGKILL)
            ends = [session.check(ident) for ident in flying]
            # Of those it had begun, or taken, nobody can know.
            assert ends[:3] == ["unknown_outcome"] * 3
            assert set(ends) <= {"ok", "unknown_outcome", "no_host", "host_busy_native"}, ends
            # While none runs, that is said, and nothing is kept for later.
            nobody = session.begin("on_main")
            assert session.check(nobody) == "no_host"
        assert len(session.sent) == CALLS and len(set(instances)) == len(ports) == 3
        lines = session.lines()
        assert len(set(lines)) == len(lines), "one has run twice"
        gate.nobody_else()
        assert bridge.end() == 0
        assert "Traceback" not in bridge.log


def waiting(bridge: Bridged) -> int:
    depth: int = bridge.call("get_status")["data"]["worker"]["queue_depth"]
    return depth


def here(bridge: Bridged, instance: str) -> bool:
    items = bridge.call("list_instances")["data"]["items"]
    return [item["id"] for item in items] == [instance[:8]]
