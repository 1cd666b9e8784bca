"""One server per process, also where the package is there twice.

An upgrade loads a second copy beside the first, of another version or from another place: other
modules, other globals. What they share is one key in ``sys.modules``, :data:`KEY`, with a module
that says who serves. Its contract holds over all versions, so it is small: ``version``, ``url``
(without a token) and ``path`` (the package's directory) are text, ``pid`` is the process that
serves; there is nothing else, and none of it is ever changed. Who finds one with another ``pid``
has inherited it from a process that it was forked from, and may put its own in its place; who finds
one that is not of this shape refuses to start all the same.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any, List, Optional

from ..errors import StartError

__all__ = ["KEY", "Claim", "claim", "neighbours", "package_path", "refuse_second", "release"]

#: Underscored: a developer who drops ``dcc_mcp_embed*`` to load it anew does not drop this, which
#: is still true then.
KEY = "_dcc_mcp_embed_server"

Claim = ModuleType

#: How the packages of the other dcc-mcp programs begin (dcc_mcp_core, dcc_mcp_maya, ...).
_FAMILY = "dcc_mcp_"
_OURS = "dcc_mcp_embed"


def package_path() -> str:
    """Return where this copy of the package is."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def refuse_second() -> None:
    """Raise StartError if another copy serves in this process. Host's main thread."""
    other = sys.modules.get(KEY)
    if other is None or getattr(other, "pid", None) not in (None, os.getpid()):
        return
    raise StartError(
        "Another copy of dcc_mcp_embed, version {0} in {1}, serves this host already, at {2}: use "
        "that one, or stop it with `python3 -m dcc_mcp_embed stop-instance {2}` and start "
        "again.".format(*(_told(other, name) for name in ("version", "path", "url")))
    )


def claim(version: str, url: str) -> Claim:
    """Say that this copy serves the process. Host's main thread. Raises StartError."""
    refuse_second()
    mine = ModuleType(KEY, "Who serves this process: see dcc_mcp_embed.embed.copies.")
    vars(mine).update(version=version, url=url, path=package_path(), pid=os.getpid())
    sys.modules[KEY] = mine
    return mine


def release(mine: Optional[Claim]) -> None:
    """Take that back, if it is still there. Any thread; twice is fine."""
    if mine is not None and sys.modules.get(KEY) is mine:
        del sys.modules[KEY]


def neighbours() -> List[str]:
    """Return the other dcc-mcp packages that this process has loaded. Any thread.

    They are no copies: each serves on a port of its own, by a row of its own, and neither is in
    the other's way.
    """
    tops = {name.partition(".")[0] for name in list(sys.modules) if name.startswith(_FAMILY)}
    return sorted(tops - {_OURS})


def _told(other: Any, name: str) -> str:
    value = getattr(other, name, None)
    return value if isinstance(value, str) and value else "(not told)"
