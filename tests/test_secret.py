"""The secret: private, made once, never shown, and tokens that belong to one place."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.secret import Secret, open_secret, retire_token, rotate_secret
from fakes.clock import FakeClock


def mode(path):
    return stat.S_IMODE(os.stat(str(path)).st_mode)


def test_it_is_made_once_and_private(tmp_path):
    home = tmp_path / "home"
    first = open_secret(str(home), SystemClock())
    assert mode(home) == 0o700
    assert mode(home / "secret") == 0o600
    assert open_secret(str(home), SystemClock()).token("maya", 1) == first.token("maya", 1)
    assert os.listdir(str(home)) == ["secret"], "no temporary file may stay"


def test_tokens_belong_to_one_kind_and_port_and_show_nothing():
    secret = Secret(b"s" * 32, {})
    tokens = {secret.token(kind, port) for kind in ("maya", "blender") for port in (1, 2)}
    assert len(tokens) == 4
    assert all(len(token) == 40 and int(token, 16) for token in tokens)
    assert "s" * 8 not in repr(secret)
    assert secret.proof("maya", 1, "x") != secret.proof("maya", 1, "y")
    assert secret.proof("maya", 1, "x") != secret.proof("maya", 2, "x")


def test_a_retired_token_is_worthless_and_only_that_one(tmp_path):
    home = str(tmp_path)
    before = open_secret(home, SystemClock())
    retire_token(home, "maya", 1, FakeClock())
    after = open_secret(home, SystemClock())
    assert after.token("maya", 1) != before.token("maya", 1)
    assert after.token("maya", 2) == before.token("maya", 2)
    retire_token(home, "maya", 1, FakeClock())
    assert open_secret(home, SystemClock()).token("maya", 1) != after.token("maya", 1)


def test_rotation_replaces_everything(tmp_path):
    home = str(tmp_path)
    before = open_secret(home, SystemClock())
    rotate_secret(home, SystemClock())
    after = open_secret(home, SystemClock())
    assert after.token("maya", 2) != before.token("maya", 2)


def test_too_open_files_are_tightened(tmp_path):
    home = tmp_path / "home"
    open_secret(str(home), SystemClock())
    os.chmod(str(home / "secret"), 0o644)
    os.chmod(str(home), 0o755)
    open_secret(str(home), SystemClock())
    assert mode(home / "secret") == 0o600
    assert mode(home) == 0o700


def test_a_link_is_not_trusted(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    os.symlink(str(target), str(tmp_path / "home"))
    with pytest.raises(ConfigError):
        open_secret(str(tmp_path / "home"), SystemClock())
    (tmp_path / "stolen").write_bytes(b"x" * 32)
    os.symlink(str(tmp_path / "stolen"), str(target / "secret"))
    with pytest.raises(ConfigError):
        open_secret(str(target), SystemClock())


def test_a_damaged_secret_says_what_to_do(tmp_path):
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(ConfigError) as caught:
        open_secret(str(tmp_path), SystemClock())
    assert "secret rotate" in str(caught.value)


def test_a_damaged_list_of_retired_tokens_does_not_bring_them_back(tmp_path):
    open_secret(str(tmp_path), SystemClock())
    retire_token(str(tmp_path), "maya", 1, SystemClock())
    for damaged in (b"", b"{", b"[]", b'{"maya|1": "x"}', b"[" * 60000):
        (tmp_path / "retired.json").write_bytes(damaged)
        with pytest.raises(ConfigError) as caught:
            open_secret(str(tmp_path), SystemClock())
        assert "secret rotate" in str(caught.value)
    rotate_secret(str(tmp_path), SystemClock())
    open_secret(str(tmp_path), SystemClock())


@pytest.mark.parametrize("kind", ["a file", "a folder as the secret"])
def test_a_place_that_cannot_be_used_is_told_in_words(tmp_path, kind):
    home = tmp_path / "home"
    if kind == "a file":
        home.write_bytes(b"")
    else:
        (home / "secret").mkdir(parents=True)
    with pytest.raises(ConfigError) as caught:
        open_secret(str(home), SystemClock())
    assert "DCC_MCP_EMBED_HOME" in str(caught.value)


def test_a_token_that_cannot_be_retired_is_told_in_words(tmp_path):
    with pytest.raises(ConfigError, match="DCC_MCP_EMBED_HOME"):
        retire_token(str(tmp_path / "gone"), "maya", 1, SystemClock())


def test_a_disk_that_takes_half_of_it_leaves_what_was_there(tmp_path, monkeypatch):
    before = open_secret(str(tmp_path), SystemClock()).token("maya", 1)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: write(handle, data[: len(data) // 2]))
        with pytest.raises(ConfigError, match="space"):
            rotate_secret(str(tmp_path), SystemClock())
    assert os.listdir(str(tmp_path)) == ["secret"]
    assert open_secret(str(tmp_path), SystemClock()).token("maya", 1) == before


def test_hosts_that_start_together_agree_on_one_secret(tmp_path):
    home = str(tmp_path / "home")
    tokens = []
    gate = threading.Barrier(8)

    def begin():
        gate.wait()
        tokens.append(open_secret(home, SystemClock()).token("maya", 1))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 8
    assert len(set(tokens)) == 1
