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

import pytest

import helpers
from dcc_mcp_embed.install_lifecycle import plan_runtime_updates, query_runtime_state
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
    raw_row(dcc_type="houdini", metadata={"gateway_runtime_mode": "embedded-fallback"}),
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
name, options = json.loads(sys.stdin.read())
print(json.dumps(getattr(install_lifecycle, name)(**options)))
"""


@pytest.fixture(scope="module")
def reference():
    """Return what asks the reference's function by name."""
    python = helpers.peer_venv("dcc-mcp-core", ["dcc-mcp-core==0.20.49"])

    def ask(function, **options):
        done = subprocess.run(
            [python, "-c", ASK],
            input=json.dumps([function, options]),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60.0,
        )
        return json.loads(done.stdout)

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
        {"dcc_mcp_server": "0.17"},
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
