"""Trees on the real disk: the documented answers, and the ways in which others lose data."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from types import ModuleType

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.install_lifecycle import (
    inspect_install_root,
    safe_remove_tree,
    safe_replace_tree,
)
from dcc_mcp_embed.install_lifecycle.claims import Claim
from dcc_mcp_embed.install_lifecycle.guards import Surroundings
from dcc_mcp_embed.install_lifecycle.loaded import Loaded
from dcc_mcp_embed.install_lifecycle.trees import Trees, perform
from fakes.trees import FaultyDisk, picture, plant, posix_error, windows_error

FILES = {"__init__.py": b"1", "core/a.pyd": b"2", "core/deep/b.txt": b"3", "empty": None}
NEW = {"__init__.py": b"one", "other/c.py": b"three"}
POSIX = pytest.mark.skipif(os.name == "nt", reason="modes and links")


@pytest.fixture
def place(tmp_path):
    """A folder for a tree and a payload, by its real name."""
    return os.path.realpath(str(tmp_path))


@pytest.fixture
def tree(place):
    return plant(os.path.join(place, "dcc_mcp_3dsmax"), FILES)


@pytest.fixture
def payload(place):
    return plant(os.path.join(place, "payload"), NEW)


@pytest.fixture
def native(tree, monkeypatch):
    """A native module that this process says it has loaded from the tree."""
    name = "_core" + sysconfig.get_config_var("EXT_SUFFIX")
    path = os.path.join(tree, "core", name)
    with open(path, "wb"):
        pass
    module = ModuleType("planted_core")
    module.__file__ = path
    monkeypatch.setitem(sys.modules, "planted_core", module)
    return path


def quiet(fault=None, exchanges=True, used=(), sleep=lambda seconds: None):
    """Return the operations with a disk that may fail and others' use as it is passed in."""
    return Trees(
        FaultyDisk(fault, exchanges),
        look=lambda root: Loaded([], [], list(used)),
        sleep=sleep,
        around=Surroundings("/nowhere/home", None, []),
    )


def failing(name, error, when=lambda *arguments: True):
    def fault(_count, called, arguments):
        if called == name and when(*arguments):
            raise error

    return fault


# What the documentation of the reference promises.


def test_sample_preflight(tree, native):
    scheduled = []
    diagnostic = inspect_install_root(tree)
    if diagnostic["requires_restart"]:
        scheduled.append(diagnostic)
    assert scheduled
    assert diagnostic["success"] is True
    assert diagnostic["status"] == "requires_restart"
    assert diagnostic["install_root"] == tree
    assert diagnostic["locked_path"] == native
    assert diagnostic["loaded_native_artifacts"] == [{"module": "planted_core", "path": native}]
    assert diagnostic["recommended_next_action"] == (
        "Defer cleanup until the DCC host restarts, then remove or replace the install root."
    )


def test_preflight_of_what_is_not_in_use(tree):
    assert inspect_install_root(tree) == {
        "success": True,
        "status": "ok",
        "requires_restart": False,
        "install_root": tree,
        "locked_path": None,
        "loaded_native_artifacts": [],
        "loaded_modules": [],
        "in_use_by": [],
        "recommended_next_action": (
            "Nothing of the install root is in use: remove or replace it now."
        ),
    }
    for nothing in (None, "", "  "):
        answer = inspect_install_root(nothing)
        assert (answer["status"], answer["install_root"]) == ("ok", str(nothing))


def test_sample_remove_and_replace(tree, payload):
    removed = safe_remove_tree(tree)
    assert removed == {
        "success": True,
        "status": "removed",
        "requires_restart": False,
        "path": tree,
        "visible": "new",
    }
    assert not os.path.lexists(tree)
    replaced = safe_replace_tree(payload, tree)
    assert replaced == {
        "success": True,
        "status": "replaced",
        "requires_restart": False,
        "source": payload,
        "destination": tree,
        "visible": "new",
    }
    assert picture(tree) == picture(payload)
    plant(tree, {"stale.py": b""})
    assert safe_replace_tree(payload, tree) == replaced
    assert picture(tree) == picture(payload)
    assert sorted(os.listdir(os.path.dirname(tree))) == ["dcc_mcp_3dsmax", "payload"]


