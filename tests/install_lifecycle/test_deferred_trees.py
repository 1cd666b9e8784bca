"""Real trees, taken away or replaced at the next start; each call may be the last of a process."""

from __future__ import annotations

import errno
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time

import pytest

from dcc_mcp_embed.install_lifecycle import (
    list_deferred,
    owing,
    run_deferred_cleanup,
    safe_replace_tree,
    schedule_deferred_cleanup,
)
from dcc_mcp_embed.install_lifecycle.claims import Claim
from dcc_mcp_embed.install_lifecycle.disk import Disk
from dcc_mcp_embed.install_lifecycle.guards import Surroundings
from dcc_mcp_embed.install_lifecycle.loaded import Loaded
from dcc_mcp_embed.install_lifecycle.trees import Trees
from fakes.trees import Crash, FaultyDisk, crash_at, nth, picture, plant, posix_error, windows_error

pytestmark = pytest.mark.edges

OLD = {"__init__.py": b"1", "core/a.pyd": b"2"}
NEW = {"__init__.py": b"one", "other/c.py": b"three"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class World:
    """A tree, a payload and a journal, in a folder of their own."""

    def __init__(self, root, monkeypatch):
        self._monkeypatch = monkeypatch
        self.root = root
        root.mkdir()
        monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(root / "home"))
        self.tree = plant(root / "place" / "tree", OLD)
        self.payload = plant(root / "payload", NEW)
        self.old, self.new = picture(self.tree), picture(self.payload)

    def operation(self, kind):
        if kind == "remove_tree":
            return {"operation": kind, "path": self.tree}
        return {"operation": kind, "source": self.payload, "destination": self.tree}

    def run(self, fault=None, exchanges=True, sleep=lambda seconds: None):
        """Run what is owed on a disk that may fail; return the result and the disk."""
        disk = FaultyDisk(fault, exchanges)
        trees = Trees(
            disk,
            look=lambda root: Loaded([], [], []),
            sleep=sleep,
            around=Surroundings("/nowhere/home", None, []),
        )
        self._monkeypatch.setattr(owing, "_performer", lambda: trees.perform)
        try:
            return run_deferred_cleanup(), disk
        except Crash:
            return None, disk

    def owed(self):
        listed = list_deferred()
        assert (listed["success"], listed["damage"]) == (True, None)
        return listed["entries"]

    def beside(self):
        return sorted(os.listdir(os.path.dirname(self.tree)))


FAULTS = {
    "killed": crash_at,
    "sharing": lambda number: nth(number, lambda path: windows_error(32, path)),
    "access": lambda number: nth(number, lambda path: windows_error(5, path)),
    "mapped": lambda number: nth(number, lambda path: windows_error(1224, path)),
    "no space": lambda number: nth(number, lambda path: posix_error(28, path)),
    "not permitted": lambda number: nth(number, lambda path: posix_error(1, path)),
}


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize(
    "fault",
    [name if name == "killed" else pytest.param(name, marks=pytest.mark.heavy) for name in FAULTS],
)
@pytest.mark.parametrize("kind", ["remove_tree", "replace_tree"])
def test_next_start_finishes_whichever_call_fails(
    kind, fault, exchanges, tmp_path, monkeypatch
) -> None:
    for number in itertools.count(1):
        world = World(tmp_path / str(number), monkeypatch)
        goal = world.new if kind == "replace_tree" else None
        schedule_deferred_cleanup(world.operation(kind))
        result, disk = world.run(FAULTS[fault](number), exchanges)
        seen, owed = picture(world.tree), world.owed()
        # Only between two renames is there nothing, and then it is owed.
        assert seen in (world.old, goal) or (seen is None and owed and not exchanges)
        assert owed or seen == goal
        if result is not None:
            assert result["success"] == (not owed)
        else:
            assert owed[0]["last_error"]["reason"] == "interrupted"
        again, _ = world.run(exchanges=exchanges)
        assert again["success"] is True, again
        assert picture(world.tree) == goal
        assert world.owed() == []
        assert world.beside() == (["tree"] if goal else [])
        if number > len(disk.calls):
            assert number > 3
            break


