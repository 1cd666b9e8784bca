"""``dcc://instances``: the hosts that run here, as the service registry names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from .declare import resource

if TYPE_CHECKING:
    from ..registry.entry import ServiceEntry
    from ..registry.file_registry import FileRegistry

__all__ = ["instances_in"]

_NONE = "This host takes part in no service registry; get_log says why."


def instances_in(
    registry: Callable[[], Optional[FileRegistry]], own_id: str
) -> Callable[[], Dict[str, Any]]:
    """Return the resource, declared, that tells of the rows of ``registry()``.

    That returns None where there is no registry, and may wait for it to be there. ``own_id`` is the
    instance id of the host that is asked.
    """

    # Files are read for it, so neither the loop nor the host's main thread does that.
    @resource(
        "dcc://instances", title="Running hosts", mime_type="application/json", thread="worker"
    )
    def instances() -> Dict[str, Any]:
        """The hosts that run on this machine (items): kind, name, open scene, version, process,
        status; self marks this one. A note says if that cannot be all of them."""
        # Loaded already, unless there is no registry; at a start it is not.
        from ..transport_errors import RegistryFile

        found = registry()
        if found is None:
            return {"items": [], "note": _NONE}
        try:
            return _living(found, own_id)
        except RegistryFile as error:
            return {"items": [], "note": "The service registry cannot be read: {}.".format(error)}

    return instances


def _living(registry: FileRegistry, own_id: str) -> Dict[str, Any]:
    """Return the rows of hosts, without those that are provably gone. Raises RegistryFile."""
    from ..registry.rows import GATEWAY

    rows = [one for one in registry.entries() if one.dcc_type != GATEWAY]
    living = [one for one in rows if not registry.is_gone(one.dcc_type, one.instance_id)]
    told: Dict[str, Any] = {"items": [_shown(one, own_id) for one in living]}
    doubt = registry.doubt()
    if doubt is not None:
        told["note"] = "There may be others: {}.".format(doubt)
    return told


def _shown(row: ServiceEntry, own_id: str) -> Dict[str, Any]:
    """Return what anybody may know of a row: nothing of its metadata, where tokens are."""
    return {
        "dcc": row.dcc_type,
        "instance_id": row.instance_id,
        "name": row.display_name or "{} {}".format(row.dcc_type, row.instance_id[:8]),
        "scene": row.scene,
        "version": row.version,
        "pid": row.host_pid or row.pid,
        "status": row.status.value,
        "self": row.instance_id == own_id,
    }
