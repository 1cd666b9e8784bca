"""The service registry: rows of running hosts in one file that many programs write.

Any thread may write, under a mutex of this process and a lock that every program takes; each
change is read, changed and replaced under both, so nobody's row is lost. (Writing needs no thread
of its own for that. The heartbeat's thread beats, sweeps and does what was deferred to it.)
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from .. import config
from ..address import TransportAddress
from ..clock import Clock
from ..transport_errors import RegistryFile, ServiceAlreadyRegistered, Shutdown
from . import forks, making, rows
from .document import Row
from .draft import Draft
from .entry import ServiceEntry
from .liveness import LOCKS, is_dead, sentinel_name
from .locking import FileLock, Sentinel
from .place import Place, choose
from .status import ServiceStatus
from .store import Store

__all__ = ["FileRegistry", "open_registry"]

#: Says what a row is in the eyes of whoever looks for its owner; put back if another program, which
#: does not know these fields, has dropped them.
_IDENTITY = ("pid", "host_pid", "sentinel_path")


def _no_log(level: str, text: str) -> None:
    """Take log lines that nobody wants."""


def open_registry(
    directory: Optional[str],
    environ: Mapping[str, str],
    clock: Clock,
    log: Callable[[str, str], None] = _no_log,
) -> FileRegistry:
    """Return the registry in ``directory``, else where the environment says. Raises RegistryFile.

    ``log(level, text)`` is told what is wrong with the place, and later what goes wrong in it.
    """
    place = choose(directory, environ, sys.platform)
    for remark in place.remarks:
        log("warning", "Registry in {} ({}): {}".format(place.directory, place.source, remark))
    timeout, backoff = config.registry_lock_times(environ)
    return FileRegistry(place, clock, log, timeout, backoff)


class _Own:
    """One of our rows: as it stood in the file last, and the lock that proves that we live."""

    __slots__ = ("row", "sentinel")

    def __init__(self, row: Dict[str, Any]) -> None:
        self.row = row
        self.sentinel: Optional[Sentinel] = None

    def release(self) -> None:
        if self.sentinel is not None:
            self.sentinel.release()


class FileRegistry:
    """The registry in one directory, with rows of our own and of others. Any thread.

    Reading takes no lock. What writes blocks for the file's lock, up to ``lock_timeout`` seconds,
    and raises RegistryFile if nothing could be changed. Keys are checked first: TypeError,
    ValueError for what is no UUID.
    """

    def __init__(
        self,
        place: Place,
        clock: Clock,
        log: Callable[[str, str], None] = _no_log,
        lock_timeout: float = 2.0,
        lock_backoff: float = 0.01,
    ) -> None:
        self.place = place
        self.directory = place.directory
        self._clock = clock
        self._log = log
        self._timeout = lock_timeout
        # Rows may hold a token; where several users share a directory on purpose, they share rows.
        self._mode = 0o600 if place.trusted else 0o666
        self._store = Store(place.directory, self._mode, clock, log)
        lock_path = os.path.join(place.directory, "services.lock")
        self._lock = FileLock(lock_path, lock_backoff, clock, self._mode)
        self._mutex = threading.Lock()
        self._own: Dict[rows.Key, _Own] = {}
        self._closed = False

    # Reading.

    def entries(self, dcc_type: Optional[str] = None) -> List[ServiceEntry]:
        """Return the rows of one kind of host (or all), oldest first. Raises RegistryFile."""
        found = {}
        for row in self._store.read().rows:
            key = rows.key_of(row.value)
            if key is not None and dcc_type in (None, key[0]) and not rows.is_newer(row.value):
                found[key] = row.value
        return [ServiceEntry(row) for row in found.values()]

    def get(self, dcc_type: str, instance_id: str) -> Optional[ServiceEntry]:
        """Return one row; None if there is none."""
        key = rows.make_key(dcc_type, instance_id)
        found = Draft(self._store.read().rows).get(key)
        return None if found is None else ServiceEntry(found)

    def own(self) -> List[rows.Key]:
        """Return the keys of the rows that this process keeps alive."""
        return list(self._own)

    # Writing.

    def register(
        self,
        dcc_type: str,
        host: str,
        port: int,
        *,
        instance_id: Optional[str] = None,
        version: Optional[str] = None,
        scene: Optional[str] = None,
        documents: Iterable[str] = (),
        display_name: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        extras: Optional[Mapping[str, Any]] = None,
        transport_address: Optional[TransportAddress] = None,
        pid: Optional[int] = None,
        host_pid: Optional[int] = None,
        adapter_version: Optional[str] = None,
        adapter_dcc: Optional[str] = None,
        status: ServiceStatus = ServiceStatus.AVAILABLE,
        insist: bool = False,
    ) -> ServiceEntry:
        """Add a row of our own, which lives as long as this process does or until it leaves.

        ``insist``: if the file cannot be written now, that is logged instead of raised, and the
        heartbeat goes on trying. Raises TypeError, ValueError and OverflowError for facts that do
        not fit into a row, ServiceAlreadyRegistered for an id that somebody alive has, Shutdown.
        """
        key = rows.make_key(dcc_type, instance_id or self._clock.uuid())
        facts = {
            "host": host,
            "port": port,
            "version": version,
            "scene": scene,
            "documents": documents,
            "display_name": display_name,
            "metadata": metadata or {},
            "extras": extras or {},
            "transport_address": transport_address,
            "pid": os.getpid() if pid is None else pid,
            "host_pid": host_pid,
            "adapter_version": adapter_version,
            "adapter_dcc": adapter_dcc,
            "status": status,
        }
        row = making.new_row(key, self._clock.wall(), facts)
        rows.check(row)
        own = _Own(row)
        try:
            with self._changes() as draft:
                if self._closed:
                    raise Shutdown
                self._refuse_double(key, draft)
                self._guard(key, own)
                draft.put(key, own.row)
        except RegistryFile as error:
            if not insist:
                own.release()
                raise
            self._log("warning", "{}:{} is not registered yet: {}".format(*key, error))
        except BaseException:
            own.release()
            raise
        self._own[key] = own
        _leave_at_exit(self)
        return ServiceEntry(own.row)

    def _refuse_double(self, key: rows.Key, draft: Draft) -> None:
        there = draft.get(key)
        if key in self._own or (there is not None and not is_dead(there, self.directory)):
            raise ServiceAlreadyRegistered(*key)

    def deregister(self, dcc_type: str, instance_id: str) -> bool:
        """Remove a row, ours or another's; return whether there was one."""
        key = rows.make_key(dcc_type, instance_id)
        with self._changes() as draft:
            found = draft.remove(key)
            own = self._own.pop(key, None)
        if own is not None:
            own.release()
        return found or own is not None

    def heartbeat(self, dcc_type: str, instance_id: str) -> bool:
        """Say that a row's owner lives; return whether there is such a row. Its status stays."""
        return self.update(dcc_type, instance_id, touch=True)

    def update(
        self, dcc_type: str, instance_id: str, *, touch: bool = False, **changes: Any
    ) -> bool:
        """Change fields of a row; return whether there is such a row.

        The names are those of ``register``, and ``merge_metadata`` for single keys of the metadata
        (None or "" deletes one). None clears what may be absent. ``touch`` also sets the time of
        the heartbeat. Raises TypeError, ValueError and OverflowError for what does not fit.
        """
        key = rows.make_key(dcc_type, instance_id)
        with self._changes() as draft:
            own = self._own.get(key)
            there = draft.get(key) or (own.row if own else None)
            if there is None:
                return False
            row = dict(there)
            making.apply(row, changes)
            if touch:
                row["last_heartbeat"] = rows.timestamp(self._clock.wall())
            draft.put(key, row)
        if own is not None:
            own.row = row
        return True

    def beat(self) -> None:
        """Say that all our rows live, in one change; those that somebody took away come back."""
        if not self._own:
            return
        fresh: List[Tuple[_Own, Dict[str, Any]]] = []
        with self._changes() as draft:
            now = rows.timestamp(self._clock.wall())
            for key, own in list(self._own.items()):
                self._guard(key, own)
                row = {**self._as_it_stands(key, own, draft), "last_heartbeat": now}
                draft.put(key, row)
                fresh.append((own, row))
        for own, row in fresh:
            own.row = row

    def _as_it_stands(self, key: rows.Key, own: _Own, draft: Draft) -> Dict[str, Any]:
        """Return our row as others have left it, if that is still a row that all can read."""
        there = draft.get(key)
        if there is None:
            return own.row
        row = {name: value for name, value in there.items() if name not in _IDENTITY}
        row.update((name, own.row[name]) for name in _IDENTITY if name in own.row)
        try:
            rows.check({**row, "last_heartbeat": own.row["last_heartbeat"]})
        except ValueError as error:
            self._log("warning", "{}:{} was spoilt by somebody: {}".format(*key, error))
            return own.row
        return row

    def _guard(self, key: rows.Key, own: _Own) -> None:
        """Hold the row's sentinel, again if somebody deleted it. Without one, the pid counts."""
        if own.sentinel is not None:
            if own.sentinel.intact():
                return
            own.release()
        path = os.path.join(self.directory, LOCKS, sentinel_name(key))
        row = {name: value for name, value in own.row.items() if name != "sentinel_path"}
        try:
            self._make_locks()
            own.sentinel = Sentinel.hold(path, self._mode)
            row["sentinel_path"] = path
        except OSError as error:
            own.sentinel = None
            self._log("warning", "{}:{} has no sentinel: {}".format(*key, error))
        own.row = row

    def _make_locks(self) -> None:
        folder = os.path.join(self.directory, LOCKS)
        os.makedirs(folder, mode=0o700 if self.place.trusted else 0o777, exist_ok=True)
        if os.path.islink(folder):
            raise OSError("{} is a link".format(folder))

    def sweep(self, stale_after: Optional[float] = None) -> List[ServiceEntry]:
        """Remove the rows whose owners are provably gone, and return them.

        ``stale_after``: look only at rows that have not beaten for so many seconds. Age alone
        removes nothing, and neither does a clock that was set.
        """
        if not self._gone(self._store.read().rows, stale_after):
            return []
        with self._changes() as draft:
            removed = self._gone(draft, stale_after)
            for key, _ in removed:
                draft.remove(key)
        for key, row in removed:
            self._clear(key, row)
        return [ServiceEntry(row) for _, row in removed]

    def _gone(
        self, found: Iterable[Row], stale_after: Optional[float]
    ) -> List[Tuple[rows.Key, Dict[str, Any]]]:
        now = self._clock.wall()
        gone = []
        for row in found:
            key = rows.key_of(row.value)
            if key is None or key in self._own:
                continue
            beat = rows.seconds_of(row.value.get("last_heartbeat")) or 0.0
            if stale_after is not None and now - beat <= stale_after:
                continue
            if is_dead(row.value, self.directory):
                gone.append((key, row.value))
        return gone

    def _clear(self, key: rows.Key, row: Mapping[str, Any]) -> None:
        """Delete the sentinel that a dead row leaves, if it is the one that such a row has."""
        name = sentinel_name(key)
        if not str(row.get("sentinel_path")).endswith(os.sep + name):
            return
        path = os.path.join(self.directory, LOCKS, name)
        try:
            Sentinel.hold(path, self._mode, make=False).release()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._log("debug", "{} stays: {}".format(path, error))

    # Leaving.

    def close(self, deregister: bool = True, timeout: float = 0.3) -> bool:
        """Give up all rows of our own, and say so in the file if that is possible in time.

        Return whether it was; otherwise others find out that the rows are dead. Afterwards nothing
        can be registered here. Without ``deregister`` the rows stay, and count for as long as
        their process lives. Any thread; starts none; safe in an exit handler.
        """
        self._closed = True
        told = True
        if self._own:
            try:
                with self._changes(timeout) as draft:
                    for key in list(self._own):
                        self._leave(key, draft, deregister)
            except RegistryFile as error:
                self._log("warning", "The registry was not told of our end: {}".format(error))
                told = False
        for key in list(self._own):
            self._own.pop(key).release()
        return told

    def _leave(self, key: rows.Key, draft: Draft, deregister: bool) -> None:
        there = draft.get(key)
        if deregister:
            draft.remove(key)
        elif there is not None:
            stays = {name: value for name, value in there.items() if name != "sentinel_path"}
            draft.put(key, stays)

    def disown(self) -> None:
        """Forget the rows that a forked child inherited, without unlocking what is its parent's."""
        for own in self._own.values():
            if own.sentinel is not None:
                own.sentinel.abandon()
        self._own = {}
        self._lock.abandon()
        # Whichever thread held it does not exist here.
        self._mutex = threading.Lock()

    @contextmanager
    def _changes(self, timeout: Optional[float] = None) -> Iterator[Draft]:
        """Yield what the file says, to be changed; write it at the end if it was."""
        wait = self._timeout if timeout is None else timeout
        begun = self._clock.monotonic()
        mutex = self._mutex
        if not mutex.acquire(timeout=wait):
            raise RegistryFile(
                "timed out waiting for in-process registry mutex after {:.0f}ms".format(wait * 1000)
            )
        try:
            with self._lock.held(max(0.0, wait - (self._clock.monotonic() - begun))):
                found = self._store.read_anew()
                if found.newer:
                    raise RegistryFile("{} is left alone: {}".format(self._store.path, found.newer))
                draft = Draft(found.rows)
                yield draft
                if found.damage:
                    self._store.set_aside(found.damage)
                if found.damage or draft.changed:
                    self._store.write(draft)
        finally:
            mutex.release()


_open: weakref.WeakSet[FileRegistry] = weakref.WeakSet()
_hooked = False


def _leave_at_exit(registry: FileRegistry) -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        atexit.register(_leave_all)
    _open.add(registry)
    forks.in_child(registry)


def _leave_all() -> None:
    for registry in list(_open):
        registry.close()
