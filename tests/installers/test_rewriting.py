"""A file of somebody else is changed in one step, with a backup, and stays what it is."""

from __future__ import annotations

import os
import stat

import pytest
from dcc_mcp_embed.installers import rewriting
from dcc_mcp_embed.installers.rewriting import BACKUP, read, rewrite

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
