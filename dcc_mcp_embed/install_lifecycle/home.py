"""Where the user's own files are, and whose machine this is. Loaded at every start of a host."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional

__all__ = ["JOURNAL", "data_directory", "is_there", "machine_name"]

#: The journal of what is owed, in the user's directory.
JOURNAL = "journal.json"


def data_directory(environ: Mapping[str, str], platform: str) -> str:
    """Return the per-user directory, which is the server's own (not created here).

    ``DCC_MCP_EMBED_HOME`` names it outright; otherwise the platform's place for local user data.
    """
    given = environ.get("DCC_MCP_EMBED_HOME")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    home = os.path.expanduser("~")
    if platform == "win32":
        base = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.join(base, "dcc_mcp_embed")


def machine_name(environ: Mapping[str, str], platform: str) -> Optional[str]:
    """Return what tells this machine from others with the same home; None: nothing that lasts.

    A Mac is called otherwise in each network, so there the home is taken for its own.
    """
    if platform == "win32":
        return environ.get("COMPUTERNAME") or None
    return None if platform == "darwin" else os.uname().nodename or None


def is_there(path: str) -> bool:
    """Return whether anything is at a path. Raises OSError if that cannot be seen."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