def test_sample_lock_block(tree):
    held = os.path.join(tree, "core", "a.pyd")
    fault = failing("rename", windows_error(32, held))
    result = quiet(fault).remove(tree)
    message = result.pop("message")
    assert held in message
    assert result == {
        "success": False,
        "status": "requires_restart",
        "requires_restart": True,
        "path": tree,
        "locked_path": held,
        "reason": "windows_file_lock",
        "recommended_next_action": (
            "Schedule the deferred operation and complete it on next DCC startup before"
            " importing dcc_mcp_embed."
        ),
        "deferred_operation": {"operation": "remove_tree", "path": tree},
        "visible": "old",
        "cause": "locked",
    }


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_loaded_here_is_not_touched(tree, payload, native, replace):
    before = picture(tree)
    result = safe_replace_tree(payload, tree) if replace else safe_remove_tree(tree)
    assert result["status"] == "requires_restart"
    assert result["reason"] == "native_artifact_loaded"
    assert result["locked_path"] == native
    assert picture(tree) == before
    expected = {"operation": "remove_tree", "path": tree}
    if replace:
        expected = {"operation": "replace_tree", "source": payload, "destination": tree}
    assert result["deferred_operation"] == expected
    del sys.modules["planted_core"]
    assert perform(result["deferred_operation"])["success"]
    assert picture(tree) == (picture(payload) if replace else None)


def test_nothing_there(place, payload):
    path = os.path.join(place, "absent", "deep")
    assert safe_remove_tree(path) == {
        "success": True,
        "status": "skipped",
        "requires_restart": False,
        "path": path,
        "message": "Path does not exist.",
        "visible": "new",
    }
    inside = os.path.join(payload, "__init__.py", "x")
    assert safe_remove_tree(inside)["status"] == "skipped"
    assert safe_replace_tree(payload, path)["status"] == "replaced"
    gone = safe_replace_tree(os.path.join(place, "gone"), os.path.join(place, "x", "y"))
    assert (gone["status"], gone["reason"]) == ("failed", "missing_source")
    assert not os.path.exists(os.path.join(place, "x"))


def test_folders_made_for_nothing_are_taken_away(place, payload):
    """And whoever may not make a folder is not told to restart."""
    tree = os.path.join(place, "deep", "deeper", "tree")
    for name, error, status in (
        ("copy_file", posix_error(28), "failed"),
        ("rename", windows_error(5), "requires_restart"),
        ("mkdir", windows_error(5), "failed"),
    ):
        fault = failing(name, error, lambda *paths: ".tree." in paths[0] + paths[-1])
        result = quiet(fault).replace(payload, tree)
        assert (result["status"], result["visible"]) == (status, "old"), name
        assert os.listdir(place) == ["payload"]


HALF = [] if os.name == "nt" else ["half \ud800"]


@pytest.mark.parametrize("value", [None, "", "   ", "a\0b", *HALF])
def test_no_path(value, tree, payload):
    for result in (
        safe_remove_tree(value),
        safe_replace_tree(value, tree),
        safe_replace_tree(payload, value),
    ):
        assert (result["status"], result["reason"]) == ("failed", "invalid_path")
    assert inspect_install_root(value)["install_root"] == str(value)
    assert picture(tree)


def test_unknown_operations_are_said():
    for operation in (None, {}, {"operation": "format_drive", "path": "/"}, ["remove_tree"]):
        assert perform(operation)["reason"] == "invalid_operation"
    assert perform({"operation": "remove_tree"})["reason"] == "invalid_path"


# The twelve ways in which the reference loses data (reference/lifecycle.md 2.5).


def test_weakness_1_no_partial_delete(tree):
    """One locked file: nothing of the tree is missing, or nothing of it is to be seen."""
    before = picture(tree)
    held = os.path.join("core", "a.pyd")

    def lock(_count, name, arguments):
        if name == "remove" and arguments[0].endswith(held):
            raise windows_error(5, arguments[0])
        if name == "rename" and refused:
            raise windows_error(5, arguments[0])

    refused = True
    result = quiet(lock).remove(tree)
    assert result["status"] == "requires_restart"
    assert picture(tree) == before
    refused = False
    result = quiet(lock).remove(tree)
    assert result["status"] == "removed"
    assert not os.path.lexists(tree)
    (left,) = result["left_over"]
    assert left.endswith(held)
    assert perform(result["deferred_operation"])["status"] == "swept"
    assert os.listdir(os.path.dirname(tree)) == []


