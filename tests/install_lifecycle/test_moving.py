"""The steps of a move, each for itself: names, deleting, what is read-only, the system calls."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from dcc_mcp_embed.install_lifecycle import disk as disk_module
from dcc_mcp_embed.install_lifecycle import moving
from dcc_mcp_embed.install_lifecycle.claims import Claim
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
    ]
    assert moving.holder_names("t", names) == [".t.dcc-mcp-embed-9", ".t.dcc-mcp-embed-10"]


def test_names_of_long_trees_are_short_and_their_own():
    one, other = "n" * 254 + "a", "n" * 254 + "b"
    assert moving.stem_of(one) != moving.stem_of(other)
    for name in (one, "\u4e09" * 80):
        assert len(os.fsencode(moving.stem_of(name))) < 240


def test_a_holder_is_never_shared(tmp_path):
    tree = str(tmp_path / "t")
    paths = [moving.open_holder(Disk(), tree).path for _ in range(3)]
    assert len(set(paths)) == 3
    assert sorted(h.path for h in moving.find_holders(Disk(), tree)) == paths


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
    moving.stage(disk, source, holder, patience())
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


def test_what_a_host_made_in_the_gap_does_not_cost_the_trees(tmp_path):
    """An empty folder is no tree; one with something in it is somebody's."""
    for made, expected in ((False, {"a": b"new"}), (True, {"log": b""})):
        tree = str(tmp_path / "t{}".format(made))
        holder = moving.open_holder(Disk(), tree)
        plant(holder.old, {"a": b"old"})
        plant(holder.new, {"a": b"new"})
        plant(tree, {"log": b""} if made else {"log/x": None})
        if not made:
            os.rmdir(os.path.join(tree, "log", "x"))
            os.rmdir(os.path.join(tree, "log"))
        changed, kept = moving.recover(Disk(), tree, patience(), removing=False)
        assert (changed, kept) == (None if made else "new", [])
        assert picture(tree) == expected


def test_a_removal_puts_nothing_in_place(tmp_path):
    tree = str(tmp_path / "t")
    holder = moving.open_holder(Disk(), tree)
    plant(holder.old, {"a": b"old"})
    plant(holder.new, {"a": b"new"})
    assert moving.recover(Disk(), tree, patience(), removing=True) == (None, [])
    assert os.listdir(str(tmp_path)) == []


def test_a_tree_does_not_come_back_after_its_holder_was_half_deleted(tmp_path):
    """The new tree loses its name before the first file of it goes."""
    tree = plant(tmp_path / "t", {"mine": b""})
    holder = moving.open_holder(Disk(), tree)
    plant(holder.old, {"a": b"old"})
    plant(holder.new, {"a": b"new", "b": b"new"})

    def fault(_count, name, arguments):
        if name == "remove" and arguments[0].endswith("a"):
            raise windows_error(32, arguments[0])

    assert len(moving.discard(FaultyDisk(fault), holder, patience())) == 2
    os.remove(os.path.join(tree, "mine"))
    os.rmdir(tree)
    moving.recover(Disk(), tree, patience(), removing=False)
    assert os.listdir(str(tmp_path)) == []


def test_rubbish_that_stays_keeps_the_rest_from_being_taken_for_whole(tmp_path):
    tree = plant(tmp_path / "t", {"mine": b""})
    holder = moving.open_holder(Disk(), tree)
    held = os.path.join(plant(holder.part, {"a": b""}), "a")
    plant(holder.new, {"b": b"new"})

    def fault(_count, name, arguments):
        if name == "remove" and arguments[0] == held:
            raise windows_error(32, held)

    assert [path for path, _ in moving.discard(FaultyDisk(fault), holder, patience())] == [held]
    assert picture(holder.new) == {"b": b"new"}
    assert moving.discard(Disk(), holder, patience()) == []
    assert picture(str(tmp_path)) == {"t": "folder", os.path.join("t", "mine"): b""}


def test_two_folders_change_places_where_the_system_can(tmp_path):
    one = plant(tmp_path / "one", {"a": b"1"})
    other = plant(tmp_path / "other", {"b": b"2"})
    if Disk().exchange(one, other):
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


def test_a_claim_ends_with_its_holder(tmp_path):
    slept = []
    with Claim(str(tmp_path), slept.append) as first:
        assert first
        with Claim(str(tmp_path), slept.append, patience=0.2) as second:
            assert not second
        with Claim(str(tmp_path), slept.append, patience=0) as third:
            assert not third
    assert sum(slept) == pytest.approx(0.2)
    with pytest.raises(KeyboardInterrupt), Claim(str(tmp_path), slept.append):
        raise KeyboardInterrupt
    with Claim(str(tmp_path), slept.append, patience=0) as ours:
        assert ours
    assert os.listdir(str(tmp_path)) == []
