"""A tree is known again; one that took its place is not, whatever number it was given."""

from __future__ import annotations

import json
import os
import shutil
import sys
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.install_lifecycle import identity
from dcc_mcp_embed.install_lifecycle.identity import (
    identity_of,
    is_mounted,
    is_still,
    volume_of,
)

#: Where the system does not tell when a folder was made, its number alone is not enough.
BORN = hasattr(os.stat_result, "st_birthtime") or sys.platform == "win32"


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "inner").mkdir(parents=True)
    (root / "file").write_text("x", encoding="utf-8")
    return root


def known(path):
    return json.loads(json.dumps(identity_of(str(path))))  # by way of the journal


def test_same_tree_is_known_again(tree) -> None:
    before = known(tree)
    assert before["inode"] == os.lstat(str(tree)).st_ino
    assert is_still(before, str(tree))


def test_host_may_go_on_using_the_tree(tree) -> None:
    before = known(tree)
    (tree / "__pycache__").mkdir()
    (tree / "file").write_text("y", encoding="utf-8")
    assert is_still(before, str(tree))


def test_nothing_is_not_the_tree_that_was_there(tree) -> None:
    before = known(tree)
    shutil.rmtree(str(tree))
    assert not is_still(before, str(tree))


def test_nothing_is_still_nothing(tmp_path) -> None:
    assert identity_of(str(tmp_path / "no" / "such")) is None
    assert is_still(None, str(tmp_path / "no" / "such"))


def test_what_came_where_nothing_was_is_another(tree) -> None:
    assert not is_still(None, str(tree))


def test_moved_in_tree_is_another(tree, tmp_path) -> None:
    before = known(tree)
    shutil.copytree(str(tree), str(tmp_path / "new"))
    shutil.rmtree(str(tree))
    os.rename(str(tmp_path / "new"), str(tree))
    assert not is_still(before, str(tree))


def test_link_in_its_place_is_another(tree, tmp_path) -> None:
    before = known(tree)
    os.rename(str(tree), str(tmp_path / "elsewhere"))
    os.symlink(str(tmp_path / "elsewhere"), str(tree))
    assert not is_still(before, str(tree))


@pytest.mark.parametrize("by_birth", [True, False])
def test_new_tree_with_the_number_of_the_old_is_another(by_birth, tree, monkeypatch) -> None:
    # What a system does with numbers and times is played, so that each kind is tried everywhere.
    def facts(changed, born):
        mode = os.lstat(str(tree)).st_mode
        found = SimpleNamespace(st_ino=2, st_ctime_ns=changed, st_mode=mode)
        if by_birth:
            found.st_birthtime = born / 1e9
        return found

    times = {"changed": 1000, "born": 500}
    monkeypatch.setattr(identity.sys, "platform", "linux")
    monkeypatch.setattr(identity, "_facts", lambda path: facts(**times))
    before = known(tree)
    assert is_still(before, str(tree))
    if not by_birth:
        assert before["latest"] == 1000
    times.update(changed=2000, born=1500)
    assert not is_still(before, str(tree))


def test_host_that_knows_more_knows_what_another_wrote(tree, monkeypatch) -> None:
    # Each host has its own Python, and all of them have one journal.
    monkeypatch.setattr(identity, "_born", lambda facts: None)
    before = known(tree)
    assert "born" not in before
    monkeypatch.setattr(identity, "_born", lambda facts: 5)
    assert is_still(before, str(tree))


if not BORN:

    def test_old_tree_is_known_by_any_entry_that_has_not_changed(tree) -> None:
        before = known(tree)
        os.chmod(str(tree), 0o700)
        os.chmod(str(tree / "file"), 0o600)
        assert is_still(before, str(tree))

    def test_tree_made_anew_under_the_same_number_is_another(tree) -> None:
        # ext4 gives the number of a deleted folder to the next one.
        before = known(tree)
        for name in os.listdir(str(tree)):
            path = str(tree / name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        while identity_of(str(tree))["latest"] <= before["latest"]:
            (tree / "file").write_text("new", encoding="utf-8")  # until the clock has ticked
        assert os.lstat(str(tree)).st_ino == before["inode"]
        assert not is_still(before, str(tree))


def test_file_is_known_again(tree) -> None:
    path = str(tree / "file")
    before = known(path)
    assert is_still(before, path)
    os.rename(path, str(tree / "kept"))
    (tree / "file").write_text("new", encoding="utf-8")
    assert not is_still(before, path)


@pytest.mark.parametrize("damaged", [{}, {"inode": None}, {"inode": "1"}])
def test_damaged_identity_is_of_no_tree(damaged, tree) -> None:
    assert not is_still(damaged, str(tree))
    assert not is_still({**known(tree), "latest": None, "born": None}, str(tree))


def test_volume_is_where_the_path_is_mounted(tree, tmp_path, monkeypatch) -> None:
    volume = str(tmp_path)

    def ismount(path):
        if not os.path.exists(path):
            raise OSError("Windows asks the system for what is not there")
        return path == volume

    monkeypatch.setattr(os.path, "ismount", ismount)
    for path in (str(tree), str(tree / "no" / "such")):
        assert volume_of(path) == volume
    assert is_mounted(volume)
    assert not is_mounted(str(tree))
    assert not is_mounted(str(tmp_path / "gone"))
    assert volume_of(os.path.abspath(os.sep)) == os.path.abspath(os.sep)
