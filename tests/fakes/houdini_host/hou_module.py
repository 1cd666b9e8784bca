"""The module ``hou``: its functions, and the classes and namespaces put together."""

from __future__ import annotations

import os
import types
from typing import Any, List, Optional, Sequence, Tuple

from . import errors, node_types, nodes, objects, parms, vectors
from .boxes import BoundingBox
from .errors import enumeration
from .geometry import Geometry
from .hipfile import hipFile
from .kinds import CATEGORIES
from .loop import Loop, qt, ui
from .scene import current
from .strict import checked, hom, ledger, unknown
from .stubs import stubs
from .transforms import hmath
from .undo import UndosGroup, undos

__all__ = ["Hou"]

#: What Houdini 19 has not (types-houdini 19.5.1; its Node has what is OpNode's from 20 on).
NEWER = frozenset(("OpNode",))


@hom("playbar")
class playbar:
    def frameRange(self) -> vectors.Vector2:
        return vectors.Vector2(*current().range)

    def playbackRange(self) -> vectors.Vector2:
        return vectors.Vector2(*current().range)

    def setFrameRange(self, start: float, end: float) -> None:
        current().range = (float(start), float(end))

    def isPlaying(self) -> bool:
        return False


@hom("text")
class text:
    def expandString(self, str: str, expand_tilde: bool = True) -> str:
        return parms.expand(str)


class Functions:
    """The functions of ``hou`` itself."""

    def __init__(self, hou: Hou) -> None:
        self._hou = hou

    def isUIAvailable(self) -> bool:
        return self._hou._loop is not None

    def applicationName(self) -> str:
        return "houdini" if self._hou._loop is not None else "hbatch"

    def applicationVersion(self, include_patch: bool = False) -> Tuple[int, ...]:
        return (19, 5, 805) if self._hou._old else (21, 0, 512)

    def applicationVersionString(self) -> str:
        return ".".join(str(part) for part in self.applicationVersion())

    def homeHoudiniDirectory(self) -> str:
        return self._hou._home

    def findFiles(self, file_name: str) -> Tuple[str, ...]:
        """ "If the file cannot be found on the Houdini path, OperationFailed is raised" (stubs)."""
        every = [os.path.join(folder, *file_name.split("/")) for folder in self._hou._path]
        found = tuple(one.replace("\\", "/") for one in every if os.path.isfile(one))
        if not found:
            raise errors.OperationFailed("Could not find the file {}".format(file_name))
        return found

    def exit(self, exit_code: int = 0, suppress_save_prompt: bool = False) -> None:
        """ "if the user chose to exit, this function will raise a Python SystemExit exception"."""
        loop = self._hou._loop
        if loop is not None and current().dirty and not suppress_save_prompt:
            ledger().blame("hou.exit asks whether to save, and blocks")
        self._hou.hipFile._leaving = True
        if loop is not None:
            from fakes import qtloop

            # "Houdini may add events to its event queue that carry out the actual shutdown"
            qtloop.quit_application()
        raise SystemExit(exit_code)

    def node(self, path: str) -> Any:
        data = current().find(path)
        return None if data is None else nodes.wrap(data.id)

    def nodes(self, paths: Sequence[str]) -> Tuple[Any, ...]:
        return tuple(self.node(one) for one in paths)

    def item(self, path: str) -> Any:
        return self.node(path)

    def root(self) -> Any:
        return self.node("/")

    def pwd(self) -> Any:
        return nodes.wrap(current().cwd)

    def parm(self, path: str) -> Any:
        return self._parm(path, "parm")

    def parmTuple(self, path: str) -> Any:
        return self._parm(path, "parmTuple")

    def _parm(self, path: str, what: str) -> Any:
        home, _, name = path.rpartition("/")
        node = self.node(home)
        return None if node is None else getattr(node, what)(name)

    def nodeBySessionId(self, session_id: int) -> Any:
        return nodes.wrap(session_id) if session_id in current().nodes else None

    def selectedNodes(self, include_hidden: bool = False) -> Tuple[Any, ...]:
        return tuple(nodes.wrap(one) for one in current().selected)

    def selectedItems(self, include_hidden: bool = False) -> Tuple[Any, ...]:
        return self.selectedNodes()

    def clearAllSelected(self) -> None:
        current().selected = []

    def fps(self) -> float:
        return current().fps

    def frame(self, full_precision: bool = False) -> float:
        return current().frame

    def intFrame(self) -> int:
        return int(current().frame)

    def setFrame(self, frame: float) -> None:
        current().frame = float(frame)

    def time(self) -> float:
        return (current().frame - 1) / current().fps

    def frameToTime(self, frame: float) -> float:
        return (frame - 1) / current().fps

    def scaleToMKS(self, units: str) -> float:
        return 1.0

    def scaleFromMKS(self, units: str) -> float:
        return 1.0

    def getenv(self, name: str, default_value: Optional[str] = None) -> Optional[str]:
        return default_value

    def hscript(self, command: str) -> Tuple[str, str]:
        """Know one command; of the others this says what Houdini says of unknown ones."""
        if command.startswith("echo "):
            return (command[5:] + "\n", "")
        return ("", "Unknown command: {}\n".format(command.split(" ")[0]))

    def fileReferences(
        self, project_dir_variable: str = "HIP", include_all_refs: bool = True
    ) -> Tuple[Any, ...]:
        found: List[Any] = [(None, path) for path in current().libraries]
        for data in current().nodes.values():
            if data.kind.name == "file" and data.values["file"] != "default.bgeo":
                parm = nodes.wrap(data.id).parm("file")
                found.append((parm, parm.unexpandedString()))
        return tuple(found)

    def objNodeTypeCategory(self) -> Any:
        return node_types.NodeTypeCategory("Object")

    def sopNodeTypeCategory(self) -> Any:
        return node_types.NodeTypeCategory("Sop")

    def managerNodeTypeCategory(self) -> Any:
        return node_types.NodeTypeCategory("Manager")

    def nodeTypeCategories(self) -> Any:
        return {name: node_types.NodeTypeCategory(name) for name in CATEGORIES}

    def nodeType(self, category_or_name: Any, internal_name: Optional[str] = None) -> Any:
        category = category_or_name
        if isinstance(category, str):
            name, _, internal_name = category.partition("/")
            category = node_types.NodeTypeCategory(name)
        kind = CATEGORIES.get(category.name(), {}).get(internal_name or "")
        return None if kind is None else node_types.NodeType(kind)


