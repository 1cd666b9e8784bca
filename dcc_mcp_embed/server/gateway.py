"""Who comes through the dcc-mcp gateway or a sidecar, and what is withheld from them. Pure.

The gateway shows every row to whoever can reach it, and asks nobody who they are. So with the
setting ``gateway`` our row tells a token of its own, made anew at each start, and whoever shows
that one is a *guest*: every tool, but none that runs code or writes files that the caller names.
The user's consent is no part of it: a guest is not even asked about. Of places (connections,
sessions, calls that wait for answers) guests have a share, so that they shut nobody out.
"""

from __future__ import annotations

from typing import Any, Optional

from ..clock import Clock
from ..errors import PermissionDenied
from ..records import NamedTuple
from ..tools.entries import Tool

__all__ = ["MAX_BODY", "Guest", "admit", "make_token", "share", "withheld"]

#: What a guest may send in one request, bytes.
MAX_BODY = 1024 * 1024
#: Capability -> what a tool that has it does.
_WITHHELD = {
    "code": "runs code that its caller sends",
    "file_write": "writes files that its caller names",
}


class Guest(NamedTuple):
    """The identity of whoever has shown the gateway's token, or can show none (a sidecar).

    ``origin``: of the connection.
    """

    origin: Any


def make_token(clock: Clock) -> str:
    """Return a new token, of the shape that a path segment is known by; good for one run."""
    return clock.token_bytes(20).hex()


def share(limit: int) -> int:
    """Return how much of what there is ``limit`` of all guests together may hold."""
    return max(1, limit // 4)


def withheld(tool: Tool) -> Optional[str]:
    """Return what a tool does that no guest may have done, None for all others."""
    for capability, what in _WITHHELD.items():
        if capability in tool.capabilities:
            return what
    return None


def admit(tool: Tool, identity: Any) -> None:
    """Raise PermissionDenied for what a guest may not call. ``tool`` is the one that would run."""
    if type(identity) is not Guest:
        return
    what = withheld(tool)
    if what is not None:
        raise PermissionDenied(
            "'{}' {}; that is not done for those who come through the gateway or a sidecar.".format(
                tool.name, what
            ),
            hint="Connect to the host itself, with the URL that it shows its user.",
        )
