"""What the entries of our menu in a host do, once for all hosts.

A host brings ``services``, which may be its adapter's module ``menu``: ``show(title, text)``,
``copy(text)`` to the clipboard, ``ask(title, text) -> bool`` (False where nobody says yes); a host
that cannot wait for an answer has ``ask_later(title, text, yes)``, which calls ``yes()``. Its menu
calls what :func:`entries` returns, each when the host has left the menu, which one of them takes
away. Host's main thread; nothing raises into it.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from typing import Any, Callable, Dict, List, Mapping, Tuple

from . import hosts
from .menu_labels import ENTRIES, TITLE

__all__ = ["entries", "put_up", "run", "take_down"]

#: Lines of the log that are shown.
LINES = 40
#: Whose way of writing is copied: most clients take a server as this one does.
_CLIENT = "claude-code"
_PACKAGE = __name__.rpartition(".installers.")[0]


def entries(host: str, services: Any) -> List[Tuple[str, Callable[[], bool]]]:
    """Return (label, what to call) of each entry, for a menu of ``host`` (a key of ``hosts``)."""
    return [(label, _bound(key, host, services)) for key, label in ENTRIES.items()]


def _bound(key: str, host: str, services: Any) -> Callable[[], bool]:
    return lambda: run(key, host, services)


def run(key: str, host: str, services: Any) -> bool:
    """Do what the entry ``key`` says; return whether it was done or asked. What fails is shown.

    Where it cannot be shown, it is a line of the host's console.
    """
    title = "dcc_mcp_embed: {}".format(ENTRIES[key].rstrip("."))
    return _tried(lambda: _DO[key](host, services, title), services, title)


def _tried(do: Callable[[], Any], services: Any, title: str) -> bool:
    try:
        do()
        return True
    except Exception as error:
        hint = getattr(error, "hint", None)
        text = "{}\n{}".format(error, hint) if hint else str(error)
        try:
            services.show(title, text)
        except Exception as also:
            _say("{}: {} ({})".format(title, text, also))
        return False


def _say(text: str) -> None:
    try:
        sys.stderr.write(" ".join(text.split()) + "\n")
    except Exception:
        # There is no stream, or a closed one: there is nobody to tell.
        return


def put_up(host: str, name: str) -> None:
    """Show the menu; the module ``name`` has the host's ``Menu`` and services.

    One that is there stays. A host whose menus are files has no ``Menu``. Raises what making it
    raises.
    """
    module: Any = import_module(name)
    menu = getattr(module, "Menu", None)
    if menu is not None and host not in _SHOWN:
        _SHOWN[host] = menu(TITLE, entries(host, module))


def take_down(host: str) -> None:
    """Take the menu away. Where there is none, nothing."""
    menu = _SHOWN.pop(host, None)
    if menu is not None:
        menu.close()


_SHOWN: Dict[str, Any] = {}


def _server() -> Any:
    """Return the server of this host, None where none runs."""
    place: Any = sys.modules.get(_PACKAGE + ".embed.place")
    return None if place is None else place.PLACE.server


def _needed() -> Any:
    server = _server()
    if server is None:
        raise RuntimeError("No server runs in this host. Start it first.")
    return server


def _switch(host: str, services: Any, title: str) -> None:
    server = _server()
    if server is not None:
        server.stop()
        services.show(title, "The server was stopped. Clients find it gone.")
        return
    server = import_module(_PACKAGE).start(host)
    services.show(title, "The server runs: {}".format(server.plain_url))


def _status(host: str, services: Any, title: str) -> None:
    package: Any = sys.modules[_PACKAGE]
    server, ours = _server(), _installation(host)
    lines = ["dcc_mcp_embed {}".format(package.__version__)]
    if server is None:
        lines.append("No server runs in this host.")
    else:
        known = server.call("get_status")
        # Without the token: this may be read over a shoulder, or sent to somebody.
        lines.append("Address: {}".format(server.plain_url))
        lines.append("Calls reach the main thread: {}".format(server.dispatch_status))
        lines.append(
            "Clients: {} connections, {} sessions".format(known["connections"], known["sessions"])
        )
        lines.append("Running code: {}".format(known["exec_mode"]))
    lines.append("Loaded from {}".format(os.path.dirname(os.path.abspath(package.__file__))))
    if ours is not None and ours.root.current() not in (None, _loaded_version()):
        lines.append("The next start has {}".format(ours.root.current()))
    services.show(title, "\n".join(lines))


def _copy(host: str, services: Any, title: str) -> None:
    from . import clients

    server = _needed()
    client = clients.find(_CLIENT)
    name = "dcc-{}".format(server.dcc_type)
    endpoint = clients.Endpoint(server.plain_url, server.token)
    services.copy(clients.snippet(client, name, endpoint))
    services.show(
        title,
        "Copied, as {} takes it. It holds the token of this user: keep it to yourself.\n"
        "For another client: python3 -m dcc_mcp_embed config CLIENT".format(client.title),
    )


def _log(host: str, services: Any, title: str) -> None:
    lines = [
        "{} {:7} {}: {}".format(
            time.strftime("%H:%M:%S", time.localtime(line.wall)), line.level, line.source, line.text
        )
        for line in _needed().logbook.read(LINES)
    ]
    services.show(title, "\n".join(lines) or "Nothing has happened yet.")


def _uninstall(host: str, services: Any, title: str) -> None:
    ours = _installation(host)
    if ours is None:
        raise RuntimeError(
            "This copy was not put here by its installer: {}. Remove it as it was added.".format(
                os.path.dirname(os.path.abspath(sys.modules[_PACKAGE].__file__ or ""))
            )
        )
    text = (
        "Stop the server and remove dcc_mcp_embed from {}?\nClients keep what they were told of "
        "it; python3 -m dcc_mcp_embed config CLIENT --remove takes it out.".format(ours.user)
    )
    later = getattr(services, "ask_later", None)
    if later is not None:
        later(
            title,
            text,
            lambda: _tried(lambda: _remove(host, ours, services, title), services, title),
        )
    elif services.ask(title, text):
        _remove(host, ours, services, title)


def _remove(host: str, ours: Any, services: Any, title: str) -> None:
    # All that is still to be loaded, before its files go.
    from . import api

    server = _server()
    if server is not None:
        server.stop()
    report = api.uninstall(host, target=ours.user, stopped=True)
    left = [one for folder in report["folders"] for one in folder["operations"]]
    left = [one["text"] for one in left if one["status"] == "owed" or one["operation"] == "keep"]
    take_down(host)
    _forget()
    if left:
        services.show(title, "Removed but for what is in use:\n{}".format("\n".join(left)))
    else:
        services.show(title, "Removed. Nothing of it is left in {}".format(ours.user))


def _installation(host: str) -> Any:
    """Return the installation whose version is loaded, None where it is not one of ours.

    Told by where the package stands: ``<user folder>/dcc_mcp_embed/versions/<version>/<package>``.
    A studio's is not the user's to change.
    """
    from .acting import Installation
    from .boot import SHARED
    from .root import FOLDER, VERSIONS

    here = os.path.dirname(os.path.abspath(sys.modules[_PACKAGE].__file__ or ""))
    versions = os.path.dirname(os.path.dirname(here))
    root, name = os.path.split(versions)
    if name != VERSIONS or os.path.basename(root) != FOLDER:
        return None
    if os.path.lexists(os.path.join(root, SHARED)):
        return None
    return Installation(hosts.find(host), os.path.dirname(root))


def _loaded_version() -> str:
    here = os.path.dirname(os.path.abspath(sys.modules[_PACKAGE].__file__ or ""))
    return os.path.basename(os.path.dirname(here))


def _forget() -> None:
    """Have nothing of ours loaded: what is installed next in this host starts afresh."""
    ours = _PACKAGE + "."
    for name in [one for one in list(sys.modules) if (one + ".").startswith(ours)]:
        del sys.modules[name]


#: Key -> what does it: (host, services, title).
_DO: Mapping[str, Callable[[str, Any, str], None]] = {
    "switch": _switch,
    "status": _status,
    "copy": _copy,
    "log": _log,
    "uninstall": _uninstall,
}
