"""``config``: let an MCP client know of our servers."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any, Dict, Optional, Tuple

from ..clock import SystemClock
from ..config import PREFERRED_PORTS
from ..errors import ConfigError, Unreachable, Unsupported
from . import interpreter
from .finding import LOOPBACK, WIRE_KEY, find, short
from .reach import prove
from .text import complain, say

__all__ = ["configure"]

#: What a server is called in a client; with --dcc that is added.
_NAME = "dcc"
#: Variables that a client would not pass on, and without which the bridge would look elsewhere.
_PASSED_ON = ("DCC_MCP_EMBED_HOME", "DCC_MCP_REGISTRY_DIR")
#: Starts the package below a folder for a client that takes no PYTHONPATH.
_START = (
    "import sys; sys.path[:] = [{!r}] + [p for p in sys.path if p]; "
    "from dcc_mcp_embed.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
#: How long a host may take to prove itself, seconds.
_PATIENCE = 3.0


def configure(options: Any) -> int:
    """Print what belongs into a client's file, or put it there, or take it out."""
    # Installers are found by name when they are needed, never imported.
    clients = importlib.import_module("...installers.clients", __name__)
    client = clients.find(options.client)
    home = os.path.expanduser("~")
    path = os.path.abspath(clients.place(client, os.environ, sys.platform, home))
    if options.instance is not None and (options.remove or not options.http):
        raise ConfigError(
            "--instance is only for a new entry with --http: it changes with each start of a host"
        )
    if options.remove:
        return _remove(client, path, _name(options.name, options.dcc))
    kind = options.dcc
    if options.http:
        kind, server = _endpoint(clients, options)
    else:
        server = _command(clients, client, options)
    name = _name(options.name, kind)
    if options.write:
        return _write(clients, client, path, name, server)
    text = clients.snippet(client, name, server)
    complain("For {}, in {}:".format(client.title, path))
    print(text, end="")
    return 0


def _name(given: Optional[str], kind: Optional[str]) -> str:
    """Return what a client calls the server of all hosts, or of one kind."""
    if given is not None:
        return given
    if kind is None:
        return _NAME
    return "{}-{}".format(_NAME, re.sub(r"[^A-Za-z0-9]+", "-", kind.lower()))


def _command(clients: Any, client: Any, options: Any) -> Any:
    """Return the command that starts a bridge. Raises ConfigError."""
    python = interpreter.look_at(interpreter.choose(options.python))
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    stable = _stable_bridge(package)
    variables: Dict[str, str] = (
        interpreter.environment(python, os.path.dirname(package))
        if stable is None
        else dict(interpreter.ALONE)
    )
    for name in _PASSED_ON:
        if os.environ.get(name):
            variables[name] = os.path.abspath(os.path.expanduser(os.environ[name]))
    if options.registry_dir:
        variables["DCC_MCP_REGISTRY_DIR"] = os.path.abspath(options.registry_dir)
    if stable is None:
        args = _module(client, package if python.package is None else python.package, variables)
    else:
        args = (stable,)
    if options.dcc is not None:
        args += ("--dcc", options.dcc)
    words = [python.program, *args, *variables.values()]
    try:
        " ".join(words).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError("{!r} is no text, and cannot be written down".format(words)) from None
    return clients.Command(python.program, args, variables)


def _stable_bridge(package: str) -> Optional[str]:
    """Return the file that leads to whatever version is installed, if this is an installed one.

    What it is called stays through upgrades; where this version lies does not.
    """
    version = os.path.dirname(package)
    root = os.path.dirname(os.path.dirname(version))
    bridge = os.path.join(root, "bridge.py")
    installed = os.path.basename(os.path.dirname(version)) == "versions"
    return bridge if installed and os.path.isfile(bridge) else None


def _module(client: Any, used: str, variables: Dict[str, str]) -> Tuple[str, ...]:
    """Return the arguments that start this package as a bridge."""
    if not os.path.isdir(os.path.join(used, "bridge")):
        complain(
            "Note: dcc_mcp_embed in {} has no bridge yet; a client cannot start this command "
            "before there is a version that has one. Until then use --http.".format(used)
        )
    if "PYTHONPATH" in variables and not client.passes_pythonpath:
        return ("-c", _START.format(variables.pop("PYTHONPATH")), "bridge")
    return ("-m", "dcc_mcp_embed", "bridge")


def _endpoint(clients: Any, options: Any) -> Tuple[str, Any]:
    """Return the kind of a running host, where it is and its token.

    Raises ConfigError, Unreachable, HostBusyNative, Unsupported.
    """
    if options.dcc is None and options.instance is None:
        raise ConfigError("--http is for one host: name it by --dcc or --instance")
    if options.python is not None:
        raise ConfigError("--python goes with --bridge; over HTTP nothing is started")
    row = find(options.dcc, options.instance, options.registry_dir)
    if row.metadata.get(WIRE_KEY) is None or row.host not in LOOPBACK or not row.port:
        raise Unsupported(
            "{} is no server of this package.".format(short(row)),
            hint="Its own documentation says how a client reaches it.",
        )
    secret, kind = prove(row.port, _PATIENCE)
    if kind != row.dcc_type:
        raise Unreachable("Port {} now belongs to a {}; try again.".format(row.port, kind))
    if row.port != PREFERRED_PORTS.get(kind):
        complain(
            "Note: {} is on port {}, not on the one that a {} always has; after a restart it may "
            "get another, and this configuration ends.".format(short(row), row.port, kind)
        )
    url = "http://127.0.0.1:{}/mcp".format(row.port)
    return kind, clients.Endpoint(url, secret.token(kind, row.port))


def _write(clients: Any, client: Any, path: str, name: str, server: Any) -> int:
    rewriting = importlib.import_module("...installers.rewriting", __name__)
    before: Optional[bytes] = rewriting.read(path)
    try:
        after = clients.add(before, client, name, server)
    except ConfigError as error:
        raise ConfigError("{} was left as it is: {}".format(path, error)) from error
    if after == before:
        say("{} already has the server {!r} in {}.".format(client.title, name, path))
        return 0
    private = isinstance(server, clients.Endpoint)
    files = importlib.import_module("...installers.client_files", __name__)
    keep = files.is_original(client, before, rewriting.backup_of(path))
    backup = rewriting.rewrite(path, before, after, SystemClock().sleep, private, keep)
    say("{} has the server {!r} now, in {}.".format(client.title, name, path))
    _tell(backup, client.reread, client.seen)
    return 0


def _remove(client: Any, path: str, name: str) -> int:
    files = importlib.import_module("...installers.client_files", __name__)
    try:
        had, backup = files.take_out(client, path, [name], SystemClock().sleep)
    except ConfigError as error:
        raise ConfigError("{} was left as it is: {}".format(path, error)) from error
    if not had:
        say("{} has no server {!r} in {}.".format(client.title, name, path))
        return 0
    say("{} no longer has the server {!r}, in {}.".format(client.title, name, path))
    _tell(backup, client.reread)
    return 0


def _tell(backup: Optional[str], *advice: str) -> None:
    if backup is not None:
        say("The file as it was before: {}".format(backup))
    say(" ".join(filter(None, advice)))
