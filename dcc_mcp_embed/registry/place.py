"""Which directory is the registry, and whether what stands there can be believed."""

from __future__ import annotations

import os
import stat
from typing import List, Mapping, Optional, Tuple

from .. import config
from ..records import NamedTuple
from ..transport_errors import RegistryFile

__all__ = ["SHARED_NAME", "Place", "choose", "renew"]

#: Name below the system's directory for temporary files on which all dcc-mcp programs agree.
SHARED_NAME = "dcc-mcp-registry"
#: Sources of a directory that somebody has named.
_NAMED = ("argument", "environment")


class Place(NamedTuple):
    """The chosen directory (absolute) and why.

    ``source``: ``argument``, ``environment`` (somebody has named it), ``shared`` (the usual one),
    ``private`` (ours alone, because the usual one is not to be trusted). ``trusted``: nobody else
    can change what is in it. ``remarks``: sentences for a person.
    """

    directory: str
    source: str
    trusted: bool = True
    remarks: Tuple[str, ...] = ()


def choose(
    given: Optional[str], environ: Mapping[str, str], platform: str, make: bool = True
) -> Place:
    """Return the registry's directory, made if it was not there. Raises RegistryFile.

    Without ``make``, for one who only looks, nothing is made and nothing is tightened.

    Whoever names a directory (``given``, else ``DCC_MCP_REGISTRY_DIR``) is obeyed, and told if
    others can write it. The default one is taken if it is ours alone, else one beside it under a
    name of our own, else one among the user's own data.
    """
    if given:
        return _obey(given, "argument", make)
    named = environ.get("DCC_MCP_REGISTRY_DIR")
    if named:
        return _obey(named, "environment", make)
    temporary = config.temp_dir(environ, platform)
    shared = os.path.join(temporary, SHARED_NAME)
    candidates = [
        (shared, "shared"),
        ("{}-{}".format(shared, _user()), "private"),
        (os.path.join(config.data_dir(environ, platform), "registry"), "private"),
    ]
    remarks: List[str] = []
    for path, source in candidates:
        try:
            if make:
                os.makedirs(path, mode=0o700, exist_ok=True)
                _tighten(path)
            problem = _problem(path) if make or os.path.lexists(path) else None
        except OSError as error:
            problem = "{} cannot be used: {}".format(path, error)
        if problem is None:
            return Place(os.path.abspath(path), source, True, tuple(remarks))
        remarks.append(problem)
    raise RegistryFile("no directory for the registry can be trusted: " + "; ".join(remarks))


def renew(place: Place) -> None:
    """Make the directory again if somebody has removed it, such as a cleaner of temporary files.

    Raises RegistryFile when that fails, or when one that nobody has named is not to be trusted any
    more: another may have been put in its place.
    """
    path = place.directory
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if place.source in _NAMED:
            return
        _tighten(path)
        problem = _problem(path)
    except OSError as error:
        raise RegistryFile("failed to create registry dir {}: {}".format(path, error)) from error
    if problem:
        raise RegistryFile("the registry cannot be trusted any more: " + problem)


def _obey(given: str, source: str, make: bool) -> Place:
    path = os.path.abspath(os.path.expanduser(given))
    try:
        if make:
            os.makedirs(path, mode=0o700, exist_ok=True)
        elif not os.path.exists(path):
            return Place(path, source)
        # A link is the wish of whoever named it; where it leads to is what is looked at.
        problem = _problem(os.path.realpath(path))
    except OSError as error:
        raise RegistryFile("failed to create registry dir {}: {}".format(path, error)) from error
    return Place(path, source, problem is None, (problem,) if problem else ())


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _tighten(path: str) -> None:
    facts = os.lstat(path)
    ours = hasattr(os, "getuid") and facts.st_uid == os.getuid()
    if ours and stat.S_ISDIR(facts.st_mode) and facts.st_mode & 0o022:
        os.chmod(path, 0o700)


def _problem(path: str) -> Optional[str]:
    """Return why others could change what is in ``path``; None if they cannot. Raises OSError."""
    facts = os.lstat(path)
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
    over = os.stat(above)
    if over.st_mode & 0o022 and not over.st_mode & stat.S_ISVTX:
        return "{} can be exchanged by others, who may write {}".format(path, above)
    return None
