"""Verdicts on rows of sidecars, one look and the wait; registries are files of these tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dcc_mcp_embed.install_lifecycle import (
    probe_sidecar_tool,
    readiness,
    sidecar_readiness_status,
    wait_for_sidecar_ready,
)
from fakes.answering import Answering, foreign_row
from fakes.clock import FakeClock

KEYS = {"success", "status", "ready", "selector", "entries", "message", "recommended_next_action"}


@pytest.fixture(scope="module")
def gone():
    """Return the number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-S", "-E", "-c", ""])
    child.wait()
    return child.pid


@pytest.fixture
def registry(tmp_path):
    """Return a function that writes rows and returns their directory."""
    directory = tmp_path / "registry"
    directory.mkdir(mode=0o700)

    def write(*rows):
        (directory / "services.json").write_text(json.dumps(rows))
        return str(directory)

    return write


def row(number, status=None, pid=None, **metadata):
    """Return a sidecar's row; it lives unless ``pid`` is of a process that has ended."""
    said = {
        "dcc_mcp_role": "per-dcc-sidecar",
        "sidecar_pid": str(pid or os.getpid()),
        "mcp_url": "http://127.0.0.1:1/mcp",
        "host_rpc_uri": "qtserver://127.0.0.1:{}".format(7000 + number),
        "host_rpc_scheme": "qtserver",
    }
    if status is not None:
        said["dispatch_status"] = status
    said.update(metadata)
    ident = "{:08d}-0000-4000-8000-00000000abcd".format(number)
    return foreign_row(instance_id=ident, pid=pid or os.getpid(), metadata=said)


def stuck(number, stage="host-rpc-connect", **more):
    return row(number, "unavailable", failure_stage=stage, failure_reason="refused", **more)


def told(verdict, *more):
    assert set(verdict) == KEYS | set(more)
    assert json.loads(json.dumps(verdict)) == verdict
    assert verdict["success"] is verdict["ready"] is (verdict["status"] == "ready")
    assert verdict["message"].endswith(".") and verdict["recommended_next_action"].endswith(".")
    return verdict["status"]


def look(directory, **selector):
    return sidecar_readiness_status(directory, **selector)


def number_of(verdict):
    return int(verdict["entry"]["instance_id"].split("-")[0])


# One look.


def test_one_that_says_so_is_ready(registry):
    verdict = look(registry(row(1, "ready")), dcc_type="maya")
    assert told(verdict, "entry") == "ready"
    assert verdict["selector"] == {"dcc_type": "maya", "instance_id": None, "host_rpc": None}
    assert verdict["entries"] == [verdict["entry"]]
    assert verdict["entry"]["mcp_url"] == "http://127.0.0.1:1/mcp"


def test_there_is_none(registry, tmp_path):
    assert told(look(registry())) == "missing"
    assert told(look(str(tmp_path / "nowhere"))) == "missing"
    host = foreign_row(metadata={"dispatch_status": "ready"})
    assert told(look(registry(host, row(1, "ready")), dcc_type="houdini")) == "missing"
    assert told(look(registry(host))) == "missing"


def test_one_that_says_nothing_yet_boots(registry):
    verdict = look(registry(row(1)))
    assert told(verdict, "entry") == "booting"
    assert told(look(registry(row(1, " Warming up "))), "entry") == "warming up"


@pytest.mark.parametrize("word", ["missing", "dead", "ambiguous", "timeout", "failed", "probe"])
def test_no_sidecar_can_give_our_verdicts(registry, word):
    assert told(look(registry(row(1, word))), "entry") == "booting"


def test_one_that_cannot_reach_its_host_says_why(registry):
    verdict = look(registry(stuck(1)))
    assert told(verdict, "entry", "failure_stage", "failure_reason") == "unavailable"
    assert (verdict["failure_stage"], verdict["failure_reason"]) == ("host-rpc-connect", "refused")


def test_the_dead_are_not_ready(registry, gone):
    verdict = look(registry(row(1, "ready", pid=gone), row(2, pid=gone)))
    assert told(verdict, "entry") == "dead"
    assert look(registry(row(1, "ready", pid=gone)), include_dead=False)["status"] == "missing"
    # What it last said is worth knowing.
    assert look(registry(stuck(1, pid=gone)))["status"] == "unavailable"


