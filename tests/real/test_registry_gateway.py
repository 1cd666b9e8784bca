"""Eight processes and the real gateway (``dcc-mcp-server``, PyPI) in one registry directory.

What it does there, as found here (0.20.49): it contacts nobody but the rows' own addresses; it
lists a row only while that answers ``GET /v1/readyz`` (port 0 makes it booting, silence
unreachable); it writes rows in an order of its own, and files that others may read.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import urllib.error
import urllib.request

import pytest

import helpers
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry
from fakes.waiting import until
from real.processes import DEADLINE, Process

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX"),
]

SECONDS = 30
#: The gateway looks at the file every two seconds, at the rows' readiness every five, and sweeps
#: every fifteen.
GATEWAY_SWEEP = 30.0
VERSIONS = ["3.7", "3.13"] * 4
MEMBER = os.path.join(helpers.TESTS, "real", "registry_member.py")


class Gateway(Process):
    """The real one, on a free port of the loopback interface."""

    def __init__(self, directory: str, home: str) -> None:
        venv = helpers.peer_venv("gateway", ["dcc-mcp-server==0.20.49"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        super().__init__(
            [
                os.path.join(os.path.dirname(venv), "dcc-mcp-server"),
                *"gateway --host 127.0.0.1 --remote-port 0 --no-admin --gateway-persist".split(),
                *("--port", str(self.port), "--registry-dir", directory),
                *("--stale-timeout-secs", "30"),
            ],
            env={"HOME": home, "RUST_LOG": "warn"},
            name="gateway",
        )

    def listed(self):
        """Return the ids it lists; None as long as it does not answer."""
        url = "http://127.0.0.1:{}/v1/instances".format(self.port)
        try:
            with urllib.request.urlopen(url, timeout=5.0) as answer:
                found = json.loads(answer.read().decode("utf-8"))
        except (urllib.error.URLError, OSError):
            return None
        return {one["instance_id"] for one in found["instances"]}


def wait_until(condition, what, deadline=DEADLINE):
    until(condition, "it did not come to that: " + what, deadline, pause=0.2)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "registry"
    path.mkdir(mode=0o700)
    return str(path)


@pytest.fixture
def gateway(directory, tmp_path):
    with Gateway(directory, str(tmp_path)) as process:
        wait_until(lambda: process.listed() is not None, "the gateway answers")
        yield process


def member(directory, version, number, seconds):
    return Process(
        [helpers.python(version), MEMBER, directory, helpers.ROOT, str(number), str(seconds)],
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        name="member {} under {}".format(number, version),
    )


def quarantined(directory):
    return [name for name in os.listdir(directory) if "corrupted" in name]


def test_nobody_loses_a_row(directory, gateway):
    registry = open_registry(directory, {}, SystemClock())
    members = []
    try:
        for number, version in enumerate(VERSIONS):
            members.append(member(directory, version, number, SECONDS))
        lasting = {one.json_line()["lasting"] for one in members}
        wait_until(lambda: lasting <= (gateway.listed() or set()), "the gateway lists all eight")
        results = [one.json_line() for one in members]
        for one, result in zip(members, results):
            assert result["lost"] == [], one.problem("lost rows")
            assert result["resurrected"] == [], one.problem("saw rows return")
            assert result["logged"] == [], one.problem("logged something")
            assert result["rounds"] > 10, one.problem("hardly did anything")
        print("rounds and looks:", [(r["rounds"], r["looks"]) for r in results])
        left = {visitor for result in results for visitor in result["left"]}
        there = {one.instance_id for one in registry.entries()}
        assert lasting <= there
        assert not left & there
        wait_until(lambda: gateway.listed() == lasting, "the gateway lists those that stayed")

        # One dies, one dies and leaves a forked child behind.
        child = members[1].ask({"do": "fork"})["child"]
        ids = [entry.instance_id for entry in registry.entries("maya")]
        assert set(ids) == lasting
        owners = {entry.pid: entry.instance_id for entry in registry.entries("maya")}
        killed = {owners[one.pid] for one in members[:2]}
        for one in members[:2]:
            one.end(signal.SIGKILL)
        try:
            os.kill(child, 0)
            registry.sweep()
            assert {one.instance_id for one in registry.entries("maya")} == lasting - killed
        finally:
            os.kill(child, signal.SIGKILL)
        wait_until(lambda: gateway.listed() == lasting - killed, "the gateway forgets the killed")

        for one in members[2:]:
            assert one.ask({"do": "leave"}) == {"closed": True}
        assert [one.dcc_type for one in registry.entries()] == ["__gateway__"]
        wait_until(lambda: gateway.listed() == set(), "the gateway lists nobody")
        assert quarantined(directory) == []
    finally:
        for one in members:
            one.close()
    assert gateway.end() == 0
    assert registry.entries() == []


def test_the_gateway_takes_over_what_the_killed_leave(directory, gateway):
    """Nobody of ours sweeps: its own sweep believes our sentinels, of a parent with a child too."""
    with member(directory, VERSIONS[0], 0, 0.5) as one:
        lasting = one.json_line()["lasting"]
        one.json_line()
        wait_until(lambda: gateway.listed() == {lasting}, "the gateway lists it")
        child = one.ask({"do": "fork"})["child"]
        one.end(signal.SIGKILL)
        try:
            registry = open_registry(directory, {}, SystemClock())
            wait_until(lambda: registry.entries("maya") == [], "the gateway's sweep", GATEWAY_SWEEP)
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)
    assert quarantined(directory) == []


def test_a_row_that_the_gateway_threw_away_comes_back(directory, gateway):
    """Another program's bad row makes it quarantine the file; ours heals itself."""
    with member(directory, VERSIONS[1], 0, 0.5) as one:
        lasting = one.json_line()["lasting"]
        one.json_line()
        wait_until(lambda: gateway.listed() == {lasting}, "the gateway lists it")
        path = os.path.join(directory, "services.json")
        bad = {"dcc_type": "bad", "instance_id": "no id", "port": "no port"}

        def poisoned():
            # Our own writers would keep the bad row as it is, so the gateway finds it any time.
            with open(path, encoding="utf-8") as file:
                rows = json.load(file)
            with open(path + ".poison", "w", encoding="utf-8") as file:
                json.dump([*rows, bad], file)
            os.replace(path + ".poison", path)
            threading.Event().wait(0.3)
            return quarantined(directory)

        wait_until(poisoned, "the gateway throws the file away")
        wait_until(
            lambda: (
                lasting
                in {e.instance_id for e in open_registry(directory, {}, SystemClock()).entries()}
            ),
            "the row is back",
        )
        wait_until(lambda: lasting in (gateway.listed() or ()), "the gateway lists it again")
