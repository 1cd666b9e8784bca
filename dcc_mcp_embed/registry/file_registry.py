"""The service registry: rows of running hosts in one file that many programs write.

Any thread may write, under a mutex of this process and a lock that every program takes; each
change is read, changed and replaced under both, so nobody's row is lost. (Writing needs no thread
of its own for that. The heartbeat's thread beats, sweeps and does what was deferred to it.)
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional

from .. import config
from ..address import TransportAddress
from ..clock import Clock
from ..transport_errors import RegistryFile, ServiceAlreadyRegistered, Shutdown
from . import exits, forks, making, rows
from .document import Row, row_of
from .draft import Draft
from .entry import ServiceEntry
from .liveness import LOCKS, is_dead, sentinel_name
from .locking import FileLock, Sentinel
from .own import OwnRow
from .place import Place, choose, renew
from .status import ServiceStatus
from .store import Store

__all__ = ["FileRegistry", "open_registry"]


def _no_log(level: str, text: str) -> None:
    """Take log lines that nobody wants."""


def open_registry(
    directory: Optional[str],
    environ: Mapping[str, str],
    clock: Clock,
    log: Callable[[str, str], None] = _no_log,
    make: bool = True,
) -> FileRegistry:
    """Return the registry in ``directory``, else where the environment says. Raises RegistryFile.

    ``log(level, text)`` is told what is wrong with the place, and later what goes wrong in it.
    ``make``: make the directory if it is not there, which one who only looks need not.
    """
    place = choose(directory, environ, sys.platform, make)
    for remark in place.remarks:
        log("warning", "Registry in {} ({}): {}".format(place.directory, place.source, remark))
    timeout, backoff = config.registry_lock_times(environ)
    return FileRegistry(place, clock, log, timeout, backoff)


class FileRegistry:
    """The registry in one directory, with rows of our own and of others. Any thread.

    Made by :func:`open_registry`. Reading takes no lock. What writes blocks for the file's lock,
    up to ``lock_timeout`` seconds, and raises RegistryFile if nothing could be changed. Keys are
    checked first: TypeError, ValueError for what is no UUID.
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
        # Lets the same thread in again, so that a call that a signal handler or a finaliser makes
        # in the middle of another is noticed, instead of waiting for itself.
        self._mutex = threading.RLock()
        self._changing = False
        self._own: Dict[rows.Key, OwnRow] = {}
        self._closed = False

    # Reading.

    def doubt(self) -> Optional[str]:
        """Return why the file cannot be taken at its word, if so. Raises RegistryFile."""
        found = self._store.read()
        if found.newer:
            return "{} is of a newer version: {}".format(self._store.path, found.newer)
        if found.damage:
            return "{} is damaged: {}".format(self._store.path, found.damage)
        return None

    def entries(self, dcc_type: Optional[str] = None) -> List[ServiceEntry]:
        """Return the rows of one kind of host (or all) in the file's order. Raises RegistryFile."""
        found = {
            row.key: row.value
            for row in self._store.read().rows
            if row.key is not None and dcc_type in (None, row.key[0])
        }
        return [ServiceEntry(row) for row in found.values()]

    def get(self, dcc_type: str, instance_id: str) -> Optional[ServiceEntry]:
        """Return one row; None if there is none. Raises RegistryFile."""
        key = rows.make_key(dcc_type, instance_id)
        found = [row.value for row in self._store.read().rows if row.key == key]
        return ServiceEntry(found[-1]) if found else None

    def is_gone(self, dcc_type: str, instance_id: str) -> bool:
        """Return whether a row is not there, or its owner provably gone. Raises RegistryFile."""
        key = rows.make_key(dcc_type, instance_id)
        # The rows as they stand in the file: what tells of their owners is no key of an entry.
        found = [row.value for row in self._store.read().rows if row.key == key]
        return not found or self._is_dead(found[-1])

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
        row_of(row)  # raises for a row that is not fit, before anything is touched
        own = OwnRow(key, row, self._log)
        exits.close_at_exit(self)
        forks.in_child(self)
        try:
            try:
                with self._turn() as left:
                    renew(self.place)
                    with self._changes(left) as draft:
                        self._refuse_double(key, draft)
                        self._own[key] = own
                        self._guard(own)
                        draft.put(key, own.row)
            except (RegistryFile, OSError) as error:
                if not insist:
                    raise
                if self._own.setdefault(key, own) is not own:
                    raise ServiceAlreadyRegistered(*key) from None
                self._log("warning", "{}:{} is not registered yet: {}".format(*key, error))
            if self._closed:  # meanwhile, by one who could not know of this row
                raise Shutdown
            return ServiceEntry(own.row)
        except BaseException:
            # Perhaps it stands in the file already: a Ctrl-C may come right after the writing.
            if self._own.get(key) is own:
                self.leave([key])
            raise

    def _refuse_double(self, key: rows.Key, draft: Draft) -> None:
        if self._closed:
            raise Shutdown
        there = draft.get(key)
        if key in self._own or (there is not None and not self._is_dead(there)):
            raise ServiceAlreadyRegistered(*key)

    def _guard(self, own: OwnRow) -> None:
        own.guard(self.directory, 0o700 if self.place.trusted else 0o777, self._mode)

    def deregister(self, dcc_type: str, instance_id: str) -> bool:
        """Remove a row, ours or another's; return whether there was one."""
        key = rows.make_key(dcc_type, instance_id)
        with self._turn() as left:
            with self._changes(left) as draft:
                found = draft.remove(key)
            own = self._own.pop(key, None)
        if own is None:
            return found
        own.release()
        return True

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
        with self._turn() as left:
            own = self._own.get(key)
            if own is not None:
                renew(self.place)
            with self._changes(left) as draft:
                there = draft.get(key) or (own.row if own else None)
                if there is None:
                    return False
                row = dict(there)
                rows.plain_moments(row)
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
        with self._turn() as left:
            renewed = []
            renew(self.place)
            with self._changes(left) as draft:
                for own in list(self._own.values()):
                    self._guard(own)
                    if not own.left:
                        renewed.append((own, own.renewed(draft, self._clock.wall())))
            for own, row in renewed:
                own.row = row

    def sweep(self, stale_after: Optional[float] = None) -> List[ServiceEntry]:
        """Remove the rows whose owners are provably gone, and return them.

        ``stale_after``: look only at rows that have not beaten for so many seconds. Age alone
        removes nothing, and neither does a clock that was set.
        """
        if not self._gone(self._store.read().rows, stale_after):
            return []
        with self._turn() as left, self._changes(left) as draft:
            removed = self._gone(draft, stale_after)
            for row in removed:
                draft.remove(row.key)
        for row in removed:
            self._clear(row)
        return [ServiceEntry(row.value) for row in removed]

    def _gone(self, found: Iterable[Row], stale_after: Optional[float]) -> List[Row]:
        latest = self._clock.wall() - (stale_after or 0.0)
        return [
            row
            for row in found
            if row.key is not None
            and row.key not in self._own
            and (stale_after is None or _beaten_at(row) < latest)
            and self._is_dead(row.value)
        ]

    def _is_dead(self, row: Mapping[str, Any]) -> bool:
        try:
            return is_dead(row, self.directory)
        except Exception as error:
            # Whatever somebody wrote there, it must not stop the look at the others.
            self._log("debug", "Nobody can tell whether {} is alive: {!r}".format(row, error))
            return False

    def _clear(self, row: Row) -> None:
        """Delete the sentinel that a dead row leaves, if it is the one that such a row has."""
        assert row.key is not None
        name = sentinel_name(row.key)
        if not str(row.value.get("sentinel_path")).endswith(os.sep + name):
            return
        path = os.path.join(self.directory, LOCKS, name)
        try:
            Sentinel.hold(path, self._mode, make=False).release()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._log("debug", "{} stays: {}".format(path, error))

    # Leaving.

    def leave(
        self, keys: Iterable[rows.Key], timeout: float = 0.3, deregister: bool = True
    ) -> bool:
        """Give up these rows of our own, in one change, and say so in the file if there is time.

        Return whether that was said; otherwise others find out that the rows are dead. What is not
        ours is passed over. Without ``deregister`` the rows stay, and count for as long as their
        process lives. Raises nothing; any thread; starts none; safe in an exit handler.
        """
        # Given up first: a beat that waits for its turn does not bring them back.
        leaving = [own for own in [self._own.pop(key, None) for key in keys] if own is not None]
        if not leaving:
            return True
        try:
            with self._turn(timeout) as left, self._changes(left) as draft:
                for own in leaving:
                    own.leave(draft, deregister)
        except (RegistryFile, OSError) as error:
            self._log("warning", "The registry was not told of our end: {}".format(error))
            return False
        finally:
            for own in leaving:
                own.release()
        return True

    def close(self, deregister: bool = True, timeout: float = 0.3) -> bool:
        """Leave with all rows of our own, as ``leave`` does; nothing can be registered afterwards.

        Return whether the file says so. Any thread; starts none; safe in an exit handler.
        """
        self._closed = True
        return self.leave(self.own(), timeout, deregister)

    def disown(self) -> None:
        """Forget the rows that a forked child inherited, without unlocking what is its parent's."""
        inherited, self._own = self._own, {}
        # Whichever thread held it does not exist here.
        self._mutex = threading.RLock()
        self._changing = False
        try:
            for own in inherited.values():
                own.disown()
        finally:
            self._lock.disown()

    @contextmanager
    def _turn(self, timeout: Optional[float] = None) -> Iterator[float]:
        """Be the only thread that changes anything, the rows of our own included.

        Yield the seconds that are left of ``timeout``. Raises RegistryFile when they are over, and
        at once for a call in the middle of another on the same thread.
        """
        wait = self._timeout if timeout is None else timeout
        begun = self._clock.monotonic()
        mutex = self._mutex
        if not mutex.acquire(timeout=wait):
            raise RegistryFile(
                "timed out waiting for in-process registry mutex after {:.0f}ms".format(wait * 1000)
            )
        try:
            if self._changing:
                raise RegistryFile(
                    "this thread is in the middle of a change, which a signal handler or a "
                    "finaliser has interrupted to make another"
                )
            self._changing = True
            try:
                yield max(0.0, wait - (self._clock.monotonic() - begun))
            finally:
                self._changing = False
        finally:
            mutex.release()

    @contextmanager
    def _changes(self, timeout: float) -> Iterator[Draft]:
        """Yield what the file says, to be changed; write it at the end if it was."""
        with self._lock.held(timeout):
            found = self._store.read_anew()
            if found.newer:
                raise RegistryFile("{} is left alone: {}".format(self._store.path, found.newer))
            draft = Draft(found.rows)
            yield draft
            if found.damage:
                self._store.set_aside(found.damage)
            if found.damage or draft.changed:
                self._store.write(draft)


def _beaten_at(row: Row) -> float:
    return rows.seconds_of(row.value.get("last_heartbeat")) or 0.0
