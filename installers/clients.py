"""What MCP clients keep their servers in, and how one of ours is written there.

Pure: a file's content comes in, the new content goes out; where the file is, is told by
:func:`place`. Whoever calls passes the command, or the URL and token, in.
"""

from __future__ import annotations

import ntpath
import posixpath
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union
from urllib.parse import urlsplit

from ..errors import ConfigError
from . import json_edit, toml_edit

__all__ = [
    "CLIENTS",
    "Client",
    "Command",
    "Endpoint",
    "Place",
    "add",
    "find",
    "holds_more",
    "is_blank",
    "ours",
    "place",
    "remove",
    "snippet",
]


class Command(NamedTuple):
    """A server that a client starts and speaks to over its standard streams."""

    program: str
    args: Tuple[str, ...]
    env: Mapping[str, str] = {}


class Endpoint(NamedTuple):
    """A server that runs, at a URL without a token; the token goes into a header."""

    url: str
    token: Optional[str] = None


Server = Union[Command, Endpoint]


class Place(NamedTuple):
    """Where a client's file is: below a variable's directory if it is set, else by platform.

    ``{home}``, ``{roaming}`` and ``{config}`` stand for the user's directory, that for roaming
    application data, and that for configurations.
    """

    linux: str
    darwin: str
    win32: str
    variable: str = ""
    name: str = ""


class HttpShape(NamedTuple):
    """How a client writes a server that it reaches over HTTP."""

    url: str = "url"
    headers: str = "headers"
    fixed: Tuple[Tuple[str, str], ...] = ()


class Client(NamedTuple):
    """One MCP client. ``dialect`` None: TOML. ``http`` None: its file takes commands only."""

    key: str
    title: str
    place: Place
    section: str
    dialect: Optional[json_edit.Dialect]
    http: Optional[HttpShape]
    #: Members that every command has here.
    fixed: Tuple[Tuple[str, str], ...] = ()
    #: Whether it passes PYTHONPATH on to what it starts, as its file says.
    passes_pythonpath: bool = True
    #: How the client is made to read its file again, and where the server is then seen.
    reread: str = ""
    seen: str = ""


def _in_home(path: str, variable: str = "", name: str = "") -> Place:
    return Place("{home}/" + path, "{home}/" + path, "{home}/" + path, variable, name)


_STDIO = (("type", "stdio"),)
_HTTP = (("type", "http"),)

CLIENTS = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        Place(
            "{config}/Claude/claude_desktop_config.json",
            "{home}/Library/Application Support/Claude/claude_desktop_config.json",
            "{roaming}/Claude/claude_desktop_config.json",
        ),
        "mcpServers",
        json_edit.STRICT,
        None,
        reread="Quit Claude Desktop completely and start it again.",
        seen="Its settings list the server under Developer.",
    ),
    Client(
        "claude-code",
        "Claude Code",
        _in_home(".claude.json", "CLAUDE_CONFIG_DIR", ".claude.json"),
        "mcpServers",
        json_edit.STRICT,
        HttpShape(fixed=_HTTP),
        _STDIO,
        reread="Start a new session.",
        seen="/mcp shows the server.",
    ),
    Client(
        "cursor",
        "Cursor",
        _in_home(".cursor/mcp.json"),
        "mcpServers",
        json_edit.STRICT,
        HttpShape(),
        reread="Reload Cursor's window.",
        seen="Its settings list the server, and may want it enabled.",
    ),
    Client(
        "vscode",
        "VS Code",
        Place(
            "{config}/Code/User/mcp.json",
            "{home}/Library/Application Support/Code/User/mcp.json",
            "{roaming}/Code/User/mcp.json",
        ),
        "servers",
        json_edit.JSONC,
        HttpShape(fixed=_HTTP),
        _STDIO,
        reread="Reload VS Code's window.",
        seen="The command 'MCP: List Servers' starts the server.",
    ),
    Client(
        "windsurf",
        "Windsurf",
        _in_home(".codeium/windsurf/mcp_config.json"),
        "mcpServers",
        json_edit.STRICT,
        HttpShape(url="serverUrl"),
        reread="Refresh the MCP servers in Windsurf's settings.",
    ),
    Client(
        "codex",
        "Codex CLI",
        _in_home(".codex/config.toml", "CODEX_HOME", "config.toml"),
        "mcp_servers",
        None,
        HttpShape(headers="http_headers"),
        reread="Start a new session.",
        seen="`codex mcp list` shows the server.",
    ),
    Client(
        "gemini",
        "Gemini CLI",
        _in_home(".gemini/settings.json"),
        "mcpServers",
        json_edit.WITH_COMMENTS,
        HttpShape(fixed=_HTTP),
        passes_pythonpath=False,
        reread="Start a new session.",
        seen="/mcp shows the server, in folders that Gemini CLI is told to trust.",
    ),
)

#: What we write, in any client and shape, and so replace; a user's other settings stay.
_OWN = (
    "type",
    "command",
    "args",
    "env",
    "url",
    "serverUrl",
    "httpUrl",
    "headers",
    "http_headers",
    "env_http_headers",
    "bearer_token_env_var",
)
_URLS = ("url", "serverUrl", "httpUrl")
_HEADERS = ("headers", "http_headers")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TOKEN = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BOM = "\ufeff"


def find(key: str) -> Client:
    """Return the client of that name. Raises ConfigError."""
    for client in CLIENTS:
        if client.key == key:
            return client
    raise ConfigError(
        "There is no client {!r}; there are {}".format(key, ", ".join(one.key for one in CLIENTS))
    )


