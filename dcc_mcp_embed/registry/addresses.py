"""Transport addresses as rows hold them."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..address import TransportAddress

__all__ = ["address_from", "address_to"]

_TAG = {"unix": "unix_socket", "pipe": "named_pipe"}
_MAKE = {
    "unix_socket": TransportAddress.unix_socket,
    "named_pipe": TransportAddress.named_pipe,
}


def address_to(address: TransportAddress) -> Dict[str, Any]:
    """Return the object that stands for an address in a row."""
    if address.is_tcp:
        return {"type": "tcp", "host": address.host, "port": address.port}
    return {"type": _TAG[address.scheme], "path": address.path}


def address_from(found: object) -> Optional[TransportAddress]:
    """Return the address that a row's object stands for; None for anything else."""
    if not isinstance(found, dict):
        return None
    try:
        if found["type"] == "tcp":
            return TransportAddress.tcp(found["host"], found["port"])
        return _MAKE[found["type"]](found["path"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
