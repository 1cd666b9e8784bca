"""The command line of a ``dcc-mcp-server sidecar`` for one host, and how to see that it is ready.

Nothing is started here, unless somebody wants to know the program's version. The arguments are the
program's own; their order never changes, so that two commands can be compared.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from . import REGISTRY_ENV, ROLE_PER_DCC_SIDECAR, results
from .dispatch_contract import sidecar_host_rpc_dispatch_contract
from .programs import described, program_of

__all__ = ["build_sidecar_command", "child_environment"]

_PYTHON_ENV = "DCC_MCP_PYTHON_EXECUTABLE"
_PORT_ENV = "DCC_MCP_GATEWAY_PORT"
_HOST_ENV = "DCC_MCP_GATEWAY_HOST"
_NAME_ENV = "DCC_MCP_GATEWAY_NAME"
_PORT = 9765
_LAST_PORT = 65535

_NEXT = (
    "Start this command from the host's start-up hook, and run readiness_command or call "
    "wait_for_sidecar_ready() before relying on its tools."
)
_NEXT_INCAPABLE = (
    "With this host_rpc the sidecar can only enter a row to be looked at. Give it the address of "
    "a bridge that it has a client for before relying on its tools."
)


class _Refused(Exception):
    """An argument that no sidecar would take; ``more`` goes into the answer beside the reason."""

    def __init__(self, reason: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.more = more


def build_sidecar_command(
    *,
    dcc_type: Any,
    host_rpc: Any,
    watch_pid: Any = None,
    registry_dir: Any = None,
    server_bin: Any = None,
    instance_id: Any = None,
    display_name: Any = None,
    adapter_version: Any = None,
    discovery_mcp_url: Any = None,
    gateway_port: Any = None,
    gateway_host: Any = None,
    gateway_name: Any = None,
    gateway_remote_host: Any = None,
    gateway_remote_port: Any = None,
    connect_timeout_secs: Any = None,
    no_ensure_gateway: bool = False,
    legacy_gateway_election: bool = False,
    require_dispatch_capable: bool = False,
    extra_args: Optional[Iterable[Any]] = None,
    env: Optional[Mapping[str, str]] = None,
    check_server_version: bool = False,
) -> Dict[str, Any]:
    """Return the contract for one host's sidecar: what to run, in which environment, how to check.

    ``watch_pid`` is the process with which the sidecar is to end (None: this one). ``env`` goes
    over this process's environment. Empty texts stand for None. ``check_server_version`` runs the
    program with ``--version``, up to 3 s on the calling thread; otherwise nothing blocks and
    nothing is run. Raises nothing: an argument that will not do comes back as ``failed`` with the
    ``reason`` ``invalid_<argument>`` or, under ``require_dispatch_capable``,
    ``dispatch_not_capable``. So does ``registry_untrusted``: nobody has named a registry, and no
    directory for one is this user's alone.
    """
    environ = child_environment(env)
    try:
        dcc = _text(dcc_type)
        if not dcc:
            raise _Refused("invalid_dcc_type", "dcc_type says which kind of host; it is missing.")
        uri = _text(host_rpc)
        if not uri:
            raise _Refused("invalid_host_rpc", "host_rpc is the host's address; it is missing.")
        dispatch = sidecar_host_rpc_dispatch_contract(uri)
        capable = bool(dispatch["dispatch_ready_capable"])
        if require_dispatch_capable and not capable:
            raise _Refused(
                "dispatch_not_capable",
                "No call can ever arrive by this host_rpc: " + dispatch["message"],
                dispatch_contract=dispatch,
            )
        pid = _watch_pid(watch_pid)
        port = _port("gateway_port", _given(gateway_port, environ.get(_PORT_ENV)), _PORT)
        remote_port = _port("gateway_remote_port", gateway_remote_port, None)
        ident = _instance_id(instance_id)
        timeout = _connect_timeout(connect_timeout_secs)
        extra = _extra_args(extra_args)
        directory = _registry_dir(registry_dir, environ)
    except _Refused as refused:
        return dict(results.failed(None, refused.reason, refused.message), **refused.more)

    program = program_of(server_bin, environ)
    command = [
        *(program.command, "sidecar"),
        *_options(("--dcc", dcc), ("--host-rpc", uri), ("--watch-pid", pid)),
        *_options(("--registry-dir", directory), ("--gateway-port", port)),
        *_options(
            ("--instance-id", ident),
            ("--display-name", display_name),
            ("--adapter-version", adapter_version),
            ("--discovery-mcp-url", discovery_mcp_url),
            ("--gateway-host", _given(gateway_host, environ.get(_HOST_ENV))),
            ("--gateway-name", _given(gateway_name, environ.get(_NAME_ENV))),
            ("--gateway-remote-host", gateway_remote_host),
            ("--gateway-remote-port", remote_port),
            ("--connect-timeout-secs", timeout),
        ),
        *(["--no-ensure-gateway"] if no_ensure_gateway else []),
        *(["--legacy-gateway-election"] if legacy_gateway_election else []),
        *extra,
    ]
    variables = {REGISTRY_ENV: directory, _PORT_ENV: str(port)}
    for name, value in ((_HOST_ENV, gateway_host), (_NAME_ENV, gateway_name)):
        if _is_given(value):
            variables[name] = str(value)
    selector = {"dcc_type": dcc, "instance_id": ident, "host_rpc": uri}
    arguments = [
        "sidecar-ready",
        *_options(("--dcc", dcc), ("--host-rpc", uri), ("--registry-dir", directory)),
        *_options(("--instance-id", ident)),
    ]
    return {
        "success": True,
        "role": ROLE_PER_DCC_SIDECAR,
        "dcc_type": dcc,
        "host_rpc": uri,
        "discovery_mcp_url": str(discovery_mcp_url) if _is_given(discovery_mcp_url) else None,
        "watch_pid": pid,
        "registry_dir": directory,
        "gateway_port": port,
        "command": command,
        "server_binary": described(program, environ, check_server_version),
        "environment": {"set": variables},
        "readiness_selector": selector,
        "readiness_argv": arguments,
        "readiness_command": [*_this_module(environ), *arguments],
        "dispatch_contract": dispatch,
        "readiness_contract": _readiness_contract(capable),
        "detached": True,
        "recommended_next_action": _NEXT if capable else _NEXT_INCAPABLE,
    }


def child_environment(env: Optional[Mapping[str, str]]) -> Dict[str, str]:
    """Return this process's environment with ``env`` over it."""
    environ = dict(os.environ)
    environ.update(env or {})
    return environ


