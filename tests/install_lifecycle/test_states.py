"""What a row means: the reference's keys and values, and the host's process where rows have it."""

from __future__ import annotations

import os

import pytest

from dcc_mcp_embed.install_lifecycle import rows, states
from dcc_mcp_embed.registry.entry import ServiceEntry
from dcc_mcp_embed.server.row import About
from dcc_mcp_embed.server.safe_stop import Pass
from fakes.registry import ID, raw_row

#: Every key of the reference, 0.20.49.
KEYS = set(
    "dcc_type instance_id display_name role status host port mcp_url dispatch_status "
    "dispatch_ready dispatch host_rpc_uri host_rpc_scheme failure_stage failure_reason "
    "gateway_runtime_mode gateway_guardian_enabled gateway_recovery_driver "
    "registration_refresh_mode parent_pid sidecar_pid runtime_pid runtime_alive sentinel_path "
    "version adapter_version adapter_dcc versions restartable restart_command launch_command "
    "metadata install_roots".split()
)
DISPATCH = set(
    "reported status ready ready_at_unix host_rpc_uri host_rpc_scheme failure_stage "
    "failure_reason".split()
)


def entry_of(row, held=None, running=()):
    return states.entry_of(rows.key_of(row), row, held, dict(running))


def test_a_bare_row():
    entry = entry_of({"dcc_type": "maya"})
    assert set(entry) >= KEYS
    assert set(entry["dispatch"]) == DISPATCH
    given = {name: value for name, value in entry.items() if value not in (None, {}, [], False, 0)}
    assert given == {
        "dcc_type": "maya",
        "role": "runtime",
        "status": "available",
        "host": "127.0.0.1",
        "gateway_recovery_driver": "none",
        "registration_refresh_mode": "file_registry_heartbeat",
        "dispatch": dict(dict.fromkeys(DISPATCH), reported=False, status="not_reported"),
        "versions": {"core": None, "server": None, "adapter": None},
    }


def test_a_sidecars_row_of_today():
    row = raw_row(
        pid=77,
        host_pid=66,
        port=0,
        metadata={
            "dcc_mcp_role": "per-dcc-sidecar",
            "sidecar_pid": "77",
            "mcp_url": "http://127.0.0.1:5/mcp",
            "dispatch_status": " Ready",
            "dispatch_ready_at_unix": "12",
            "host_rpc_uri": "qtserver://127.0.0.1:7001",
            "host_rpc_scheme": "qtserver",
            "dcc_mcp_server_version": "0.20.49",
            "gateway_guardian_enabled": "true",
            "gateway_runtime_mode": "daemon",
        },
    )
    entry = entry_of(row, held=True)
    assert (entry["parent_pid"], entry["sidecar_pid"], entry["runtime_pid"]) == (66, 77, 77)
    assert entry["dispatch_status"] == "ready"
    assert entry["dispatch_ready"] is True
    assert entry["dispatch"] == {
        "reported": True,
        "status": "ready",
        "ready": True,
        "ready_at_unix": "12",
        "host_rpc_uri": "qtserver://127.0.0.1:7001",
        "host_rpc_scheme": "qtserver",
        "failure_stage": None,
        "failure_reason": None,
    }
    assert entry["gateway_recovery_driver"] == "daemon_guardian"
    assert entry["gateway_guardian_enabled"] is True
    assert entry["versions"] == {"core": None, "server": "0.20.49", "adapter": None}
    assert entry_of(row, held=False)["dispatch_ready"] is False
    assert entry["restartable"] is True, "whoever has a sidecar can start it again"
    assert entry_of(raw_row(pid=77))["restartable"] is False


@pytest.mark.parametrize(
    ("changes", "sidecar", "parent", "runtime"),
    [
        ({}, None, None, None),
        ({"pid": 5}, None, 5, 5),
        ({"pid": 5, "host_pid": 6}, None, 6, 5),
        # Up to 0.18: the row's own is the host.
        ({"pid": 5, "metadata": {"sidecar_pid": "7"}}, 7, 5, 7),
        ({"pid": 7, "metadata": {"sidecar_pid": "7"}}, 7, None, 7),
        ({"pid": 7, "host_pid": 5, "metadata": {"sidecar_pid": 7}}, 7, 5, 7),
        ({"host_pid": 5}, None, 5, 5),
        ({"pid": True, "metadata": {"sidecar_pid": True}}, None, None, None),
        ({"pid": -5, "metadata": {"sidecar_pid": "-7"}}, None, None, None),
        ({"pid": "5", "metadata": {"sidecar_pid": "0"}}, None, None, None),
        ({"metadata": {"sidecar_pid": "9" * 5000}}, None, None, None),
        ({"metadata": {"sidecar_pid": "٧"}}, None, None, None),
        ({"metadata": [5]}, None, None, None),
    ],
)
def test_processes_of_a_row(changes, sidecar, parent, runtime):
    entry = entry_of(raw_row(**changes))
    assert entry["sidecar_pid"] == sidecar
    assert entry["parent_pid"] == parent
    assert entry["runtime_pid"] == runtime
    assert states.judged_by(raw_row(**changes)) == runtime
    # Whose the sentinel is, and who renews the row.
    registrar = changes.get("pid")
    assert entry["registrar_pid"] == (registrar if registrar in (5, 7) else None)


