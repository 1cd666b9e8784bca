"""What hosts have, as they say it: asked for when they come, and before it is shown to a client."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

from ..clock import Clock
from ..wire.mcp.listing import LISTS
from .cache import ToolCache
from .catalog import Catalog
from .desk import Desk, Moments
from .ended import Ended
from .errand import Errand
from .fleet import FIRST_S, Fleet
from .hosts import Host
from .relay import Relay
from .shelf import SHELVES, Shelf

__all__ = ["ShelfLists", "ToolLists", "is_for_list"]

#: Seconds that a list waits for hosts to say what they have, when it is known what they had.
_REFRESH_S = 0.5
#: Seconds after which a host that did not list its tools is asked again.
_AGAIN_S = 5.0
#: Entries of one host's list beyond which no further page is asked for: ten times what a page of
#: our own hosts has, and far more than any client shows a model.
_MOST = 10000


def is_for_list(value: Any) -> bool:
    """Return whether a message, whatever it is, asks for one of the lists by its method."""
    method = value.get("method") if type(value) is dict else None
    # What is no text need not even be hashable.
    return type(method) is str and method in LISTS


class ToolLists(Moments):
    """Ask hosts for their tools. The desk's thread. ``changed()``: what is listed may be new."""

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        catalog: Catalog,
        cache: ToolCache,
        relay: Relay,
        clock: Clock,
        log: Callable[[str, str], None],
        changed: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._catalog = catalog
        self._cache = cache
        self._relay = relay
        self._clock = clock
        self._log = log
        self._changed = changed
        #: Instances that have been asked, and those that have others since then.
        self._asked: Set[str] = set()
        self._stale: Set[str] = set()
        #: Instance -> when to ask it again.
        self._again: Dict[str, float] = {}

    def before(self, act: Callable[[], None]) -> None:
        """Do something when hosts have said what tools they have, or too much time has passed."""
        self._fleet.after_look(lambda: self._ask_all(act))

    def hosts_changed(self, hosts: List[Host]) -> None:
        """Ask those that run now, and forget the others."""
        instances = [host.instance_id for host in hosts]
        self._asked.intersection_update(instances)
        self._stale.intersection_update(instances)
        for gone in [one for one in self._again if one not in instances]:
            del self._again[gone]
        for host in hosts:
            self.ask(host)
        self._tell()

    def ask(self, host: Host) -> None:
        """Ask a host for its tools, unless that is under way."""
        instance = host.instance_id
        if instance in self._asked:
            return
        self._asked.add(instance)
        self._again.pop(instance, None)
        self._relay.list_tools(
            host, lambda tools, why: self._desk.post(self._listed, instance, tools, why)
        )

    def stale(self, host: Host) -> None:
        """Ask a host, which has others now; once more if that is under way."""
        if host.instance_id in self._asked:
            self._stale.add(host.instance_id)
        else:
            self.ask(host)

    def listing(self, member: str) -> List[Dict[str, Any]]:
        """Return the list as it is. Not to be changed."""
        return self._catalog.listing()

    def next(self) -> Optional[float]:
        return min(self._again.values()) if self._again else None

    def due(self, now: float) -> None:
        for instance in [one for one, when in self._again.items() if when <= now]:
            del self._again[instance]
            label = self._fleet.label_of(instance)
            if label is not None:
                self.ask(self._fleet.running[label])

    def _ask_all(self, act: Callable[[], None]) -> None:
        known = True
        for label, host in self._fleet.running.items():
            known = known and self._catalog.has_tools(label)
            self.ask(host)
        self._desk.when(lambda: not self._asked, _REFRESH_S if known else FIRST_S, act)

    def _listed(self, instance: str, tools: Optional[List[Dict[str, Any]]], why: str) -> None:
        self._asked.discard(instance)
        label = self._fleet.label_of(instance)
        if label is None:
            return
        if tools is None:
            self._log("warning", "{} does not list its tools: {}".format(label, why))
            self._again[instance] = self._clock.monotonic() + _AGAIN_S
        else:
            kind = self._fleet.running[label].dcc_type
            self._catalog.set_tools(label, kind, tools)
            self._cache.save(kind, tools)
        if instance in self._stale:
            self._stale.discard(instance)
            self.ask(self._fleet.running[label])
        self._tell()

    def _tell(self) -> None:
        for label, host in self._fleet.running.items():
            if not self._catalog.has_tools(label) and host.instance_id in self._asked:
                # Its tools come in a moment; once is enough.
                return
        self._changed()