@pytest.mark.parametrize("exchanges", [True, False])
def test_weakness_2_a_deferred_replacement_has_gutted_nothing(tree, payload, exchanges):
    before = picture(tree)
    fault = failing(
        "exchange" if exchanges else "rename", windows_error(32), lambda a, b: tree in (a, b)
    )
    result = quiet(fault, exchanges).replace(payload, tree)
    assert result["status"] == "requires_restart"
    assert picture(tree) == before
    assert perform(result["deferred_operation"])["status"] == "replaced"
    assert picture(tree) == picture(payload)


def test_weakness_3_no_space_leaves_the_old_tree(tree, payload):
    before = picture(tree)
    full = posix_error(28)
    result = quiet(failing("copy_file", full, lambda s, t: t.endswith("c.py"))).replace(
        payload, tree
    )
    assert (result["status"], result["cause"]) == ("failed", "no_space")
    assert result["visible"] == "old"
    assert picture(tree) == before
    assert sorted(os.listdir(os.path.dirname(tree))) == ["dcc_mcp_3dsmax", "payload"]


def test_weakness_4_source_and_destination_of_one_tree(tree):
    before = picture(tree)
    for source, guard in (
        (tree, "same"),
        (tree + os.sep, "same"),
        (os.path.join(tree, "core", os.pardir), "same"),
        (os.path.join(tree, "core"), "source_inside_destination"),
    ):
        result = safe_replace_tree(source, tree)
        assert (result["reason"], result["guard"]) == ("invalid_path", guard)
        assert picture(tree) == before


def test_weakness_5_destination_inside_the_source(tree):
    before = picture(tree)
    result = safe_replace_tree(tree, os.path.join(tree, "core", "copy", "deeper"))
    assert result["guard"] == "destination_inside_source"
    assert picture(tree) == before


def test_weakness_6_source_is_a_file(tree):
    before = picture(tree)
    result = safe_replace_tree(os.path.abspath(__file__), tree)
    assert result["guard"] == "not_a_directory"
    assert picture(tree) == before


@POSIX
def test_weakness_7_a_link_as_root(tree, payload, place):
    before = picture(tree)
    link = os.path.join(place, "link")
    os.symlink(tree, link)
    for result in (
        safe_remove_tree(link),
        safe_remove_tree(link + "/"),
        safe_replace_tree(payload, link),
        safe_replace_tree(link, os.path.join(place, "copy")),
    ):
        assert (result["reason"], result["guard"]) == ("invalid_path", "link")
    assert os.readlink(link) == tree
    assert picture(tree) == before


@POSIX
def test_weakness_7_links_inside_are_deleted_not_followed(tree, place):
    kept = plant(os.path.join(place, "kept"), {"a": b"1"})
    os.symlink(kept, os.path.join(tree, "core", "out"))
    os.symlink(os.path.join(kept, "a"), os.path.join(tree, "file"))
    os.symlink("nowhere", os.path.join(tree, "dangling"))
    assert safe_remove_tree(tree)["status"] == "removed"
    assert picture(kept) == {"a": b"1"}
    assert os.listdir(place) == ["kept"]


@POSIX
def test_weakness_8_links_in_the_source(tree, payload, place):
    before = picture(tree)
    link = os.path.join(payload, "other", "link")
    for target in ("/etc", "../../dcc_mcp_3dsmax", "nowhere/../../../x", payload):
        os.symlink(target, link)
        result = safe_replace_tree(payload, tree)
        assert result["guard"] == "link_inside", target
        assert picture(tree) == before
        os.remove(link)
    os.symlink("../__init__.py", link)
    os.symlink("nowhere", os.path.join(payload, "dangling"))
    os.symlink("other", os.path.join(payload, "folder"))
    assert safe_replace_tree(payload, tree)["status"] == "replaced"
    assert picture(tree) == picture(payload)
    assert os.readlink(os.path.join(tree, "folder")) == "other"


@POSIX
def test_a_pipe_in_the_source_does_not_hang(tree, payload):
    os.mkfifo(os.path.join(payload, "pipe"))
    assert safe_replace_tree(payload, tree)["guard"] == "special_file_inside"


