"""The tools of all hosts as one list, and from a name in it back to host and tool. Pure.

While one host runs, its tools are listed as they are; while several do, each name begins with its
host's label. Names that were listed once go on leading where they led: a client need not have
looked at the list again. While none runs, the tools of the host that was seen last are listed.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional

from ..errors import Ambiguous, NoHost, NotFound
from .naming import Route, expose, label_for, split

__all__ = ["OWN", "Catalog"]

Tools = List[Dict[str, Any]]

#: The tool of the bridge itself, which is there also while there is nothing else.
OWN: Dict[str, Any] = {
    "name": "list_instances",
    "title": "List running hosts",
    "description": "List the hosts (Maya, Blender, ...) that run now: what the names of their "
    "tools begin with while several run, the open scene, and whether they take calls.",
    "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
    "annotations": {
        "title": "List running hosts",
        "readOnlyHint": True,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    },
}
_KINDS = {"3dsmax": "3ds Max", "maya": "Maya", "houdini": "Houdini", "blender": "Blender"}
_SERVE = "`python3 -m dcc_mcp_embed serve`"


class Catalog:
    """What is listed, and where names lead. One thread.

    ``remembered``: kind of host -> tools, of earlier runs, the last one at the end. ``kind``: the
    only kind of host that counts, None for all.
    """

    def __init__(self, remembered: Mapping[str, Tools], kind: Optional[str] = None) -> None:
        self._kind = kind
        self._remembered: Dict[str, Tools] = {
            name: tools
            for name, tools in remembered.items()
            if kind is None or name.lower() == kind.lower()
        }
        #: Label -> kind, of those that run.
        self._running: Dict[str, str] = {}
        #: Label -> tools, of those that run or ran.
        self._tools: Dict[str, Tools] = {}
        self._routes: Dict[str, Route] = {}
        self._listing: Tools = []
        #: Every name that was ever listed; a plain one leads to whom it meant last.
        self._known: Dict[str, Route] = {}
        #: Who was there last when nobody is: label, kind.
        self._last = ("", "")
        for name in self._remembered:
            self._last = (label_for(name, ()), name)
        self._list()

    def set_running(self, kinds: Mapping[str, str]) -> None:
        """Take who runs: label -> kind."""
        gone = [label for label in self._running if label not in kinds]
        if gone and not kinds:
            self._last = (gone[-1], self._running[gone[-1]])
        self._running = dict(kinds)
        self._list()

    def set_tools(self, label: str, kind: str, tools: Tools) -> None:
        """Take the tools of a host, as it lists them."""
        self._tools[label] = tools
        self._remembered.pop(kind, None)
        self._remembered[kind] = tools
        if not self._running:
            self._last = (label, kind)
        self._list()

    def has_tools(self, label: str) -> bool:
        """Return whether a host's own tools are known, not only those of its kind."""
        return label in self._tools

    def listing(self) -> Tools:
        """Return the list, sorted by name. Not to be changed."""
        return self._listing

    def described(self, name: str) -> Optional[Dict[str, Any]]:
        """Return what is listed under a name. Not to be changed."""
        return next((one for one in self._listing if one["name"] == name), None)

    def listed(self) -> None:
        """Take note that a client was shown the list as it is."""
        self._known.update(self._routes)

    def route(self, name: str) -> Route:
        """Return where a name leads: to a host that runs. Raises NoHost, Ambiguous, NotFound."""
        running = self._running
        if not running:
            raise self.nobody()
        found = self._routes.get(name)
        if found is None:
            found = self._known.get(name) or split(name, running)
            if not found.label and len(running) == 1:
                # It may have come with a module that was loaded meanwhile; the host knows.
                return Route(next(iter(running)), name)
        if found.label in running:
            return found
        if found.label:
            raise NoHost(
                "The host {} does not run any more.".format(found.label),
                hint="Start it and call again, or use the tools of {}; list_instances tells who "
                "runs.".format(_either(running)),
            )
        same = sorted(one for one, route in self._routes.items() if route.tool == name)
        if same:
            raise Ambiguous(
                "Several hosts run, and each has a tool {!r}; nothing was done.".format(name),
                hint="Use {}; list_instances tells which host is which.".format(_either(same)),
                state="not_started",
            )
        raise NotFound(
            "There is no tool {!r}.".format(name[:100]),
            hint="Begin the name with a host's label ({}), or list the tools again.".format(
                _either(label + "_" for label in running)
            ),
            state="not_started",
        )

    def nobody(self) -> NoHost:
        """Return the error for a call while no host runs."""
        kind = self._kind or self._last[1]
        shown = _KINDS.get(kind.lower(), kind)
        if not kind:
            shown = "Maya, Houdini, 3ds Max or Blender with dcc_mcp_embed in it"
        elif kind.lower() == "standalone":
            shown = _SERVE
        return NoHost(
            "No host is running, start {}.".format(shown),
            hint="Nothing was done. Once it runs, call again: no restart of this client is needed.",
        )

    def _list(self) -> None:
        running = self._running or ({self._last[0]: self._last[1]} if self._last[1] else {})
        tools = {
            label: {
                one["name"]: one
                for one in self._tools.get(label) or self._remembered.get(kind) or ()
                if one["name"] != OWN["name"]
            }
            for label, kind in running.items()
        }
        plain = len(running) == 1
        self._routes = expose({label: list(named) for label, named in tools.items()}, plain)
        self._listing = [OWN]
        for name, route in self._routes.items():
            self._listing.append(_described(tools[route.label][route.tool], name, route, plain))
        self._listing.sort(key=lambda one: one["name"])


def _described(tool: Dict[str, Any], name: str, route: Route, plain: bool) -> Dict[str, Any]:
    if plain:
        return tool if name == route.tool else dict(tool, name=name)
    shown = dict(tool, name=name)
    shown["description"] = "[{}] {}".format(route.label, tool.get("description") or "").rstrip()
    if type(tool.get("title")) is str:
        shown["title"] = "{}: {}".format(route.label, tool["title"])
    return shown


def _either(names: Iterable[str]) -> str:
    return " or ".join(sorted(names)[:8])
