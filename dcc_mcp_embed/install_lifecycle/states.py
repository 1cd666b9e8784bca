"""What a row of the registry means to an installer: one entry of ``query_runtime_state``. Pure.

Keys are the reference's. Where a row says ``host_pid`` that is the host's process, and ``pid`` the
one that registered: since 0.20 a sidecar's own. Besides, an entry has ``registrar_pid`` (the one
that registered, holds the sentinel and renews the row), ``registered_at`` and ``last_heartbeat``
(seconds since the epoch), ``sentinel_held``, and ``versions`` has ``embed`` for a row of our own
server.
"""

from __future__ import annotations

import os
import re

from . import ROLE_METADATA_KEY
from .rows import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

    from .rows import Key

__all__ = [
    "entry_of",
    "install_roots",
    "is_related",
    "judged_by",
    "pids_of",
    "role_of",
    "versions_of",
]

_STATUSES = ("available", "busy", "unreachable", "shutting_down", "booting", "stale")
_ROOT_KEYS = (
    "install_root",
    "adapter_root",
    "adapter_install_root",
    "package_root",
    "root_path",
    "dcc_mcp_core_root",
    "dcc_mcp_server_root",
)
#: Component -> where the metadata says its version; the first that does counts.
_VERSION_KEYS = {
    "core": ("dcc_mcp_core_version", "core_version"),
    "server": ("dcc_mcp_server_version", "server_version"),
    "adapter": ("adapter_version", "dcc_mcp_adapter_version"),
}
_EMBED_VERSION = "dcc_mcp_embed_version"
_TRUE = ("true", "1", "yes")


