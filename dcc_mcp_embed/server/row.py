"""What our row in the service registry says. Pure, but for a look at loaded modules.

Keys and meanings are the ecosystem's, which reads rows with ``install_lifecycle`` and with its
gateway; ours begin with ``dcc_mcp_embed_``. Metadata is texts only: one value of another kind and
every reader sets the whole file aside. A key stands there only when it is true, so none says
``gateway_runtime_mode`` as long as there is no such thing.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Mapping, Optional

from ..records import NamedTuple
from .readiness import READY, UNAVAILABLE, State
from .safe_stop import PATH as SAFE_STOP
from .safe_stop import Pass

__all__ = ["ROLE", "WIRE", "About", "Changing", "changing", "other_versions"]

#: The framed hello that is spoken on the row's port.
WIRE = "1"
#: A server inside the host itself, as opposed to a process beside it.
ROLE = "runtime"
#: dispatch_status -> what stands in the row's own ``status``, which routers go by.
_STATUS = {READY: "available", UNAVAILABLE: "unreachable"}
#: Packages of the ecosystem that may run in the same interpreter -> the key for their version.
_OTHERS = {"dcc_mcp_core": "dcc_mcp_core_version", "dcc_mcp_server": "dcc_mcp_server_version"}


class About(NamedTuple):
    """What does not change while a server runs.

    ``package``: the folder of this package. ``launch_command``: what a shell can be given to start
    another one like it, and so this one again once it has ended; None where nobody knows (a host
    that a person started). ``guest_token``: what the dcc-mcp gateway is let in with, None if it is
    not; whoever reaches the gateway sees it. ``host_rpc``: the URI at which a sidecar reaches the
    host, None if there is none.
    """

    port: int
    version: str
    package: str
    stop_pass: Pass
    launch_command: Optional[str] = None
    guest_token: Optional[str] = None
    host_rpc: Optional[str] = None

    def metadata(self) -> Dict[str, str]:
        """Return the lasting part of the row's metadata."""
        place = "http://127.0.0.1:{}".format(self.port)
        # The gateway derives all other paths from this one, and shows no header.
        entrance = place if self.guest_token is None else "{}/{}".format(place, self.guest_token)
        found = {
            "mcp_url": entrance + "/mcp",
            "dcc_mcp_role": ROLE,
            "dcc_mcp_embed_version": self.version,
            "dcc_mcp_embed_wire": WIRE,
            "adapter_version": self.version,
            "install_root": os.path.abspath(self.package),
            "owner": self.stop_pass.owner,
            "session": self.stop_pass.session,
            "safe_stop_url": place + SAFE_STOP,
            "safe_stop_method": "POST",
        }
        found.update(other_versions(sys.modules))
        if self.launch_command is not None:
            found["launch_command"] = found["restart_command"] = self.launch_command
        if self.host_rpc is not None:
            found["host_rpc_uri"] = self.host_rpc
            found["host_rpc_scheme"] = self.host_rpc.partition(":")[0]
        return found


class Changing(NamedTuple):
    """What is written again when it has changed; the names are the registry's."""

    status: str
    scene: Optional[str]
    documents: List[str]
    metadata: Dict[str, str]


def changing(about: About, state: State, scene: str) -> Changing:
    """Return the row's content for a state of the main thread and an open file (``""``: none)."""
    metadata = about.metadata()
    metadata["dispatch_status"] = state.status
    if state.failure_stage is not None and state.failure_reason is not None:
        metadata["failure_stage"] = state.failure_stage
        metadata["failure_reason"] = state.failure_reason
    scene = _utf8(scene)
    return Changing(
        _STATUS.get(state.status, "booting"),
        scene or None,
        [scene] if scene else [],
        {name: _utf8(text) for name, text in metadata.items()},
    )


def other_versions(modules: Mapping[str, Any]) -> Dict[str, str]:
    """Return the versions of the ecosystem's packages that are loaded; nothing is imported.

    A script may call us by another package's name; that is not its presence.
    """
    found = {}
    for name, key in _OTHERS.items():
        module = modules.get(name)
        version = getattr(module, "__version__", None)
        if getattr(module, "__name__", None) == name and isinstance(version, str):
            found[key] = version
    return found


def _utf8(text: str) -> str:
    """Return ``text`` fit for the file: a path that is no text holds lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
