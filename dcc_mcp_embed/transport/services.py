"""The part of a manager that is about who there is: services registered, found, ranked, routed to.

All of it is the registry's work; what is added is the reference's way of asking for it.
"""

from __future__ import annotations

import atexit
import itertools
import os
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ..address import TransportAddress
from ..clock import Clock
from ..records import NamedTuple
from ..registry.entry import ServiceEntry
from ..registry.file_registry import FileRegistry
from ..registry.heartbeat import Heartbeat
from ..registry.rows import Key, uuid_text
from ..registry.status import ServiceStatus
from ..transport_errors import ServiceNotFound, Shutdown
from . import routing
from .listener import IpcListener, bind_local
from .routing import RoutingStrategy

__all__ = ["Owned", "Services"]

#: Seconds that leaving may take.
_LEAVE = 0.3


class Owned(NamedTuple):
    """What ends with those who use it, because nobody else does."""

    registry: bool
    heart: bool


class Services:
    """Services of one program and of others. Any thread.

    ``heart``: refreshes what is registered here; None: nobody does. ``owned``: which of the two is
    not shared with others, and so ends with this. ``deregister``: whether :meth:`shutdown` takes
    out again what was registered here.
    """

    def __init__(
        self,
        registry: FileRegistry,
        heart: Optional[Heartbeat],
        owned: Owned,
        deregister: bool,
        clock: Clock,
    ) -> None:
        #: Where the services stand.
        self.registry = registry
        #: The thread that refreshes what is registered here, if there is one.
        self.heart = heart
        self._owned = owned
        self._deregister = deregister
        self._clock = clock
        #: What was registered here and has not been deregistered.
        self._registered: Dict[Key, None] = {}
        self._turns: Dict[Optional[str], Iterator[int]] = {}
        self._shut = False

    def register_service(
        self,
        dcc_type: str,
        host: str,
        port: int,
        version: Optional[str] = None,
        scene: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        *,
        transport_address: Optional[TransportAddress] = None,
        documents: Optional[Iterable[str]] = None,
        pid: Optional[int] = None,
        display_name: Optional[str] = None,
        extras: Optional[Mapping[str, Any]] = None,
        host_pid: Optional[int] = None,
        adapter_version: Optional[str] = None,
        adapter_dcc: Optional[str] = None,
        status: ServiceStatus = ServiceStatus.AVAILABLE,
        instance_id: Optional[str] = None,
        insist: bool = False,
    ) -> str:
        """Register a service and return its instance id; it stays as long as this process does.

        ``pid``: default this process. ``instance_id``: default a new one. ``insist``: a file that
        cannot be written now is logged and tried again. Raises Shutdown, RegistryFile,
        ServiceAlreadyRegistered; TypeError, ValueError, OverflowError for what fits into no row.
        """
        self._demand_open()
        entry = self.registry.register(
            dcc_type,
            host,
            port,
            version=version,
            scene=scene,
            metadata=metadata,
            transport_address=transport_address,
            documents=documents or (),
            pid=pid,
            display_name=display_name,
            extras=extras,
            host_pid=host_pid,
            adapter_version=adapter_version,
            adapter_dcc=adapter_dcc,
            status=status,
            instance_id=instance_id,
            insist=insist,
        )
        key = entry.dcc_type, entry.instance_id
        self._registered[key] = None
        # After the registry's own hook, so that this one is called first, and with it the wish of
        # who switched deregistering off.
        atexit.unregister(self.shutdown)
        atexit.register(self.shutdown)
        if self._shut:  # meanwhile, by one who could not know of this row, or of this hook
            atexit.unregister(self.shutdown)
            self._registered.pop(key, None)
            self.registry.leave([key], _LEAVE)
            raise Shutdown
        if self.heart is not None:
            self.heart.start()
        return entry.instance_id

    def deregister_service(self, dcc_type: str, instance_id: str) -> bool:
        """Remove a service; False if it was not registered. Raises Shutdown, RegistryFile."""
        self._demand_open()
        found = self.registry.deregister(dcc_type, instance_id)
        self._registered.pop((dcc_type, uuid_text(instance_id)), None)
        return found

    def list_instances(self, dcc_type: str) -> List[ServiceEntry]:
        """Return the services of one kind of host, by its exact name."""
        return self.registry.entries(dcc_type)

    def list_all_services(self) -> List[ServiceEntry]:
        """Return every service."""
        return self.registry.entries()

    def list_all_instances(self) -> List[ServiceEntry]:
        """Return every service."""
        return self.registry.entries()

    def get_service(self, dcc_type: str, instance_id: str) -> Optional[ServiceEntry]:
        """Return one service, None if it is not registered."""
        return self.registry.get(dcc_type, instance_id)

    def heartbeat(self, dcc_type: str, instance_id: str) -> bool:
        """Say that a service is alive; False if it is not registered. Raises RegistryFile."""
        return self.registry.heartbeat(dcc_type, instance_id)

    def update_service_status(self, dcc_type: str, instance_id: str, status: ServiceStatus) -> bool:
        """Change a service's status; False if it is not registered.

        Raises Shutdown, RegistryFile, TypeError for what is no ServiceStatus.
        """
        self._demand_open()
        return self.registry.update(dcc_type, instance_id, status=status)

    def update_scene(
        self,
        dcc_type: str,
        instance_id: str,
        scene: Optional[str] = None,
        version: Optional[str] = None,
    ) -> bool:
        """Change what a service has open; None keeps, "" clears. Also says that it is alive.

        Returns False if it is not registered. Raises Shutdown, RegistryFile.
        """
        return self._update(dcc_type, instance_id, scene=scene, version=version)

    def update_documents(
        self,
        dcc_type: str,
        instance_id: str,
        active_document: Optional[str] = None,
        documents: Optional[Iterable[str]] = None,
        display_name: Optional[str] = None,
    ) -> bool:
        """Change the documents a service has open, of which the active one is its scene.

        None keeps a text, "" clears it; the list is replaced, by None with an empty one. Also says
        that it is alive. Returns False if it is not registered. Raises Shutdown, RegistryFile.
        """
        return self._update(
            dcc_type,
            instance_id,
            scene=active_document,
            documents=() if documents is None else documents,
            display_name=display_name,
        )

    def prune_dead_pids(self) -> int:
        """Remove the services whose processes are provably gone; return how many."""
        return len(self.registry.sweep())

    def bind_and_register(
        self,
        dcc_type: str,
        version: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
    ) -> Tuple[str, IpcListener]:
        """Listen at a local address and register it; return (instance id, listener).

        A unix socket of this user's own where there is such a thing, else a port of 127.0.0.1. The
        listener is not authenticated, like every raw one. Raises Shutdown, RegistryFile and what
        listening raises.
        """
        self._demand_open()
        listener = bind_local(dcc_type, os.getpid(), self._clock)
        try:
            address = listener.local_address()
            instance_id = self.register_service(
                dcc_type,
                "127.0.0.1",
                address.port or 0,
                version,
                metadata=metadata,
                transport_address=address,
            )
        except BaseException:
            listener.shutdown()
            raise
        return instance_id, listener

    def rank_services(self, dcc_type: str) -> List[ServiceEntry]:
        """Return the services that can be called, the nearest and least busy first.

        Local sockets before local ports before other machines, available before busy. Raises
        ServiceNotFound when there are none.
        """
        return routing.ranked(self._callable(dcc_type))

    def find_best_service(self, dcc_type: str) -> ServiceEntry:
        """Return the first of :meth:`rank_services`, those of equal rank in turn."""
        rows = self._callable(dcc_type)
        found = routing.best(rows, self._turn(None))
        assert found is not None
        return found

    def shutdown(self) -> None:
        """End it: deregister what was registered here. Twice is fine."""
        self._shut = True
        atexit.unregister(self.shutdown)
        deadline = self._clock.monotonic() + _LEAVE
        heart = self.heart if self._owned.heart else None
        # The order to end first, then the leaving, then the wait for what was under way.
        if heart is not None:
            heart.stop(0.0)
        keys, self._registered = list(self._registered), {}
        if self._owned.registry:
            self.registry.close(self._deregister, _LEAVE)
        elif keys:
            self.registry.leave(keys, _LEAVE, self._deregister)
        if heart is not None:
            heart.stop(max(0.0, deadline - self._clock.monotonic()))

    def is_shutdown(self) -> bool:
        """Return whether :meth:`shutdown` was called."""
        return self._shut

    def disown(self) -> None:
        """Forget what the parent of this forked child has registered."""
        atexit.unregister(self.shutdown)
        self._registered = {}

    # -- inside -------------------------------------------------------------------------------

    def _demand_open(self) -> None:
        if self._shut:
            raise Shutdown

    def _update(self, dcc_type: str, instance_id: str, **changes: Any) -> bool:
        self._demand_open()
        given = {name: value for name, value in changes.items() if value is not None}
        cleared = {name: value if value != "" else None for name, value in given.items()}
        return self.registry.update(dcc_type, instance_id, touch=True, **cleared)

    def _callable(self, dcc_type: str) -> List[ServiceEntry]:
        rows = self.registry.entries(dcc_type)
        if not rows:
            raise ServiceNotFound(dcc_type, "any")
        if not routing.ranked(rows):
            raise ServiceNotFound(dcc_type, "all instances are unreachable or shutting down")
        return rows

    def _resolve(
        self,
        dcc_type: str,
        instance_id: Optional[str],
        strategy: Optional[RoutingStrategy] = None,
        hint: Optional[str] = None,
    ) -> ServiceEntry:
        """Return the row a caller means: the one named, whatever its status, or the one picked.

        Raises Shutdown, ServiceNotFound.
        """
        self._demand_open()
        if instance_id is not None:
            named = self.registry.get(dcc_type, instance_id)
            if named is None:
                raise ServiceNotFound(dcc_type, uuid_text(instance_id))
            return named
        asked = strategy is not None
        strategy = strategy or RoutingStrategy.FIRST_AVAILABLE
        if not isinstance(strategy, RoutingStrategy):
            raise TypeError("strategy: expected a RoutingStrategy, not {!r}".format(strategy))
        rows = self.registry.entries(dcc_type)
        if not rows and not asked:
            raise ServiceNotFound(dcc_type, "any")
        # A turn is taken by whom it is for, or another strategy's callers would skip instances.
        turn = self._turn(dcc_type) if strategy is RoutingStrategy.ROUND_ROBIN else 0
        facts = routing.Facts(hint, turn, self._in_flight(dcc_type), self._clock.jitter())
        picked = routing.choose(strategy, rows, facts)
        if picked is None:
            raise ServiceNotFound(dcc_type, routing.described(strategy, hint))
        return picked

    def _in_flight(self, dcc_type: str) -> Mapping[str, int]:
        """Return instance id -> how many callers it has right now."""
        return {}

    def _turn(self, whose: Optional[str]) -> int:
        return next(self._turns.setdefault(whose, itertools.count()))