def test_the_dead_are_in_nobodys_way(registry, gone):
    directory = registry(row(1, "ready", pid=gone), stuck(2, pid=gone), row(3, "ready"))
    assert number_of(look(directory)) == 3
    verdict = look(registry(stuck(1, pid=gone), row(2)))
    assert (verdict["status"], number_of(verdict)) == ("booting", 2)
    directory = registry(row(11, pid=gone), row(12, "ready"))
    verdict = look(directory, instance_id="0000001")
    assert verdict["status"] == "ready"


def test_the_best_of_several_counts(registry):
    assert number_of(look(registry(row(1), stuck(2), row(3, "ready"), row(4, "ready")))) == 3
    assert number_of(look(registry(row(1), stuck(2)))) == 2


def test_a_selector_has_to_name_one(registry):
    same = "ws://127.0.0.1:9"
    directory = registry(
        row(11, "ready", host_rpc_uri=same), row(12, "ready", host_rpc_uri=same), row(20, "ready")
    )
    for selector, numbers in (
        ({"instance_id": "0000001"}, [11, 12]),
        ({"instance_id": "000000"}, [11, 12, 20]),
        ({"host_rpc": same}, [11, 12]),
    ):
        verdict = look(directory, **selector)
        assert told(verdict) == "ambiguous"
        assert [int(one["instance_id"][:8]) for one in verdict["entries"]] == numbers
    assert number_of(look(directory, instance_id="00000012", host_rpc=same)) == 12
    assert number_of(look(directory, host_rpc="qtserver://127.0.0.1:7020")) == 20
    verdict = look(directory, instance_id=row(20)["instance_id"].upper() + " ")
    assert (told(verdict, "entry"), number_of(verdict)) == ("ready", 20)
    assert look(directory, host_rpc=same.upper())["status"] == "missing"
    verdict = look(directory, instance_id=" ", host_rpc="")
    assert told(verdict, "entry") == "ready"
    assert verdict["selector"] == {"dcc_type": None, "instance_id": None, "host_rpc": None}


def test_a_registry_that_cannot_be_read_is_told_of(registry, tmp_path):
    directory = registry()
    with open(os.path.join(directory, "services.json"), "w") as file:
        file.write("{not JSON")
    verdict = look(directory)
    assert told(verdict, "reason", "registry_message") == "failed"
    assert verdict["reason"] == "registry_damaged"
    assert verdict["registry_message"] in verdict["message"]


def test_a_probe_has_the_last_word(registry):
    with Answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as server:
        url = "http://127.0.0.1:{}/mcp".format(server.port)
        directory = registry(row(1, "ready", mcp_url=url))
        verdict = look(directory, probe_tool="ping", probe_timeout_secs=30.0)
    assert told(verdict, "entry", "probe") == verdict["probe"]["status"] == "probe_http_error"
    assert verdict["probe"]["tool_name"] == "ping"
    assert b'"name": "ping"' in server.heard[0] or len(server.heard) > 1


def test_a_probe_that_works(registry, monkeypatch):
    asked = []

    def probe(*arguments, **keywords):
        asked.append((arguments, keywords))
        return {"success": True, "status": "probe_ok", "message": "It works."}

    monkeypatch.setattr("{}.{}".format(probe_sidecar_tool.__module__, "probe_sidecar_tool"), probe)
    verdict = look(registry(row(1, "ready")), probe_tool="ping", probe_arguments={"a": 1})
    assert told(verdict, "entry", "probe") == "ready"
    assert asked == [(("http://127.0.0.1:1/mcp", "ping", {"a": 1}), {"timeout_secs": 3.0})]
    look(registry(row(1)), probe_tool="ping")
    assert len(asked) == 1


# The wait.


def verdict_of(*rows, host_rpc=None):
    """Return what one look says of entries that were made by hand."""
    entries = []
    for number, status, more in rows:
        entry = {
            "instance_id": str(number),
            "dispatch_status": status,
            "dispatch_ready": status == "ready",
            "host_rpc_scheme": "qtserver",
        }
        entries.append(dict(entry, **more))
    return readiness.judge_entries(entries, {"instance_id": None, "host_rpc": host_rpc})


class Waiting:
    """A wait in a time of its own, over verdicts that are given."""

    def __init__(self, *verdicts, takes=0.0):
        self.clock = FakeClock()
        self.verdicts = list(verdicts)
        self.takes = takes
        self.looks = []

    def look(self, remaining):
        self.looks.append(round(remaining, 6))
        self.clock.advance(self.takes)
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]

    def run(self, timeout, interval, **more):
        return readiness.await_verdict(
            self.look, timeout, interval, now=self.clock.monotonic, sleep=self.clock.advance, **more
        )


