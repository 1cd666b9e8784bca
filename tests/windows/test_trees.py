"""Trees in use on Windows: refused, untouched, owed, and finished by the next process."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

import pytest

from dcc_mcp_embed.install_lifecycle import (
    inspect_install_root,
    list_deferred,
    run_deferred_cleanup,
    safe_remove_tree,
    safe_replace_tree,
    schedule_deferred_cleanup,
)
from dcc_mcp_embed.install_lifecycle.disk import extended
from fakes.trees import picture, plant
from windows import ntfs

PYTHON = os.path.dirname(sys.executable)
LIBRARY = os.path.join(PYTHON, "DLLs", "_queue.pyd")
OLD = {"core/tool.py": b"old", "readme.txt": b"old"}
NEW = {"core/tool.py": b"new", "core/sub/more.py": b"new"}

#: Way of using it -> what is used, below the tree.
FILES = {
    "imported": "core/_queue.pyd",
    "library": "core/held.pyd",
    "opened": "core/tool.py",
    "program": "core/tool.exe",
}


def make(tree, way):
    """Make a tree with a file that can be used in that way; return the file."""
    plant(tree, OLD)
    path = os.path.join(tree, *FILES[way].split("/"))
    if way == "program":
        shutil.copy(sys.executable, path)
        for name in os.listdir(PYTHON):
            if name.lower().startswith(("python3", "vcruntime")) and name.endswith(".dll"):
                shutil.copy(os.path.join(PYTHON, name), os.path.dirname(path))
    elif way != "opened":
        shutil.copy(LIBRARY, path)
    return path


class Story:
    """What a host that uses two trees is told when one is to go and one to be replaced."""

    def __init__(self, way, place, start, next_start):
        self.way = way
        self.place = place
        self.gone, self.changed, self.source = (
            os.path.join(place, name) for name in ("gone", "changed", "source")
        )
        self.trees = (self.gone, self.changed)
        self.used = [make(tree, way) for tree in self.trees]
        plant(self.source, NEW)
        self.before = self.seen()
        with start(os.path.join(os.path.dirname(__file__), "host.py")) as host:
            self.holders = [host(way, path) for path in self.used]
            self.inspected = [host("inspect_install_root", tree) for tree in self.trees]
            self.removed = host("safe_remove_tree", self.gone)
            self.replaced = host("safe_replace_tree", self.source, self.changed)
            self.after = self.seen()
            self.scheduled = [
                host("schedule_deferred_cleanup", one) for one in (self.removed, self.replaced)
            ]
            self.while_used = next_start()
            self.after_while_used = self.seen()
            self.owed = host("list_deferred")["entries"]
            self.status = host.close()
        self.later = next_start()
        self.left = list_deferred()["entries"]

    def seen(self):
        return sorted(os.listdir(self.place)), [picture(tree) for tree in self.trees]

    @property
    def by_name(self):
        """Whether the system tells who uses it. It does not for files that are merely open."""
        return self.way != "opened"


@pytest.fixture(scope="module", params=list(FILES))
def story(request, fresh, start, next_start):
    return Story(request.param, fresh(request.param), start, next_start)


def test_an_inspection_says_what_is_in_use(story):
    for found, path, holder in zip(story.inspected, story.used, story.holders):
        natives = [one["path"] for one in found["loaded_native_artifacts"]]
        uses = [(one["pid"], one["path"], one["kind"]) for one in found["in_use_by"]]
        assert found["status"] == ("requires_restart" if story.by_name else "ok")
        assert found["locked_path"] == (path if story.by_name else None)
        assert natives == ([path] if story.way in ("imported", "library") else [])
        assert uses == ([(holder, path, "executable")] if story.way == "program" else [])
        modules = [(holder, path)] if story.way == "imported" else []
        assert [(m["module"], m["path"]) for m in found["loaded_modules"]] == modules


def test_nothing_is_touched_and_both_are_owed(story):
    reason = "native_artifact_loaded" if story.by_name else "windows_file_lock"
    for answer in (story.removed, story.replaced):
        assert (answer["success"], answer["status"]) == (False, "requires_restart")
        assert (answer["reason"], answer["visible"]) == (reason, "old")
        assert "left_over" not in answer
    assert story.removed["deferred_operation"] == {"operation": "remove_tree", "path": story.gone}
    assert story.replaced["deferred_operation"] == {
        "operation": "replace_tree",
        "source": story.source,
        "destination": story.changed,
    }
    assert story.after == story.before
    assert [one["status"] for one in story.scheduled] == ["scheduled", "scheduled"]


def test_a_process_that_starts_meanwhile_leaves_it_owed(story):
    assert (story.while_used["status"], story.while_used["owed_count"]) == ("owed", 2)
    # It sees the programs of others, not their libraries: there it is the rename that is refused.
    reason = "native_artifact_loaded" if story.way == "program" else "windows_file_lock"
    for item in story.while_used["results"]:
        assert (item["status"], item["reason"]) == ("requires_restart", reason)
        assert (item["visible"], item["owed"]) == ("old", True)
    assert story.after_while_used == story.before
    assert [entry["attempts"] for entry in story.owed] == [1, 1]
    operations = [entry["operation"] for entry in story.owed]
    assert operations == [one["deferred_operation"] for one in (story.removed, story.replaced)]


def test_the_next_process_finishes(story):
    assert story.status == 0
    assert (story.later["success"], story.later["status"]) == (True, "finished")
    assert [item["status"] for item in story.later["results"]] == ["removed", "replaced"]
    assert story.left == []
    names, (gone, changed) = story.seen()
    assert names == ["changed", "source"]
    assert gone is None
    assert changed == picture(story.source)


# What of Wine's own refusals does not need a host.


@pytest.fixture
def place(fresh):
    return fresh("place")


def test_a_folder_that_is_being_listed(place):
    """Refused by Wine itself, whatever ntfs.py does."""
    tree = plant(os.path.join(place, "tree"), OLD)
    source = plant(os.path.join(place, "source"), NEW)
    before = picture(tree)
    with os.scandir(tree) as listing:
        next(listing)
        for answer in (safe_remove_tree(tree), safe_replace_tree(source, tree)):
            assert (answer["status"], answer["reason"]) == ("requires_restart", "windows_file_lock")
            assert answer["cause"] == "locked"
            assert picture(tree) == before
            assert sorted(os.listdir(place)) == ["source", "tree"]
    assert safe_replace_tree(source, tree)["status"] == "replaced"
    assert picture(tree) == picture(source)
    assert safe_remove_tree(tree)["status"] == "removed"
    assert os.listdir(place) == ["source"]


@pytest.mark.parametrize("replacing", [False, True])
def test_what_moved_aside_and_cannot_be_deleted_is_swept_later(place, replacing):
    """Wine lets a folder go while a file below is open. So does NTFS what is opened just then."""
    tree = plant(os.path.join(place, "tree"), OLD)
    source = plant(os.path.join(place, "source"), NEW)
    with open(os.path.join(tree, "readme.txt"), "rb") as stream:
        answer = safe_replace_tree(source, tree) if replacing else safe_remove_tree(tree)
        assert (answer["success"], answer["visible"]) == (True, "new")
        assert picture(tree) == (picture(source) if replacing else None)
        (left,) = answer["left_over"]
        assert os.path.basename(left) == "readme.txt"
        assert answer["deferred_operation"] == {"operation": "sweep_tree", "path": tree}
        assert schedule_deferred_cleanup(answer)["status"] == "scheduled"
        assert run_deferred_cleanup()["status"] == "owed"
        assert stream.read() == b"old"
    assert run_deferred_cleanup()["status"] == "finished"
    assert sorted(os.listdir(place)) == (["source", "tree"] if replacing else ["source"])


CUT_OFF = """
import os, sys
from dcc_mcp_embed.install_lifecycle import safe_replace_tree
from dcc_mcp_embed.install_lifecycle.disk import Disk
before = Disk.rename
def rename(disk, source, target):
    if target == sys.argv[2]:
        os._exit(9)
    before(disk, source, target)
