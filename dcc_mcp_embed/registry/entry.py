"""A row of the registry as scripts see it."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping, Optional

from ..address import TransportAddress
from . import rows
from .addresses import address_from
from .status import ServiceStatus, status_of

__all__ = ["ServiceEntry"]

#: Keys of the dictionary, as of dcc-mcp-core 0.12.0.
_KEYS = ("dcc_type", "instance_id", "host", "port", "version", "scene", "metadata", "status")


class ServiceEntry(Dict[str, Any]):
    """One registered service: a snapshot, both an object and a dictionary.

    As a dictionary it has the keys of dcc-mcp-core 0.12.0 (``dcc_type``, ``instance_id``, ``host``,
    ``port``, ``version``, ``scene``, ``metadata``, ``status`` in lower case) and is JSON as it is.
    As an object it has the read-only attributes of 0.12.1 to 0.13.6, in which ``status`` is a
    ServiceStatus; every container it hands out is a fresh copy. Changing the dictionary changes
    neither the attributes nor the registry.
    """

    __slots__ = ("_instance_id", "_row")
    _instance_id: str
    _row: Mapping[str, Any]

    def __init__(self, row: Mapping[str, Any]) -> None:
        """Wrap a row as it stands in the file, which must have a key; it is not copied."""
        self._row = row
        # Read once: whoever routes or lends asks for it again and again.
        self._instance_id = rows.uuid_text(row["instance_id"])
        super().__init__((name, getattr(self, name)) for name in _KEYS)
        self["status"] = self.status.value

    @property
    def dcc_type(self) -> str:
        """Kind of host, such as ``maya``."""
        return str(self._row["dcc_type"])

    @property
    def instance_id(self) -> str:
        """UUID, in lower case with hyphens."""
        return self._instance_id

    @property
    def host(self) -> str:
        """Name or address of the machine; this one where the row does not say."""
        return _text(self._row.get("host")) or "127.0.0.1"

    @property
    def port(self) -> int:
        """TCP port; 0 where there is none."""
        return _port(self._row.get("port")) or 0

    @property
    def version(self) -> Optional[str]:
        """Version of the host."""
        return _text(self._row.get("version"))

    @property
    def scene(self) -> Optional[str]:
        """File that is open, or the active document."""
        return _text(self._row.get("scene"))

    @property
    def documents(self) -> List[str]:
        """All files that are open; empty where the row does not say."""
        found = self._row.get("documents")
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    @property
    def display_name(self) -> Optional[str]:
        """What a person calls the instance."""
        return _text(self._row.get("display_name"))

    @property
    def metadata(self) -> Dict[str, str]:
        """Texts of whoever registered; what is no text is left out."""
        return _metadata(self._row)

    @property
    def extras(self) -> Dict[str, Any]:
        """JSON values of whoever registered."""
        found = self._row.get("extras")
        return copy.deepcopy(found) if isinstance(found, dict) else {}

    @property
    def status(self) -> ServiceStatus:
        """Availability, see ServiceStatus."""
        return status_of(self._row.get("status"))

    @property
    def pid(self) -> Optional[int]:
        """Process that registered; None when the row does not say."""
        return _pid(self._row.get("pid"))

    @property
    def host_pid(self) -> Optional[int]:
        """Process of the host application, where another one registered for it."""
        return _pid(self._row.get("host_pid"))

    @property
    def sentinel_path(self) -> Optional[str]:
        """File that is locked for as long as the owner lives, as the row spells it."""
        return _text(self._row.get("sentinel_path"))

    @property
    def adapter_version(self) -> Optional[str]:
        """Version of what serves in the host."""
        return _text(self._row.get("adapter_version"))

    @property
    def adapter_dcc(self) -> Optional[str]:
        """Kind of host that the adapter is for."""
        return _text(self._row.get("adapter_dcc"))

    @property
    def registered_at(self) -> Optional[float]:
        """Seconds since the epoch; None when the row does not say."""
        return rows.seconds_of(self._row.get("registered_at"))

    @property
    def last_heartbeat_ms(self) -> int:
        """Milliseconds since the epoch; 0 when the row does not say."""
        return int((rows.seconds_of(self._row.get("last_heartbeat")) or 0.0) * 1000)

    @property
    def transport_address(self) -> Optional[TransportAddress]:
        """The address that the row names outright; None where it has host and port only."""
        return address_from(self._row.get("transport_address"))

    @property
    def is_ipc(self) -> bool:
        """Whether the service is reached through a pipe or a unix socket."""
        address = self.transport_address
        return address is not None and not address.is_tcp

    def effective_address(self) -> TransportAddress:
        """Return where to connect to: the named address, else host and port."""
        return self.transport_address or TransportAddress.tcp(self.host, self.port)

    def to_dict(self) -> Dict[str, Any]:
        """Return the attributes as JSON values, the status in upper case."""
        found = {
            "dcc_type": self.dcc_type,
            "instance_id": self.instance_id,
            "host": self.host,
            "port": self.port,
            "version": self.version,
            "scene": self.scene,
            "documents": self.documents,
            "pid": self.pid,
            "display_name": self.display_name,
            "metadata": self.metadata,
            "extras": self.extras,
            "status": self.status.name,
            "last_heartbeat_ms": self.last_heartbeat_ms,
        }
        address = self.transport_address
        if address is not None:
            found["transport_address"] = address.to_connection_string()
        return found

    def __repr__(self) -> str:
        return (
            'ServiceEntry(dcc_type="{}", host="{}", port={}, instance_id="{}", status={})'.format(
                self.dcc_type, self.host, self.port, self.instance_id, self.status
            )
        )


def _text(value: object) -> Optional[str]:
    return value if isinstance(value, str) else None


def _whole(value: object) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _port(value: object) -> Optional[int]:
    port = _whole(value)
    return port if port is not None and 0 <= port <= 65535 else None


def _pid(value: object) -> Optional[int]:
    pid = _whole(value)
    return pid if pid is not None and pid > 0 else None


def _metadata(row: Mapping[str, Any]) -> Dict[str, str]:
    found = row.get("metadata")
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}
