"""Each client's file: where it is, what is written, and that nothing else in it is touched."""

from __future__ import annotations

import json

import pytest
from dcc_mcp_embed.installers import clients
from dcc_mcp_embed.installers.clients import CLIENTS, Command, Endpoint, add, find, place, remove
from hypothesis import given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.errors import ConfigError
from examples import examples
from fakes.texts import NAME, json_files, toml_files

TOKEN = "0123456789abcdef0123456789abcdef01234567"
BRIDGE = Command("/opt/py", ("-m", "dcc_mcp_embed", "bridge"), {"PYTHONPATH": "/src"})
HTTP = Endpoint("http://127.0.0.1:21343/mcp", TOKEN)
BEARER = {"Authorization": "Bearer " + TOKEN}
_PLAIN = {"command": "/opt/py", "args": list(BRIDGE.args), "env": {"PYTHONPATH": "/src"}}
_TYPED = dict(_PLAIN, type="stdio")
_URL = HTTP.url

#: Client -> (section, the entry of a command, the entry of a URL).
ENTRIES = {
    "claude-desktop": ("mcpServers", _PLAIN, None),
    "claude-code": ("mcpServers", _TYPED, {"type": "http", "url": _URL, "headers": BEARER}),
    "cursor": ("mcpServers", _PLAIN, {"url": _URL, "headers": BEARER}),
    "vscode": ("servers", _TYPED, {"type": "http", "url": _URL, "headers": BEARER}),
    "windsurf": ("mcpServers", _PLAIN, {"serverUrl": _URL, "headers": BEARER}),
    "gemini": ("mcpServers", _PLAIN, {"type": "http", "url": _URL, "headers": BEARER}),
}
PLACES = {
    "claude-desktop": (
        "/h/.config/Claude/claude_desktop_config.json",
        "/h/Library/Application Support/Claude/claude_desktop_config.json",
        "C:\\h\\AppData\\Roaming\\Claude\\claude_desktop_config.json",
    ),
    "claude-code": ("/h/.claude.json", "/h/.claude.json", "C:\\h\\.claude.json"),
    "cursor": ("/h/.cursor/mcp.json", "/h/.cursor/mcp.json", "C:\\h\\.cursor\\mcp.json"),
    "vscode": (
        "/h/.config/Code/User/mcp.json",
        "/h/Library/Application Support/Code/User/mcp.json",
        "C:\\h\\AppData\\Roaming\\Code\\User\\mcp.json",
    ),
    "windsurf": (
        "/h/.codeium/windsurf/mcp_config.json",
        "/h/.codeium/windsurf/mcp_config.json",
        "C:\\h\\.codeium\\windsurf\\mcp_config.json",
    ),
    "codex": ("/h/.codex/config.toml", "/h/.codex/config.toml", "C:\\h\\.codex\\config.toml"),
    "gemini": (
        "/h/.gemini/settings.json",
        "/h/.gemini/settings.json",
        "C:\\h\\.gemini\\settings.json",
    ),
}
KEYS = [client.key for client in CLIENTS]


def servers(client):
    return [BRIDGE] if client.http is None else [BRIDGE, HTTP]


# -- what is written, and where ---------------------------------------------------------------


def test_the_tables_of_this_test_know_every_client():
    assert sorted(KEYS) == sorted(PLACES) == sorted([*ENTRIES, "codex"])
    with pytest.raises(ConfigError, match="claude-desktop, claude-code"):
        find("emacs")


@pytest.mark.parametrize("key", KEYS)
def test_each_client_has_its_place_on_each_platform(key):
    linux, darwin, windows = PLACES[key]
    assert place(find(key), {}, "linux", "/h") == linux
    assert place(find(key), {}, "darwin", "/h") == darwin
    assert place(find(key), {}, "win32", "C:\\h") == windows


def test_variables_move_a_place():
    assert place(find("codex"), {"CODEX_HOME": "/c"}, "linux", "/h") == "/c/config.toml"
    moved = place(find("claude-code"), {"CLAUDE_CONFIG_DIR": "D:\\c"}, "win32", "C:\\h")
    assert moved == "D:\\c\\.claude.json"
    assert (
        place(find("vscode"), {"XDG_CONFIG_HOME": "/x"}, "linux", "/h") == "/x/Code/User/mcp.json"
    )
    roaming = place(find("vscode"), {"APPDATA": "E:\\r"}, "win32", "C:\\h")
    assert roaming == "E:\\r\\Code\\User\\mcp.json"


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_each_client_gets_its_own_shape(key):
    section, command, endpoint = ENTRIES[key]
    client = find(key)
    assert json.loads(clients.snippet(client, "dcc", BRIDGE)) == {section: {"dcc": command}}
    if endpoint is None:
        with pytest.raises(ConfigError, match="--bridge"):
            clients.snippet(client, "dcc", HTTP)
    else:
        assert json.loads(clients.snippet(client, "dcc", HTTP)) == {section: {"dcc": endpoint}}


