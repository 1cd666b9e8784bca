"""What we answer of a registry beside what the reference (``dcc-mcp-core``, PyPI) answers.

The same file, the same question; every key that the reference has is there with the same value,
but for what is listed here, and why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial

import pytest

import helpers
from dcc_mcp_embed.install_lifecycle import (
    build_sidecar_command,
    launch_sidecar,
    plan_runtime_updates,
    probe_sidecar_tool,
    query_runtime_state,
    sidecar_host_rpc_dispatch_contract,
    sidecar_readiness_status,
)
from fakes.answering import Answering, http
from fakes.registry import raw_row

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX"),
]

NOBODY = 2**31 - 2
IDS = ["{:08x}-0000-4000-8000-000000000000".format(number) for number in range(12)]
SIDECAR = {"dcc_mcp_role": "per-dcc-sidecar", "sidecar_pid": str(os.getpid())}
READY = dict(SIDECAR, dispatch_status=" Ready", mcp_url="http://127.0.0.1:5/mcp")
FAILED = dict(
    SIDECAR,
    dispatch_status="unavailable",
    failure_stage="host-rpc-connect",
    failure_reason="refused",
    host_rpc_uri="qtserver://127.0.0.1:7001",
    host_rpc_scheme="qtserver",
)
VERSIONS = {"dcc_mcp_core_version": "0.17.20", "server_version": "v0.17.21", "adapter_version": "2"}
GUARDED = {"gateway_guardian_enabled": "true", "gateway_runtime_mode": "daemon"}
ROOTED = {"install_root": "/opt/embed", "adapter_root": "/opt/adapter/lib", "restart_command": "x"}
ROWS = [
    raw_row(),
    raw_row(pid=os.getpid(), display_name="Anim", adapter_version="1.2", adapter_dcc="maya"),
    raw_row(pid=NOBODY, metadata={"launch_command": "go"}),
    raw_row(pid=NOBODY, host_pid=os.getpid(), metadata=READY),
    raw_row(pid=os.getppid(), metadata=dict(FAILED, **VERSIONS)),
    raw_row(metadata=dict(SIDECAR, sidecar_pid=str(NOBODY), dispatch_status="booting")),
    raw_row(dcc_type="3dsmax", status="booting", metadata=dict(VERSIONS, **ROOTED)),
    raw_row(dcc_type="houdini", port=0, metadata=GUARDED),
    raw_row(
        dcc_type="houdini",
        metadata={"gateway_runtime_mode": "embedded-fallback", "adapter_dcc": "houdini"},
    ),
    raw_row(dcc_type="__gateway__", metadata={"dcc_mcp_role": "gateway-sentinel"}),
    raw_row(sentinel_path="/nowhere/at/all.lock", pid=NOBODY),
    raw_row(metadata={"dcc_mcp_core_version": "main", "dcc_mcp_restart_command": "again"}),
]
for _ident, _row in zip(IDS, ROWS):
    _row["instance_id"] = _ident

#: Answered otherwise: a row of today says the host's process beside its own (``host_pid``), and the
#: reference shows its own twice.
HOST_PID = {IDS[3]: "parent_pid"}

ASK = """
import json, sys
from dcc_mcp_core import install_lifecycle
asked = json.loads(sys.stdin.read())
print(json.dumps([getattr(install_lifecycle, name)(**options) for name, options in asked]))
"""


@pytest.fixture(scope="module")
def reference():
    """Return what asks the reference: ``ask(name, **options)``, ``ask.all([(name, options)])``."""
    python = helpers.peer_venv("dcc-mcp-core", ["dcc-mcp-core==0.20.49"])

    def ask(function, **options):
        return ask_all([(function, options)])[0]

    def ask_all(asked):
        done = subprocess.run(
            [python, "-c", ASK],
            input=json.dumps(asked),
            env=dict(os.environ, DCC_MCP_SERVER_BIN=""),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60.0,
        )
        return json.loads(done.stdout)

    ask.all = ask_all
    return ask


@pytest.fixture
def directory(tmp_path):
    with open(str(tmp_path / "services.json"), "w") as file:
        json.dump(ROWS, file)
    return str(tmp_path)


def shared(ours, theirs):
    """Return (ours, theirs) with the keys of the reference only, those that are known to differ
    left out."""
    left_out = HOST_PID.get(theirs["instance_id"])
    keys = [key for key in theirs if key != left_out]
    return {key: ours[key] for key in keys}, {key: theirs[key] for key in keys}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dcc_type": "3dsmax"},
        {"role": "per-dcc-sidecar"},
        {"role": "runtime", "include_dead": False},
        {"install_root": "/opt"},
        {"install_root": "/opt/adapter"},
        {"install_root": "/opt/embed/lib"},
        {"install_root": "/elsewhere"},
    ],
    ids=str,
)
def test_a_query(reference, directory, options):
    ours = query_runtime_state(directory, **options)
    theirs = reference("query_runtime_state", registry_dir=directory, **options)
    assert {key: ours[key] for key in theirs if key != "entries"} == {
        key: theirs[key] for key in theirs if key != "entries"
    }
    assert len(ours["entries"]) == len(theirs["entries"])
    for one, other in zip(ours["entries"], theirs["entries"]):
        mine, wanted = shared(one, other)
        assert mine == wanted


@pytest.mark.parametrize(
    "targets",
    [
        None,
        {},
        {"core": "0.17.21", "server": "0.17.21", "adapter": "1.2.0"},
        {"dcc-mcp-core": "0.17.20", "typo": "3"},
        {"core": "main", "server": None},
        {"Dcc-MCP-Server": "0.17"},
    ],
    ids=str,
)
def test_a_plan(reference, directory, targets):
    ours = plan_runtime_updates(registry_dir=directory, target_versions=targets)
    theirs = reference("plan_runtime_updates", registry_dir=directory, target_versions=targets)
    assert {key: ours[key] for key in theirs if key != "plans"} == {
        key: theirs[key] for key in theirs if key != "plans"
    }
    for one, other in zip(ours["plans"], theirs["plans"]):
        mine, wanted = shared(one, other)
        for answer in (mine, wanted):
            # A sentence for a person; each has its own.
            assert answer.pop("recommended_next_action")
        assert mine == wanted


STOPPED = """
import sys
print(1, flush=True)
sys.stdin.read()
"""


def test_a_stop(reference, tmp_path):
    """What has no process, what is gone, and a child of somebody else that runs."""
    answers = []
    for who in ("ours", "reference"):
        directory = str(tmp_path / who)
        os.mkdir(directory)
        with subprocess.Popen(
            [sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            try:
                assert child.stdout is not None
                child.stdout.readline()
                rows = [
                    raw_row(instance_id=IDS[0], metadata={"dcc_mcp_role": "per-dcc-sidecar"}),
                    raw_row(instance_id=IDS[1], metadata=dict(SIDECAR, sidecar_pid=str(NOBODY))),
                    raw_row(
                        instance_id=IDS[2],
                        metadata=dict(SIDECAR, sidecar_pid=str(child.pid)),
                        registered_at=time.time(),
                    ),
                ]
                with open(os.path.join(directory, "services.json"), "w") as file:
                    json.dump(rows, file)
                answers.append(stopped(who, reference, directory, child.pid))
            finally:
                child.kill()
    ours, theirs = answers
    assert ours == [
        {"status": "unsupported"},
        {"status": "already_stopped", "target": "sidecar", "pid": NOBODY},
        {"status": "stopped", "target": "sidecar", "pid": "child"},
    ]
    # The reference takes a zombie for a process that runs on.
    theirs[2]["status"] = "stopped"
    assert ours == theirs


def stopped(who, reference, directory, pid):
    if who == "ours":
        from dcc_mcp_embed.install_lifecycle import stop_runtime_entries

        answer = stop_runtime_entries(directory, timeout_secs=10.0)
    else:
        answer = reference("stop_runtime_entries", registry_dir=directory, timeout_secs=0.5)
    results = [
        {key: one[key] for key in ("status", "target", "pid") if key in one}
        for one in answer["results"]
    ]
    for one in results:
        if one.get("pid") == pid:
            one["pid"] = "child"
    return results


# Sidecars. Sentences for a person are each one's own, and so is the name of the module.

WORDS = ("message", "validation_error", "recommended_next_action", "version", "version_error")


def alike(ours, theirs):
    """Compare what the reference has, on all levels; we may have more."""
    assert told(ours, theirs) == told(theirs, theirs)


def told(answer, wanted):
    if isinstance(answer, dict) and isinstance(wanted, dict):
        keys = [key for key in wanted if key not in WORDS and key in answer]
        return {key: told(answer[key], wanted[key]) for key in keys}
    return answer


ADDRESSES = [
    *("", "  ", "h:1", "stub://x", "http://h:1/", "foo://", "QtServer://h:1", " ws://h "),
    *("qtserver://", "qtserver://h", "qtserver://h:0", "qtserver://h:65536", "qtserver://:5"),
    *("qtserver://h:x", "qtserver://h:1/", "qtserver://h:1/x?y", "commandport://[::1]:6000"),
    *("commandport://127.0.0.1:6000", "ws://h:0", "ws://", "wss://h:1/p?q#f", "wss://h:99999"),
]


def test_dispatch_contracts(reference):
    name = "sidecar_host_rpc_dispatch_contract"
    answers = reference.all([(name, {"host_rpc": one}) for one in ADDRESSES])
    for address, theirs in zip(ADDRESSES, answers):
        ours = sidecar_host_rpc_dispatch_contract(address)
        alike(ours, theirs)
        for key in ("message", "validation_error"):
            assert (ours[key] is None) == (theirs[key] is None), address


COMMANDS = [
    {},
    {"instance_id": IDS[0].upper(), "display_name": "Anim", "adapter_version": "1"},
    {"discovery_mcp_url": "http://127.0.0.1:1/mcp", "extra_args": ["--x", 5]},
    {"gateway_port": 0, "gateway_host": "h", "gateway_name": "n", "no_ensure_gateway": True},
    {"gateway_remote_host": "r", "gateway_remote_port": "7", "legacy_gateway_election": True},
    {"connect_timeout_secs": 5, "env": {"DCC_MCP_GATEWAY_PORT": "1", "DCC_MCP_GATEWAY_HOST": "e"}},
    {"host_rpc": "stub://x"},
    {"host_rpc": "stub://x", "require_dispatch_capable": True},
    {"dcc_type": " "},
    {"host_rpc": None},
    {"watch_pid": 0},
    {"watch_pid": "x"},
    {"gateway_port": 65536},
    {"gateway_remote_port": -1},
    {"instance_id": "x"},
    {"connect_timeout_secs": 0},
    {"server_bin": "  ", "env": {"DCC_MCP_SERVER_BIN": sys.executable}},
]


def test_sidecar_commands(reference, tmp_path):
    usual = {
        "dcc_type": "maya",
        "host_rpc": "qtserver://127.0.0.1:7001",
        "watch_pid": 77,
        "registry_dir": str(tmp_path),
        "server_bin": sys.executable,
    }
    asked = [dict(usual, **more) for more in COMMANDS]
    answers = reference.all([("build_sidecar_command", one) for one in asked])
    for options, theirs in zip(asked, answers):
        ours = build_sidecar_command(**options)
        for answer in (ours, theirs):
            if answer["success"]:
                # Which Python, and whose module.
                answer["readiness_command"] = answer["readiness_command"][3:]
        alike(ours, theirs)


def test_a_launch_that_fails_at_once(reference, tmp_path):
    """Python for a sidecar: it knows no file of that name."""
    answers = []
    for who in ("ours", "theirs"):
        options = {
            "dcc_type": "../X y",
            "host_rpc": "qtserver://127.0.0.1:7001",
            "watch_pid": 77,
            "registry_dir": str(tmp_path / who),
            "server_bin": sys.executable,
            "liveness_check_secs": 60.0,
            "cwd": str(tmp_path),
        }
        ask = launch_sidecar if who == "ours" else partial(reference, "launch_sidecar")
        text = json.dumps(ask(**options)).replace(str(tmp_path / who), "REGISTRY")
        answer = json.loads(text)
        assert answer.pop("pid") and answer["liveness"].pop("elapsed_secs") >= 0.0
        answer["readiness_command"] = answer["readiness_command"][3:]
        answers.append(answer)
    alike(*answers)
    for answer in answers:
        assert "sidecar" in answer["early_exit"]["stderr_tail"]


REPLIES = [
    ("200 OK", '{"jsonrpc":"2.0","id":ID,"result":{"content":[]}}'),
    ("200 OK", '{"jsonrpc":"2.0","id":ID,"result":{"isError":true,"message":"Busy"}}'),
    ("200 OK", '{"jsonrpc":"2.0","id":ID,"result":{"success":false,"error":"no"}}'),
    ("200 OK", '{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"gone"}}'),
    ("200 OK", '{"jsonrpc":"2.0","id":ID,"error":"gone"}'),
    ("200 OK", '{"jsonrpc":"2.0","id":ID,"error":{},"result":{"x":1}}'),
    ("200 OK", "[1]"),
    ("200 OK", "event: message"),
    ("503 Busy", '{"why":"booting"}'),
    ("404 Not Found", "nothing"),
]


def test_probes(reference):
    replies = list(REPLIES) * 2
    done = [0]

    def answer(peer):
        """Reply to one request after the other, each on a connection of its own."""
        said = b"".join(server.heard[done[0] :])
        while b"}}" not in said:
            server.heard.append(peer.recv(65536))
            said = b"".join(server.heard[done[0] :])
        done[0] = len(server.heard)
        ident = json.loads(said.partition(b"\r\n\r\n")[2].decode())["id"]
        status, body = replies.pop(0)
        peer.sendall(http(body.replace("ID", json.dumps(ident)).encode(), status))

    with Answering(answer) as server:
        url = "http://127.0.0.1:{}/mcp".format(server.port)
        options = {"mcp_url": url, "tool_name": "ping", "timeout_secs": 30.0}
        ours = [probe_sidecar_tool(**options) for _ in REPLIES]
        theirs = reference.all([("probe_sidecar_tool", options)] * len(REPLIES))
    for one, other in zip(ours, theirs):
        assert one.pop("request_id")[:20] == other.pop("request_id")[:20]
        if one["status"] == "probe_failed":
            assert one["message"] == other["message"]
        alike(one, other)


SELECTORS = [
    {},
    {"dcc_type": "maya"},
    {"dcc_type": "houdini"},
    {"instance_id": IDS[3]},
    {"instance_id": IDS[4][:8]},
    {"instance_id": "0000000"},
    {"instance_id": IDS[5], "include_dead": False},
    {"host_rpc": "qtserver://127.0.0.1:7001"},
    {"host_rpc": "qtserver://elsewhere:1"},
]


def test_readiness(reference, directory):
    asked = [dict(one, registry_dir=directory) for one in SELECTORS]
    answers = reference.all([("sidecar_readiness_status", one) for one in asked])
    for options, theirs in zip(asked, answers):
        ours = sidecar_readiness_status(**options)
        for key in ("entries", "entry"):
            found = [theirs.pop(key, []), ours.pop(key, [])]
            idents = [
                [one["instance_id"] for one in ([many] if isinstance(many, dict) else many)]
                for many in found
            ]
            assert idents[0] == idents[1]
        alike(ours, theirs)
