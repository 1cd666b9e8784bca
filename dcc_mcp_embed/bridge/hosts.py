"""Which hosts run, by a look at the registry now and then; and what they are called.

A look costs next to nothing while the registry's file has not changed (it is told by its time, its
size and its number), and for each row the question whether its owner still lives.
"""

from __future__ import annotations

import threading
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence

from ..registry.entry import ServiceEntry
from ..registry.file_registry import FileRegistry
from ..registry.rows import GATEWAY
from ..transport.dialing import WIRE
from ..transport_errors import RegistryFile
from .naming import label_for

__all__ = ["Host", "Roster", "Wanted", "Watch", "hosts_in"]

#: Seconds between two looks.
_INTERVAL = 1.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Version of the wire that is spoken here.
_SPOKEN = "1"


class Host(NamedTuple):
    """A host as one look found it. ``since``: when it was registered, seconds since the epoch."""

    dcc_type: str
    instance_id: str
    version: str
    pid: int
    port: int
    scene: str
    ready: bool
    since: float

    @property
    def name(self) -> str:
        """What it is called where an agent is told of it."""
        return "{} {}".format(self.dcc_type, self.instance_id[:8])

    def block(self) -> Dict[str, object]:
        """Return the block that names an instance in results."""
        return {
            "id": self.instance_id[:8],
            "dcc": self.dcc_type,
            "version": self.version,
            "pid": self.pid,
            "scene": self.scene,
        }


class Wanted(NamedTuple):
    """Which hosts count: of this kind, and with an instance id that begins like this."""

    dcc: Optional[str] = None
    instance: Optional[str] = None

    def takes(self, row: ServiceEntry) -> bool:
        """Return whether a row's host counts."""
        if self.dcc is not None and row.dcc_type.lower() != self.dcc.lower():
            return False
        begin = (self.instance or "").lower().replace("-", "")
        return row.instance_id.replace("-", "").startswith(begin)


def hosts_in(
    rows: Iterable[ServiceEntry], wanted: Wanted, gone: Callable[[ServiceEntry], bool]
) -> List[Host]:
    """Return the hosts that can be called: ours, on this machine, and not provably ``gone``."""
    found = []
    for row in rows:
        metadata = row.metadata
        if (
            row.dcc_type != GATEWAY
            and metadata.get(WIRE) == _SPOKEN
            and row.host in _LOOPBACK
            and row.port
            and wanted.takes(row)
            and not gone(row)
        ):
            found.append(
                Host(
                    row.dcc_type,
                    row.instance_id,
                    row.version or "",
                    row.host_pid or row.pid or 0,
                    row.port,
                    row.scene or "",
                    metadata.get("dispatch_status") == "ready",
                    row.registered_at or 0.0,
                )
            )
    return sorted(found, key=lambda host: (host.since, host.instance_id))


class Roster:
    """Label -> host. A label outlives its host, and the next one of its kind gets it. Pure.

    So a host that is started anew is called what it was, also with another port and another id.
    """

    def __init__(self) -> None:
        #: Those that run now.
        self.running: Dict[str, Host] = {}
        #: Those that had a label last, running or not.
        self.known: Dict[str, Host] = {}

    def look(self, hosts: Sequence[Host]) -> bool:
        """Take what a look has found; return whether instances have come or gone."""
        before = {label: host.instance_id for label, host in self.running.items()}
        named = {host.instance_id: label for label, host in self.known.items()}
        self.running = {}
        fresh = []
        for host in hosts:
            label = named.get(host.instance_id)
            if label is None:
                fresh.append(host)
            else:
                self.running[label] = host
        for host in fresh:
            self.running[self._label(host)] = host
        self.known.update(self.running)
        return before != {label: host.instance_id for label, host in self.running.items()}

    def label_of(self, instance_id: str) -> Optional[str]:
        """Return the label of an instance that runs."""
        for label, host in self.running.items():
            if host.instance_id == instance_id:
                return label
        return None

    def _label(self, host: Host) -> str:
        free = [
            (last.port != host.port, last.scene != host.scene, label)
            for label, last in sorted(self.known.items(), key=lambda item: item[1].since)
            if label not in self.running and last.dcc_type == host.dcc_type
        ]
        if free:
            # On the same port it is the same one, as far as anybody can tell; else by its scene.
            return min(free, key=lambda one: one[:2])[2]
        return label_for(host.dcc_type, {**self.known, **self.running})


class Watch:
    """Looks at the registry on a thread of its own.

    ``deliver(hosts, asks)`` is called on that thread after the first look, after one that was
    asked for, and whenever something is different. ``asks``: the last of :meth:`ask` that came
    before this look.
    """

    def __init__(
        self,
        registry: FileRegistry,
        wanted: Wanted,
        deliver: Callable[[List[Host], int], None],
        log: Callable[[str, str], None],
        interval: float = _INTERVAL,
    ) -> None:
        self._registry = registry
        self._wanted = wanted
        self._deliver = deliver
        self._log = log
        self._interval = interval
        self._wake = threading.Event()
        #: Counted up by one thread only.
        self._asks = 0
        self._stopping = False
        self._failed = ""

    def start(self) -> None:
        """Start the thread, a daemon."""
        threading.Thread(target=self._run, name="dcc-mcp-embed watch", daemon=True).start()

    def ask(self) -> int:
        """Have a look taken, and delivered, now; return its number. One thread."""
        self._asks += 1
        self._wake.set()
        return self._asks

    def stop(self) -> None:
        """Let the thread end. Any thread, waits for nothing."""
        self._stopping = True
        self._wake.set()

    def look(self) -> List[Host]:
        """Return who runs. Raises RegistryFile."""
        registry = self._registry
        buried = False

        def gone(row: ServiceEntry) -> bool:
            nonlocal buried
            dead = registry.is_gone(row.dcc_type, row.instance_id)
            buried = buried or dead
            return dead

        found = hosts_in(registry.entries(), self._wanted, gone)
        if buried:
            try:
                registry.sweep()
            except RegistryFile as error:
                self._log("debug", "Dead rows could not be removed: {}".format(error))
        return found

    def _run(self) -> None:
        last: Optional[List[Host]] = None
        seen = 0
        while not self._stopping:
            self._wake.clear()
            asks = self._asks
            try:
                found = self.look()
            except RegistryFile as error:
                if str(error) != self._failed:
                    self._failed = str(error)
                    self._log("warning", "The registry cannot be read: {}".format(error))
                found = last or []
            else:
                self._failed = ""
            if asks != seen or found != last:
                last, seen = found, asks
                self._deliver(found, asks)
            self._wake.wait(self._interval)