@pytest.mark.parametrize("held", [True, False, None])
@pytest.mark.parametrize("runs", [True, False])
def test_the_sentinel_comes_before_the_process(held, runs):
    entry = entry_of(raw_row(pid=5), held, {5: runs})
    assert entry["runtime_alive"] is (runs if held is None else held)
    assert entry["sentinel_held"] is held
    assert entry_of(raw_row(), held)["runtime_alive"] is held


@pytest.mark.parametrize(
    ("metadata", "driver"),
    [
        ({"gateway_recovery_driver": "mine", "gateway_guardian_enabled": "1"}, "mine"),
        ({"gateway_guardian_enabled": "YES"}, "daemon_guardian"),
        ({"gateway_guardian_enabled": True}, "daemon_guardian"),
        ({"gateway_runtime_mode": "embedded-fallback"}, "embedded_election"),
        ({"gateway_guardian_enabled": "false", "gateway_runtime_mode": "daemon"}, "none"),
    ],
)
def test_what_brings_a_gateway_back(metadata, driver):
    assert entry_of(raw_row(metadata=metadata))["gateway_recovery_driver"] == driver


def test_versions_and_commands_by_either_name():
    metadata = {
        "core_version": "1",
        "dcc_mcp_server_version": "2",
        "server_version": "9",
        "dcc_mcp_adapter_version": "3",
        "dcc_mcp_restart_command": "again",
        "dcc_mcp_launch_command": "go",
    }
    entry = entry_of(raw_row(metadata=metadata))
    assert entry["versions"] == {"core": "1", "server": "2", "adapter": "3"}
    assert (entry["restart_command"], entry["launch_command"]) == ("again", "go")
    assert entry["restartable"] is True
    entry = entry_of(raw_row(metadata=metadata, adapter_version="4"))
    assert entry["versions"]["adapter"] == entry["adapter_version"] == "4"


def test_the_adapters_dcc_may_stand_in_the_metadata():
    metadata = {"adapter_dcc": "maya"}
    assert entry_of(raw_row(metadata=metadata))["adapter_dcc"] == "maya"
    assert entry_of(raw_row(metadata=metadata, adapter_dcc="houdini"))["adapter_dcc"] == "houdini"


def test_our_own_servers_row(tmp_path):
    about = About(4321, "0.1.0", str(tmp_path), Pass("o", "s"), launch_command="mayapy -m x")
    row = raw_row(port=4321, pid=os.getpid(), metadata=about.metadata())
    entry = entry_of(row, held=True)
    assert entry["versions"]["embed"] == entry["versions"]["adapter"] == "0.1.0"
    assert entry["install_roots"] == [str(tmp_path)]
    assert entry["role"] == "runtime"
    assert (entry["sidecar_pid"], entry["parent_pid"]) == (None, os.getpid())
    assert entry["restart_command"] == "mayapy -m x"
    assert entry["mcp_url"] == "http://127.0.0.1:4321/mcp"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"instance_id": ID.upper(), "status": "AVAILABLE"},
        {"status": "strange", "port": 70000, "host": None, "version": 5},
        {"status": None, "port": "18812", "display_name": "Anim", "adapter_dcc": "maya"},
        {"status": 7, "port": True, "host": "::1", "sentinel_path": 9},
        {"status": "shutting_down", "sentinel_path": "/x.lock", "adapter_version": "2"},
        {"registered_at": 5, "last_heartbeat": {"secs_since_epoch": 5}},
        {"registered_at": "now", "last_heartbeat": True},
    ],
)
def test_fields_are_what_the_registrys_own_entry_says(changes):
    row = raw_row(**changes)
    entry, theirs = entry_of(row), ServiceEntry(row)
    for name in ("dcc_type", "instance_id", "host", "port", "version", "display_name"):
        assert entry[name] == getattr(theirs, name), name
    for name in ("sentinel_path", "adapter_version", "adapter_dcc", "registered_at"):
        assert entry[name] == getattr(theirs, name), name
    assert entry["status"] == theirs["status"]
    assert int((entry["last_heartbeat"] or 0) * 1000) == theirs.last_heartbeat_ms


def test_an_address_that_no_url_can_be_made_of():
    assert entry_of(raw_row(port=0))["mcp_url"] is None
    assert entry_of(raw_row(host="::1", port=5))["mcp_url"] == "http://[::1]:5/mcp"


@pytest.mark.parametrize(
    ("root", "wanted", "related"),
    [
        (("a", "b"), ("a", "b"), True),
        (("a", "b", "c"), ("a", "b"), True),
        (("a",), ("a", "b"), True),
        (("a", "bc"), ("a", "b"), False),
        (("a", "x", "..", "b"), ("a", "b", "c"), True),
        (("q",), ("a", "b"), False),
    ],
)
def test_folders_below_and_above(root, wanted, related):
    top = os.path.abspath(os.sep)
    assert states.is_related(os.path.join(top, *root), [os.path.join(top, *wanted)]) is related
