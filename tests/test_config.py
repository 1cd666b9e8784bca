"""Settings: an argument wins over the environment, and what cannot be used is refused in words."""

from __future__ import annotations

import os

import pytest

from dcc_mcp_embed.config import data_dir, settings_from
from dcc_mcp_embed.errors import ConfigError

#: Setting -> its variable, a value there and what it becomes, an argument, and its default.
READ = {
    "port": ("DCC_MCP_EMBED_PORT", "21000", 21000, 0, None),
    "exec_mode": ("DCC_MCP_EMBED_EXEC", "off", "off", "on", None),
    "profile": ("DCC_MCP_EMBED_PROFILE", "full", "full", "core", "core"),
    "registry_dir": ("DCC_MCP_REGISTRY_DIR", "/shared", "/shared", "/own", None),
}
UNUSABLE = [
    ("port", "DCC_MCP_EMBED_PORT", "65536"),
    ("port", "DCC_MCP_EMBED_PORT", "-1"),
    ("port", "DCC_MCP_EMBED_PORT", "http"),
    ("exec_mode", "DCC_MCP_EMBED_EXEC", "yes"),
    ("profile", "DCC_MCP_EMBED_PROFILE", "all"),
]


def settings(environ=(), **arguments):
    return settings_from(dict(environ), "linux", **arguments)


@pytest.mark.parametrize("name", sorted(READ))
def test_an_argument_wins_over_the_environment_and_that_over_the_default(name):
    variable, text, value, argument, default = READ[name]
    assert getattr(settings(), name) == default
    assert getattr(settings({variable: ""}), name) == default
    assert getattr(settings({variable: text}), name) == value
    assert getattr(settings({variable: text}, **{name: argument}), name) == argument


@pytest.mark.parametrize(("name", "variable", "text"), UNUSABLE)
def test_what_cannot_be_used_is_refused_with_where_it_stands_and_what_would_do(
    name, variable, text
):
    with pytest.raises(ConfigError, match="{} is '{}'; it takes ".format(variable, text)):
        settings({variable: text})
    with pytest.raises(ConfigError, match="^{} is ".format(name)):
        settings(**{name: text})
    # What is given is all that is looked at.
    good = READ[name][3]
    assert getattr(settings({variable: text}, **{name: good}), name) == good


@pytest.mark.parametrize(
    ("origins", "told"),
    [
        ("https://studio.example", r"takes a list, such as \['https://studio.example'\]"),
        (["studio.example"], "'studio.example'.*scheme://host"),
        (["https://studio.example/page"], "scheme://host"),
        (["https://"], "scheme://host"),
        (["://studio.example"], "scheme://host"),
        (["https://a.example", " https://b.example"], "' https://b.example'"),
        (["https://studio.example?x"], "scheme://host"),
        (["https://me@studio.example"], "scheme://host"),
        (["https://*.studio.example"], "scheme://host"),
        ([7], "scheme://host"),
    ],
)
def test_origins_that_no_browser_sends_are_refused(origins, told):
    with pytest.raises(ConfigError, match=told):
        settings(origins=origins)


def test_limits_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="limits is None; it takes Limits"):
        settings(limits=None)


def test_origins_are_taken_as_they_were_given():
    given = (
        "https://studio.example",
        "HTTP://Wiki:8080/",
        "http://[fe80::1]:443",
        "vscode-webview://abc",
        "null",
        "file://",
    )
    assert settings(origins=list(given)).origins == given
    assert settings().origins == ()


def test_a_port_for_the_sidecar_is_one_too():
    assert settings(qtserver=0).qtserver == 0
    with pytest.raises(ConfigError, match="qtserver"):
        settings(qtserver=70000)


@pytest.mark.parametrize(
    ("platform", "environ", "place"),
    [
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/dcc_mcp_embed"),
        ("win32", {}, "~/AppData/Local/dcc_mcp_embed"),
        ("darwin", {}, "~/Library/Application Support/dcc_mcp_embed"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/dcc_mcp_embed"),
        ("linux", {}, "~/.local/share/dcc_mcp_embed"),
        ("linux", {"DCC_MCP_EMBED_HOME": "~/mine", "XDG_DATA_HOME": "/data"}, "~/mine"),
    ],
)
def test_the_users_directory_is_where_the_platform_has_it(platform, environ, place):
    assert data_dir(environ, platform) == os.path.expanduser(place)
