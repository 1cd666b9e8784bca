"""query_runtime_state: the rows of the registry's own code, alive and dead alike, never a raise."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.install_lifecycle import query_runtime_state, stop_runtime_entries
from dcc_mcp_embed.registry.locking import Sentinel
from fakes.registry import Opened, raw_row

IDS = ["{:08x}-0000-4000-8000-000000000000".format(number) for number in range(20)]
NOBODY = 2**31 - 2


@pytest.fixture
def opened(tmp_path):
    with Opened(tmp_path / "registry", clock=SystemClock()) as one:
        yield one


def query(opened, **options):
    return query_runtime_state(opened.directory, **options)


def same(opened):
    """Ask both; return instance id -> whether the owner is provably gone, on which they agree."""
    answer = query(opened)
    theirs = {
        (one.dcc_type, one.instance_id): opened.registry.is_gone(one.dcc_type, one.instance_id)
        for one in opened.registry.entries()
    }
    ours = {
        (one["dcc_type"], one["instance_id"]): one["runtime_alive"] is False
        for one in answer["entries"]
    }
    assert ours == theirs
    assert list(ours) == list(theirs)
    assert answer["dead_count"] == sum(ours.values())
    return {ident: gone for (_kind, ident), gone in ours.items()}


def test_a_registry_without_rows(tmp_path):
    answer = query_runtime_state(str(tmp_path / "none"))
    assert answer == {
        "success": True,
        "registry_dir": str(tmp_path / "none"),
        "total": 0,
        "alive_count": 0,
        "dead_count": 0,
        "remarks": [],
        "entries": [],
    }
    assert not os.path.exists(str(tmp_path / "none"))


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_the_registrys_own_code_calls_the_same_owners_gone(opened, tmp_path):
    locks = os.path.join(opened.directory, "locks")
    os.mkdir(locks)
    os.mkdir(os.path.join(locks, "folder.lock"))
    for name in ("free.lock", "held.lock", "elsewhere.lock"):
        with open(os.path.join(locks, name), "w"):
            pass
    os.symlink(os.path.join(locks, "free.lock"), os.path.join(locks, "link.lock"))
    (tmp_path / "other.lock").write_text("")
    alive, dead = os.getpid(), NOBODY
    zombie = subprocess.Popen([sys.executable, "-S", "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    cases = [
        # sentinel_path, pid, gone
        (os.path.join(locks, "held.lock"), alive, False),
        (os.path.join(locks, "held.lock"), dead, False),
        (os.path.join(locks, "free.lock"), alive, True),
        (os.path.join(locks, "missing.lock"), alive, True),
        ("missing.lock", alive, True),
        ("C:\\other\\spelling\\free.lock", alive, True),
        ("C:\\other\\spelling\\missing.lock", alive, True),
        (str(tmp_path / "other.lock"), alive, False),
        (str(tmp_path / "other.lock"), dead, True),
        ("/somewhere/else/elsewhere.lock", alive, True),
        (os.path.join(locks, "folder.lock"), alive, False),
        (os.path.join(locks, "link.lock"), dead, True),
        ("nul\0.lock", alive, False),
        ("half\ud800.lock", alive, None),
        (locks + "/..", dead, True),
        (None, alive, False),
        (None, dead, True),
        (None, zombie.pid, True),
        (None, None, False),
        (7, None, False),
    ]
    opened.write(
        *[
            raw_row(instance_id=ident, sentinel_path=path, pid=pid)
            for ident, (path, pid, _gone) in zip(IDS, cases)
        ]
    )
    sentinel = Sentinel.hold(os.path.join(locks, "held.lock"), 0o600)
    try:
        found = same(opened)
    finally:
        sentinel.release()
        zombie.wait()
    for ident, (path, pid, gone) in zip(IDS, cases):
        assert gone is None or found[ident] is gone, (path, pid)


def test_a_row_of_a_sidecar_without_a_sentinel_is_judged_by_the_sidecar(opened):
    """The registry looks at ``pid``, the host's in such a row, before it takes a row away."""
    row = raw_row(pid=os.getpid(), metadata={"sidecar_pid": str(NOBODY)})
    opened.write(row)
    assert query(opened)["entries"][0]["runtime_alive"] is False


def test_our_own_rows_are_alive_for_as_long_as_they_are_registered(opened):
    entry = opened.registry.register("houdini", "127.0.0.1", 1, display_name="H")
    assert same(opened) == {entry.instance_id: False}
    found = query(opened)["entries"][0]
    assert found["sentinel_held"] is True
    assert found["sentinel_path"] == entry.sentinel_path
    assert found["display_name"] == "H"
    assert query(opened)["alive_count"] == 1
    opened.registry.close(deregister=False)
    assert same(opened) == {entry.instance_id: False}, "this process lives"


