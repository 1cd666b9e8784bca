"""The steps of a move, each for itself: names, deleting, what is read-only, the system calls."""

from __future__ import annotations

import errno
import os
import stat
import sys

import pytest

from dcc_mcp_embed.install_lifecycle import disk as disk_module
from dcc_mcp_embed.install_lifecycle import guards, moving
from dcc_mcp_embed.install_lifecycle.disk import Disk, extended, plain
from dcc_mcp_embed.install_lifecycle.locks import Patience
from fakes.trees import FaultyDisk, picture, plant, posix_error, windows_error

POSIX = pytest.mark.skipif(os.name == "nt", reason="modes")


def patience():
    return Patience(lambda seconds: None)


def test_names_of_holders():
    names = [
        ".t.dcc-mcp-embed-10",
        ".t.dcc-mcp-embed-9",
        ".t.dcc-mcp-embed-",
        ".t.dcc-mcp-embed-x",
        ".t.dcc-mcp-embed--1",
        ".t2.dcc-mcp-embed-1",
        "t.dcc-mcp-embed-1",
        ".t.dcc-mcp-embed-\u00b2",
        ".t.dcc-mcp-embed-1234567890",
    ]
    expected = [(9, ".t.dcc-mcp-embed-9"), (10, ".t.dcc-mcp-embed-10")]
    assert moving.holder_names("t", names) == expected


def test_names_of_long_trees_are_short_and_their_own():
    one, other = "n" * 254 + "a", "n" * 254 + "b"
    assert moving.stem_of(one) != moving.stem_of(other)
    for name in (one, "\u4e09" * 80):
        assert len(os.fsencode(moving.stem_of(name))) < 240


def test_a_holder_is_never_shared(tmp_path):
    tree = str(tmp_path / "t")
    paths = [moving.open_holder(Disk(), tree).path for _ in range(3)]
    assert len(set(paths)) == 3
    assert [h.path for h in moving.find_holders(Disk(), tree)] == paths
    # The latest has the highest number, whatever is free.
    os.rmdir(paths[0])
    assert moving.open_holder(Disk(), tree).path.endswith("-4")


def test_nothing_is_deleted_twice_or_for_others(tmp_path):
    """What cannot be deleted is told alone, not with the folders it is in."""
    tree = plant(tmp_path / "t", {"a/b/c": b"", "a/d": b"", "e": b""})
    held = os.path.join(tree, "a", "b", "c")

    def fault(_count, name, arguments):
        if name in ("remove", "rmdir") and held.startswith(arguments[0]):
            raise windows_error(32, arguments[0])

    kept = moving.delete(FaultyDisk(fault), tree, patience())
    assert [path for path, _ in kept] == [held]
    assert picture(tree) == {
        "a": "folder",
        os.path.join("a", "b"): "folder",
        os.path.join("a", "b", "c"): b"",
    }
    assert moving.delete(Disk(), tree, patience()) == []
    assert moving.delete(Disk(), tree, patience()) == []


@POSIX
@pytest.mark.parametrize("swapped", ["a", "a/b"])
def test_a_link_put_in_the_place_of_a_folder_meanwhile_is_not_followed(tmp_path, swapped):
    """Whatever the moment: after each look at a folder it is another's."""
    kept = plant(tmp_path / "kept", {"b/c": b"1", "c": b"2"})
    before = picture(kept)
    tree = str(tmp_path / "t")
    victim = os.path.join(tree, *swapped.split("/"))
    target = os.path.join(kept, "b") if swapped == "a/b" else kept

    class Swapping(Disk):
        def __init__(self, moment):
            self.left = moment

        def _tick(self):
            self.left -= 1
            if not self.left and os.path.isdir(victim):
                os.rename(victim, str(tmp_path / "aside{}".format(moment)))
                os.symlink(target, victim)

        def lstat(self, path):
            facts = super().lstat(path)
            self._tick()
            return facts

        def listdir(self, path, top=None):
            names = super().listdir(path, top)
            self._tick()
            return names

    moment = 0
    while True:
        moment += 1
        plant(tree, {"a/b/c": b"", "a/c": b""})
        disk = Swapping(moment)
        moving.delete(disk, tree, patience())
        assert picture(kept) == before, moment
        moving.delete(Disk(), tree, patience())
        if disk.left > 0:
            break
    assert moment > 5