MISSING = verdict_of()
BOOTING = verdict_of((1, None, {}))
READY = verdict_of((1, "ready", {}))
TRYING = verdict_of((1, "unavailable", {"failure_stage": "host-rpc-connect"}))


def connecting(scheme, uri=None, host_rpc=None):
    more = {"host_rpc_scheme": scheme, "host_rpc_uri": uri, "failure_stage": "host-rpc-connect"}
    return verdict_of((1, "unavailable", more), host_rpc=host_rpc)


GIVEN_UP = verdict_of((1, "unavailable", {"failure_stage": "host-rpc-scheme"}))


def test_it_waits_for_ready():
    waiting = Waiting(MISSING, BOOTING, TRYING, READY)
    found = waiting.run(10.0, 0.25)
    assert (found["status"], found["success"], found["elapsed_secs"]) == ("ready", True, 0.75)
    assert waiting.looks == [10.0, 9.75, 9.5, 9.25]


def test_it_waits_no_longer_than_it_may():
    waiting = Waiting(BOOTING, takes=0.1)
    found = waiting.run(1.0, 0.3)
    assert (found["status"], found["last_status"]) == ("timeout", "booting")
    assert found["success"] is found["ready"] is False
    assert found["elapsed_secs"] == 1.1
    assert found["entry"] == BOOTING["entry"]
    assert waiting.looks == [1.0, 0.6, 0.2, 0.0]


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
def test_no_time_is_one_look(timeout):
    waiting = Waiting(BOOTING)
    assert waiting.run(timeout, 0.25)["last_status"] == "booting"
    assert len(waiting.looks) == 1


def test_it_does_not_spin():
    waiting = Waiting(MISSING)
    waiting.run(1.0, 0.0)
    assert 20 < len(waiting.looks) < 24


@pytest.mark.parametrize(
    "verdict",
    [
        GIVEN_UP,
        connecting("stub"),
        connecting("stub", "qtserver://127.0.0.1:9", "qtserver://127.0.0.1:9"),
        connecting(None, "stub://x", "qtserver://127.0.0.1:9"),
        connecting(None),
        connecting(None, "nothing"),
        dict(MISSING, status="ambiguous"),
    ],
)
def test_what_will_not_change_ends_the_wait(verdict):
    waiting = Waiting(verdict, READY)
    assert waiting.run(10.0, 0.25)["status"] == verdict["status"]
    assert len(waiting.looks) == 1


@pytest.mark.parametrize(
    "verdict",
    [
        TRYING,
        connecting("QtServer"),
        connecting(None, "WS://127.0.0.1:9"),
        connecting(None, None, "commandport://127.0.0.1:9"),
        verdict_of((1, "unavailable", {"failure_stage": "x", "runtime_alive": False})),
        dict(READY, success=False, ready=False, status="probe_failed"),
        dict(MISSING, status="failed"),
    ],
)
def test_what_may_change_is_waited_for(verdict):
    assert Waiting(verdict, READY).run(10.0, 0.25)["status"] == "ready"


def test_nobody_is_waited_for_who_is_gone():
    waiting = Waiting(BOOTING)
    found = waiting.run(10.0, 0.25, gone=lambda: len(waiting.looks) == 2)
    assert (found["status"], found["elapsed_secs"]) == ("booting", 0.5)


def test_waiting_looks_into_the_registry(registry):
    found = wait_for_sidecar_ready(registry(row(1, "ready")), dcc_type="maya")
    assert told(found, "entry", "elapsed_secs") == "ready"
    found = wait_for_sidecar_ready(registry(), timeout_secs=0.0)
    assert told(found, "elapsed_secs", "last_status") == "timeout"
    assert found["last_status"] == "missing"


def test_a_probe_gets_no_more_time_than_the_wait(registry, monkeypatch):
    given = []

    def probe(*_, timeout_secs):
        given.append(timeout_secs)
        return {"success": len(given) % 3 == 0, "status": "probe_failed", "message": "No."}

    monkeypatch.setattr("{}.{}".format(probe_sidecar_tool.__module__, "probe_sidecar_tool"), probe)
    directory = registry(row(1, "ready"))
    found = wait_for_sidecar_ready(
        directory,
        timeout_secs=60.0,
        poll_interval_secs=0.0,
        probe_tool="p",
        probe_timeout_secs=59.97,
    )
    assert found["status"] == "ready"
    assert given[0] == 59.97 and given[2] < 59.95
    # One look takes what it takes.
    wait_for_sidecar_ready(directory, timeout_secs=0.0, probe_tool="p", probe_timeout_secs=7.0)
    assert given[3] == 7.0
