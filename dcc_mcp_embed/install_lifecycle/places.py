"""Which directory is the registry: the choice of ``registry/place.py``, but nothing is made.

So an installer looks where the servers of this user write, also where the usual directory belongs
to somebody else.
"""

from __future__ import annotations

import os
import stat

from .home import data_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Mapping, Optional, Tuple

__all__ = ["SHARED_NAME", "absolute", "locate", "refusal", "temporary_directory", "tighten"]

#: Name below the system's directory for temporary files on which all dcc-mcp programs agree.
SHARED_NAME = "dcc-mcp-registry"
#: What Python calls ``CS_DARWIN_USER_TEMP_DIR``, where it knows the name.
_DARWIN_TEMP = 65537


def locate(given: Any, environ: Mapping[str, str], platform: str) -> Tuple[str, bool, List[str]]:
    """Return (directory, whether it may be believed, remarks for a person). Raises nothing.

    Whoever names one (``given``, a text or a path, else ``DCC_MCP_REGISTRY_DIR``; blanks name none)
    is obeyed, and told if others can write there. The default one is the usual one, or where that
    is not to be trusted the first of two others that is; if none is, it is the usual one, and not
    to be believed.
    """
    named = _named(given, environ)
    if named is not None:
        path = absolute(named)
        # A link is the wish of whoever named it; where it leads to is what is looked at.
        try:
            problem = _problem(os.path.realpath(path))
        except (OSError, ValueError) as error:
            problem = "{} cannot be used: {}".format(path, error)
        return path, True, [problem] if problem else []
    usual = _usual(environ, platform)
    remarks: List[str] = []
    for path in usual:
        problem = _problem(path)
        if problem is None:
            return absolute(path), True, remarks
        remarks.append(problem)
    return absolute(usual[0]), False, remarks


def tighten(given: Any, environ: Mapping[str, str], platform: str) -> None:
    """Keep others from writing in the usual directory, as a server does that is about to write.

    Another program of this user's may have made it as the umask was. If it were passed over for
    that, it would still be taken by the next server, which would not find what was entered
    elsewhere. Nothing happens where somebody names a directory. Raises nothing.
    """
    if _named(given, environ) is not None or not hasattr(os, "getuid"):
        return
    path = _usual(environ, platform)[0]
    try:
        facts = os.lstat(path)
        is_ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
        if is_ours and facts.st_mode & 0o022:
            os.chmod(path, 0o700)
    except (OSError, ValueError):
        pass  # it is not there, say


def _named(given: Any, environ: Mapping[str, str]) -> Optional[str]:
    """Return the directory that somebody has named."""
    for value in (given, environ.get("DCC_MCP_REGISTRY_DIR")):
        is_path = isinstance(value, (bytes, os.PathLike))
        named = os.fsdecode(value) if is_path else "" if value is None else str(value)
        if named.strip():
            return named
    return None


def _usual(environ: Mapping[str, str], platform: str) -> List[str]:
    """Return where the registry is if nobody names a directory; the first that is trusted."""
    shared = os.path.join(temporary_directory(environ, platform), SHARED_NAME)
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    private = os.path.join(_data_directory(environ, platform), "registry")
    return [shared, "{}-{}".format(shared, user), private]


def refusal(remarks: List[str]) -> str:
    """Return what is said of a directory that is not to be believed, with what ``locate`` says."""
    return "No directory for the registry can be trusted: " + "; ".join(remarks)


def absolute(path: str) -> str:
    """Return a path made absolute, ``~`` expanded; as it stands if no system can do that."""
    if "\0" in path:
        return path  # which some Pythons cut off there
    try:
        return os.path.abspath(os.path.expanduser(path))
    except (OSError, ValueError):
        return path  # half a character; a working directory that is gone


def temporary_directory(environ: Mapping[str, str], platform: str) -> str:
    """Return the directory for temporary files as programs in Rust see it, not always as Python.

    POSIX: ``TMPDIR`` only. Windows: ``TMP``, ``TEMP``, ``USERPROFILE``, like GetTempPath.
    """
    if platform == "win32":
        for name in ("TMP", "TEMP", "USERPROFILE"):
            if environ.get(name):
                return environ[name]
        return environ.get("SystemRoot") or "C:\\Windows"
    named = environ.get("TMPDIR")
    if not named and platform == "darwin":
        try:
            named = os.confstr(_DARWIN_TEMP)
        except (OSError, ValueError):
            pass  # a system that does not know the number
    return named or "/tmp"


def _data_directory(environ: Mapping[str, str], platform: str) -> str:
    """Return where the package keeps what is the user's."""
    try:
        return data_directory(environ, platform)
    except (OSError, ValueError):
        return environ["DCC_MCP_EMBED_HOME"]  # see ``absolute``


def _problem(path: str) -> Optional[str]:
    """Return why what is in ``path`` is not to be believed; None also if there is nothing yet."""
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return "{} cannot be used: {}".format(path, error)
    if not stat.S_ISDIR(facts.st_mode):
        return "{} is a link or a file".format(path)
    if not hasattr(os, "getuid"):
        # Windows: the user's temporary directory is private by its inherited access list.
        return None
    if facts.st_uid != os.getuid():
        return "{} belongs to somebody else (user {})".format(path, facts.st_uid)
    if facts.st_mode & 0o022:
        return "{} can be written by others".format(path)
    above = os.path.dirname(path)
    try:
        over = os.stat(above)
    except OSError as error:
        return "{} cannot be used: {}".format(path, error)
    if over.st_mode & 0o022 and not over.st_mode & stat.S_ISVTX:
        return "{} can be exchanged by others, who may write {}".format(path, above)
    return None