def test_codex_gets_a_table():
    assert clients.snippet(find("codex"), "dcc", BRIDGE) == (
        "[mcp_servers.dcc]\n"
        'command = "/opt/py"\n'
        'args = ["-m", "dcc_mcp_embed", "bridge"]\n'
        'env = { PYTHONPATH = "/src" }\n'
    )
    assert clients.snippet(find("codex"), "dcc-maya", HTTP) == (
        "[mcp_servers.dcc-maya]\n"
        'url = "http://127.0.0.1:21343/mcp"\n'
        'http_headers = {{ Authorization = "Bearer {}" }}\n'.format(TOKEN)
    )


@pytest.mark.parametrize("key", KEYS)
def test_no_token_stands_where_others_can_see_it(key):
    client = find(key)
    for server in servers(client):
        text = clients.snippet(client, "dcc", server)
        assert (TOKEN in text) == (server is HTTP)
    assert TOKEN not in HTTP.url


# -- properties -------------------------------------------------------------------------------


@st.composite
def files(draw, client):
    if client.dialect is None:
        text = draw(toml_files())
    else:
        text = draw(json_files(client.dialect, client.section)).text
    return (draw(st.sampled_from(["", "\ufeff"])) + text).encode("utf-8")


@pytest.mark.parametrize("key", KEYS)
@settings(max_examples=examples(40))
@given(data=st.data())
def test_writing_and_removing_gives_back_the_same_bytes(key, data):
    client = find(key)
    before = data.draw(files(client))
    server = data.draw(st.sampled_from(servers(client)))
    after = add(before, client, NAME, server)
    assert after != before
    assert add(after, client, NAME, server) == after
    assert remove(after, client, NAME) == before
    assert remove(before, client, NAME) == before


@pytest.mark.parametrize("key", KEYS)
@settings(max_examples=examples(40))
@given(data=st.data())
def test_changing_one_entry_for_another_is_undone_too(key, data):
    client = find(key)
    before = data.draw(files(client))
    after = before
    for server in [*servers(client), Command("py2", BRIDGE.args)]:
        after = add(after, client, NAME, server)
    other = add(after, client, "dcc-maya", BRIDGE)
    assert remove(other, client, "dcc-maya") == after
    assert remove(after, client, NAME) == before


@pytest.mark.parametrize("key", KEYS)
def test_no_file_becomes_one_that_says_nothing_else(key):
    client = find(key)
    made = add(None, client, "dcc", BRIDGE)
    assert made.endswith(b"\n")
    assert not clients.is_blank(made, client)
    assert clients.is_blank(remove(made, client, "dcc"), client)


# -- entries of others and of users -----------------------------------------------------------

THEIRS = [
    {"command": "npx", "args": ["-y", "some-mcp"]},
    {"url": "https://example.com/mcp", "headers": BEARER},
    {"url": "http://127.0.0.1:8765/mcp"},
    {"url": "http://127.0.0.1:8765/mcp", "headers": {"Authorization": "Bearer abc"}},
    {"url": "http://[::1/mcp", "headers": BEARER},
    {"args": "dcc_mcp_embed"},
    {},
    [],
    "dcc_mcp_embed",
]
OURS = [
    {"command": "x", "args": ["-m", "dcc_mcp_embed", "bridge", "--dcc", "maya"]},
    {"command": "x", "args": ["/home/me/dcc_mcp_embed/bridge.py"]},
    {"type": "http", "url": "http://127.0.0.1:21343/mcp", "headers": BEARER},
    {"url": "http://localhost:21343/{}/mcp".format(TOKEN)},
    {"serverUrl": "http://127.0.0.1:1/mcp", "headers": BEARER},
]


@pytest.mark.parametrize("entry", THEIRS, ids=repr)
def test_a_server_of_somebody_else_is_neither_changed_nor_removed(entry):
    content = json.dumps({"mcpServers": {"dcc": entry}}).encode()
    for change in (
        lambda: add(content, find("cursor"), "dcc", BRIDGE),
        lambda: remove(content, find("cursor"), "dcc"),
    ):
        with pytest.raises(ConfigError, match="--name"):
            change()


@pytest.mark.parametrize("entry", OURS, ids=repr)
def test_a_server_of_ours_is_replaced_and_removed(entry):
    extra = dict(entry, timeout=1.5, disabled=True)
    content = json.dumps({"mcpServers": {"dcc": extra}}, indent=2).encode()
    after = json.loads(add(content, find("cursor"), "dcc", BRIDGE))
    assert after == {"mcpServers": {"dcc": dict(_PLAIN, timeout=1.5, disabled=True)}}
    assert json.loads(remove(content, find("cursor"), "dcc")) == {}


@pytest.mark.parametrize("name", ["", "a b", "é", "a.b", "-a", "x" * 65, 'a"'])
def test_a_name_that_a_client_would_not_take_is_refused(name):
    with pytest.raises(ConfigError, match="no name"):
        add(None, find("cursor"), name, BRIDGE)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00", b"{", b"\xef\xbb\xbf[", b"= 1"])
def test_what_cannot_be_parsed_is_refused(key, content):
    with pytest.raises(ConfigError):
        add(content, find(key), "dcc", BRIDGE)
    with pytest.raises(ConfigError):
        remove(content, find(key), "dcc")
