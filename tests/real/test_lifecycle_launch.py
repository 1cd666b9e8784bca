"""The real sidecar (``dcc-mcp-server``, PyPI), launched through us until calls arrive.

The bridge that it calls is the test's own; the host is a process that launches it, or this one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading

import pytest

import helpers
from dcc_mcp_embed.install_lifecycle import (
    build_sidecar_command,
    launch_sidecar,
    sidecar_readiness_status,
    wait_for_sidecar_ready,
)
from real.processes import DEADLINE, Process
from real.test_lifecycle_runtime import VERSION, World, gone
from real.test_registry_gateway import wait_until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX"),
]

#: A host that launches its own sidecar, says what came of it, and goes on.
HOST = """
import json, sys
sys.path.insert(0, sys.argv[1])
from dcc_mcp_embed.install_lifecycle import launch_sidecar
print(json.dumps(launch_sidecar(**json.loads(sys.argv[2]))), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def world(tmp_path):
    with World(str(tmp_path)) as one:
        yield one


def options(world, **more):
    found = {
        "dcc_type": "maya",
        "host_rpc": world.bridge.url,
        "watch_pid": world.host.pid,
        "registry_dir": world.directory,
        "server_bin": world.binary,
        "no_ensure_gateway": True,
        "env": {"HOME": world.home, "RUST_LOG": "info"},
    }
    return dict(found, **more)


def test_one_call_launches_waits_and_proves_it_by_a_tool(world):
    result = launch_sidecar(
        **options(
            world,
            display_name="Maya-Anim",
            wait_ready_timeout_secs=DEADLINE,
            liveness_check_secs=0.1,
            probe_tool="maya_diagnostics__ping",
            probe_arguments={"deep": [True, None]},
            probe_timeout_secs=DEADLINE,
            check_server_version=True,
        )
    )
    assert result["success"] and result["ready"] and result["readiness_checked"], result
    assert result["server_binary"]["version"].split() == ["dcc-mcp-server", VERSION]
    assert result["liveness"]["alive"] is True
    verdict = result["readiness"]
    assert (verdict["status"], verdict["probe"]["status"]) == ("ready", "probe_ok")
    assert verdict["entry"]["sidecar_pid"] == result["pid"]
    assert verdict["entry"]["display_name"] == "Maya-Anim"
    (asked,) = world.bridge.calls
    assert asked["params"]["action"] == "maya_diagnostics__ping"
    assert asked["params"]["args"] == {"deep": [True, None]}
    assert os.getsid(result["pid"]) == result["pid"]
    with open(result["stdio"]["stdout_path"]) as out, open(result["stdio"]["stderr_path"]) as err:
        assert out.read() + err.read(), "it says something at this level"
    os.kill(result["pid"], signal.SIGTERM)
    wait_until(lambda: gone(result["pid"]), "it has ended, and was waited for")
    verdict = sidecar_readiness_status(world.directory, **result["readiness_selector"])
    assert verdict["status"] == "missing"


def test_the_readiness_command_gives_the_same_verdict(world):
    ident = "a1b2c3d4-0000-4000-8000-000000000001"
    result = launch_sidecar(**options(world, instance_id=ident.upper()))
    assert result["success"] and not result["ready"]
    assert wait_for_sidecar_ready(
        world.directory, **result["readiness_selector"], timeout_secs=DEADLINE
    )["ready"]

    def run(command):
        done = subprocess.run(command, cwd=helpers.ROOT, stdout=subprocess.PIPE, timeout=DEADLINE)
        return done.returncode, json.loads(done.stdout.decode("utf-8"))

    code, verdict = run(result["readiness_command"])
    assert (code, verdict["status"]) == (0, "ready")
    assert verdict["entry"]["instance_id"] == ident
    probe = ["--probe-tool", "ping", "--probe-timeout-secs", str(DEADLINE)]
    code, verdict = run([*result["readiness_command"], *probe])
    assert (code, verdict["probe"]["status"]) == (0, "probe_ok")
    # One more with the same address, and there is no telling which is meant.
    launch_sidecar(**options(world))
    address = result["readiness_selector"]["host_rpc"]
    verdict = {}

    def ambiguous():
        verdict.update(sidecar_readiness_status(world.directory, host_rpc=address))
        return verdict["status"] == "ambiguous"

    wait_until(ambiguous, "both are there")
    assert len(verdict["entries"]) == 2
    code, verdict = run(result["readiness_command"])
    assert (code, verdict["status"]) == (0, "ready"), "an instance_id names one"


def test_the_bridge_may_come_later(world):
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        address = "qtserver://127.0.0.1:{}".format(late.getsockname()[1])
        result = launch_sidecar(**options(world, host_rpc=address))
        selector = result["readiness_selector"]

        def tries():
            verdict = sidecar_readiness_status(world.directory, **selector)
            return verdict["status"] == "unavailable" and verdict

        wait_until(tries, "it says that it cannot reach its host")
        assert tries()["failure_stage"] == "host-rpc-connect"
        opening = threading.Timer(0.5, late.listen, (5,))
        opening.start()
        try:
            verdict = wait_for_sidecar_ready(
                world.directory, **selector, timeout_secs=DEADLINE, poll_interval_secs=0.1
            )
        finally:
            opening.join()
        assert verdict["ready"] and verdict["elapsed_secs"] > 0.3, verdict


@pytest.mark.parametrize("host_rpc", ["http://127.0.0.1:1", "stub://x"])
def test_an_address_without_hope_ends_the_wait(world, host_rpc):
    result = launch_sidecar(**options(world, host_rpc=host_rpc, wait_ready_timeout_secs=DEADLINE))
    assert result["success"] and not result["ready"]
    assert result["dispatch_contract"]["dispatch_ready_capable"] is False
    assert result["readiness"]["status"] == "unavailable", result["readiness"]
    assert result["readiness"]["elapsed_secs"] < DEADLINE / 2


def test_what_the_real_one_refuses_is_told_with_its_words(world):
    result = launch_sidecar(
        **options(world, extra_args=["--no-such-flag"], liveness_check_secs=DEADLINE)
    )
    assert (result["success"], result["status"]) == (False, "exited")
    assert "--no-such-flag" in result["early_exit"]["stderr_tail"]
    assert gone(result["pid"])


def test_every_argument_is_one_that_the_real_one_knows(world):
    result = launch_sidecar(
        **options(
            world,
            display_name="--version",
            adapter_version="1.2.3",
            instance_id="a1b2c3d4-0000-4000-8000-000000000001",
            discovery_mcp_url="http://127.0.0.1:1/mcp",
            gateway_port=1,
            gateway_host="127.0.0.1",
            gateway_name="name",
            gateway_remote_host="127.0.0.1",
            gateway_remote_port=0,
            connect_timeout_secs=5,
            wait_ready_timeout_secs=DEADLINE,
        )
    )
    assert result["ready"], result
    assert result["readiness"]["entry"]["display_name"] == "--version"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The one that is left: what elects outlives its host (0.20.49), so it is ended here.
    result = launch_sidecar(
        **options(
            world,
            gateway_port=port,
            gateway_remote_port=0,
            legacy_gateway_election=True,
            wait_ready_timeout_secs=DEADLINE,
        )
    )
    os.kill(result["pid"], signal.SIGTERM)
    assert result["status"] == "started", result
    wait_until(lambda: gone(result["pid"]), "it has ended")


@pytest.mark.parametrize("version", ["3.7", "3.13"])
def test_it_ends_with_the_host_that_launched_it(world, version):
    command = [
        *(helpers.python(version), "-c", HOST, helpers.ROOT),
        json.dumps(options(world, watch_pid=None, wait_ready_timeout_secs=DEADLINE)),
    ]
    with Process(command, env={"PYTHONDONTWRITEBYTECODE": "1"}, name="host") as host:
        result = host.json_line()
        assert result["ready"] and result["watch_pid"] == host.pid
        pid = result["pid"]
        assert not gone(pid)
        host.send_signal(signal.SIGKILL)
        host.wait()
        # It belongs to the system now, which takes its time to wait for it.
        wait_until(
            lambda: sidecar_readiness_status(world.directory)["status"] == "missing",
            "its row is gone",
        )
        wait_until(lambda: gone(pid), "and so is it")


def test_the_command_can_be_given_to_another_supervisor(world):
    arguments = options(world)
    contract = build_sidecar_command(**arguments)
    environment = dict(contract["environment"]["set"], **arguments["env"])
    with Process(contract["command"], env=environment, name="sidecar"):
        verdict = wait_for_sidecar_ready(
            world.directory, **contract["readiness_selector"], timeout_secs=DEADLINE
        )
        assert verdict["ready"], verdict
