"""What an installer does around a running host: layout, sidecar, runtime state, safe trees.

Stands alone, because it runs while the rest of the package is half there: the standard library
and no module of the server. Importing it is inert and cheap; each public name is loaded when it is
first used. Whatever a function finds out it returns as a dict that ``json.dumps`` takes;
``python3 -m dcc_mcp_embed.install_lifecycle`` prints the same dicts.
"""

from __future__ import annotations

# Type checkers take this name for true; a bare 3.7 has not loaded typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from .cli import main as main
    from .deferred import drop_deferred as drop_deferred
    from .deferred import list_deferred as list_deferred
    from .deferred import run_deferred_cleanup as run_deferred_cleanup
    from .deferred import schedule_deferred_cleanup as schedule_deferred_cleanup
    from .deployment import resolve_deployment_layout as resolve_deployment_layout
    from .dispatch_contract import (
        sidecar_host_rpc_dispatch_contract as sidecar_host_rpc_dispatch_contract,
    )
    from .launching import launch_sidecar as launch_sidecar
    from .probing import probe_sidecar_tool as probe_sidecar_tool
    from .readiness import sidecar_readiness_status as sidecar_readiness_status
    from .readiness import wait_for_sidecar_ready as wait_for_sidecar_ready
    from .replacing import safe_replace_tree as safe_replace_tree
    from .runtime import default_registry_dir as default_registry_dir
    from .runtime import query_runtime_state as query_runtime_state
    from .runtime import stop_runtime_entries as stop_runtime_entries
    from .sidecar import build_sidecar_command as build_sidecar_command
    from .trees import inspect_install_root as inspect_install_root
    from .trees import safe_remove_tree as safe_remove_tree
    from .updates import plan_runtime_updates as plan_runtime_updates

#: Where the registry is, if it is not in the system's directory for temporary files.
REGISTRY_ENV = "DCC_MCP_REGISTRY_DIR"
#: How a program that was started from a deployment layout learns what kind it is.
DEPLOYMENT_MODE_ENV = "DCC_MCP_DEPLOYMENT_MODE"
#: Where packages are that nothing else gives a root for; asked before rez's own two variables.
REZ_CACHE_ROOT_ENV = "DCC_MCP_REZ_LOCAL_CACHE_ROOT"
#: What a deployment layout has besides an adapter's own package.
DEFAULT_DEPLOYMENT_PACKAGES = ("dcc_mcp_core", "dcc_mcp_server")

#: A row's metadata: what the row is for, and the word for a sidecar of one host.
ROLE_METADATA_KEY = "dcc_mcp_role"
ROLE_PER_DCC_SIDECAR = "per-dcc-sidecar"
#: A row's metadata: whether calls reach the host, and the words for it.
DISPATCH_STATUS_METADATA_KEY = "dispatch_status"
DISPATCH_STATUS_BOOTING = "booting"
DISPATCH_STATUS_READY = "ready"
DISPATCH_STATUS_UNAVAILABLE = "unavailable"

_CONSTANTS = (
    "DEPLOYMENT_MODE_ENV",
    "DISPATCH_STATUS_BOOTING",
    "DISPATCH_STATUS_METADATA_KEY",
    "DISPATCH_STATUS_READY",
    "DISPATCH_STATUS_UNAVAILABLE",
    "REGISTRY_ENV",
    "ROLE_METADATA_KEY",
    "ROLE_PER_DCC_SIDECAR",
)

#: Where each public function comes from: submodule -> names.
_SOURCES = {
    ".cli": ("main",),
    ".deferred": (
        "drop_deferred",
        "list_deferred",
        "run_deferred_cleanup",
        "schedule_deferred_cleanup",
    ),
    ".deployment": ("resolve_deployment_layout",),
    ".dispatch_contract": ("sidecar_host_rpc_dispatch_contract",),
    ".launching": ("launch_sidecar",),
    ".probing": ("probe_sidecar_tool",),
    ".readiness": ("sidecar_readiness_status", "wait_for_sidecar_ready"),
    ".replacing": ("safe_replace_tree",),
    ".runtime": ("default_registry_dir", "query_runtime_state", "stop_runtime_entries"),
    ".sidecar": ("build_sidecar_command",),
    ".trees": ("inspect_install_root", "safe_remove_tree"),
    ".updates": ("plan_runtime_updates",),
}
_SOURCE_OF = {name: source for source, names in _SOURCES.items() for name in names}

__all__ = sorted([*_CONSTANTS, *_SOURCE_OF])


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    source = _SOURCE_OF.get(name)
    if source is None:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from importlib import import_module

    value = getattr(import_module(source, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *_SOURCE_OF})