def kills_the_gap(world):
    """Return a fault: the process ends when the old tree is aside and the new one not in place."""

    def fault(_count, name, arguments):
        if name == "rename" and arguments[1] == world.tree:
            raise Crash

    return fault


@pytest.mark.parametrize("killed", [True, False])
def test_tree_that_a_run_put_in_place_is_meant_from_then_on(killed, tmp_path, monkeypatch) -> None:
    # The copy of the first attempt is old when the third comes to an end.
    world = World(tmp_path / "w", monkeypatch)
    schedule_deferred_cleanup(world.operation("replace_tree"))
    world.run(kills_the_gap(world), exchanges=False)
    assert picture(world.tree) is None
    plant(world.payload, {"later.py": b"4"})

    def fault(_count, name, arguments):
        if name == "copy_file":
            raise Crash if killed else posix_error(28, arguments[1])

    world.run(fault, exchanges=False)
    assert picture(world.tree) == world.new
    result, _ = world.run(exchanges=False)
    assert result["results"][0]["status"] == "replaced"
    assert picture(world.tree) == picture(world.payload) != world.new
    assert world.owed() == []
    assert world.beside() == ["tree"]


def test_rubbish_that_stays_does_not_make_a_sweep_of_an_update(tmp_path, monkeypatch) -> None:
    world = World(tmp_path / "w", monkeypatch)
    held = os.path.join("place", ".tree.dcc-mcp-embed-1", "old", "held.pyd")
    plant(world.root, {held.replace(os.sep, "/"): b"5"})
    schedule_deferred_cleanup(world.operation("replace_tree"))

    def in_use(name, arguments):
        if name == "remove" and arguments[0].endswith("held.pyd"):
            raise windows_error(32, arguments[0])

    def fault(_count, name, arguments):
        in_use(name, arguments)
        if name == "copy_file":
            raise posix_error(28, arguments[1])

    result, _ = world.run(fault)
    assert (result["status"], result["results"][0]["status"]) == ("owed", "failed")
    assert [e["operation"] for e in world.owed()] == [world.operation("replace_tree")]
    result, _ = world.run(lambda _count, name, arguments: in_use(name, arguments))
    assert (result["status"], result["results"][0]["status"]) == ("owed", "replaced")
    assert picture(world.tree) == world.new
    assert world.run()[0]["status"] == "finished"
    assert world.beside() == ["tree"]


@pytest.mark.parametrize("kind", ["remove_tree", "replace_tree"])
def test_tree_installed_after_the_schedule_survives(kind, tmp_path, monkeypatch) -> None:
    world = World(tmp_path / "w", monkeypatch)
    schedule_deferred_cleanup(world.operation(kind))
    other = plant(world.root / "other", {"other": b"6"})
    quiet = Trees(around=Surroundings("/nowhere/home", None, []))
    assert quiet.replace(other, world.tree)["status"] == "replaced"
    result, _ = world.run()
    assert result["results"][0]["status"] == "superseded"
    assert picture(world.tree) == picture(other)
    assert world.owed() == []


@pytest.mark.parametrize("kind", ["remove_tree", "replace_tree"])
def test_tree_installed_while_a_run_waits_for_the_installer_survives(
    kind, tmp_path, monkeypatch
) -> None:
    world = World(tmp_path / "w", monkeypatch)
    schedule_deferred_cleanup(world.operation(kind))
    other = plant(world.root / "other", {"other": b"6"})
    claim = Claim(os.path.dirname(world.tree), time.sleep)
    assert claim.__enter__()

    def install(_seconds):
        if os.path.isdir(other):
            os.rename(world.tree, str(world.root / "gone"))
            os.rename(other, world.tree)
            claim.__exit__(None, None, None)

    result, _ = world.run(sleep=install)
    assert result["results"][0]["status"] == "superseded"
    assert picture(world.tree) == {"other": b"6"}
    assert world.owed() == []