def test_weakness_9_places_that_must_survive(place, payload, monkeypatch):
    home = os.path.join(place, "home", "user")
    os.makedirs(os.path.join(home, "deep"))
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("USERPROFILE", home)
    monkeypatch.chdir(os.path.join(home, "deep"))
    site = os.path.join(place, "lib", "site-packages")
    os.makedirs(site)
    for path, guard in (
        (os.path.abspath(os.sep), "drive_root"),
        ("~", "home"),
        (home, "home"),
        (os.path.join(place, "home"), "home"),
        (".", "current_directory"),
        (os.path.join(home, "deep"), "current_directory"),
        (sys.prefix, "interpreter"),
        (os.path.dirname(os.__file__), "interpreter"),
        (site, "site_packages"),
    ):
        for result in (safe_remove_tree(path), safe_replace_tree(payload, path)):
            assert (result["status"], result["reason"]) == ("failed", "invalid_path"), path
            assert result["guard"] == guard, path
    blank = os.path.join(home, "deep", "   ")
    os.mkdir(blank)
    assert safe_remove_tree("   ")["reason"] == "invalid_path"
    assert os.path.isdir(blank)


def test_weakness_10_a_file_where_a_folder_belongs(tree, payload):
    path = os.path.join(tree, "__init__.py")
    for result in (safe_remove_tree(path), safe_replace_tree(payload, path)):
        assert (result["status"], result["guard"]) == ("failed", "not_a_directory")
        assert "deferred_operation" not in result
    assert os.path.isfile(path)


def test_weakness_11_loaded_after_the_look(tree):
    """What is taken between the look and the move is found out by the move, before any harm."""
    before = picture(tree)

    def look(root):
        held.append(root)
        return Loaded([], [], [])

    def fault(_count, name, arguments):
        if name == "rename" and held:
            raise windows_error(5, arguments[0])

    held = []
    trees = Trees(FaultyDisk(fault), look, lambda seconds: None)
    assert trees.remove(tree)["status"] == "requires_restart"
    assert picture(tree) == before


def test_weakness_11_what_is_read_only(tree, payload):
    for path in ("__init__.py", "core/a.pyd", "core"):
        os.chmod(os.path.join(tree, *path.split("/")), 0o555)
    os.chmod(os.path.join(payload, "__init__.py"), stat.S_IREAD)
    assert safe_replace_tree(payload, tree)["status"] == "replaced"
    assert stat.S_IMODE(os.stat(os.path.join(tree, "__init__.py")).st_mode) & 0o200 == 0
    assert safe_remove_tree(tree)["status"] == "removed"
    assert os.listdir(os.path.dirname(tree)) == ["payload"]


def test_weakness_12_another_process_uses_it(tree, payload):
    before = picture(tree)
    program = os.path.join(tree, "core", "server.exe")
    trees = quiet(used=[(4711, program, "executable")])
    for result in (trees.remove(tree), trees.replace(payload, tree)):
        assert result["status"] == "requires_restart"
        assert result["locked_path"] == program
        assert result["in_use_by"] == [{"pid": 4711, "path": program, "kind": "executable"}]
        assert picture(tree) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_weakness_12_another_process_really_uses_it(tree):
    program = os.path.join(tree, "core", "server")
    shutil.copy(shutil.which("cat"), program)
    process = subprocess.Popen([program], stdin=subprocess.PIPE)
    try:
        answer = inspect_install_root(tree)
        assert answer["in_use_by"] == [{"pid": process.pid, "path": program, "kind": "executable"}]
        result = safe_remove_tree(tree)
        assert result["status"] == "requires_restart"
        assert os.path.isfile(program)
    finally:
        process.communicate()
    assert perform(result["deferred_operation"])["status"] == "removed"


# And further.


def test_modes_and_times_come_along(tree, payload):
    """Compiled files name the time of their source."""
    path = os.path.join(payload, "other", "c.py")
    os.chmod(path, 0o755)
    os.utime(path, ns=(10**18 + 5, 10**18 + 7))
    assert safe_replace_tree(payload, tree)["success"]
    copied = os.stat(os.path.join(tree, "other", "c.py"))
    assert copied.st_mtime_ns == os.stat(path).st_mtime_ns
    assert copied.st_mode == os.stat(path).st_mode


def test_names_that_only_look_like_ours_stay(tree):
    parent = os.path.dirname(tree)
    others = [
        ".dcc_mcp_3dsmax.dcc-mcp-embed-",
        ".dcc_mcp_3dsmax.dcc-mcp-embed-x",
        "dcc_mcp_3dsmax2",
    ]
    for name in others:
        os.mkdir(os.path.join(parent, name))
    other = os.path.join(parent, ".dcc_mcp_3dsmax.dcc-mcp-embed-7")
    with open(other, "wb"):
        pass
    ours = plant(os.path.join(parent, ".dcc_mcp_3dsmax.dcc-mcp-embed-12"), {"part/a": b"1"})
    assert safe_remove_tree(tree)["status"] == "removed"
    assert not os.path.exists(ours)
    assert sorted(os.listdir(parent)) == sorted([*others, os.path.basename(other)])


