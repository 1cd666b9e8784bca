"""One process at a time: who waits, who is refused, and what a killed process leaves."""

from __future__ import annotations

import errno
import os

import pytest

from dcc_mcp_embed.install_lifecycle import exclusive, safe_remove_tree
from dcc_mcp_embed.install_lifecycle.claims import Claim
from fakes.trees import picture, plant, posix_error

POSIX = pytest.mark.skipif(os.name == "nt", reason="the means of POSIX")
LOCK = ".dcc-mcp-embed.lock"


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


def test_what_a_killed_process_left_is_taken_and_deleted(tmp_path):
    (tmp_path / LOCK).write_bytes(b"")
    with Claim(str(tmp_path), [].append, patience=0) as ours:
        assert ours
        assert os.listdir(str(tmp_path)) == [LOCK]
    assert os.listdir(str(tmp_path)) == []


@POSIX
def test_other_users_may_take_what_a_killed_process_left(tmp_path):
    mask = os.umask(0o077)
    try:
        with Claim(str(tmp_path), [].append):
            assert os.stat(str(tmp_path / LOCK)).st_mode & 0o777 == 0o666
    finally:
        os.umask(mask)


def test_a_lock_that_cannot_be_opened_is_somebodys(tmp_path, monkeypatch):
    def refuse(path, flags):
        raise posix_error(errno.EACCES, path)

    monkeypatch.setattr(exclusive, "open_plain", refuse)
    (tmp_path / LOCK).write_bytes(b"")
    slept = []
    with Claim(str(tmp_path), slept.append) as ours:
        assert not ours
    assert sum(slept) == pytest.approx(2.0)


def test_who_may_not_write_there_is_told_at_once(tmp_path, monkeypatch):
    tree = plant(tmp_path / "t", {"a": b"1"})

    def refuse(path, flags):
        raise posix_error(errno.EACCES, path)

    monkeypatch.setattr(exclusive, "open_plain", refuse)
    slept = []
    with pytest.raises(PermissionError), Claim(str(tmp_path), slept.append):
        pass
    assert slept == []
    result = safe_remove_tree(tree)
    assert (result["status"], result["reason"]) == ("failed", "remove_failed")
    assert "deferred_operation" not in result
    assert picture(tree) == {"a": b"1"}


@POSIX
def test_where_nothing_can_be_locked_nothing_is_changed(tmp_path, monkeypatch):
    import fcntl

    tree = plant(tmp_path / "t", {"a": b"1"})

    def unsupported(handle, how):
        raise posix_error(errno.ENOLCK)

    monkeypatch.setattr(fcntl, "flock", unsupported)
    result = safe_remove_tree(tree)
    assert (result["status"], result["visible"]) == ("failed", "old")
    assert picture(tree) == {"a": b"1"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_meanwhile_holds_nothing(tmp_path):
    read, write = os.pipe()
    with Claim(str(tmp_path), [].append):
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        with Claim(str(tmp_path), [].append, patience=0) as ours:
            assert ours
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)