def test_update_of_what_was_uninstalled_meanwhile_installs_nothing(tmp_path, monkeypatch) -> None:
    world = World(tmp_path / "w", monkeypatch)
    schedule_deferred_cleanup(world.operation("replace_tree"))
    os.rename(world.tree, str(world.root / "gone"))
    result, _ = world.run()
    assert (result["status"], result["results"][0]["status"]) == ("finished", "superseded")
    assert picture(world.tree) is None
    assert world.owed() == []


def test_installation_where_nothing_was_is_carried_out(tmp_path, monkeypatch) -> None:
    world = World(tmp_path / "w", monkeypatch)
    os.rename(world.tree, str(world.root / "gone"))
    schedule_deferred_cleanup(world.operation("replace_tree"))
    assert world.run()[0]["results"][0]["status"] == "replaced"
    assert picture(world.tree) == world.new


def test_tree_that_cannot_be_looked_at_is_owed_still_and_keeps_no_other(
    tmp_path, monkeypatch
) -> None:
    world = World(tmp_path / "w", monkeypatch)
    other = plant(world.root / "place" / "other", {"other": b"6"})
    schedule_deferred_cleanup(world.operation("remove_tree"))
    schedule_deferred_cleanup({"operation": "remove_tree", "path": other})
    real = os.lstat

    def lstat(path, **keywords):
        if path == world.tree:
            raise OSError(errno.EIO, "the drive is away")
        return real(path, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", lstat)
        result, _ = world.run()
    assert (result["status"], result["finished_count"]) == ("owed", 1)
    assert picture(other) is None
    (entry,) = world.owed()
    assert (entry["operation"], entry["state"]) == (world.operation("remove_tree"), "owed")
    assert world.run()[0]["status"] == "finished"


def test_payload_that_is_gone_is_told_once(tmp_path, monkeypatch) -> None:
    world = World(tmp_path / "w", monkeypatch)
    schedule_deferred_cleanup(world.operation("replace_tree"))
    os.rename(world.payload, world.payload + ".unmounted")
    result, _ = world.run()
    assert (result["status"], result["results"][0]["reason"]) == ("given_up", "missing_source")
    assert world.run()[0]["status"] == "nothing_owed"
    os.rename(world.payload + ".unmounted", world.payload)
    assert world.run()[0]["status"] == "finished"
    assert picture(world.tree) == world.new


@pytest.mark.parametrize("kind", ["remove_tree", "replace_tree", "sweep_tree"])
@pytest.mark.parametrize("left", ["empty", "nothing"])
def test_tree_whose_volume_is_away_is_waited_for(kind, left, tmp_path, monkeypatch) -> None:
    """A mount point is an empty folder then, or taken away: nothing of the tree is to be seen."""
    world = World(tmp_path / "w", monkeypatch)
    volume = os.path.dirname(world.tree)
    mounted, real = [volume], os.path.ismount
    monkeypatch.setattr(os.path, "ismount", lambda path: path in mounted or real(path))
    operation = world.operation(kind)
    if kind == "sweep_tree":
        operation = {"operation": kind, "path": world.tree}
        plant(volume, {".tree.dcc-mcp-embed-1/old/a": b"7"})
    schedule_deferred_cleanup(operation)
    mounted.clear()
    os.rename(volume, volume + ".unmounted")
    if left == "empty":
        os.mkdir(volume)
    for _ in range(2):
        result, _ = world.run()
        assert (result["status"], result["requires_restart"]) == ("owed", False)
        (item,) = result["results"]
        assert (item["status"], item["reason"], item["attempts"]) == ("postponed", "away", 0)
        assert os.path.exists(volume) == (left == "empty")
    if left == "empty":
        os.rmdir(volume)
    os.rename(volume + ".unmounted", volume)
    mounted.append(volume)
    assert world.run()[0]["status"] == "finished"
    goal = {"remove_tree": None, "replace_tree": world.new, "sweep_tree": world.old}
    assert picture(world.tree) == goal[kind]
    assert world.beside() == ([] if kind == "remove_tree" else ["tree"])
    assert world.owed() == []


@pytest.fixture
def renames(monkeypatch):
    """A disk that cannot exchange folders; what is in ``fail`` is raised by the next renames."""
    real, fail = Disk.rename, []

    def rename(self, source, target):
        error = fail.pop(0) if fail else None
        if error is not None:
            raise error
        real(self, source, target)

    monkeypatch.setattr(Disk, "rename", rename)
    monkeypatch.setattr(Disk, "exchange", lambda self, one, other: False)
    return fail


def test_replacement_that_nobody_scheduled_and_that_was_cut_off_is_finished(
    renames, tmp_path, monkeypatch
) -> None:
    world = World(tmp_path / "w", monkeypatch)
    renames[:] = [None, Crash]
    with pytest.raises(Crash):
        safe_replace_tree(world.payload, world.tree)
    assert picture(world.tree) is None
    assert [e["operation"]["operation"] for e in world.owed()] == ["sweep_tree"]
    assert run_deferred_cleanup()["status"] == "finished"
    assert picture(world.tree) == world.new
    assert world.owed() == []
    assert world.beside() == ["tree"]


@pytest.mark.parametrize("refused", [0, 1], ids=["replaced", "refused"])
def test_replacement_that_was_not_cut_off_leaves_no_note(
    refused, renames, tmp_path, monkeypatch
) -> None:
    world = World(tmp_path / "w", monkeypatch)
    other = {"operation": "remove_tree", "path": str(world.root / "other")}
    schedule_deferred_cleanup(other)
    renames[:] = [posix_error(1)] * refused
    result = safe_replace_tree(world.payload, world.tree)
    assert result["status"] == ("failed" if refused else "replaced")
    assert [e["operation"] for e in world.owed()] == [other]


def test_replacement_needs_no_journal(renames, tmp_path, monkeypatch) -> None:
    world = World(tmp_path / "w", monkeypatch)
    (world.root / "home").write_text("", encoding="ascii")
    assert safe_replace_tree(world.payload, world.tree)["status"] == "replaced"
    assert picture(world.tree) == world.new


SCHEDULE = """
import importlib.machinery, importlib.util, json, sys
from dcc_mcp_embed.install_lifecycle import inspect_install_root, schedule_deferred_cleanup
name, path, root = sys.argv[1:]
loader = importlib.machinery.ExtensionFileLoader(name, path)
spec = importlib.util.spec_from_loader(name, loader)
module = importlib.util.module_from_spec(spec)
sys.modules["loaded"] = module
loader.exec_module(module)
diagnostic = inspect_install_root(root)
if diagnostic["requires_restart"]:
    diagnostic["scheduled"] = schedule_deferred_cleanup(diagnostic)
print(json.dumps(diagnostic))
"""


def extension():
    """Return name and file of a native module of this Python that is not built into it."""
    for name in ("_bisect", "_lsprof", "_multiprocessing", "_ctypes"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin and os.path.isfile(spec.origin):
            return name, spec.origin
    raise AssertionError("this Python has no native module in a file of its own")


def test_sample_of_a_host_with_a_native_module_loaded(tmp_path, monkeypatch) -> None:
    name, file = extension()
    world = World(tmp_path / "w", monkeypatch)
    native = os.path.join(world.tree, "core", os.path.basename(file))
    with open(file, "rb") as source, open(native, "wb") as target:
        target.write(source.read())
    command = [sys.executable, "-W", "error"]
    host = subprocess.check_output([*command, "-c", SCHEDULE, name, native, world.tree])
    diagnostic = json.loads(host.decode("utf-8"))
    assert diagnostic["status"] == "requires_restart"
    assert diagnostic["locked_path"] == native
    assert diagnostic["scheduled"]["success"] is True
    assert os.path.exists(native)

    program = [*command, "-m", "dcc_mcp_embed.install_lifecycle", "deferred"]
    listed = json.loads(subprocess.check_output([*program, "list"]).decode("ascii"))
    assert [entry["operation"] for entry in listed["entries"]] == [world.operation("remove_tree")]
    done = json.loads(subprocess.check_output([*program, "run"]).decode("ascii"))
    assert (done["status"], done["results"][0]["status"]) == ("finished", "removed")
    assert world.beside() == []
    assert world.owed() == []