@POSIX
def test_a_link_with_the_name_of_a_holder_is_not_followed(tree, place):
    kept = plant(os.path.join(place, "kept"), {"old/a": b"1"})
    os.symlink(kept, os.path.join(place, ".dcc_mcp_3dsmax.dcc-mcp-embed-1"))
    assert safe_remove_tree(tree)["status"] == "removed"
    assert picture(kept) == {"old": "folder", os.path.join("old", "a"): b"1"}


def test_one_process_at_a_time(tree, place):
    slept = []
    with Claim(place, slept.append) as ours:
        assert ours
        result = quiet(sleep=slept.append).remove(tree)
    assert (result["status"], result["reason"]) == ("failed", "busy")
    assert 1 < sum(slept) < 5
    assert picture(tree)
    assert perform(result["deferred_operation"])["status"] == "removed"
    assert os.listdir(place) == []


PROCESS = """
import sys, os
from dcc_mcp_embed.install_lifecycle.disk import Disk
from dcc_mcp_embed.install_lifecycle.trees import Trees

class Deadly(Disk):
    def remove(self, path, top):
        os._exit(9)

class Slow(Disk):
    def fsync_file(self, path):
        if not told:
            told.append(path)
            print("copied", flush=True)
            sys.stdin.readline()

told = []
source, tree, disk = sys.argv[1:]
print(Trees({"deadly": Deadly, "slow": Slow, "": Disk}[disk]()).replace(source, tree)["status"])
"""


def replace_in_a_process(source, tree, disk=""):
    environ = dict(os.environ)
    environ["PYTHONPATH"] = os.path.dirname(os.path.dirname(dcc_mcp_embed.__file__))
    command = [sys.executable, "-c", PROCESS, source, tree, disk]
    return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_process_that_ends_in_the_middle_holds_nothing(tree, payload, place):
    process = replace_in_a_process(payload, tree, "deadly")
    assert process.communicate() == (b"", None)
    assert process.returncode == 9
    assert picture(tree) == picture(payload)
    assert len(os.listdir(place)) == 4  # a holder and a lock
    assert safe_replace_tree(payload, tree)["status"] == "replaced"
    assert sorted(os.listdir(place)) == ["dcc_mcp_3dsmax", "payload"]


def test_processes_do_not_mix_their_trees(tree, payload, place):
    """What one is copying another neither takes for rubbish nor puts in place."""
    before = picture(tree)
    process = replace_in_a_process(payload, tree, "slow")
    try:
        assert process.stdout.readline().strip() == b"copied"
        other = plant(os.path.join(place, "other"), {"a": b"1"})
        beside = sorted(os.listdir(place))
        for result in (
            quiet().replace(other, tree),
            quiet().remove(tree),
            quiet().perform({"operation": "sweep_tree", "path": tree}),
        ):
            assert (result["status"], result["reason"]) == ("failed", "busy")
            assert picture(tree) == before
            assert sorted(os.listdir(place)) == beside
    finally:
        said = process.communicate(b"\n")[0]
    assert said.strip() == b"replaced"
    assert picture(tree) == picture(payload)
    assert sorted(os.listdir(place)) == ["dcc_mcp_3dsmax", "other", "payload"]


# An operation that was planned for what was there then.


def is_what(expected):
    """Return a question that remembers how it was asked, and whether a claim was held."""

    def still_meant(recovered):
        with Claim(os.path.dirname(expected[1]), [].append, patience=0) as ours:
            still_meant.asked.append((recovered, ours))
        return picture(expected[1]) == expected[0]

    still_meant.asked = []
    return still_meant


