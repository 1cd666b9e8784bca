"""Plans for runtimes of mixed versions: the tables of the reference, and our own rows."""

from __future__ import annotations

import json

import pytest

from dcc_mcp_embed.install_lifecycle import (
    plan_runtime_updates,
    query_runtime_state,
    rows,
    states,
    updates,
)
from fakes.registry import raw_row


def entry(sidecar=None, restart=None, launch=None, **versions):
    return {
        "instance_id": "i",
        "dcc_type": "maya",
        "versions": dict({"core": None, "server": None, "adapter": None}, **versions),
        "sidecar_pid": sidecar,
        "restart_command": restart,
        "launch_command": launch,
    }


def only(found, **targets):
    answer = plan_runtime_updates([found], target_versions=targets)
    assert answer["success"]
    assert answer["total"] == 1
    return answer["plans"][0]


def test_the_guides_plan(tmp_path):
    """The sample of the adapter guide: a sidecar of 2026 that runs old code."""
    row = {
        "dcc_type": "maya",
        "instance_id": "00112233-4455-6677-8899-aabbccddeeff",
        "host": "127.0.0.1",
        "port": 0,
        "version": "2026",
        "registered_at": 1,
        "last_heartbeat": 1,
        "metadata": {
            "dcc_mcp_core_version": "0.17.20",
            "dcc_mcp_server_version": "0.17.20",
            "adapter_version": "1.1.9",
            "sidecar_pid": "99999999",
        },
    }
    (tmp_path / "services.json").write_text(json.dumps([row]))
    state = query_runtime_state(str(tmp_path), dcc_type="maya")
    answer = plan_runtime_updates(
        state,
        target_versions={"core": "0.17.21", "server": "0.17.21", "adapter": "1.2.0"},
    )
    assert {key: answer[key] for key in answer if key != "plans"} == {
        "success": True,
        "target_versions": {"core": "0.17.21", "server": "0.17.21", "adapter": "1.2.0"},
        "total": 1,
        "restart_required_count": 1,
        "verification_required_count": 0,
        "manual_restart_count": 0,
    }
    plan = answer["plans"][0]
    sample = {
        "dcc_type": "maya",
        "action": "restart_sidecar",
        "restart_scope": "sidecar",
        "stale_components": ["core", "server", "adapter"],
        "recommended_next_action": (
            "Stop the registered sidecar, restart it from the target deployment, then re-run MCP "
            "readiness."
        ),
    }
    assert {key: plan[key] for key in sample} == sample
    assert set(plan) == set(
        "instance_id dcc_type display_name mcp_url runtime_alive role versions stale_components "
        "unknown_components action restart_scope restartable sidecar_pid parent_pid "
        "restart_command launch_command recommended_next_action".split()
    )
    assert plan["versions"]["core"] == {
        "current": "0.17.20",
        "target": "0.17.21",
        "status": "older",
    }
    assert plan["restartable"] is True
    # The version of the DCC application is no package's.
    del row["metadata"]
    (tmp_path / "services.json").write_text(json.dumps([row]))
    plan = plan_runtime_updates(registry_dir=tmp_path, target_versions={"core": "1"})["plans"][0]
    assert plan["action"] == "verify_runtime_metadata"
    assert plan["unknown_components"] == ["core"]


@pytest.mark.parametrize(
    ("found", "action", "scope", "restartable"),
    [
        (entry(core="1.0"), "keep", "none", False),
        (entry(core="1.1", sidecar=5), "keep", "none", False),
        (entry(sidecar=5), "verify_runtime_metadata", "metadata", False),
        (entry(core="0.9", sidecar=5, restart="x"), "restart_sidecar", "sidecar", True),
        (entry(core="0.9", restart="x"), "restart_via_command", "configured-command", True),
        (entry(core="0.9", launch="x"), "restart_via_command", "configured-command", True),
        (entry(core="0.9"), "manual_restart_required", "host-process", False),
    ],
)
def test_what_is_to_be_done(found, action, scope, restartable):
    plan = only(found, core="1.0")
    assert (plan["action"], plan["restart_scope"], plan["restartable"]) == (
        action,
        scope,
        restartable,
    )
    assert plan["recommended_next_action"]


def test_a_row_will_do_for_an_entry():
    """What stands in the registry, and what a gateway tells of it."""
    metadata = {"dcc_mcp_core_version": "0.9", "sidecar_pid": "5", "adapter_version": "1"}
    row = raw_row(pid=7, metadata=metadata)
    plan = only(row, core="1.0", adapter="1")
    assert (plan["action"], plan["stale_components"]) == ("restart_sidecar", ["core"])
    assert (plan["sidecar_pid"], plan["parent_pid"]) == (5, 7)
    assert plan["versions"]["adapter"]["status"] == "equal"
    plan = only(dict(row, adapter_version="0.1"), adapter="1")
    assert plan["versions"]["adapter"]["current"] == "0.1"
    del metadata["sidecar_pid"]
    assert only(dict(row, sidecar_pid=6), core="1.0")["sidecar_pid"] == 6
    metadata["restart_command"] = "again"
    plan = only(row, core="1.0")
    assert (plan["action"], plan["restart_command"]) == ("restart_via_command", "again")
    # Of an entry that has versions the metadata says the others.
    plan = only(dict(row, versions={"core": "1.0", "adapter": None}), core="1.0", adapter="1")
    assert plan["action"] == "keep"
    entries = [states.entry_of(rows.key_of(one), one, None, {}) for one in (row, raw_row())]
    by_entry = plan_runtime_updates(entries, target_versions={"core": "1.0"})
    assert by_entry == plan_runtime_updates([row, raw_row()], target_versions={"core": "1.0"})


