"""Where packages are, with rez or in plain folders, and what a program needs to find them."""

from __future__ import annotations

import os

from . import DEFAULT_DEPLOYMENT_PACKAGES, DEPLOYMENT_MODE_ENV, REZ_CACHE_ROOT_ENV
from .results import to_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

__all__ = ["resolve_deployment_layout"]

#: Folders that hold packages side by side, the first that is set wins.
_CACHE_ROOTS = (REZ_CACHE_ROOT_ENV, "REZ_LOCAL_CACHE_ROOT", "REZ_LOCAL_PACKAGES_PATH")
#: Set in every environment that rez has made.
_REZ_ACTIVE = "REZ_USED_RESOLVE"
#: Whoever needs packages of the user's own site directory says so here.
_USER_SITE = "DCC_MCP_ALLOW_USER_SITE"
_TRUE = ("1", "true", "yes", "on")
#: Below a package's root: what Python imports from, and what is run.
_PYTHON_FOLDERS = ("python", "lib")
_PROGRAM_FOLDERS = ("bin", "Scripts")


def resolve_deployment_layout(
    cache_root: Optional[Any] = None,
    *,
    packages: Optional[Iterable[str]] = None,
    adapter_package: Optional[str] = None,
    package_roots: Optional[Mapping[str, Any]] = None,
    env: Optional[Mapping[str, str]] = None,
) -> Dict[str, Any]:
    """Return where each package is, and the environment in which programs find them.

    A package's root is the one in ``package_roots`` (its source is ``explicit``), else that of
    ``REZ_<PACKAGE>_ROOT`` (``rez-env``), else the package's folder in ``cache_root`` or what
    ``DCC_MCP_REZ_LOCAL_CACHE_ROOT``, ``REZ_LOCAL_CACHE_ROOT`` or ``REZ_LOCAL_PACKAGES_PATH`` name
    (``cache-root``), else nothing (``missing``). ``env`` stands in for the whole environment. A
    root that is a link is told by its own name, unlike the reference: it may lead elsewhere soon.

    ``mode`` is ``rez``, ``filesystem``, ``mixed`` or ``unknown``. What ``environment`` says to
    prepend and to set is for the program that is started; nothing is changed here.
    """
    environ = os.environ if env is None else env
    cache = _cache_root(cache_root, environ)
    found = [
        _package(name, cache, package_roots or {}, environ)
        for name in _names(packages, adapter_package)
    ]
    there = [package for package in found if package["exists"]]
    mode = _mode([package["source"] for package in there], bool(environ.get(_REZ_ACTIVE)))
    values = {DEPLOYMENT_MODE_ENV: mode}
    if environ.get(_USER_SITE, "").strip().lower() not in _TRUE:
        # A package of the same name that the user has installed must not come first.
        values["PYTHONNOUSERSITE"] = "1"
    roots = [package["root"] for package in there]
    return {
        "success": True,
        "mode": mode,
        "cache_root": cache,
        "packages": found,
        "missing_packages": [p["name"] for p in found if not p["exists"]],
        "environment": {
            "prepend": {
                "PYTHONPATH": _unique(place for root in roots for place in _python_places(root)),
                "PATH": _unique(
                    place for root in roots for place in _below(root, _PROGRAM_FOLDERS)
                ),
            },
            "set": values,
        },
    }


def _names(packages: Optional[Iterable[str]], adapter: Optional[str]) -> List[str]:
    listed = [packages] if isinstance(packages, str) else list(packages or ())
    named = [*(listed or DEFAULT_DEPLOYMENT_PACKAGES), adapter or ""]
    stripped = (str(name).strip() for name in named)
    return _unique(name for name in stripped if name)


def _cache_root(given: Optional[Any], environ: Mapping[str, str]) -> Optional[str]:
    return next(filter(None, map(to_path, [given, *map(environ.get, _CACHE_ROOTS)])), None)


def _package(
    name: str, cache: Optional[str], explicit: Mapping[str, Any], environ: Mapping[str, str]
) -> Dict[str, Any]:
    variable = "REZ_{}_ROOT".format(_upper(name))
    root, source = _root(name, variable, cache, explicit, environ)
    return {
        "name": name,
        "root": root,
        "source": source,
        "exists": root is not None and os.path.isdir(root),
        "env_var": variable,
    }


def _root(
    name: str,
    variable: str,
    cache: Optional[str],
    explicit: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Tuple[Optional[str], str]:
    candidates = (
        ("explicit", to_path(explicit.get(name))),
        ("rez-env", to_path(environ.get(variable))),
        ("cache-root", cache and os.path.join(cache, name)),
    )
    for source, root in candidates:
        if root:
            return root, source
    return None, "missing"


def _upper(name: str) -> str:
    """Return a package's name as rez has it in the names of variables."""
    kept = "".join(c if c.isascii() and c.isalnum() else " " for c in name)
    return "_".join(kept.split()).upper()


def _mode(sources: List[str], rez_is_active: bool) -> str:
    """Return what kind of deployment has packages from these sources."""
    from_rez = "rez-env" in sources
    if from_rez and set(sources) != {"rez-env"}:
        return "mixed"
    if from_rez or rez_is_active:
        return "rez"
    return "filesystem" if sources else "unknown"


def _python_places(root: str) -> List[str]:
    return _below(root, _PYTHON_FOLDERS) or ([root] if _has_modules(root) else [])


def _has_modules(root: str) -> bool:
    try:
        return any(name.endswith(".py") for name in os.listdir(root))
    except OSError:
        return False


def _below(root: str, names: Iterable[str]) -> List[str]:
    places = (os.path.join(root, name) for name in names)
    return [place for place in places if os.path.isdir(place)]


def _unique(items: Iterable[str]) -> List[str]:
    return list(dict.fromkeys(items))
