"""``hou.hipFile``: saving and loading, and who is told. A file is a small JSON here."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, Callable, Dict, List, Optional, Tuple

from .errors import LoadWarning, OperationFailed, enumeration
from .kinds import CATEGORIES
from .scene import Data, current
from .strict import hom, ledger
from .vectors import Matrix4

__all__ = ["hipFile"]

Callback = Callable[[Any], None]
_PLAIN = ("name", "values", "expressions", "locked", "shown", "user")


@hom("hipFile")
class hipFile:
    def __init__(self, interactive: bool) -> None:
        self._interactive = interactive
        self._callbacks: List[Callback] = []
        self._leaving = False
        self._loading = False
        #: What turns Houdini's loop while its progress is shown; nothing without an interface.
        self.turn: Callable[[], None] = lambda: None
        self._named = False

    # -- telling ------------------------------------------------------------------------------

    def addEventCallback(self, callback: Callback) -> None:
        self._callbacks.append(callback)

    def removeEventCallback(self, callback: Callback) -> None:
        """ "Raises hou.OperationFailed if the callback was not previously registered"."""
        if callback not in self._callbacks:
            raise OperationFailed("The callback was not registered")
        self._callbacks.remove(callback)

    def clearEventCallbacks(self) -> None:
        """ "Removes all Python callbacks", whoever registered them."""
        self._callbacks.clear()

    def eventCallbacks(self) -> Tuple[Callback, ...]:
        return tuple(self._callbacks)

    def _tell(self, name: str) -> None:
        for callback in list(self._callbacks):
            try:
                callback(getattr(enumeration("hipFileEventType"), name))
            except Exception:
                traceback.print_exc(file=sys.stderr)

    def _close(self) -> None:
        for callback in self._callbacks:
            ledger().blame("{!r} was left as a callback of hou.hipFile".format(callback))

    # -- what there is ------------------------------------------------------------------------

    def path(self) -> str:
        return current().path

    def name(self) -> str:
        return current().path

    def basename(self) -> str:
        return os.path.basename(current().path)

    def setName(self, file_name: str) -> None:
        current().path = os.path.abspath(file_name)

    def isNewFile(self) -> bool:
        """In hython "it will always return True if the filename matches the default filename"."""
        scene = current()
        return scene.path == scene.default_path if not self._interactive else not self._named

    def hasUnsavedChanges(self) -> bool:
        """ "In a non-graphical session (hython) it will always return True"."""
        return current().dirty if self._interactive else True

    def isShuttingDown(self) -> bool:
        return self._leaving

    def isLoadingHipFile(self) -> bool:
        return self._loading

    # -- changing it --------------------------------------------------------------------------

    def clear(self, suppress_save_prompt: bool = False) -> bool:
        self._asks("clear", suppress_save_prompt)
        self._tell("BeforeClear")
        current().clear()
        self._named = False
        self._tell("AfterClear")
        return True

    def load(
        self, file_name: str, suppress_save_prompt: bool = False, ignore_load_warnings: bool = False
    ) -> None:
        self._asks("load", suppress_save_prompt)
        content = _read(file_name)
        self._loading = True
        try:
            self._tell("BeforeLoad")
            self._tell("BeforeClear")
            current().clear()
            self._tell("AfterClear")
            self.turn()
            _fill(content)
        finally:
            self._loading = False
        current().path = os.path.abspath(file_name)
        current().dirty = False
        self._named = True
        self._tell("AfterLoad")
        if content.get("warnings") and not ignore_load_warnings:
            raise LoadWarning(content["warnings"])

    def save(self, file_name: Optional[str] = None, save_to_recent_files: bool = True) -> None:
        scene = current()
        if self._leaving:
            raise OperationFailed("Houdini is shutting down")
        path = scene.path if file_name is None else os.path.abspath(file_name)
        self._tell("BeforeSave")
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"hip": [_record(one) for one in scene.nodes.values()]}, file)
        except OSError as error:
            raise OperationFailed(str(error)) from error
        scene.path, scene.dirty, self._named = path, False, True
        self._tell("AfterSave")

    def _asks(self, what: str, suppressed: bool) -> None:
        if self._leaving:
            raise OperationFailed("Houdini is shutting down")
        if self._interactive and current().dirty and not suppressed:
            ledger().blame("hou.hipFile.{} asks whether to save, and blocks".format(what))


def _record(data: Data) -> Dict[str, Any]:
    found = {name: getattr(data, name) for name in _PLAIN}
    found["kind"] = [data.kind.category, data.kind.name]
    found["path"] = current().path_of(data.id)
    found["inputs"] = {str(n): current().path_of(i) for n, i in data.inputs.items()}
    found["display"] = None if data.display is None else current().path_of(data.display)
    found["pre"] = data.pre.asTuple()
    found["keys"] = {parm: sorted(keys.items()) for parm, keys in data.keys.items()}
    return found


def _read(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        content["hip"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperationFailed("Unable to open file: {}".format(path)) from error
    return dict(content)


def _fill(content: Dict[str, Any]) -> None:
    scene = current()
    for record in content["hip"]:
        path = record["path"]
        data = scene.find(path)
        if data is None:
            home = scene.find(path.rpartition("/")[0] or "/")
            assert home is not None
            kind = CATEGORIES[record["kind"][0]][record["kind"][1]]
            data = scene._add(kind, record["name"], home.id)
        for name in _PLAIN[1:]:
            setattr(data, name, record[name])
        data.pre = Matrix4(record["pre"])
        data.keys = {parm: dict(map(tuple, keys)) for parm, keys in record["keys"].items()}
    for record in content["hip"]:
        data = scene.find(record["path"])
        assert data is not None
        data.inputs = {int(n): _id(path) for n, path in record["inputs"].items()}
        data.display = None if record["display"] is None else _id(record["display"])


def _id(path: str) -> int:
    data = current().find(path)
    assert data is not None
    return data.id