def test_looking_disturbs_no_owner(opened, tmp_path):
    entry = opened.registry.register("houdini", "127.0.0.1", 1)
    for _ in range(20):
        query(opened)
    opened.registry.beat()
    assert opened.registry.get("houdini", entry.instance_id) is not None
    assert sorted(os.listdir(opened.directory)) == ["locks", "services.json", "services.lock"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_who_looks_at_the_same_time_is_not_taken_for_the_owner(opened):
    import fcntl

    path = os.path.join(opened.directory, "locks", "x.lock")
    os.mkdir(os.path.dirname(path))
    opened.write(raw_row(sentinel_path=path, pid=os.getpid()))
    with open(path, "w") as other:
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert same(opened) == {raw_row()["instance_id"]: True}
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert same(opened) == {raw_row()["instance_id"]: False}


# What is asked for.


def test_rows_are_chosen_by_kind_and_role(opened):
    sidecar = {"dcc_mcp_role": "per-dcc-sidecar"}
    opened.write(
        raw_row(instance_id=IDS[0], dcc_type="3dsmax", metadata=sidecar),
        raw_row(instance_id=IDS[1], dcc_type="3dsmax"),
        raw_row(instance_id=IDS[2], metadata=sidecar),
        raw_row(instance_id=IDS[3], pid=NOBODY),
    )

    def chosen(**options):
        return [one["instance_id"] for one in query(opened, **options)["entries"]]

    assert chosen() == IDS[:4]
    assert chosen(dcc_type="3dsmax", role="per-dcc-sidecar") == IDS[:1]
    assert chosen(dcc_type="3dsmax") == IDS[:2]
    assert chosen(role="per-dcc-sidecar") == [IDS[0], IDS[2]]
    assert chosen(role="runtime") == [IDS[1], IDS[3]]
    assert chosen(dcc_type="3DSMAX") == []
    assert chosen(dcc_type="", role="") == IDS[:4]
    assert chosen(include_dead=False) == IDS[:3]


def test_rows_are_chosen_by_the_folder_they_run_from(opened, tmp_path):
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    opened.write(
        raw_row(instance_id=IDS[0], metadata={"install_root": str(root)}),
        raw_row(instance_id=IDS[1], metadata={"adapter_root": str(root / "lib")}),
        raw_row(instance_id=IDS[2], metadata={"install_root": str(tmp_path / "a" / "bc")}),
        raw_row(instance_id=IDS[3]),
    )

    def chosen(path):
        return [one["instance_id"] for one in query(opened, install_root=path)["entries"]]

    assert chosen(str(root)) == chosen(root) == IDS[:2]
    assert chosen(str(root / "lib" / "deep")) == IDS[:2]
    assert chosen(str(root / "other")) == IDS[:1]
    assert chosen(str(tmp_path)) == IDS[:3]
    assert chosen(str(tmp_path / "none")) == []
    assert chosen("") == chosen(None) == IDS[:4]
    if os.name != "nt":
        os.symlink(str(root), str(tmp_path / "link"))
        assert chosen(str(tmp_path / "link")) == IDS[:2]
        opened.write(raw_row(metadata={"install_root": str(tmp_path / "link" / "x")}))
        assert len(chosen(str(root))) == 1


def test_the_environment_says_where(opened, monkeypatch):
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", opened.directory)
    opened.write(raw_row())
    answer = query_runtime_state()
    assert (answer["registry_dir"], answer["total"]) == (opened.directory, 1)


def test_everything_is_json(opened):
    metadata = {"a": 1, "b": None, "c": [], "d": {}, "e": 1.5, "f": True}
    row = json.dumps(raw_row(pid=os.getpid(), metadata=dict(metadata, z=9)))
    opened.write_bytes("[{}]".format(row.replace(" 9}", " 1e999}")).encode())
    answer = json.loads(json.dumps(query(opened), allow_nan=False))
    del metadata["c"], metadata["d"]
    assert answer["entries"][0]["metadata"] == metadata


def test_the_guides_samples(opened, monkeypatch):
    """Query and stop as the adapter guide has them, in the registry of this environment."""
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", opened.directory)
    metadata = {
        "dcc_mcp_role": "per-dcc-sidecar",
        "sidecar_pid": str(NOBODY),
        "dispatch_status": "unavailable",
        "failure_stage": "host-rpc-connect",
        "failure_reason": "refused",
        "host_rpc_uri": "commandport://127.0.0.1:6000",
        "host_rpc_scheme": "commandport",
    }
    opened.write(raw_row(dcc_type="3dsmax", metadata=metadata), raw_row())
    state = query_runtime_state(dcc_type="3dsmax", role="per-dcc-sidecar")
    (entry,) = state["entries"]
    sample = {
        "dispatch_status": "unavailable",
        "dispatch_ready": False,
        "host_rpc_uri": "commandport://127.0.0.1:6000",
        "host_rpc_scheme": "commandport",
        "failure_stage": "host-rpc-connect",
        "failure_reason": "refused",
    }
    assert {name: entry[name] for name in sample} == sample
    assert entry["dispatch"] == {
        "reported": True,
        "status": "unavailable",
        "ready": False,
        "ready_at_unix": None,
        "host_rpc_uri": "commandport://127.0.0.1:6000",
        "host_rpc_scheme": "commandport",
        "failure_stage": "host-rpc-connect",
        "failure_reason": "refused",
    }
    stop = stop_runtime_entries(dcc_type="3dsmax")
    assert (stop["success"], stop["total"]) == (True, 1)
    assert stop["results"][0]["status"] == "already_stopped"


# What cannot be taken at its word.


@pytest.mark.parametrize(
    ("content", "reason", "total"),
    [
        (b"", None, 0),
        (b"[]", None, 0),
        (b"\xef\xbb\xbf[]", None, 0),
        (b"\xff\xff", "registry_damaged", 0),
        (b"[{", "registry_damaged", 0),
        (json.dumps([raw_row()]).encode()[:-1], "registry_damaged", 1),
        (json.dumps({"rows": []}).encode(), "registry_newer", 0),
        (json.dumps([raw_row(), raw_row(schema_version=2)]).encode(), "registry_newer", 1),
    ],
)
def test_a_file_that_cannot_be_believed_is_told_not_raised(opened, content, reason, total):
    opened.write_bytes(content)
    answer = query(opened)
    assert answer["total"] == len(answer["entries"]) == total
    assert answer["success"] is (reason is None)
    assert answer.get("reason") == reason
    if reason is not None:
        assert (answer["status"], answer["requires_restart"]) == ("failed", False)
        # What exactly is wrong each says in its own words.
        head = opened.path + (" is of a newer" if reason == "registry_newer" else " is damaged: ")
        for message in (answer["message"], opened.registry.doubt()):
            assert message.startswith(head) and len(message) > len(head)
        assert answer["path"] == answer["registry_dir"] == opened.directory


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_file_that_cannot_be_read_is_told_not_raised(opened, monkeypatch):
    opened.write(raw_row())
    real = os.open

    def refuse(path, *rest, **more):
        if path == opened.path:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    answer = query(opened)
    assert (answer["success"], answer["reason"]) == (False, "registry_unreadable")
    assert "Permission denied" in answer["message"]


@pytest.mark.parametrize("root", ["~\0x", "~\ud800", "nul\0inside"])
def test_a_folder_that_no_system_has_is_in_nobodys_way(opened, tmp_path, root):
    """Whoever writes a row writes it for everybody."""
    opened.write(
        raw_row(instance_id=IDS[0], metadata={"install_root": root}),
        raw_row(instance_id=IDS[1], metadata={"install_root": str(tmp_path)}),
    )
    found = query(opened, install_root=str(tmp_path))["entries"]
    assert [one["instance_id"] for one in found] == [IDS[1]]
    assert query(opened, install_root=root + "/of/the/question")["success"]


@pytest.mark.parametrize("directory", ["~\0x", "~\ud800", "nul\0inside", "x" * 5000])
def test_a_directory_that_no_system_has_is_told_not_raised(directory):
    answer = query_runtime_state(directory)
    assert answer["entries"] == []
    assert answer["reason"] == "registry_unreadable"


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_no_directory_that_can_be_trusted_is_told_not_raised(tmp_path, monkeypatch):
    os.chmod(str(tmp_path), 0o777)
    monkeypatch.delenv("DCC_MCP_REGISTRY_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))
    for name in ("dcc-mcp-registry", "dcc-mcp-registry-{}".format(os.getuid()), "registry"):
        (tmp_path / name).mkdir(mode=0o700)
        (tmp_path / name / "services.json").write_text(json.dumps([raw_row()]))
    answer = query_runtime_state()
    assert (answer["success"], answer["reason"]) == (False, "registry_untrusted")
    assert (answer["total"], len(answer["remarks"])) == (0, 3)
