"""What the answers of the tree operations look like, and which path a caller means."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.install_lifecycle import results


def test_a_failure_has_the_keys_of_the_reference():
    assert results.failed(None, results.INVALID_PATH, "no") == {
        "success": False,
        "status": "failed",
        "requires_restart": False,
        "path": None,
        "reason": "invalid_path",
        "message": "no",
    }


def test_a_restart_has_the_keys_of_the_reference():
    answer = results.requires_restart(
        "a", "b", results.WINDOWS_FILE_LOCK, "held", results.operation_remove("a")
    )
    assert answer.pop("recommended_next_action").startswith("Schedule the deferred operation")
    assert answer.pop("message") == "held"
    assert answer == {
        "success": False,
        "status": "requires_restart",
        "requires_restart": True,
        "path": "a",
        "locked_path": "b",
        "reason": "windows_file_lock",
        "deferred_operation": {"operation": "remove_tree", "path": "a"},
    }


def test_what_is_left_over_is_owed():
    assert results.left_over("a", []) == {}
    assert results.left_over("a", ["b"]) == {
        "left_over": ["b"],
        "deferred_operation": {"operation": "sweep_tree", "path": "a"},
    }


@pytest.mark.parametrize("value", [None, "", "   ", "\t\n", "a\0b", b""])
def test_no_path(value):
    assert results.to_path(value) is None


def test_paths_are_absolute_and_keep_their_blanks(tmp_path, monkeypatch):
    root = os.path.realpath(str(tmp_path))
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert results.to_path("a ") == os.path.join(root, "a ")
    assert results.to_path(tmp_path / "a") == os.path.join(root, "a")
    assert results.to_path(b"a") == os.path.join(root, "a")
    assert results.to_path("~/a") == os.path.join(root, "a")
    assert results.to_path(".") == root
    assert results.to_path("a/" + os.pardir) == root
    assert results.to_path("a/") == os.path.join(root, "a")
    assert results.to_path(os.path.abspath(os.sep)) == os.path.abspath(os.sep)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_links_on_the_way_are_resolved_but_not_the_last(tmp_path):
    root = os.path.realpath(str(tmp_path))
    os.mkdir(os.path.join(root, "real"))
    os.symlink("real", os.path.join(root, "link"))
    assert results.to_path(tmp_path / "link") == os.path.join(root, "link")
    assert results.to_path(tmp_path / "link" / "x") == os.path.join(root, "real", "x")
    # What the system makes of two dots behind a link, not what the letters say.
    os.mkdir(os.path.join(root, "real", "deep"))
    os.symlink(os.path.join("real", "deep"), os.path.join(root, "far"))
    assert results.to_path("{}/far/..".format(root)) == os.path.join(root, "real")


@pytest.mark.parametrize(
    ("mode", "attributes", "tag", "expected"),
    [
        (stat.S_IFLNK, 0, 0, True),
        (stat.S_IFDIR, 0, 0, False),
        (stat.S_IFDIR, 0x400, 0xA0000003, True),  # junction
        (stat.S_IFDIR, 0x400, None, True),  # some reparse point, to Python 3.7
        (stat.S_IFREG, 0x400, None, False),
        (stat.S_IFREG, 0x400, 0x9000001A, False),  # a file of a cloud drive
        (stat.S_IFDIR, 0x400, 0x9000001A, False),
    ],
)
def test_links_of_both_worlds(mode, attributes, tag, expected):
    facts = {"st_mode": mode, "st_file_attributes": attributes}
    if tag is not None:
        facts["st_reparse_tag"] = tag
    assert results.is_link(SimpleNamespace(**facts)) is expected
