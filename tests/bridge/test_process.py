"""The bridge as a client starts it: a process at pipes, its ends, and hosts that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fakes.bridged import Bridged, Within
from fakes.gate import PASS_GATE, Gate
from fakes.served import DEADLINE, Served, environment

pytestmark = pytest.mark.edges

#: Seconds within which what needs no host is there, on a busy machine.
AT_ONCE = 5.0
LONG_ANSWER = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n'
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
TOOLS = (
    PASS_GATE
    + '''
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker")
def linger(port: int) -> dict:
    """Take as long as the gate is closed."""
    pass_gate(port)
    return {"state": "done"}
'''
)


@pytest.fixture
def tools(tmp_path):
    path = tmp_path / "bridge_test_tools.py"
    path.write_text(TOOLS)
    return str(path)


def test_it_is_there_at_once_and_says_that_no_host_runs(home):
    with Bridged(home) as bridge:
        agreed = bridge.initialize()
        assert agreed["protocolVersion"] == "2025-11-25"
        assert agreed["capabilities"]["tools"] == {"listChanged": True}
        assert "list_instances" in agreed["instructions"]
        assert bridge.names() == ["list_instances"]
        assert bridge.call("list_instances")["data"] == {"items": []}
        error = bridge.error("create_object", kind="cube")
        assert error["code"] == "no_host" and error["state"] == "not_started"
        assert error["message"].lower().startswith("no host is running, start ")
        assert bridge.ask("ping") == {}
        assert bridge.end(AT_ONCE) == 0
        assert "Traceback" not in bridge.log


#: Prints as libraries and start-up files do, by Python and past it, and reads what is not its own.
STRAY = """
import os, subprocess, sys
from dcc_mcp_embed.bridge import main
from dcc_mcp_embed.cli.main import main as command

def serve(*arguments, inner=main.serve):
    print("stray", flush=True)
    os.write(1, b"stray\\n")
    subprocess.check_call([sys.executable, "-I", "-S", "-c", "print('stray')"])
    assert sys.stdin.read() == ""
    inner(*arguments)

main.serve = serve
sys.exit(command(["bridge"]))
"""


def test_what_others_print_does_not_get_between(home):
    done = subprocess.run(
        [sys.executable, "-c", STRAY],
        env=environment(home),
        input=PING,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert done.stderr.count(b"stray") == 3


# Ends, with a thread in the middle of reading or writing.


def ends(process):
    """Wait for an end with status 0, and see that nothing was said about it."""
    try:
        assert process.wait(AT_ONCE) == 0
    finally:
        process.kill()
    assert b"Traceback" not in process.stderr.read()


def test_it_ends_when_nobody_reads_it_any_more(home):
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", "bridge"],
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    with process:
        os.close(writing)
        process.stdin.write(PING)
        process.stdin.flush()
        assert os.read(reading, 1)
        os.close(reading)
        process.stdin.write(PING)
        process.stdin.flush()
        ends(process)


def test_it_ends_when_it_is_not_read_and_its_input_is_over(home):
    """A client closes its end first, and then waits; it need not read what is still coming."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", "bridge"],
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=writing,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writing)
        # Answers of more than a pipe holds, and than is kept.
        process.stdin.write(LONG_ANSWER * 8000)
        process.stdin.close()
        ends(process)
    os.close(reading)


def test_it_ends_with_calls_under_way(home, tools):
    with Gate() as gate, Served(home, "--tools", tools) as served, Bridged(home) as bridge:
        bridge.initialize()
        bridge.appears("linger")
        for _ in range(3):
            bridge.start_call("linger", port=gate.port)
        gate.arrived()
        started = time.monotonic()
        assert bridge.end(AT_ONCE) == 0
        assert time.monotonic() - started < AT_ONCE
        assert "Traceback" not in bridge.log
        served.end(signal.SIGKILL)


# Hosts that come, go and are killed.


def test_a_host_appears_is_called_goes_is_killed_and_keeps_its_names(home, monkeypatch):
    with Within(home, monkeypatch) as bridge:
        bridge.initialize()
        assert bridge.names() == ["list_instances"]
        with Served(home) as served:
            bridge.until(bridge.changes)
            assert "create_object" in bridge.names()
            made = bridge.call("create_object", kind="cube", name="box")
            assert made["ok"] and made["instance"]["id"] == served.facts["instance_id"][:8]
            assert bridge.error("no_such_tool")["code"] == "not_found"
            (item,) = bridge.call("list_instances")["data"]["items"]
            assert (item["dcc"], item["prefix"]) == ("standalone", "")
        # Its tools stay listed, and say what is the matter.
        bridge.until(lambda: bridge.error("list_objects")["code"] == "no_host")
        assert "create_object" in bridge.names()
        with Served(home) as again:
            assert again.facts["instance_id"] != served.facts["instance_id"]
            # Hosts are entered in the registry a moment after they are there.
            bridge.until(lambda: bridge.call("list_objects")["ok"])
            answer = bridge.call("list_objects")
            assert answer["data"]["items"] == []
            assert answer["instance"]["id"] == again.facts["instance_id"][:8]
            again.end(signal.SIGKILL)
        assert bridge.error("list_objects")["code"] == "no_host"
        assert bridge.changes() == 1
    # A bridge that never saw a host knows them too.
    with Within(home, monkeypatch) as later:
        later.initialize()
        assert "create_object" in later.names()
        assert "start `python3 -m dcc_mcp_embed serve`" in later.error("undo")["message"]


def test_a_call_whose_host_is_killed_is_told_so_and_does_not_run_twice(home, monkeypatch, tools):
    with Gate() as gate, Within(home, monkeypatch) as bridge:
        with Served(home, "--tools", tools) as served:
            bridge.initialize()
            bridge.appears("linger")
            calls = [bridge.start_call("linger", port=gate.port) for _ in range(3)]
            # The host's worker has one; the others are in its line.
            gate.arrived()
            bridge.until(lambda: bridge.call("get_status")["data"]["worker"]["queue_depth"] == 2)
            served.end(signal.SIGKILL)
        with Served(home, "--tools", tools):
            for call in calls:
                error = bridge.told(call)["error"]
                assert error["code"] == "unknown_outcome" and error["hint"]
            bridge.until(lambda: bridge.call("list_objects")["ok"])
            last = bridge.start_call("linger", port=gate.port)
            gate.arrived()
            gate.open()
            assert bridge.told(last)["ok"]
        gate.nobody_else()
