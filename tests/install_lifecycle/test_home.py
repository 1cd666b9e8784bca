"""Where the user's own files are, and whose machine this is."""

from __future__ import annotations

import platform

import pytest

from dcc_mcp_embed import config
from dcc_mcp_embed.install_lifecycle.home import data_directory, is_there, machine_name


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"DCC_MCP_EMBED_HOME": "~/here"},
        {"LOCALAPPDATA": "/local", "XDG_DATA_HOME": "/xdg"},
    ],
)
def test_directory_is_where_the_server_has_its_secret(platform, environ) -> None:
    assert data_directory(environ, platform) == config.data_dir(environ, platform)


@pytest.mark.parametrize(
    ("environ", "platform", "name"),
    [
        ({"COMPUTERNAME": "WS-7"}, "win32", "WS-7"),
        ({"COMPUTERNAME": ""}, "win32", None),
        ({}, "win32", None),
        ({"COMPUTERNAME": "WS-7"}, "darwin", None),
        ({"COMPUTERNAME": "WS-7"}, "linux", platform.node()),
    ],
)
def test_machine_is_known_by_a_name_that_lasts(environ, platform, name) -> None:
    assert machine_name(environ, platform) == name


def test_what_is_there_is_seen_and_not_followed(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert is_there(str(tmp_path / "file"))
    assert is_there(str(tmp_path / "link"))
    assert not is_there(str(tmp_path / "nothing"))
    assert not is_there(str(tmp_path / "file" / "below"))