class ReadOnly(FaultyDisk):
    """Modes bind, as they do for whoever is not root."""

    def _before(self, name, arguments):
        super()._before(name, arguments)
        if name in ("remove", "rmdir", "mkdir", "copy_file"):
            path = arguments[1 if name == "copy_file" else 0]
            self._demand(os.path.dirname(path))
        elif name in ("rename", "exchange"):
            for path in arguments[: 1 if name == "rename" else 2]:
                self._demand(os.path.dirname(path))
                if os.path.isdir(path) and os.path.dirname(arguments[0]) != os.path.dirname(
                    arguments[1]
                ):
                    self._demand(path)

    def listdir(self, path, top=None):
        if not os.lstat(path).st_mode & stat.S_IRUSR:
            raise posix_error(errno.EACCES, path)
        return super().listdir(path, top)

    def _demand(self, folder):
        if not os.lstat(folder).st_mode & stat.S_IWUSR:
            raise posix_error(errno.EACCES, folder)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@POSIX
def test_read_only_folders_are_deleted(tmp_path):
    tree = plant(tmp_path / "t", {"a/b/c": b"", "d": b""})
    os.chmod(os.path.join(tree, "a", "b"), 0)
    os.chmod(os.path.join(tree, "a"), 0o555)
    assert moving.delete(ReadOnly(), tree, patience()) == []
    assert not os.path.exists(tree)


@POSIX
def test_the_second_name_of_a_deleted_file_keeps_its_mode(tmp_path):
    tree = plant(tmp_path / "t", {"a/b": b""})
    other = str(tmp_path / "other")
    os.link(os.path.join(tree, "a", "b"), other)
    os.chmod(other, 0o444)
    os.chmod(os.path.join(tree, "a"), 0o555)
    assert moving.delete(ReadOnly(), tree, patience()) == []
    assert mode(other) == 0o444


@POSIX
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_read_only_folder_can_be_moved_and_replaced(tmp_path, exchanges):
    disk = ReadOnly(exchanges=exchanges)
    tree = plant(tmp_path / "t", {"old": b""})
    source = plant(tmp_path / "s", {"new": b""})
    os.chmod(source, 0o555)
    os.chmod(tree, 0o555)
    holder = moving.open_holder(disk, tree)
    moving.stage(disk, source, holder)
    moving.switch(disk, tree, holder, patience())
    assert picture(tree) == {"new": b""}
    assert mode(tree) == 0o555
    assert mode(holder.new if exchanges else holder.old) == 0o555
    assert moving.discard(disk, holder, patience()) == []
    holder = moving.open_holder(disk, tree)
    moving.move_aside(disk, tree, holder, patience())
    assert mode(holder.old) == 0o555
    assert moving.discard(disk, holder, patience()) == []
    assert os.listdir(str(tmp_path)) == ["s"]


@POSIX
def test_a_folder_that_may_not_be_moved_keeps_its_mode(tmp_path):
    tree = plant(tmp_path / "t", {"old": b""})
    os.chmod(tree, 0o555)

    def fault(_count, name, arguments):
        if name in ("rename", "exchange"):
            raise posix_error(errno.EACCES, arguments[0])

    disk = FaultyDisk(fault)
    holder = moving.open_holder(disk, tree)
    with pytest.raises(PermissionError):
        moving.move_aside(disk, tree, holder, patience())
    os.mkdir(holder.new)
    with pytest.raises(PermissionError):
        moving.switch(disk, tree, holder, patience())
    assert mode(tree) == 0o555


