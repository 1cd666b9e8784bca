"""A file of somebody else is changed in one step, with a backup, and stays what it is."""

from __future__ import annotations

import os
import stat

import pytest
from dcc_mcp_embed.installers import rewriting
from dcc_mcp_embed.installers.rewriting import BACKUP, backup_of, forget, read, rewrite

from dcc_mcp_embed.errors import ConfigError


def never(_seconds):
    raise AssertionError("nothing to wait for")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "client" / "mcp.json")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def make(path, content=b"old", bits=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(content)
    os.chmod(path, bits)


def files(path):
    return sorted(os.listdir(os.path.dirname(path)))


def test_a_new_file_is_for_the_user_alone_and_has_no_backup(path):
    assert read(path) is None
    assert rewrite(path, None, b"new", never) is None
    assert read(path) == b"new"
    assert mode(path) == 0o600
    assert mode(os.path.dirname(path)) == 0o700
    assert files(path) == ["mcp.json"]


def test_a_changed_file_keeps_its_mode_and_has_a_backup(path):
    make(path)
    assert rewrite(path, b"old", b"new", never) == path + BACKUP
    assert (read(path), read(path + BACKUP)) == (b"new", b"old")
    assert (mode(path), mode(path + BACKUP)) == (0o644, 0o644)
    assert rewrite(path, b"new", b"newer", never) == path + BACKUP
    assert read(path + BACKUP) == b"new"
    assert files(path) == ["mcp.json", "mcp.json" + BACKUP]


def test_what_was_kept_before_stays_the_backup(path):
    make(path)
    rewrite(path, b"old", b"new", never)
    assert rewrite(path, b"new", b"newer", never, keep=False) is None
    assert (read(path), read(backup_of(path))) == (b"newer", b"old")
    forget(path)
    forget(path)
    assert files(path) == ["mcp.json"]


def test_a_backup_that_cannot_be_deleted_is_said(path):
    make(path)
    os.makedirs(backup_of(path))
    with pytest.raises(ConfigError, match="cannot be deleted"):
        forget(path)


def owners(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for one in [place, *(os.path.join(place, name) for name in names)]:
            found[os.path.relpath(one, folder)] = (os.stat(one).st_uid, os.stat(one).st_gid)
    return found


def test_what_root_writes_for_somebody_is_theirs(tmp_path):
    theirs = (12345, 12346) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(str(tmp_path), *theirs)
    new = str(tmp_path / "deep" / "down" / "mcp.json")
    rewrite(new, None, b"new", never)
    old = str(tmp_path / "old" / "mcp.json")
    make(old)
    os.chown(old, *theirs)
    os.chown(os.path.dirname(old), *theirs)
    rewrite(old, b"old", b"new", never)
    found = owners(str(tmp_path))
    assert set(found.values()) == {theirs}, found
    assert len(found) == 7


def test_nobody_else_gives_anything_away(path, monkeypatch):
    """Whoever is not root cannot: a new file in a folder of somebody else is theirs."""
    monkeypatch.setattr(rewriting, "_is_root", lambda: False)
    monkeypatch.setattr(os, "chown", never)
    rewrite(path, None, b"new", never)
    assert read(path) == b"new"


def test_what_holds_a_token_is_for_the_user_alone(path):
    make(path)
    rewrite(path, b"old", b"new", never, private=True)
    assert (mode(path), mode(path + BACKUP)) == (0o600, 0o600)


def test_a_link_stays_and_what_it_leads_to_is_changed(path, tmp_path):
    target = str(tmp_path / "dotfiles" / "mcp.json")
    make(target)
    os.makedirs(os.path.dirname(path))
    os.symlink(target, path)
    rewrite(path, b"old", b"new", never)
    assert os.path.islink(path)
    assert read(target) == b"new"
    assert files(path) == ["mcp.json"]


def test_a_file_that_somebody_else_changes_meanwhile_is_left(path):
    make(path, b"theirs")
    with pytest.raises(ConfigError, match="changed by somebody else"):
        rewrite(path, b"old", b"new", never)
    with pytest.raises(ConfigError, match="changed by somebody else"):
        rewrite(path, None, b"new", never)
    assert read(path) == b"theirs"


def test_a_file_of_ours_is_deleted(path):
    make(path)
    assert rewrite(path, b"old", None, never) is None
    assert files(path) == []


@pytest.mark.parametrize("failing", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("occasion", [1, 2])
def test_a_failure_leaves_the_old_file_and_no_litter(path, monkeypatch, failing, occasion):
    make(path)
    left = [occasion]
    owner = rewriting if failing == "replace" else os
    real = getattr(owner, failing)

    def fail(*arguments):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(owner, failing, fail)
    with pytest.raises(ConfigError, match="No space left"):
        rewrite(path, b"old", b"new", never)
    assert read(path) == b"old"
    assert set(files(path)) <= {"mcp.json", "mcp.json" + BACKUP}


def test_a_file_that_is_none_is_refused_in_words(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read(str(tmp_path))
    make(str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="cannot be changed"):
        rewrite(str(tmp_path / "file" / "mcp.json"), None, b"new", never)