def test_rows_are_counted_by_what_they_need():
    found = [entry(core="0.9"), entry(core="0.9", sidecar=5), entry(), entry(core="1")]
    answer = plan_runtime_updates({"entries": found}, target_versions={"core": "1"})
    assert answer["restart_required_count"] == 2
    assert answer["manual_restart_count"] == 1
    assert answer["verification_required_count"] == 1


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, {}),
        ({}, {}),
        ({"core": None, "server": "", " ": "1"}, {}),
        ({"dcc-mcp-core": "1", "dcc_mcp_server": "2"}, {"core": "1", "server": "2"}),
        ({"Core": "1", "DCC-MCP-Server": "2"}, {"core": "1", "server": "2"}),
        ({"dcc_mcp_maya": "3"}, {"adapter": "3"}),
        ({"adapter": "1", "typo": "2"}, {"adapter": "2"}),
        ({"dcc_mcp_embed": "1", "embed": "2"}, {"embed": "2"}),
        ({"core": 1.5}, {"core": "1.5"}),
    ],
)
def test_targets_by_their_names(given, wanted):
    assert plan_runtime_updates([], target_versions=given)["target_versions"] == wanted


def test_targets_that_are_no_mapping_are_refused():
    for given in ("core=1", 7, ["core"]):
        answer = plan_runtime_updates([], target_versions=given)
        assert not answer["success"]
        assert (answer["status"], answer["reason"]) == ("failed", "invalid_target_version")


# Rows of our own server.


def test_our_own_row_has_no_core_and_no_server_unless_it_says_so():
    ours = entry(embed="0.1.0", adapter="0.1.0", launch="x")
    plan = only(ours, core="9", server="9", embed="0.1.0", adapter="1.2.0")
    assert plan["action"] == "keep"
    assert {name: one["status"] for name, one in plan["versions"].items()} == {
        "core": "not_applicable",
        "server": "not_applicable",
        "embed": "equal",
        "adapter": "not_applicable",
    }
    plan = only(ours, embed="0.2.0")
    assert (plan["action"], plan["stale_components"]) == ("restart_via_command", ["embed"])
    assert only(entry(embed="1", core="1"), core="2", embed="1")["stale_components"] == ["core"]
    # Who knows nothing of embed asks for the adapter, as the reference does.
    assert only(ours, adapter="0.2.0")["stale_components"] == ["adapter"]


def test_other_rows_have_no_embed():
    plan = only(entry(core="1", sidecar=5), core="1", embed="2")
    assert plan["versions"]["embed"]["status"] == "not_applicable"
    assert plan["action"] == "keep"


# Versions.

#: From old to new.
ORDER = (
    "0.9",
    "v0.17.20",
    "0.17.21.dev1",
    "0.17.21-alpha",
    "0.17.21-alpha.1",
    "0.17.21-alpha.2",
    "0.17.21-beta",
    "0.17.21-rc1",
    "0.17.21RC2",
    "V0.17.21+linux",
    "0.17.21.post",
    "0.17.21-1",
    "0.17.21.Post2+linux",
    "0.17.21r3",
    "0.17.21.1",
    "0.17.100",
    "1",
)


def test_versions_are_compared_number_by_number():
    for place, mine in enumerate(ORDER):
        for other, wanted in enumerate(ORDER):
            expected = "older" if place < other else "newer" if place > other else "equal"
            assert updates.compare(mine, wanted) == expected, (mine, wanted)


@pytest.mark.parametrize(
    ("current", "target", "status"),
    [
        (None, "1", "unknown"),
        ("", "1", "unknown"),
        ("1", "1.0.0", "equal"),
        ("0.17.21+a", "0.17.21+b", "equal"),
        ("1.2.0.post1", "1.2", "newer"),
        ("1.2.0.post1", "1.2-1", "equal"),
        ("1.0rc1", "1.0RC1", "equal"),
        ("1.0rc1.post1", "1.0", "older"),
        ("1.0-1.2", "1.0", "older"),
        (" 1.2 ", "v1.2.0", "equal"),
        ("main", "main", "equal"),
        ("main", "1.0", "unknown"),
        ("1.0", "main", "unknown"),
        ("1..0", "1.0", "unknown"),
        ("9" * 5000, "1", "newer"),
        (7, "8", "older"),
    ],
)
def test_what_a_version_is_to_another(current, target, status):
    assert updates.compare(current, target) == status


def test_a_plan_of_a_registry_that_cannot_be_believed_says_so(tmp_path):
    (tmp_path / "services.json").write_bytes(b"[{")
    answer = plan_runtime_updates(registry_dir=tmp_path, target_versions={"core": "1"})
    assert not answer["success"]
    assert answer["reason"] == "registry_damaged"
    assert answer["plans"] == []


@pytest.mark.parametrize("state", [{}, [], {"entries": None}, [{}], [7], ({},)])
def test_any_state_is_planned(state):
    assert plan_runtime_updates(state, target_versions={"core": "1"})["success"]