@pytest.mark.parametrize("kind", ["remove_tree", "replace_tree"])
def test_a_tree_that_was_installed_while_the_operation_waited_is_left_alone(
    tree, payload, place, kind
):
    """The installer has the claim, and lets go just in time."""
    still_meant = is_what((picture(tree), tree))
    installed = plant(os.path.join(place, "installed"), {"a": b"1"})
    claim, slept = Claim(place, [].append), []
    assert claim.__enter__()

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            os.rename(tree, tree + ".gone")
            os.rename(installed, tree)
            claim.__exit__()

    operation = {"operation": kind, "path": tree, "source": payload, "destination": tree}
    result = quiet(sleep=sleep).perform(operation, still_meant)
    assert (result["success"], result["status"], result["visible"]) == (True, "superseded", "old")
    assert result["path"] == tree
    assert "deferred_operation" not in result
    assert picture(tree) == {"a": b"1"}
    assert still_meant.asked == [(False, False)]
    assert sorted(os.listdir(place)) == ["dcc_mcp_3dsmax", "dcc_mcp_3dsmax.gone", "payload"]


@pytest.mark.parametrize("kind", ["remove_tree", "replace_tree"])
def test_what_is_still_meant_is_done(tree, payload, kind):
    still_meant = is_what((picture(tree), tree))
    operation = {"operation": kind, "path": tree, "source": payload, "destination": tree}
    assert quiet().perform(operation, still_meant)["status"] in ("removed", "replaced")
    assert still_meant.asked == [(False, False)]


@pytest.mark.parametrize("kind", ["remove_tree", "replace_tree"])
def test_what_cannot_be_known_stays_owed(tree, payload, kind):
    def unknown(_recovered):
        raise posix_error(5, tree)

    before = picture(tree)
    operation = {"operation": kind, "source": payload, "destination": tree}
    if kind == "remove_tree":
        operation = {"operation": kind, "path": tree}
    result = quiet().perform(operation, unknown)
    assert (result["status"], result["reason"]) == ("failed", "identity_unknown")
    assert result["deferred_operation"] == operation
    assert picture(tree) == before


def plant_gap(tree):
    """Make what a process leaves that ends between its two renames; return the holder."""
    holder = os.path.join(
        os.path.dirname(tree), ".{}.dcc-mcp-embed-1".format(os.path.basename(tree))
    )
    os.makedirs(os.path.join(holder, "whole"))
    os.rename(tree, os.path.join(holder, "old"))
    plant(os.path.join(holder, "new"), {"a": b"1"})
    return holder


def test_who_asks_is_told_that_the_tree_was_just_put_in_place(tree, payload):
    plant_gap(tree)
    asked = []
    operation = {"operation": "replace_tree", "source": payload, "destination": tree}
    result = quiet().perform(operation, lambda recovered: asked.append(picture(tree)) or recovered)
    assert asked == [{"a": b"1"}]
    assert result["status"] == "replaced"
    assert picture(tree) == picture(payload)


def test_the_removal_of_another_tree_does_not_take_a_gap(tree, place):
    """Later somebody has begun to replace it: that is finished."""
    plant_gap(tree)
    asked = []
    operation = {"operation": "remove_tree", "path": tree}
    result = quiet().perform(operation, lambda recovered: asked.append(recovered))
    assert (result["status"], result["visible"], result["recovered"]) == ("superseded", "new", True)
    assert asked == [False]
    assert picture(tree) == {"a": b"1"}
    assert os.listdir(place) == ["dcc_mcp_3dsmax"]
    plant_gap(tree)
    assert quiet().perform(operation, lambda recovered: True)["status"] == "removed"
    assert os.listdir(place) == []


def test_a_removal_of_nothing_asks_nothing(place):
    operation = {"operation": "remove_tree", "path": os.path.join(place, "x")}
    assert quiet().perform(operation, None)["status"] == "skipped"
    assert quiet().perform(operation, lambda recovered: 1 / 0)["status"] == "skipped"


def test_what_is_uninstalled_in_the_gap_does_not_come_back(tree, place):
    """Not even if no file of it can be deleted or renamed now."""
    plant_gap(tree)

    def fault(_count, name, arguments):
        if name in ("rename", "remove", "rmdir"):
            raise windows_error(32, arguments[0])

    result = quiet(fault).remove(tree)
    assert (result["status"], result["visible"]) == ("requires_restart", "between")
    assert result["deferred_operation"] == {"operation": "remove_tree", "path": tree}
    assert quiet().perform(result["deferred_operation"])["status"] == "removed"
    assert os.listdir(place) == []


def test_the_new_tree_of_an_earlier_replacement_is_not_called_the_old_one(tree, payload):
    plant_gap(tree)
    result = quiet(failing("copy_file", posix_error(28))).replace(payload, tree)
    assert (result["status"], result["visible"]) == ("failed", "new")
    assert picture(tree) == {"a": b"1"}


