"""What Maya does with files that are dropped on it, and when it starts: its modules, userSetup.py.

As Autodesk's ``executeDroppedPythonFile`` and its start-up script have it (read in public copies of
them), with their traps: the stem is the module's name and is cached, ``sys.path[0]`` is popped
blindly afterwards, and one ``userSetup.py`` that raises ends all later ones.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from typing import Any, Dict, Iterator, List, Sequence

__all__ = ["drop", "execute_user_setup", "module_folders", "parse_modules", "start"]


def drop(path: str, obj: str = "") -> Any:
    """Do what Maya 2022 and later do with a Python file that is dropped on the viewport."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.import_module(stem)
    hook = getattr(module, "onMayaDroppedPythonFile", None)
    if hook is None:
        return False
    result = hook(obj)
    # Blind, and not where the hook raises.
    sys.path.pop(0)
    return result


#: "+ MAYAVERSION:2025 PLATFORM:win64 LOCALE:en_US <name> <version> <path>"
_HEAD = re.compile(
    r"\+ +(?:(?:MAYAVERSION|PLATFORM|LOCALE):(?:\S+) +)*"
    r"(?P<name>\S+) +(?P<version>\S+) +(?P<path>.+)"
)
#: "scripts: folder", "[r] plug-ins: folder", "NAME=value", "NAME+:=value"
_LINE = re.compile(r"(?:\[r\] )?[a-z-]+: .+|[A-Za-z_]+ *\+?:?= *.*")


def parse_modules(text: str) -> Iterator[str]:
    """Yield the path of each module that one file describes, as it is written.

    Autodesk, "Distributing Maya plug-ins using modules": a blank line or a comment ends a module;
    what follows counts for nothing up to the next line with a plus. Raises ValueError for a line
    within a module that is none.
    """
    within = False
    for line in text.split("\n"):
        if line.startswith("+"):
            head = _HEAD.fullmatch(line)
            if head is None:
                raise ValueError("no module: {!r}".format(line))
            within = True
            yield head.group("path").replace("\\", "/")
        elif not line.strip() or line.startswith("#"):
            within = False
        elif within and not _LINE.fullmatch(line):
            raise ValueError("no line of a module: {!r}".format(line))


def module_folders(folder: str) -> List[str]:
    """Return the ``scripts`` folders of all modules that the files in ``folder`` describe.

    Every file is read, whatever it is called. Relative paths begin where the file is.
    """
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if os.path.isfile(os.path.join(folder, name)):
            with open(os.path.join(folder, name), encoding="utf-8", newline="") as stream:
                text = stream.read()
            for path in parse_modules(text):
                place = os.path.normpath(os.path.join(folder, path))
                found.append(os.path.join(place, "scripts"))
    return [one for one in found if os.path.isdir(one)]


def execute_user_setup(folders: Sequence[str], namespace: Dict[str, Any]) -> bool:
    """Run every ``userSetup.py`` in order, in one namespace; the first that raises ends it.

    Return whether all were run. What is no Exception ends Maya.
    """
    try:
        for folder in folders:
            path = os.path.join(folder, "userSetup.py")
            if os.path.isfile(path):
                with open(path, "rb") as stream:
                    exec(compile(stream.read(), path, "exec"), namespace)
    except Exception:
        traceback.print_exc()
        return False
    return True


def start(user: str, others: Sequence[str], shared: Sequence[str] = ()) -> Dict[str, Any]:
    """Start with the user folder ``user``: its modules' scripts, then ``others``.

    ``shared``: the folders of MAYA_MODULE_PATH. Return the namespace in which they all have run;
    ``"all_ran"`` in it says whether they have.
    """
    places = [*shared, os.path.join(user, "modules")]
    folders = [one for place in places for one in module_folders(place)] + list(others)
    namespace: Dict[str, Any] = {"__name__": "__main__"}
    sys.path.extend(folders)
    try:
        namespace["all_ran"] = execute_user_setup(folders, namespace)
    finally:
        for folder in folders:
            sys.path.remove(folder)
    return namespace