# Arguments, as they are accepted.


def _is_given(value: Any) -> bool:
    return value is not None and str(value) != ""


def _given(value: Any, fallback: Any) -> Any:
    return value if _is_given(value) else fallback


def _text(value: Any) -> str:
    return str(value).strip() if value is not None else ""


def _integer(value: Any) -> Optional[int]:
    """Return a whole number, None for what is none: nothing is cut off."""
    try:
        found = int(value)
        return None if isinstance(value, float) and value != found else found
    except (TypeError, ValueError, OverflowError):
        return None


def _watch_pid(value: Any) -> int:
    if value is None:
        return os.getpid()
    pid = _integer(value)
    if pid is None or pid <= 0:
        raise _Refused("invalid_watch_pid", "watch_pid is the number of a process, 1 or more.")
    return pid


def _port(name: str, value: Any, fallback: Optional[int]) -> Optional[int]:
    if not _is_given(value):
        return fallback
    port = _integer(value)
    if port is None or not 0 <= port <= _LAST_PORT:
        raise _Refused("invalid_" + name, "{} is a number from 0 to {}.".format(name, _LAST_PORT))
    return port


def _instance_id(value: Any) -> Optional[str]:
    if not _is_given(value):
        return None
    import uuid

    try:
        return str(uuid.UUID(str(value).strip()))
    except ValueError:
        # Any other would spoil the whole registry for everybody.
        raise _Refused(
            "invalid_instance_id", "instance_id is a UUID; the sidecar takes no other."
        ) from None


def _connect_timeout(value: Any) -> Optional[int]:
    if not _is_given(value):
        return None
    seconds = _integer(value)
    if seconds is None or seconds <= 0:
        raise _Refused(
            "invalid_connect_timeout_secs", "connect_timeout_secs is in whole seconds, 1 or more."
        )
    return seconds


def _extra_args(value: Optional[Iterable[Any]]) -> List[str]:
    if isinstance(value, str):
        return [value]
    try:
        return [str(one) for one in value or ()]
    except TypeError:
        raise _Refused("invalid_extra_args", "extra_args is a list of arguments.") from None


def _registry_dir(value: Any, environ: Mapping[str, str]) -> str:
    """Return the registry's directory as ``query_runtime_state`` finds it."""
    from .places import locate, refusal

    directory, trusted, remarks = locate(value, environ, sys.platform)
    if "\0" in directory:
        raise _Refused("invalid_registry_dir", "registry_dir has a character that no path has.")
    if not trusted:
        raise _Refused("registry_untrusted", refusal(remarks))
    return directory


# Parts of the answer.


def _options(*pairs: Tuple[str, Any]) -> List[str]:
    """Return flags and values, without those whose value is empty."""
    argv: List[str] = []
    for flag, value in pairs:
        if not _is_given(value):
            continue
        text = str(value)
        # On its own it would be taken for a flag.
        argv.extend(["{}={}".format(flag, text)] if text.startswith("-") else [flag, text])
    return argv


def _this_module(environ: Mapping[str, str]) -> List[str]:
    python = environ.get(_PYTHON_ENV) or sys.executable or "python3"
    # The name that this copy was imported by, which need not be the usual one.
    return [python, "-m", __name__.rpartition(".")[0]]


def _readiness_contract(capable: bool) -> Dict[str, Any]:
    return {
        "ready_on_launch": False,
        "requires_readiness_check": True,
        "requires_dispatch_capable_host_rpc": True,
        "dispatch_ready_capable": capable,
        "direct_use_status": "requires_ready_verdict" if capable else "diagnostics_only",
        "ready_verdict": "sidecar_readiness_status(...).ready == true" if capable else None,
        "message": (
            "That a sidecar was started proves nothing about its tools; they can be called once "
            "its readiness says ready."
            if capable
            else "A sidecar with this host_rpc can be looked at; it cannot dispatch calls."
        ),
    }