def test_nobody_says_old_while_another_process_is_in_the_gap(tree, place):
    with Claim(place, [].append):
        plant_gap(tree)
        result = quiet().remove(tree)
    assert (result["reason"], result["visible"]) == ("busy", "between")


@POSIX
def test_a_current_directory_that_is_gone_is_no_error(place, monkeypatch):
    gone = os.path.join(place, "gone")
    os.mkdir(gone)
    monkeypatch.chdir(gone)
    os.rmdir(gone)
    module = ModuleType("relative")
    module.__file__ = "relative.py"
    monkeypatch.setitem(sys.modules, "relative", module)
    try:
        assert inspect_install_root("x")["status"] == "ok"
        assert inspect_install_root(place)["status"] == "ok"
        for result in (safe_remove_tree("x"), safe_replace_tree("x", "y")):
            assert (result["status"], result["reason"]) == ("failed", "invalid_path")
    finally:
        os.chdir(place)


def test_a_volume_inside_is_refused(tree, payload):
    before = picture(tree)
    around = Surroundings("/nowhere", None, [], [os.path.join(tree, "core")])
    trees = Trees(around=around)
    for result in (trees.remove(tree), trees.replace(payload, tree)):
        assert (result["status"], result["guard"]) == ("failed", "mount_inside")
    assert picture(tree) == before


def test_deep_trees(place):
    tree = path = os.path.join(place, "t")
    for _ in range(300):
        os.mkdir(path)
        path += os.sep + "d"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        assert Trees().remove(tree)["status"] == "removed"
    finally:
        sys.setrecursionlimit(limit)
    assert os.listdir(place) == []


def test_long_names(place, payload):
    tree = os.path.join(place, "n" * 250)
    for _ in range(2):
        assert safe_replace_tree(payload, tree)["status"] == "replaced"
    assert safe_remove_tree(tree)["status"] == "removed"
    assert os.listdir(place) == ["payload"]


def install_package(place):
    """Make a copy of what the module needs; return the package's folder."""
    top = os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__))
    copy = os.path.join(place, "installed", "dcc_mcp_embed")
    os.makedirs(copy)
    for name in ("__init__.py", "_layout.py", "_compat.py"):
        shutil.copy(os.path.join(top, name), copy)
    shutil.copytree(
        os.path.join(top, "install_lifecycle"),
        os.path.join(copy, "install_lifecycle"),
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return copy


def run_installed(copy, code):
    """Run ``code`` with the package of that folder; return what it prints, in words."""
    start = "import sys; sys.path.insert(0, {!r}); sys.dont_write_bytecode = True\n"
    environ = dict(os.environ, DCC_MCP_EMBED_HOME=copy + ".home")
    done = subprocess.check_output(
        [sys.executable, "-I", "-c", start.format(os.path.dirname(copy)) + code],
        cwd=os.path.dirname(copy),
        env=environ,
    )
    return done.decode().split()


def test_the_folder_of_this_package_may_go(place):
    """An adapter takes itself away: all that is needed is loaded before anything is moved."""
    copy = install_package(place)
    status, where = run_installed(
        copy,
        "from dcc_mcp_embed.install_lifecycle import safe_remove_tree\n"
        "print(safe_remove_tree({!r})['status'], sys.modules['dcc_mcp_embed'].__file__)".format(
            copy
        ),
    )
    assert (status, os.path.dirname(where)) == ("removed", copy)
    assert not os.path.exists(copy)


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_left_of_this_package_can_be_scheduled(place, payload, replace):
    copy = install_package(place)
    call = "replace({!r}, {!r})".format(payload, copy) if replace else "remove({!r})".format(copy)
    said = run_installed(
        copy,
        "from dcc_mcp_embed import install_lifecycle\n"
        "from dcc_mcp_embed.install_lifecycle.disk import Disk\n"
        "from dcc_mcp_embed.install_lifecycle.trees import Trees\n"
        "def refuse(self, path, top): raise OSError(5, 'no')\n"
        "Disk.remove = refuse\n"
        "result = Trees().{}\n"
        "print(result['status'], bool(result['left_over']))\n"
        "print(install_lifecycle.schedule_deferred_cleanup(result)['status'])\n"
        "print(install_lifecycle.list_deferred()['total'])".format(call),
    )
    assert said == ["replaced" if replace else "removed", "True", "scheduled", "1"]