class ShelfLists:
    """Ask hosts for resources, templates and prompts before they are shown. The desk's thread.

    Once they may be others, and one is ``awaited(member)``, hosts are asked and then
    ``changed(member)`` is called.
    """

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        shelf: Shelf,
        relay: Relay,
        clock: Clock,
        log: Callable[[str, str], None],
        awaited: Callable[[str], bool],
        changed: Callable[[str], None],
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._shelf = shelf
        self._relay = relay
        self._clock = clock
        self._log = log
        self._awaited = awaited
        self._changed = changed
        #: Methods that are asked for because something has changed, with what has since then.
        self._renewing: Dict[str, bool] = {}

    def before(self, method: str, act: Callable[[], None]) -> None:
        """Do something when hosts have listed what ``method`` lists, or it takes too long."""
        self._fleet.after_look(lambda: self._gather(method, act))

    def stale(self, kind: str) -> None:
        """Ask for "prompts" or "resources" anew if anybody wants to hear of it."""
        for method, member in SHELVES.items():
            if method.startswith(kind) and self._awaited(member):
                self._renew(method)

    def listing(self, member: str) -> List[Dict[str, Any]]:
        """Return a list as it is. Not to be changed."""
        return self._shelf.listing(member)

    def _renew(self, method: str) -> None:
        if method in self._renewing:
            # What is on its way may be too old.
            self._renewing[method] = True
            return
        self._renewing[method] = False
        self._gather(method, lambda: self._renewed(method))

    def _renewed(self, method: str) -> None:
        again = self._renewing.pop(method)
        self._changed(SHELVES[method])
        if again:
            self._renew(method)

    def _gather(self, method: str, act: Callable[[], None]) -> None:
        known = True
        gathering = _Gathering(method)
        for label, host in self._fleet.running.items():
            known = known and self._shelf.has(label, gathering.member)
            gathering.missing.add(host.instance_id)
            self._ask(gathering, host, {}, [])

        def go_on() -> None:
            gathering.over = True
            act()

        self._desk.when(lambda: not gathering.missing, _REFRESH_S if known else FIRST_S, go_on)

    def _ask(
        self, gathering: _Gathering, host: Host, params: Dict[str, Any], before: List[Any]
    ) -> None:
        """Ask for one page of a host's list, behind the entries ``before`` it."""
        self._relay.list(
            host,
            Errand(gathering.method, params, self._clock),
            lambda ended: self._desk.post(self._page, gathering, host, before, ended),
        )

    def _page(self, gathering: _Gathering, host: Host, before: List[Any], ended: Ended) -> None:
        member, label = gathering.member, self._fleet.label_of(host.instance_id)
        if label is None:
            # It has gone, with all that it had.
            gathering.missing.discard(host.instance_id)
            return
        if ended.result is None:
            text = "{} does not list its {}: {}"
            self._log("warning", text.format(label, member, ended.error or ended.fault))
            self._listed(gathering, host, label, None)
            return
        found, cursor = ended.result.get(member), ended.result.get("nextCursor")
        if before and type(found) is list:
            found = before + found
        if type(cursor) is str and type(found) is list and len(before) < len(found) < _MOST:
            self._ask(gathering, host, {"cursor": cursor}, found)
            return
        if cursor is not None:
            self._log("warning", "{} lists more {} than are shown".format(label, member))
        self._listed(gathering, host, label, found)

    def _listed(self, gathering: _Gathering, host: Host, label: str, entries: Any) -> None:
        """Take a host's whole list; None, or what is no list, leaves it as it was."""
        gathering.missing.discard(host.instance_id)
        self._shelf.take(label, gathering.member, entries)
        if gathering.over:
            # Later than anybody waited: they were shown the list without it.
            self._changed(gathering.member)


class _Gathering:
    """One round of questions for a list of one kind: who has not answered, and whether to wait."""

    __slots__ = ("member", "method", "missing", "over")

    def __init__(self, method: str) -> None:
        self.method = method
        self.member = SHELVES[method]
        #: Instances.
        self.missing: Set[str] = set()
        self.over = False