def metadata_of(row: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a copy of a row's metadata as it stands there: texts, or at most numbers.

    Lists and objects are left out, and numbers that are infinite: no JSON could be made of those.
    """
    found = row.get("metadata")
    if not isinstance(found, dict):
        return {}
    return {
        name: value
        for name, value in found.items()
        if value is None or isinstance(value, (str, int)) or _is_finite(value)
    }


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and value - value == 0.0


def role_of(row: Mapping[str, Any]) -> str:
    """Return what the row is for, such as ``per-dcc-sidecar``."""
    return _text(metadata_of(row), ROLE_METADATA_KEY) or "runtime"


def install_roots(row: Mapping[str, Any]) -> List[str]:
    """Return the folders from which the row's owner runs, as it spells them."""
    metadata = metadata_of(row)
    found = [_text(metadata, name) for name in _ROOT_KEYS]
    return [root for root in found if root is not None]


def is_related(root: str, wanted: Iterable[str]) -> bool:
    """Return whether a folder is one of the ``wanted``, below one or above one. Absolute paths."""
    mine = _with_end(root)
    others = [_with_end(one) for one in wanted]
    return any(mine.startswith(other) or other.startswith(mine) for other in others)


def _with_end(path: str) -> str:
    return os.path.join(os.path.normcase(os.path.normpath(path)), "")


def entry_of(
    key: Key, row: Mapping[str, Any], held: Optional[bool], running: Mapping[int, bool]
) -> Dict[str, Any]:
    """Return a row's entry. ``held``: its sentinel. ``running``: which of its processes run.

    ``runtime_alive``: False if the owner is provably gone, None if nothing tells. The sentinel
    comes first; a row whose sentinel tells nothing is judged by the process that it is for.
    """
    metadata = metadata_of(row)
    sidecar_pid, parent_pid = pids_of(row)
    runtime_pid = judged_by(row)
    alive = held
    if alive is None and runtime_pid is not None:
        alive = running.get(runtime_pid)
    host, port = _host(row), _port(row)
    mcp_url = _text(metadata, "mcp_url") or _url(host, port)
    reported = _text(metadata, "dispatch_status")
    dispatch_status = reported.strip().lower() or None if reported else None
    ready = dispatch_status == "ready" and mcp_url is not None and alive is not False
    dispatch = {
        "reported": dispatch_status is not None,
        "status": dispatch_status or "not_reported",
        "ready": ready if dispatch_status is not None else None,
        "ready_at_unix": _text(metadata, "dispatch_ready_at_unix"),
        "host_rpc_uri": _text(metadata, "host_rpc_uri"),
        "host_rpc_scheme": _text(metadata, "host_rpc_scheme"),
        "failure_stage": _text(metadata, "failure_stage"),
        "failure_reason": _text(metadata, "failure_reason"),
    }
    mode = _text(metadata, "gateway_runtime_mode")
    guardian = str(metadata.get("gateway_guardian_enabled")).strip().lower() in _TRUE
    restart = _first(metadata, ("restart_command", "dcc_mcp_restart_command"))
    launch = _first(metadata, ("launch_command", "dcc_mcp_launch_command"))
    return {
        "dcc_type": key[0] if key else _string(row.get("dcc_type")),
        "instance_id": key[1] if key else _string(row.get("instance_id")),
        "display_name": _string(row.get("display_name")),
        "role": role_of(row),
        "status": _status(row),
        "host": host,
        "port": port,
        "mcp_url": mcp_url,
        "dispatch_status": dispatch_status,
        "dispatch_ready": ready,
        "dispatch": dispatch,
        "host_rpc_uri": dispatch["host_rpc_uri"],
        "host_rpc_scheme": dispatch["host_rpc_scheme"],
        "failure_stage": dispatch["failure_stage"],
        "failure_reason": dispatch["failure_reason"],
        "gateway_runtime_mode": mode,
        "gateway_guardian_enabled": guardian,
        "gateway_recovery_driver": _driver(metadata, mode, guardian),
        "registration_refresh_mode": (
            _text(metadata, "registration_refresh_mode") or "file_registry_heartbeat"
        ),
        "parent_pid": parent_pid,
        "sidecar_pid": sidecar_pid,
        "runtime_pid": runtime_pid,
        "registrar_pid": _pid(row.get("pid")),
        "runtime_alive": alive,
        "sentinel_path": _string(row.get("sentinel_path")),
        "sentinel_held": held,
        "registered_at": moment(row.get("registered_at")),
        "last_heartbeat": moment(row.get("last_heartbeat")),
        "version": _string(row.get("version")),
        "adapter_version": _string(row.get("adapter_version")),
        "adapter_dcc": _string(row.get("adapter_dcc")) or _text(metadata, "adapter_dcc"),
        "versions": versions_of(row),
        "restartable": bool(sidecar_pid or restart or launch),
        "restart_command": restart,
        "launch_command": launch,
        "metadata": metadata,
        "install_roots": install_roots(row),
    }


def pids_of(row: Mapping[str, Any]) -> Tuple[Optional[int], Optional[int]]:
    """Return (the sidecar's process, the host's); None for what the row does not say."""
    sidecar = _whole(metadata_of(row).get("sidecar_pid"))
    registrar = _pid(row.get("pid"))
    host = _pid(row.get("host_pid"))
    if host is None and registrar != sidecar:
        host = registrar
    return sidecar, host


def judged_by(row: Mapping[str, Any]) -> Optional[int]:
    """Return the process that the row is for, which counts where its sentinel tells nothing."""
    sidecar, host = pids_of(row)
    return sidecar or _pid(row.get("pid")) or host


def _whole(value: object) -> Optional[int]:
    """Return a process's number out of metadata, where numbers are texts; None for none."""
    if isinstance(value, str):
        text = value.strip()
        # int() takes the digits of every script, and as many as there are.
        value = int(text) if re.fullmatch("[0-9]{1,19}", text) else None
    return _pid(value)


def _pid(value: object) -> Optional[int]:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if good else None  # type: ignore[return-value]


def _string(value: object) -> Optional[str]:
    return value if isinstance(value, str) else None


def _text(metadata: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a text of the metadata; None for an empty one, which means the same as none."""
    value = metadata.get(name)
    return value if isinstance(value, str) and value else None


def _first(metadata: Mapping[str, Any], names: Iterable[str]) -> Optional[str]:
    return next(filter(None, (_text(metadata, name) for name in names)), None)


def _host(row: Mapping[str, Any]) -> str:
    return _string(row.get("host")) or "127.0.0.1"


def _port(row: Mapping[str, Any]) -> int:
    port = row.get("port")
    good = isinstance(port, int) and not isinstance(port, bool) and 0 <= port <= 65535
    return port if good else 0  # type: ignore[return-value]


def _url(host: str, port: int) -> Optional[str]:
    if not port:
        return None
    return "http://{}:{}/mcp".format("[{}]".format(host) if ":" in host else host, port)


def _status(row: Mapping[str, Any]) -> str:
    """Return the row's status as the registry takes it: one that nobody knows is no reason to go.

    A missing one counts as available, an unknown one as unreachable.
    """
    found = row.get("status")
    if found is None:
        return "available"
    text = str(found).lower()
    return text if text in _STATUSES else "unreachable"


def _driver(metadata: Mapping[str, Any], mode: Optional[str], guardian: bool) -> str:
    given = _text(metadata, "gateway_recovery_driver")
    if given is not None:
        return given
    if guardian:
        return "daemon_guardian"
    return "embedded_election" if mode == "embedded-fallback" else "none"


def versions_of(row: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    """Return component -> the version that a row says, None for none."""
    metadata = metadata_of(row)
    found = {name: _first(metadata, keys) for name, keys in _VERSION_KEYS.items()}
    found["adapter"] = _string(row.get("adapter_version")) or found["adapter"]
    ours = _text(metadata, _EMBED_VERSION)
    if ours is not None:
        found["embed"] = ours
    return found
