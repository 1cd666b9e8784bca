"""The bridge as a client starts it: pipes, real hosts, hosts that come, go and are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry
from fakes.bridged import INITIALIZE, MODERN, Bridged
from fakes.served import DEADLINE, Served, environment

#: Seconds within which what needs no host is there, on a busy machine.
AT_ONCE = 5.0
LONG_ANSWER = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n'
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
TOOLS = '''
import threading, time
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker")
def linger(path: str, seconds: float) -> dict:
    """Write a line, then take its time."""
    with open(path, "a") as file:
        file.write("begun\\n")
    time.sleep(seconds)
    return {"state": "done"}

@dcc_mcp_embed.tool()
def hold(path: str, seconds: float) -> dict:
    """Keep the host's main thread."""
    with open(path, "a") as file:
        file.write("begun\\n")
    time.sleep(seconds)
    return {"state": "done"}
'''


@pytest.fixture
def home(tmp_path):
    return str(tmp_path)


@pytest.fixture
def bridge(home):
    with Bridged(home) as bridged:
        yield bridged


@pytest.fixture
def tools(tmp_path):
    path = tmp_path / "bridge_test_tools.py"
    path.write_text(TOOLS)
    return str(path)


def begun(path, times=1):
    """Wait until a tool has written that it began so often."""
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        if path.exists() and len(path.read_text().splitlines()) >= times:
            return
        time.sleep(0.01)
    raise AssertionError("the tool has not begun")


def appears(bridge, *names):
    """Wait until tools are listed; return the whole list of names."""
    deadline = time.monotonic() + 20.0
    while True:
        listed = bridge.names()
        if set(names) <= set(listed):
            return listed
        assert time.monotonic() < deadline, (listed, bridge.log)
        time.sleep(0.05)


# Without a host.


def test_it_is_there_at_once_and_says_that_no_host_runs(bridge):
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
    assert bridge.end() == 0
    assert "Traceback" not in bridge.log


def test_it_names_the_kind_that_it_was_told_to_wait_for(home):
    with Bridged(home, "--dcc", "maya") as bridge:
        bridge.initialize()
        assert "start Maya" in bridge.error("create_object")["message"]


def test_the_stateless_era_needs_no_headers(bridge):
    meta = {"_meta": MODERN}
    found = bridge.ask("server/discover", meta)
    assert found["supportedVersions"] == ["2026-07-28"]
    assert found["capabilities"]["tools"] == {"listChanged": True}
    assert found["capabilities"]["resources"] == {}
    listed = bridge.ask("tools/list", meta)
    assert listed["resultType"] == "complete" and listed["tools"]
    called = bridge.ask("tools/call", {"name": "list_instances", "arguments": {}, **meta})
    assert called["structuredContent"]["ok"] and called["resultType"] == "complete"
    odd = bridge.ask("tools/call", {"name": "=?base64?bm8=?=", "arguments": {}, **meta})
    assert odd["structuredContent"]["error"]["code"] == "no_host"


# What a client may say that is no protocol.

GARBAGE = [
    (b"garbage", -32700),
    (b"{", -32700),
    (b"\xff\xfe\x00", -32700),
    (b"[]", -32600),
    (b"[[[[", -32700),
    (b"12", -32600),
    (b'{"jsonrpc":"1.0","method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
    (b"[" * 100000, -32700),
]


@pytest.mark.parametrize(("line", "code"), GARBAGE, ids=[repr(one[0][:20]) for one in GARBAGE])
def test_garbage_is_answered_and_it_goes_on(bridge, line, code):
    bridge.write(line + b"\n")
    bridge.until(lambda: bridge.errors)
    assert bridge.errors[0]["error"]["code"] == code
    assert bridge.ask("ping") == {}
    assert bridge.end() == 0


def test_blank_lines_marks_and_carriage_returns_are_nothing(bridge):
    bridge.write(b"\xef\xbb\xbf\r\n\n   \n")
    bridge.write(b'{"jsonrpc":"2.0","id":0,"method":"ping"}\r\n')
    assert bridge.answer(0)["result"] == {}
    assert bridge.errors == []


def test_a_huge_line_is_refused_without_being_kept(bridge):
    piece = b"x" * (1024 * 1024)
    for _ in range(17):
        bridge.write(piece)
    # Told as soon as it is too long, not when it ends.
    bridge.until(lambda: bridge.errors)
    assert "16777216 bytes" in bridge.errors[0]["error"]["message"]
    bridge.write(piece + b"\n")
    assert bridge.ask("ping") == {}
    assert len(bridge.errors) == 1


def test_a_batch_is_taken_where_the_revision_has_them(bridge):
    bridge.initialize("2025-03-26")
    bridge.send(
        [
            {"jsonrpc": "2.0", "id": "a", "method": "ping"},
            {"jsonrpc": "2.0", "method": "notifications/whatever"},
            {"jsonrpc": "2.0", "id": "b", "method": "tools/list"},
        ]
    )
    assert bridge.answer("a")["result"] == {}
    assert bridge.answer("b")["result"]["tools"]


#: Prints as libraries and start-up files do, by Python and past it, and reads what is not its own.
STRAY = """
import os, subprocess, sys
from dcc_mcp_embed.bridge import main
from dcc_mcp_embed.cli.main import main as command

def serve(*arguments, inner=main.serve):
    print("stray", flush=True)
    os.write(1, b"stray\\n")
    subprocess.check_call([sys.executable, "-c", "print('stray')"])
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


# The end of the input.


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{",
        b"\n",
        b'{"jsonrpc":"2.0","id":0,"method":"ping"}',
        json.dumps(
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE}
        ).encode()
        + b'\n{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n',
    ],
    ids=["nothing", "half a message", "a blank line", "no end of line", "requests"],
)
def test_it_ends_with_its_input_having_answered(bridge, said):
    bridge.write(said)
    started = time.monotonic()
    assert bridge.end(AT_ONCE) == 0
    assert time.monotonic() - started < AT_ONCE
    assert sorted(bridge.answers) == list(range(said.count(b'"id"')))
    assert "Traceback" not in bridge.log


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


def test_it_ends_with_calls_under_way(home, tools, tmp_path):
    ran = tmp_path / "ran"
    with Served(home, "--tools", tools) as served, Bridged(home) as bridge:
        bridge.initialize()
        appears(bridge, "linger")
        for _ in range(3):
            bridge.start_call("linger", path=str(ran), seconds=60)
        begun(ran)
        started = time.monotonic()
        assert bridge.end(AT_ONCE) == 0
        assert time.monotonic() - started < 2.0
        assert "Traceback" not in bridge.log
        served.end(signal.SIGKILL)


# Hosts.


def test_a_host_appears_is_called_and_goes(home):
    with Bridged(home) as bridge:
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
        assert bridge.changes() == 1
    # A bridge that never saw a host knows them too.
    with Bridged(home) as later:
        later.initialize()
        assert "create_object" in later.names()
        assert "start `python3 -m dcc_mcp_embed serve`" in later.error("undo")["message"]


def test_a_host_is_called_as_soon_as_it_is_registered(home):
    registry = open_registry(os.path.join(home, "registry"), os.environ, SystemClock())
    with Bridged(home) as bridge:
        bridge.initialize()
        assert bridge.names() == ["list_instances"]
        with Served(home):
            deadline = time.monotonic() + DEADLINE
            while not registry.entries():
                assert time.monotonic() < deadline
                time.sleep(0.001)
            # No look has seen it yet, most likely: the next one is up to a second away.
            assert bridge.call("list_objects")["ok"]
            assert "list_objects" in bridge.names()


def test_a_host_that_is_killed_and_started_anew_keeps_its_names(home):
    with Bridged(home) as bridge:
        with Served(home) as served:
            bridge.initialize()
            appears(bridge, "create_object")
            told = bridge.changes()
            assert bridge.call("create_object", kind="cube")["ok"]
            served.end(signal.SIGKILL)
            first = served.facts
        assert bridge.error("list_objects")["code"] == "no_host"
        with Served(home) as again:
            assert again.facts["instance_id"] != first["instance_id"]
            # Hosts are entered in the registry a moment after they are there.
            bridge.until(lambda: bridge.call("list_objects")["ok"])
            answer = bridge.call("list_objects")
            assert answer["data"]["items"] == []
            assert answer["instance"]["id"] == again.facts["instance_id"][:8]
        assert bridge.changes() == told


def test_a_call_whose_host_is_killed_is_told_so_and_does_not_run_twice(home, tools, tmp_path):
    ran = tmp_path / "ran"
    with Bridged(home) as bridge, Served(home, "--tools", tools) as served:
        bridge.initialize()
        appears(bridge, "linger")
        calls = [bridge.start_call("linger", path=str(ran), seconds=60) for _ in range(3)]
        # The host's worker has one; the others are in its line.
        begun(ran)
        while bridge.call("get_status")["data"]["worker"]["queue_depth"] < 2:
            assert served.process.poll() is None
        served.end(signal.SIGKILL)
        with Served(home, "--tools", tools):
            for call in calls:
                error = bridge.told(call)["error"]
                assert error["code"] == "unknown_outcome" and error["hint"]
            bridge.until(lambda: bridge.call("list_objects")["ok"])
            assert bridge.call("linger", path=str(ran), seconds=0)["ok"]
        assert ran.read_text().splitlines() == ["begun"] * 2


def test_two_hosts_are_told_apart(home):
    with Bridged(home) as bridge, Served(home) as one:
        bridge.initialize()
        appears(bridge, "create_object")
        told = bridge.changes()
        with Served(home) as two:
            bridge.until(lambda: bridge.changes() == told + 1)
            names = bridge.names()
            assert "create_object" not in names
            for label, served in (("standalone", one), ("standalone2", two)):
                made = bridge.call(label + "_create_object", kind="cube", name=label)
                assert made["instance"]["id"] == served.facts["instance_id"][:8]
            # The name that was listed before leads where it led.
            (item,) = bridge.call("list_objects")["data"]["items"]
            assert item["name"] == "standalone"
            prefixes = [one["prefix"] for one in bridge.call("list_instances")["data"]["items"]]
            assert prefixes == ["standalone_", "standalone2_"]
        bridge.until(lambda: bridge.changes() == told + 2)
        assert "create_object" in bridge.names()
        error = bridge.error("standalone2_list_objects")
        assert error["code"] == "no_host" and "standalone2" in error["message"]
        assert bridge.call("standalone_list_objects")["ok"]


def test_a_name_that_two_hosts_have_means_neither(home):
    with Served(home), Served(home), Bridged(home) as bridge:
        bridge.initialize()
        appears(bridge, "standalone_create_object", "standalone2_create_object")
        error = bridge.error("create_object", kind="cube")
        assert error["code"] == "ambiguous" and error["state"] == "not_started"
        assert "standalone2_create_object" in error["hint"]


def test_only_the_instance_that_is_wanted(home):
    with Served(home) as one, Served(home):
        with Bridged(home, "--instance", one.facts["instance_id"][:8]) as bridge:
            bridge.initialize()
            appears(bridge, "create_object")
            made = bridge.call("create_object", kind="cube")
            assert made["instance"]["id"] == one.facts["instance_id"][:8]
        with Bridged(home, "--dcc", "maya") as bridge:
            bridge.initialize()
            assert bridge.call("list_instances")["data"]["items"] == []


def test_a_host_that_holds_its_main_thread_delays_nobody(home, tools, tmp_path):
    ran = tmp_path / "ran"
    with Served(home, "--tools", tools) as held, Served(home) as other, Bridged(home) as bridge:
        bridge.initialize()
        appears(bridge, "standalone_hold", "standalone2_list_objects")
        holding = [
            bridge.start_call("standalone_hold", path=str(ran), seconds=1.2) for _ in range(2)
        ]
        begun(ran)
        started = time.monotonic()
        assert bridge.ask("ping") == {}
        assert bridge.call("standalone_get_status")["ok"]
        elsewhere = bridge.call("standalone2_list_objects")
        assert elsewhere["instance"]["id"] == other.facts["instance_id"][:8]
        assert time.monotonic() - started < 1.0
        assert not any(ident in bridge.answers for ident in holding)
        bridge.notify("notifications/cancelled", {"requestId": holding[1]})
        bridge.answer(holding[0])
        held.end(signal.SIGKILL)
        assert bridge.ask("ping") == {}
        assert holding[1] not in bridge.answers


def test_who_listens_in_the_stateless_era_is_told(home):
    with Bridged(home) as bridge:
        meta = {"_meta": MODERN}
        bridge.ask("tools/list", meta)
        wanted = {"notifications": {"toolsListChanged": True, "promptsListChanged": True}}
        ident = bridge.begin("subscriptions/listen", dict(wanted, **meta))
        (first,) = bridge.until(lambda: bridge.notices)
        key = "io.modelcontextprotocol/subscriptionId"
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"]["_meta"][key] == ident
        assert first["params"]["notifications"] == {"toolsListChanged": True}
        with Served(home):
            bridge.until(bridge.changes)
            assert bridge.notices[-1]["params"]["_meta"][key] == ident
            bridge.notify("notifications/cancelled", {"requestId": ident})
            assert bridge.answer(ident)["result"]["_meta"][key] == ident