def plant_pair(tree):
    holder = moving.open_holder(Disk(), tree)
    plant(holder.old, {"a": b"old"})
    plant(holder.new, {"a": b"new", "b": b"new"})
    os.mkdir(holder.whole)
    return holder


def test_a_pair_is_left_to_whom_it_belongs(tmp_path):
    tree = str(tmp_path / "t")
    rubbish, pair = moving.open_holder(Disk(), tree), plant_pair(tree)
    plant(rubbish.new, {"a": b""})
    kept = []
    found = moving.clear(Disk(), tree, patience(), kept)
    assert (found.path, kept) == (pair.path, [])
    assert os.listdir(str(tmp_path)) == [os.path.basename(pair.path)]
    assert moving.is_between(Disk(), tree)
    assert picture(pair.new) == {"a": b"new", "b": b"new"}


@pytest.mark.parametrize("marked", [True, False], ids=["mark stays", "mark goes"])
def test_a_pair_is_none_any_more_before_anything_of_it_is_deleted(tmp_path, marked):
    """However little of it can be deleted, what is left is never put in place."""
    tree = str(tmp_path / "t")
    pair = plant_pair(tree)

    def fault(_count, name, arguments):
        if name == "remove" and arguments[0].endswith("a"):
            raise windows_error(32, arguments[0])
        if marked and name == "rmdir" and arguments[0] == pair.whole:
            raise windows_error(5, arguments[0])

    assert len(moving.discard(FaultyDisk(fault), pair, patience())) == 2 + marked
    assert not moving.is_pair(Disk(), pair)
    assert moving.clear(Disk(), tree, patience(), []) is None
    assert os.listdir(str(tmp_path)) == []


def test_a_pair_that_stays_one_is_whole(tmp_path):
    pair = plant_pair(str(tmp_path / "t"))

    def fault(_count, name, arguments):
        if name in ("rmdir", "rename"):
            raise windows_error(32, arguments[0])

    (kept,) = moving.discard(FaultyDisk(fault), pair, patience())
    assert kept[0] == pair.path
    assert moving.is_pair(Disk(), pair)
    assert picture(pair.new) == {"a": b"new", "b": b"new"}


@POSIX
def test_nothing_above_a_holder_is_changed(tmp_path):
    """Whose folder it is has made it read-only with intent."""
    tree = plant(tmp_path / "scripts" / "t", {"a": b""})
    scripts = os.path.dirname(tree)
    os.chmod(scripts, 0o555)
    kept = moving.delete(ReadOnly(), tree, patience())
    assert [path for path, _ in kept] == [tree]
    assert mode(scripts) == 0o555
    os.chmod(scripts, 0o755)


@POSIX
def test_no_mode_is_changed_through_a_link(tmp_path):
    plant(tmp_path, {"top/a/b": None, "kept/b": None})
    kept, top = str(tmp_path / "kept"), str(tmp_path / "top")
    os.chmod(os.path.join(kept, "b"), 0o700)
    os.rename(os.path.join(top, "a"), str(tmp_path / "aside"))
    os.symlink(kept, os.path.join(top, "a"))
    for path in (os.path.join(top, "a"), os.path.join(top, "a", "b")):
        with pytest.raises(OSError, match="[Dd]irectory|links"):
            Disk().chmod(path, 0o777, top)
        with pytest.raises(OSError, match="[Dd]irectory|links"):
            disk_module._chmod_unreadable(path, 0o777, top)
    assert mode(os.path.join(kept, "b")) == 0o700
    for change in (Disk().chmod, disk_module._chmod_unreadable):
        for path in (top, os.path.join(str(tmp_path / "aside"), "b")):
            os.chmod(path, 0o700)
            change(path, 0o755, os.path.dirname(path) if path != top else top)
            assert mode(path) == 0o755


class Mounted(Disk):
    """A volume of its own is mounted at ``point``."""

    def __init__(self, point):
        self._point = point

    def lstat(self, path):
        facts = super().lstat(path)
        if path == self._point or path.startswith(self._point + os.sep):
            return os.stat_result(
                [*facts[:2], facts.st_dev + 1, *facts[3:10]],
                {"st_mtime_ns": facts.st_mtime_ns, "st_atime_ns": facts.st_atime_ns},
            )
        return facts


