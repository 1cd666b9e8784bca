"""What runs, by the service registry, and how it is stopped."""

from __future__ import annotations

from typing import Any, Dict, Optional

__all__ = ["default_registry_dir", "query_runtime_state", "stop_runtime_entries"]


def default_registry_dir() -> str:
    """Return the registry's directory where nobody names one (absolute; it need not exist)."""
    raise NotImplementedError


def query_runtime_state(
    registry_dir: Any = None,
    *,
    dcc_type: Optional[str] = None,
    role: Optional[str] = None,
    install_root: Any = None,
    include_dead: bool = True,
) -> Dict[str, Any]:
    """Return the registry's rows as entries; raises nothing, whatever the file holds.

    ``{success, registry_dir, total, alive_count, dead_count, entries}``. Where the file cannot be
    taken at its word, ``success`` is False, ``status`` is ``failed``, ``reason`` one of
    ``registry_damaged``, ``registry_newer``, ``registry_unreadable``, ``registry_untrusted``, there
    is a ``message``, and ``entries`` holds what could be read all the same.
    """
    raise NotImplementedError


def stop_runtime_entries(
    registry_dir: Any = None,
    *,
    dcc_type: Optional[str] = None,
    role: Optional[str] = "per-dcc-sidecar",
    install_root: Any = None,
    timeout_secs: float = 5.0,
    include_host_processes: bool = False,
    kill: bool = False,
) -> Dict[str, Any]:
    """Stop what the matching rows stand for, and wait for its end."""
    raise NotImplementedError