def place(client: Client, environ: Mapping[str, str], platform: str, home: str) -> str:
    """Return the path of a client's file for the user whose directory is ``home``."""
    windows = platform == "win32"
    join: Callable[..., str] = ntpath.join if windows else posixpath.join
    where = client.place
    moved = environ.get(where.variable) if where.variable else None
    if moved:
        return join(moved, where.name)
    template = where.win32 if windows else where.darwin if platform == "darwin" else where.linux
    bases = {
        "{home}": home,
        "{roaming}": environ.get("APPDATA") or join(home, "AppData", "Roaming"),
        "{config}": environ.get("XDG_CONFIG_HOME") or join(home, ".config"),
    }
    base, *rest = template.split("/")
    return join(bases[base], *rest)


def _entry(client: Client, server: Server) -> Dict[str, Any]:
    """Return what stands in the client's file for a server. Raises ConfigError."""
    if isinstance(server, Command):
        entry: Dict[str, Any] = dict(client.fixed)
        entry.update(command=server.program, args=list(server.args))
        if server.env:
            entry["env"] = dict(server.env)
        return entry
    shape = client.http
    if shape is None:
        raise ConfigError(
            "{} takes no URL in its file, only a command: use --bridge".format(client.title)
        )
    entry = dict(shape.fixed)
    entry[shape.url] = server.url
    if server.token is not None:
        entry[shape.headers] = {"Authorization": "Bearer " + server.token}
    return entry


def _is_ours(entry: Any) -> bool:
    """Return whether an entry starts our package, or calls a local server with such a token."""
    if not isinstance(entry, dict):
        return False
    args = entry.get("args")
    if isinstance(args, list) and any("dcc_mcp_embed" in str(word) for word in args):
        return True
    headers: Any = next((entry[name] for name in _HEADERS if name in entry), None)
    shown = str(headers.get("Authorization", "")) if isinstance(headers, dict) else ""
    for name in _URLS:
        try:
            parts = urlsplit(str(entry.get(name, "")))
        except ValueError:
            continue
        if parts.hostname in _LOOPBACK and parts.path.endswith("/mcp"):
            words = [*parts.path.split("/"), shown.partition("Bearer ")[2]]
            return any(_TOKEN.fullmatch(word) for word in words)
    return False


def snippet(client: Client, name: str, server: Server) -> str:
    """Return a whole file with nothing but this server. Raises ConfigError."""
    return add(None, client, name, server).decode("ascii")


def add(content: Optional[bytes], client: Client, name: str, server: Server) -> bytes:
    """Return a file's content with a server in it; None stands for no file.

    Raises ConfigError for a content that cannot be parsed, and where a server of somebody else has
    that name. Settings that the user has added to an entry of ours stay.
    """
    entry = _entry(client, server)
    bom, text = _decoded(content or b"")
    path = _path(client, name)
    with_extras = entry
    old = _get(text, client, path)
    if old is not None:
        _must_be_ours(old, name)
        with_extras = dict(entry, **{key: old[key] for key in old if key not in _OWN})
        if old == with_extras:
            return content or b""
    if client.dialect is None:
        new = toml_edit.put(text, path, entry, _OWN)
    else:
        new = json_edit.put(text, client.dialect, path, with_extras)
    return _encoded(bom + new)


def remove(content: bytes, client: Client, name: str) -> bytes:
    """Return a file's content without that server; the same if it has none.

    Raises ConfigError as :func:`add` does.
    """
    bom, text = _decoded(content)
    path = _path(client, name)
    old = _get(text, client, path)
    if old is None:
        return content
    _must_be_ours(old, name)
    return _encoded(bom + _drop(text, client, path))


def ours(content: bytes, client: Client) -> List[str]:
    """Return what servers of this package are called in a file. Raises ConfigError."""
    section = _get(_decoded(content)[1], client, (client.section,))
    if not isinstance(section, dict):
        return []
    return [name for name, entry in section.items() if _is_ours(entry)]


def holds_more(content: bytes, client: Client) -> bool:
    """Return whether a file says anything besides our servers. Raises ConfigError."""
    text = _decoded(content)[1]
    for name in ours(content, client):
        text = _drop(text, client, (client.section, name))
    return not _says_nothing(text, client)


def is_blank(content: bytes, client: Client) -> bool:
    """Return whether a file says nothing at all."""
    return _says_nothing(_decoded(content)[1], client)


def _says_nothing(text: str, client: Client) -> bool:
    if client.dialect is None:
        return not text.strip()
    return json_edit.is_empty(text, client.dialect)


def _path(client: Client, name: str) -> Tuple[str, str]:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "{!r} is no name for a server: letters, digits, _ and -, up to 64".format(name)
        )
    return client.section, name


def _get(text: str, client: Client, path: Tuple[str, ...]) -> Any:
    if client.dialect is None:
        return toml_edit.get(text, path)
    return json_edit.get(text, client.dialect, path)


def _drop(text: str, client: Client, path: Tuple[str, ...]) -> str:
    if client.dialect is None:
        return toml_edit.drop(text, path)
    return json_edit.drop(text, client.dialect, path)


def _must_be_ours(entry: Any, name: str) -> None:
    if not _is_ours(entry):
        raise ConfigError(
            "it has a server {!r} that is not of this package; choose another with --name".format(
                name
            )
        )


def _decoded(content: bytes) -> Tuple[str, str]:
    """Return the byte order mark, if there is one, and the text. Raises ConfigError."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("it is not valid: it is no text in UTF-8 ({})".format(error)) from None
    return (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8")
