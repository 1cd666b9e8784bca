"""What 3ds Max does with a package that is dropped on it, and when it starts.

Autodesk's MAXScript Help, "Zip-file Script Packages": the directives of ``mzp.run`` are carried out
in their order, in a fresh temporary folder. Its pages on start-up scripts and on environment
variables: everything of its kinds in the user's start-up folder runs, and in the folders that
ADSK_3DSMAX_STARTUPSCRIPTS_ADDON_DIR names, parted by semicolons.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import re
import sys
import tempfile
import zipfile
from types import ModuleType
from typing import Any, List, Optional

from . import maxscript
from .faults import MaxError

__all__ = ["drop", "open_package", "start"]

_WORDS = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
#: Directives of ``mzp.run`` that ours have; the words that follow them.
_KNOWN = {
    "name": 1,
    "description": 1,
    "version": 1,
    "run": 1,
    "drop": 1,
    "clear temp on max exit": 0,
}


def drop(host: Any, package: str, temp: str) -> None:
    """Drop it on the viewport: what ``drop`` names is dropped, and what ``run`` names is run.

    The help does not say that the second is left out where there is the first, so both happen;
    nor that one of them is enough, so there have to be both.
    """
    _carry_out(host, package, temp, ("run", "drop"))


def open_package(host: Any, package: str, temp: str) -> None:
    """Open it by the menu, or with fileIn()."""
    _carry_out(host, package, temp, ("run",))


def _carry_out(host: Any, package: str, temp: str, wanted: Any) -> None:
    folder = tempfile.mkdtemp(dir=temp)
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    with open(os.path.join(folder, "mzp.run"), encoding="ascii") as stream:
        lines = stream.read().splitlines()
    done = set()
    for line in lines:
        words = [quoted or plain for quoted, plain in _WORDS.findall(line)]
        key = words[0].lower() if words[0].lower() in _KNOWN else line.strip().lower()
        if _KNOWN.get(key) not in (len(words) - 1, 0):
            raise host.faults.wrong("mzp.run: {}".format(line))
        if key in wanted:
            done.add(key)
            _run(host, os.path.join(folder, words[1]))
    if done != set(wanted):
        raise host.faults.wrong("mzp.run: with {} alone nothing happens".format(sorted(done)))


def start(host: Any, user: str, addon: str = "") -> List[str]:
    """Run the start-up scripts of a 3ds Max with that user folder; return their names.

    ``addon``: of the variable. Python has been loaded, and nobody has imported pymxs yet.
    """
    host.user_folder = user
    _have_not_imported("pymxs")
    ran = []
    for folder in (os.path.join(user, "scripts", "startup"), *addon.split(";")):
        for name in sorted(os.listdir(folder)) if folder and os.path.isdir(folder) else ():
            if name.lower().endswith(".ms"):
                _run(host, os.path.join(folder, name))
                ran.append(name)
    return ran


def _run(host: Any, path: str) -> None:
    """Run a script. 3ds Max shows an error of one in a dialog, and goes on with the next."""
    try:
        maxscript.run(host, path)
    except MaxError as error:
        host.messages.append(str(error))


class _Importer(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Hands a module out again once somebody imports it."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def find_spec(self, name: str, *_: Any) -> Optional[importlib.machinery.ModuleSpec]:
        if name != self._module.__name__:
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec: Any) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        sys.meta_path.remove(self)


def _have_not_imported(name: str) -> None:
    sys.meta_path.insert(0, _Importer(sys.modules.pop(name)))
