"""What Maya does with files that are dropped on it, and when it starts: its modules, userSetup.py.

As Autodesk's ``executeDroppedPythonFile`` and its start-up script have it (read in public copies of
them), with their traps: the stem is the module's name and is cached, ``sys.path[0]`` is popped
blindly afterwards, and one ``userSetup.py`` that raises ends all later ones.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Dict, List

__all__ = ["drop", "execute_user_setup", "module_folders", "start"]


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
    sys.path.pop(0)
    return result


def module_folders(folder: str) -> List[str]:
    """Return the ``scripts`` folders of all modules that the files in ``folder`` describe.

    Every file is read, whatever it is called. A line that is empty or a comment ends a module.
    """
    found = []
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("+ "):
                    where = line.split()[-1] if line.count(" ") <= 3 else line.split(" ", 3)[3]
                    place = os.path.normpath(os.path.join(folder, where.strip()))
                    found.append(os.path.join(place, "scripts"))
    return [one for one in found if os.path.isdir(one)]


def execute_user_setup(folders: List[str], namespace: Dict[str, Any]) -> None:
    """Run every ``userSetup.py`` in order, in one namespace; the first that raises ends it."""
    for folder in folders:
        path = os.path.join(folder, "userSetup.py")
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                exec(compile(stream.read(), path, "exec"), namespace)


def start(user: str, others: List[str]) -> Dict[str, Any]:
    """Start with the user folder ``user``: its modules' scripts, then ``others``.

    Return the namespace in which they all have run.
    """
    folders = module_folders(os.path.join(user, "modules")) + others
    namespace: Dict[str, Any] = {"__name__": "__main__"}
    sys.path.extend(folders)
    try:
        execute_user_setup(folders, namespace)
    finally:
        for folder in folders:
            sys.path.remove(folder)
    return namespace