class Hou(types.ModuleType):
    """``hou``. Whatever it has not, a test fails for, however carefully it was asked for."""

    def __init__(self, loop: Optional[Loop], old: bool = False) -> None:
        super().__init__("hou")
        self._old = old
        self.__file__ = "/opt/hfs21.0.512/houdini/python3.11libs/hou.py"
        self._loop = loop
        #: The user folder: tests put theirs here.
        self._home = os.path.join(os.path.expanduser("~"), "houdini21.0")
        #: HOUDINI_PATH, as the packages have it: tests put that of a start here.
        self._path: List[str] = [self._home]
        functions = Functions(self)
        for name in vars(Functions):
            if not name.startswith("_"):
                function = getattr(functions, name)
                vars(self)[name] = checked("", name, function, bound=False)
        vars(self).update(errors.EXCEPTIONS)
        classes = (
            nodes.NetworkMovableItem, nodes.Node, node_types.NodeType, node_types.NodeTypeCategory,
            objects.ObjNode, nodes.OpNode, objects.SopNode, parms.Keyframe, parms.Parm,
            parms.ParmTemplate, parms.ParmTuple, BoundingBox, vectors.Matrix4,
            vectors.Vector2, vectors.Vector3, errors.EnumValue, Geometry, UndosGroup,
        )  # fmt: skip
        vars(self).update({one.__name__: one for one in classes})
        for name in NEWER if old else ():
            del vars(self)[name]
        self.hipFile = hipFile(loop is not None)
        self.undos = undos(current().undos)
        self.hmath = hmath()
        self.playbar = playbar()
        self.text = text()
        if loop is not None:
            self.ui = ui(loop)
            self.qt = qt(loop)
            self.hipFile.turn = loop.turn

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._old and name in NEWER:
            ledger().blame("Houdini 19 has no hou.{}".format(name))
            raise AttributeError(name)
        if stubs().enumeration(name):
            return enumeration(name)
        if name in ("ui", "qt"):
            # "The hou.ui module is not available in the command-line interpreter" (isUIAvailable)
            ledger().blame("hou.{} is not there without a user interface".format(name))
            raise AttributeError(name)
        raise unknown("", name)
