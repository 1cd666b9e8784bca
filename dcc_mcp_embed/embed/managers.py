"""The TransportManagers of a host: the one that keeps the server's row, and the one that is shared.

Loaded by whoever first needs one, away from the host's main thread where that can be.
"""

from __future__ import annotations

from typing import Callable, Optional

from ..clock import Clock
from ..server.registration import Registrar
from ..transport.manager import TransportManager

__all__ = ["own_manager", "shared_manager"]


def own_manager(
    directory: Optional[str], interval: float, clock: Clock, log: Callable[[str, str], None]
) -> Registrar:
    """Make the manager that registers the server and beats for it every ``interval`` seconds.

    Nobody else is given it, and so nobody else can end it. Raises RegistryFile.
    """
    manager = TransportManager(directory, heartbeat_interval=interval, clock=clock, log=log)
    assert manager.heart is not None
    return Registrar(manager.registry, manager.heart, manager.register_service, manager.shutdown)


def shared_manager(
    registrar: Registrar, clock: Clock, log: Callable[[str, str], None]
) -> TransportManager:
    """Make the manager for code in the host; its registry and heartbeat are the server's."""
    return TransportManager(
        registry=registrar.registry, heartbeat=registrar.heart, clock=clock, log=log
    )
