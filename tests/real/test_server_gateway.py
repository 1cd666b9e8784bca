"""Our server beside the real gateway (``dcc-mcp-server``, PyPI): listed as ready, ended by it.

The gateway knows no token; so it can see how a host is, and end it, and call nothing.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry
from fakes.served import Served
from real.processes import DEADLINE
from real.test_registry_gateway import Gateway, wait_until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX"),
]

HOLD = """
import dcc_mcp_embed, threading

@dcc_mcp_embed.tool(timeout=0.5)
def hold(seconds: float) -> str:
    'Keep the main thread.'
    threading.Event().wait(seconds)
    return 'over'
"""


def instances(gateway):
    url = "http://127.0.0.1:{}/v1/instances".format(gateway.port)
    with urllib.request.urlopen(url, timeout=10.0) as answer:
        found = json.loads(answer.read().decode("utf-8"))
    return {one["instance_id"]: one for one in found["instances"]}


def ask(gateway, path, body):
    request = urllib.request.Request(
        "http://127.0.0.1:{}{}".format(gateway.port, path),
        json.dumps(body).encode("utf-8"),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30.0) as answer:
            return answer.status, answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8")


@pytest.fixture
def world(tmp_path):
    home = str(tmp_path)
    (tmp_path / "registry").mkdir(mode=0o700)
    (tmp_path / "hold.py").write_text(HOLD)
    with Gateway(str(tmp_path / "registry"), home) as gateway:
        wait_until(lambda: gateway.listed() is not None, "the gateway answers")
        with Served(home, "--tools", "hold.py") as served:
            yield gateway, served


def test_it_is_listed_for_longer_than_two_missed_probes_and_no_secret_is_told(world):
    gateway, served = world
    ident = served.facts["instance_id"]
    wait_until(lambda: ident in instances(gateway), "it is listed")
    # Two probes, five seconds apart, make a row unreachable that does not answer them.
    end = time.monotonic() + 17.0
    while time.monotonic() < end:
        row = instances(gateway)[ident]
        assert row["status"] in ("available", "ready"), row
        threading.Event().wait(1.0)
    told = json.dumps(row)
    assert served.facts["token"] not in told


def test_it_is_not_routable_while_its_main_thread_stands_still(world):
    gateway, served = world
    ident = served.facts["instance_id"]
    wait_until(lambda: ident in instances(gateway), "it is listed")

    def call():
        with served.connect() as wire:
            wire.tool("hold", {"seconds": 25.0})

    callers = [threading.Thread(target=call, name="caller", daemon=True) for _ in range(3)]
    for caller in callers:
        caller.start()

    def status():
        return instances(gateway).get(ident, {"status": "gone"})["status"]

    wait_until(lambda: status() not in ("available", "ready"), "the gateway has noticed", 20.0)
    wait_until(lambda: status() in ("available", "ready"), "and that it is back", DEADLINE)
    for caller in callers:
        caller.join(DEADLINE)


def test_it_ends_by_the_gateways_safe_stop_for_whoever_names_its_owner_and_session(world, tmp_path):
    gateway, served = world
    ident = served.facts["instance_id"]
    wait_until(lambda: ident in instances(gateway), "it is listed")
    registry = open_registry(str(tmp_path / "registry"), {}, SystemClock())
    metadata = registry.get("standalone", ident).metadata
    path = "/v1/dcc/standalone/instances/{}/stop".format(ident)
    right = {"expected_owner": metadata["owner"], "expected_session": metadata["session"]}
    status, said = ask(gateway, path, dict(right, expected_session="0" * 32))
    assert status >= 400, said
    assert served.process.poll() is None
    status, said = ask(gateway, path, right)
    assert status == 200, said
    assert served.end(None) == 0
    assert registry.get("standalone", ident) is None