Disk.rename = rename
safe_replace_tree(*sys.argv[1:])
"""


def test_the_next_process_finishes_what_was_cut_off_between_two_renames(place, next_start):
    tree = plant(os.path.join(place, "tree"), OLD)
    source = plant(os.path.join(place, "source"), NEW)
    assert subprocess.call([sys.executable, "-c", CUT_OFF, source, tree]) == 9
    assert not os.path.exists(tree)
    assert next_start()["status"] == "finished"
    assert picture(tree) == picture(source)
    assert sorted(os.listdir(place)) == ["source", "tree"]
    assert list_deferred()["entries"] == []


def test_read_only_files_and_folders(place):
    tree = plant(os.path.join(place, "tree"), OLD)
    source = plant(os.path.join(place, "source"), NEW)
    for root in (tree, source):
        os.chmod(os.path.join(root, "core", "tool.py"), stat.S_IREAD)
        os.chmod(os.path.join(root, "core"), stat.S_IREAD)
    answer = safe_replace_tree(source, tree)
    assert answer["status"] == "replaced"
    assert "left_over" not in answer
    assert picture(tree) == picture(source)
    copied = os.stat(os.path.join(tree, "core", "tool.py"))
    assert copied.st_file_attributes & stat.FILE_ATTRIBUTE_READONLY
    answer = safe_remove_tree(tree)
    assert answer["status"] == "removed"
    assert "left_over" not in answer
    assert os.listdir(place) == ["source"]
    os.chmod(os.path.join(source, "core"), stat.S_IREAD | stat.S_IWRITE)
    os.chmod(os.path.join(source, "core", "tool.py"), stat.S_IREAD | stat.S_IWRITE)


def test_paths_longer_than_windows_likes_them(place):
    tree, source = os.path.join(place, "tree"), os.path.join(place, "source")
    deep = os.path.join(source, *["folder with a long name {}".format(n) for n in range(12)])
    assert len(deep) > 300
    os.makedirs(extended(deep))
    with open(extended(os.path.join(deep, "tool.py")), "wb") as stream:
        stream.write(b"new")
    assert safe_replace_tree(source, tree)["status"] == "replaced"
    with open(extended(deep.replace(source, tree) + "\\tool.py"), "rb") as stream:
        assert stream.read() == b"new"
    for root in (source, tree):
        assert inspect_install_root(root)["status"] == "ok"
        answer = safe_remove_tree(root)
        assert answer["status"] == "removed"
        assert "left_over" not in answer
    assert os.listdir(place) == []


def test_roots_that_are_refused(place):
    for root in ("C:\\", "C:", "c:/", "~", "\\\\server\\share", place[0] + ":\\windows\\.."):
        answer = safe_remove_tree(root)
        assert (answer["status"], answer["reason"]) == ("failed", "invalid_path"), root


# The stand-in for NTFS.


def test_where_a_drive_was_left_is_no_place(place, monkeypatch):
    # What "C:" means hangs on where this process last was on C:.
    monkeypatch.chdir(place)
    tree = plant(os.path.join(place, "tree"), OLD)
    drive = os.path.splitdrive(place)[0]
    for path in (drive, drive + "tree"):
        for answer in (safe_remove_tree(path), safe_replace_tree(tree, path)):
            assert (answer["status"], answer["reason"]) == ("failed", "invalid_path"), answer
        assert safe_replace_tree(path, os.path.join(place, "new"))["reason"] == "invalid_path"
    assert picture(os.path.join(place, "tree")) == picture(tree)


def test_the_rule_of_ntfs(place, monkeypatch):
    ntfs.enforce(monkeypatch.setattr)
    tree = plant(os.path.join(place, "tree"), OLD)
    os.chmod(os.path.join(tree, "readme.txt"), stat.S_IREAD)
    with open(os.path.join(tree, "core", "tool.py")) as stream:
        assert ntfs.held_below(tree) == stream.name
        with pytest.raises(PermissionError) as refused:
            os.rename(tree, tree + "2")
        assert refused.value.winerror == 5
        os.rename(os.path.join(tree, "readme.txt"), os.path.join(tree, "r.txt"))
    with os.scandir(os.path.join(tree, "core")) as listing:
        next(listing)
        assert ntfs.held_below(tree) == os.path.join(tree, "core")
    assert ntfs.held_below(tree) is None
    os.rename(tree, tree + "2")
    os.chmod(os.path.join(tree + "2", "r.txt"), stat.S_IREAD | stat.S_IWRITE)
