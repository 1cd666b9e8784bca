"""What a service says about itself: the closed list that every reader of the registry knows."""

from __future__ import annotations

from enum import Enum
from typing import Dict

__all__ = ["ServiceStatus", "status_of"]


class ServiceStatus(Enum):
    """Availability of a service; the value is the text that stands in a row.

    ``str()`` gives the bare name, ``int()`` the position, as in dcc-mcp-core 0.12, which knows the
    first four only (as do its 0.13 successors).
    """

    AVAILABLE = "available"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    SHUTTING_DOWN = "shutting_down"
    BOOTING = "booting"
    STALE = "stale"

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return "ServiceStatus." + self.name

    def __int__(self) -> int:
        return _INDEX[self]


_INDEX = {status: index for index, status in enumerate(ServiceStatus)}
_BY_TEXT: Dict[str, ServiceStatus] = {status.value: status for status in ServiceStatus}


def status_of(text: object) -> ServiceStatus:
    """Return the status that a row's ``status`` means.

    A missing one counts as available. One that we do not know is not worth a connection: it counts
    as unreachable.
    """
    if text is None:
        return ServiceStatus.AVAILABLE
    return _BY_TEXT.get(str(text).lower(), ServiceStatus.UNREACHABLE)
