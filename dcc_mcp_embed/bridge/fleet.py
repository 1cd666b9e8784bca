"""The hosts that run, as the last look found them, and what waits for a fresh look."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional

from .catalog import Catalog
from .desk import Desk
from .hosts import Host, Roster, Watch
from .shelf import Shelf

__all__ = ["FIRST_S", "Fleet"]

#: Seconds that is waited for a look at who runs, and for a host that never listed its tools.
FIRST_S = 3.0


class Fleet:
    """Who runs. The desk's thread.

    ``changed(hosts)`` is called when instances have come or gone, once names lead to those that
    run now.
    """

    def __init__(
        self, desk: Desk, catalog: Catalog, shelf: Shelf, log: Callable[[str, str], None]
    ) -> None:
        self._desk = desk
        self._catalog = catalog
        self._shelf = shelf
        self._log = log
        self._roster = Roster()
        self._watch: Watch
        #: The last look that was asked for and has been taken.
        self._seen = 0
        self.changed: List[Callable[[List[Host]], None]] = []

    def begin(self, watch: Watch) -> None:
        """Have looks taken by ``watch``, which delivers them to :meth:`look`."""
        self._watch = watch

    @property
    def running(self) -> Dict[str, Host]:
        """Label -> host. Not to be changed."""
        return self._roster.running

    def label_of(self, instance: str) -> Optional[str]:
        """Return the label of an instance that runs."""
        return self._roster.label_of(instance)

    def instances(self) -> Iterable[str]:
        """Return the instances that run."""
        return [host.instance_id for host in self._roster.running.values()]

    def look(self, hosts: List[Host], asks: int) -> None:
        """Take what a look has found; ``asks`` is the last one that was asked for before it."""
        self._seen = max(self._seen, asks)
        if not self._roster.look(hosts):
            return
        running = self._roster.running
        self._log("info", "Running: {}".format(", ".join(sorted(running)) or "no host"))
        self._catalog.set_running({label: one.dcc_type for label, one in running.items()})
        self._shelf.set_running(running)
        for tell in self.changed:
            tell(hosts)

    def after_look(self, act: Callable[[], None]) -> None:
        """Do something when a look that is taken now has shown who runs."""
        number = self._watch.ask()
        self._desk.when(lambda: self._seen >= number, FIRST_S, act)

    def describe(self) -> List[Dict[str, object]]:
        """Return what ``list_instances`` tells of each."""
        running = self._roster.running
        alone = len(running) == 1
        return [
            dict(
                host.block(),
                scene=host.scene,
                prefix="" if alone else label + "_",
                ready=host.ready,
            )
            for label, host in sorted(running.items())
        ]
