"""``doctor``: what is wrong here, from outside, and by the self-test inside a host.

``--in-host`` asks the one running host that is meant for its self-test. Run by the interpreter of a
host without a user interface (mayapy, hython, ``blender -b``), and with nobody named, it starts
a server in that very process, runs the suite there, and stops it again.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from typing import Any, Dict, List, Optional, Tuple

from .. import __version__, embed
from ..embed.place import PLACE
from ..errors import ConfigError, RemoteProtocolError
from ..host.adapter import HostAdapter
from ..host.detecting import load_adapter
from ..host.selftest import Report, run
from .finding import cells, living, the_registry
from .reach import reach
from .text import complain, json_text, say, table

__all__ = ["doctor"]

TOOL = "run_selftest"
#: The kind of host that an interpreter is which belongs to none.
_NONE = "standalone"
#: How a host's own interpreter is called, and what makes it the host: a module, and its function.
_INTERPRETERS: Dict[str, Tuple[str, Optional[str]]] = {
    "mayapy": ("maya.standalone", "initialize"),
    "hython": ("hou", None),
    "3dsmax": ("pymxs", None),
    "3dsmaxbatch": ("pymxs", None),
}


def doctor(options: Any) -> int:
    """Print what is found; 1 if a check failed."""
    if not options.in_host:
        return _look_around(options)
    report = None
    if options.dcc is None and options.instance is None:
        report = _in_this_process(options)
    if report is None:
        report = _in_the_host(options)
    if options.json:
        print(json_text(report.to_dict()))
    else:
        say(report.to_text())
    return 0 if report.passed else 1


def _look_around(options: Any) -> int:
    registry = the_registry(options.registry_dir)
    rows = living(registry)
    trusted = bool(registry.place.trusted)
    if options.json:
        found = {
            "dcc_mcp_embed": __version__,
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "registry": registry.directory,
            "registry_trusted": trusted,
            "hosts": [{"dcc_type": r.dcc_type, "instance_id": r.instance_id} for r in rows],
        }
        print(json_text(found))
        return 0
    say("dcc_mcp_embed {}, Python {}.{}.{}".format(__version__, *sys.version_info[:3]))
    kind = "only you can write it" if trusted else "other users may write to it"
    say("Service registry: {} ({})".format(registry.directory, kind))
    if rows:
        say(table(cells(rows)))
        say("To check a host from within: python3 -m dcc_mcp_embed doctor --in-host")
    else:
        say("No host is running that is registered there.")
    return 0


# -- a host that runs ----------------------------------------------------------------------------


def _in_the_host(options: Any) -> Report:
    """Have the host that is meant run the suite. Raises as ``reach`` does, and ConfigError."""
    options.url = None
    with reach(options, options.timeout, ours=True) as client:
        result = client.call_tool(TOOL)
    content = result.get("structuredContent")
    if result.get("isError"):
        raise ConfigError("The host did not run it: {}".format(_said(result)))
    told = content.get("data") if isinstance(content, dict) else None
    try:
        return Report.from_dict(told or {})
    except (KeyError, TypeError, ValueError):
        raise RemoteProtocolError("What the host answers is no report of a self-test.") from None


def _said(result: Dict[str, Any]) -> str:
    texts = [str(one.get("text", "")) for one in result.get("content") or [] if one]
    return " ".join(texts) or "it does not say why"


# -- this very process ----------------------------------------------------------------------------


def _in_this_process(options: Any) -> Optional[Report]:
    """Run the suite here if this is a host without a user interface, else return None."""
    if PLACE.server is not None:
        raise ConfigError(
            "A server runs in this process already: run `doctor --in-host --instance {}` in a "
            "terminal.".format(PLACE.server.instance_id[:8])
        )
    adapter = _host_here()
    if adapter is None:
        return None
    if adapter.is_interactive():
        adapter.close()
        raise ConfigError(
            "This is the main thread of a {0} with a user interface, which has to stay free. Start "
            "the server there, and run `doctor --in-host --dcc {0}` in a terminal.".format(
                adapter.dcc_type
            )
        )
    try:
        server = embed.start(adapter=adapter, exec_mode="off", registry_dir=options.registry_dir)
    except BaseException:
        adapter.close()
        raise
    done: List[Report] = []
    thread = threading.Thread(
        target=_beside, args=(server, done), name="dcc-mcp-embed doctor", daemon=True
    )
    with server:
        thread.start()
        server.serve_forever()
    thread.join(options.timeout)
    if not done:
        raise ConfigError("The suite did not come to its end.")
    return done[0]


def _beside(server: embed.EmbeddedServer, done: List[Report]) -> None:
    """Run the suite while the main thread serves, then end that."""
    world = server.selftest_world()
    try:
        done.append(run(world))
    finally:
        try:
            world.start(server.adapter.close).wait()
        except Exception as error:  # it serves no more, for whatever reason: it was to end anyway
            complain("The host ended by itself: {}".format(error))


def _host_here() -> Optional[HostAdapter]:
    """Return the adapter of the host whose interpreter this is, None if it is nobody's."""
    found = _detected()
    if found is None and _become_the_host():
        found = _detected()
    return found


def _detected() -> Optional[HostAdapter]:
    adapter = load_adapter(None)
    if adapter.dcc_type != _NONE:
        return adapter
    adapter.close()
    return None


def _become_the_host() -> bool:
    """Load what makes a host's own interpreter the host; return whether this is one."""
    name = os.path.splitext(os.path.basename(sys.executable or ""))[0].lower()
    maya = os.environ.get("MAYA_LOCATION")
    if maya and os.path.abspath(sys.prefix).startswith(os.path.abspath(maya)):
        # A script of that name starts it, outside Windows.
        name = "mayapy"
    if name not in _INTERPRETERS:
        return False
    module, function = _INTERPRETERS[name]
    ready = import_module(module)
    if function is not None:
        getattr(ready, function)()
    return True
