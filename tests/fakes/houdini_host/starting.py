"""What Houdini does when it starts: its user folder, its packages, its path, and the hooks on it.

As SideFX's page on packages has it (folders and their order, the keys of a package, that ``hpath``
puts in front, ``$HOUDINI_PACKAGE_PATH``) and its page on scripts that run at start-up. What is not
written there was measured by others on real ones: a file with a mark of byte order is no valid JSON
and is ignored, all ``pythonrc.py`` run before all ``ready.py`` and these before all ``uiready.py``,
each of them once a folder of the path, in the order of the path. A hook that raises is printed; the
next one runs.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import xml.etree.ElementTree
import zipfile
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

__all__ = ["Start", "drop", "load_package_archive", "menu", "scan", "start", "user_folder"]

#: Of this Python only: the name has to match exactly.
LIBS = "python{}.{}libs".format(*sys.version_info[:2])


class Start(NamedTuple):
    """What came of a start: HOUDINI_PATH, the variables that packages set, the hooks that ran."""

    path: List[str]
    variables: Dict[str, str]
    hooks: List[str]
    namespace: Dict[str, Any]


class Package(NamedTuple):
    """One package file that is read."""

    name: str
    path: str
    content: Dict[str, Any]


def user_folder(environ: Mapping[str, str], platform: str, documents: str, version: str) -> str:
    """Return ``$HOUDINI_USER_PREF_DIR``: "houdini" and two numbers of the version.

    The variable is taken no notice of without ``__HVER__``. On Windows a HOME, which Git Bash sets,
    counts for more than the documents.
    """
    given = environ.get("HOUDINI_USER_PREF_DIR", "")
    if "__HVER__" in given:
        return given.replace("__HVER__", version)
    home = environ.get("HOME", "")
    if platform == "win32":
        return os.path.join(home or documents, "houdini" + version)
    if platform == "darwin":
        return os.path.join(home, "Library", "Preferences", "houdini", version)
    return os.path.join(home, "houdini" + version)


def folders(user: str, environ: Mapping[str, str], version: str) -> List[str]:
    """Return the folders with packages, in the order in which they are scanned.

    Packages lie directly in those that HOUDINI_PACKAGE_DIR names.
    """
    found = [os.path.join(user, "packages")]
    if environ.get("HFS"):
        found.append(os.path.join(environ["HFS"], "packages"))
    if environ.get("HSITE"):
        found.append(os.path.join(environ["HSITE"], "houdini" + version, "packages"))
    found += [one for one in environ.get("HOUDINI_PACKAGE_DIR", "").split(os.pathsep) if one]
    return found


def read(path: str) -> Optional[Package]:
    """Return a package file; None, as it is ignored then, if it is no JSON, or has a BOM."""
    with open(path, "rb") as stream:
        data = stream.read()
    try:
        # Decoded as it is: a mark of byte order stays in, and is no JSON.
        content = json.loads(data.decode("utf-8"))
    except ValueError:
        return None
    name = os.path.splitext(os.path.basename(path))[0]
    return Package(name, path, content) if isinstance(content, dict) else None


def scan(places: List[str], version: str) -> List[Package]:
    """Return the packages that are loaded, in the order in which they are processed."""
    found: List[Package] = []
    places = list(places)
    for folder in places:
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for name in names:
            package = read(os.path.join(folder, name)) if name.endswith(".json") else None
            if package is None or not _enabled(package.content.get("enable", True), version):
                continue
            for more in _listed(package.content.get("package_path")):
                places.append(_expanded(more, {"HOUDINI_PACKAGE_PATH": folder}))
            once = package.content.get("load_package_once")
            if not (once and package.name in [one.name for one in found]):
                found.append(package)
    names = {one.name for one in found}
    kept = [one for one in found if set(_listed(one.content.get("requires"))) <= names]
    # Stable: those of one number stay as they were found.
    return sorted(kept, key=lambda one: int(one.content.get("process_order", 100)))


def _enabled(value: Any, version: str) -> bool:
    """Know what packages of tests say: true, false, and a comparison of the version."""
    if isinstance(value, bool):
        return value
    name, operator, wanted = value.split()
    assert name == "houdini_version", value
    numbers = [tuple(int(part) for part in one.strip("'").split(".")) for one in (version, wanted)]
    comparisons: Dict[str, Callable[[Any, Any], bool]] = {
        "==": lambda one, other: bool(one == other),
        ">=": lambda one, other: bool(one >= other),
        "<": lambda one, other: bool(one < other),
    }
    return comparisons[operator](*numbers)


def _listed(value: Any) -> List[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    for name in sorted(variables, key=len, reverse=True):
        text = text.replace("$" + name, variables[name])
    return text


def process(packages: List[Package], user: str) -> Tuple[List[str], Dict[str, str]]:
    """Return HOUDINI_PATH, and the variables that the packages set."""
    path, variables = [user], {}
    for package in packages:
        known = dict(variables, HOUDINI_PACKAGE_PATH=os.path.dirname(package.path))
        for pair in package.content.get("env", ()):
            for name, value in pair.items():
                variables[name] = known[name] = _expanded(value, known)
        for key in ("hpath", "path"):
            new = [_expanded(one, known) for one in _listed(package.content.get(key))]
            path[:0] = [os.path.normpath(one) for one in new]
    return path, variables


def hooks(path: List[str], interactive: bool) -> Iterator[str]:
    """Yield the scripts that run, in their order: each of them also if another ran before."""
    kinds = [
        ("pythonrc.py", (LIBS, "scripts/python")),
        ("ready.py", (LIBS,)),
    ]
    if interactive:
        kinds.append(("uiready.py", (LIBS,)))
    for name, below in kinds:
        for folder in path:
            for one in below:
                script = os.path.join(folder, *one.split("/"), name)
                if os.path.isfile(script):
                    yield script


def start(
    user: str,
    interactive: bool,
    environ: Mapping[str, str],
    version: str = "21.0",
    named: bool = True,
) -> Start:
    """Start with this user folder, with or without a window.

    ``named``: whether the code of a hook knows the path of its file; SideFX says nothing of it.
    """
    path, variables = process(scan(folders(user, environ, version), version), user)
    # They are variables of the process, for as long as it lives.
    os.environ.update(variables)
    libraries = [os.path.join(folder, LIBS) for folder in path]
    # Houdini looks for modules there, as long as it runs.
    sys.path.extend(one for one in libraries if os.path.isdir(one))
    namespace: Dict[str, Any] = {"__name__": "__main__"}
    ran = []
    for script in hooks(path, interactive):
        ran.append(script)
        with open(script, "rb") as stream:
            source = stream.read()
        try:
            exec(compile(source, script if named else "<string>", "exec"), namespace)
        except Exception:
            traceback.print_exc(file=sys.stderr)
    return Start(path, variables, ran, namespace)


def drop(path: List[str], files: List[str], named: bool = False) -> Any:
    """Drop files on the window; return what the hook answers, None without one.

    No page of SideFX has it; as those describe it who have such hooks (you-can-call-me-houdini's
    documentation, and others'): the first ``scripts/externaldragdrop.py`` on the path is run anew,
    without a ``__file__``, and its ``dropAccept`` called. With what is falsy, or an error, Houdini
    tries to load the files as scenes.
    """
    for folder in path:
        script = os.path.join(folder, "scripts", "externaldragdrop.py")
        if not os.path.isfile(script):
            continue
        # All lower case on every platform.
        assert "externaldragdrop.py" in os.listdir(os.path.dirname(script))
        with open(script, "rb") as stream:
            source = stream.read()
        names: Dict[str, Any] = {"__name__": "__main__"}
        exec(compile(source, script if named else "<stdin>", "exec"), names)
        return names["dropAccept"](files)
    return None


class Item(NamedTuple):
    """An entry of a menu: choosing it runs ``code``."""

    label: str
    code: str

    def choose(self) -> None:
        """Run it as Houdini does: by itself, with what the menu tells in ``kwargs``."""
        exec(compile(self.code, "<menu>", "exec"), {"__name__": "__main__", "kwargs": {}})


def menu(path: List[str]) -> Dict[str, List[Item]]:
    """Return label of a menu -> its items, of all MainMenuCommon.xml on the path.

    As SideFX's page on customizing menus has the format. A file with an error adds nothing, and so
    does what is to stand beside something that is not there: here nothing else is.
    """
    found: Dict[str, List[Item]] = {}
    for folder in reversed(path):
        file = os.path.join(folder, "MainMenuCommon.xml")
        if not os.path.isfile(file):
            continue
        root = xml.etree.ElementTree.parse(file).getroot()
        assert root.tag == "mainMenu", root.tag
        for sub in root.findall("menuBar/subMenu"):
            assert sub.get("id") and sub.find("insertBefore") is None
            items = []
            for item in sub.findall("scriptItem"):
                assert item.get("id"), "hotkeys and other packages name it by its id"
                items.append(Item(item.findtext("label") or "", item.findtext("scriptCode") or ""))
            found[sub.findtext("label") or ""] = items
    return found


def load_package_archive(archive: str, user: str, into: str = "", move: bool = False) -> None:
    """Do what ``hou.ui.loadPackageArchive`` is documented to do with the files.

    "Extracts the content of a package archive file": into the user folder, or one that is named.
    Where the package's file ends up is not documented: with ``move`` in the user's packages.
    """
    place = into or user
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        opened.extractall(place)
    packages = [one for one in names if one.endswith(".json") and "/" not in one]
    assert packages, "a package archive has its package's file at the top"
    if move:
        os.makedirs(os.path.join(user, "packages"), exist_ok=True)
        for one in packages:
            os.replace(os.path.join(place, one), os.path.join(user, "packages", one))