@POSIX
def test_what_is_mounted_is_not_deleted(tmp_path):
    tree = plant(tmp_path / "t", {"a/shared/b/c": b"1", "d": b""})
    shared = os.path.join(tree, "a", "shared")
    kept = moving.delete(Mounted(shared), tree, patience())
    assert [path for path, _ in kept] == [shared]
    assert picture(shared) == {"b": "folder", os.path.join("b", "c"): b"1"}
    assert not os.path.exists(os.path.join(tree, "d"))


@POSIX
def test_what_is_mounted_is_seen_where_the_system_does_not_tell(tmp_path):
    tree = plant(tmp_path / "t", {"a/shared/b": b"1", "d": b""})
    assert guards.refuse_volumes(Disk(), tree) is None
    for point, expected in ((("a", "shared"), "mount_inside"), (("d",), None), (("x",), None)):
        answer = guards.refuse_volumes(Mounted(os.path.join(tree, *point)), tree)
        assert (answer and answer[0]) == expected, point


def test_two_folders_change_places_where_the_system_can(tmp_path):
    one = plant(tmp_path / "one", {"a": b"1"})
    other = plant(tmp_path / "other", {"b": b"2"})
    done = Disk().exchange(one, other)
    assert done or not sys.platform.startswith("linux")
    if done:
        assert (picture(one), picture(other)) == ({"b": b"2"}, {"a": b"1"})
        with pytest.raises(FileNotFoundError):
            Disk().exchange(one, str(tmp_path / "absent"))
    else:
        assert (picture(one), picture(other)) == ({"a": b"1"}, {"b": b"2"})
    assert not Disk().exchange(one, other) or picture(one) == {"a": b"1"}


def test_a_system_without_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_module.sys, "platform", "plan9")
    one = plant(tmp_path / "one", {"a": b"1"})
    assert Disk().exchange(one, one) is False


@POSIX
def test_a_file_system_that_cannot_sync_folders(tmp_path, monkeypatch):
    def unsupported(_handle):
        raise posix_error(code)

    monkeypatch.setattr(os, "fsync", unsupported)
    code = errno.EINVAL
    Disk().fsync_folder(str(tmp_path))
    code = errno.EIO
    with pytest.raises(OSError, match="error"):
        Disk().fsync_folder(str(tmp_path))


def test_copies_replace_nothing_and_follow_nothing(tmp_path):
    plant(tmp_path, {"a": b"1" * 3000000, "b": b"2"})
    one, other = str(tmp_path / "a"), str(tmp_path / "b")
    with pytest.raises(FileExistsError):
        Disk().copy_file(one, other)
    Disk().copy_file(one, str(tmp_path / "c"))
    assert (tmp_path / "c").read_bytes() == b"1" * 3000000
    if hasattr(os, "mkfifo"):
        os.mkfifo(str(tmp_path / "pipe"))
        os.symlink("a", str(tmp_path / "link"))
        for name in ("pipe", "link"):
            with pytest.raises(OSError, match="is no file|symbolic links"):
                Disk().copy_file(str(tmp_path / name), str(tmp_path / "d"))


def test_paths_without_the_limit_of_windows():
    assert extended("C:\\a", windows=True) == "\\\\?\\C:\\a"
    assert extended("C:/a", windows=True) == "\\\\?\\C:\\a"
    assert extended("\\\\server\\a", windows=True) == "\\\\?\\UNC\\server\\a"
    assert extended("\\\\?\\C:\\a", windows=True) == "\\\\?\\C:\\a"
    assert extended("/a", windows=False) == "/a"
    for path in ("C:\\a", "\\\\server\\a", "/a"):
        assert plain(path) == path
        assert plain(extended(path, windows=True)).replace("\\", "/") == path.replace("\\", "/")
