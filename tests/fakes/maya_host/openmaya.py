"""The parts of ``maya.api.OpenMaya`` and ``maya.OpenMayaUI`` that an adapter needs.

Members are held against the stubs by a test; what the stubs only name stands in ALLOWED, each name
with the page that has it.
"""

from __future__ import annotations

import types
from typing import Any, Callable, Dict, FrozenSet, List, Tuple

from . import plugs
from .host import MayaHost
from .messages import SCENE_MESSAGES
from .scene import Path

__all__ = ["ALLOWED", "build", "build_ui"]

_REFERENCE = "https://help.autodesk.com/cloudhelp/2027/ENU/MAYA-API-REF/py_ref/"

#: Class -> (page, members) where the stubs of types-maya have no body.
ALLOWED: Dict[str, Tuple[str, FrozenSet[str]]] = {
    "MSceneMessage": (
        _REFERENCE + "class_open_maya_1_1_m_scene_message.html",
        frozenset(("addCallback", "removeCallback", "removeCallbacks", *SCENE_MESSAGES)),
    ),
    "MGlobal": (
        _REFERENCE + "class_open_maya_1_1_m_global.html",
        frozenset(
            ("mayaState", "kInteractive", "kBatch", "kLibraryApp", "kBaseUIMode")
            + ("displayInfo", "displayWarning", "displayError")
        ),
    ),
    "MEventMessage": (
        _REFERENCE + "class_open_maya_1_1_m_event_message.html",
        frozenset(("addEventCallback", "removeCallback", "removeCallbacks")),
    ),
    "MUuid": (_REFERENCE + "class_open_maya_1_1_m_uuid.html", frozenset(("asString", "valid"))),
}

#: MDistance.Unit of the stubs -> what ``currentUnit`` calls it.
_UNITS = {"in": 1, "ft": 2, "yd": 3, "mm": 5, "cm": 6, "km": 7, "m": 8}
#: MTime.Unit -> frames in a second: kSeconds, kGames, kFilm, kPALFrame, kNTSCFrame and so on.
_TIMES = {"game": 5, "film": 6, "pal": 7, "ntsc": 8, "show": 9, "palf": 10, "ntscf": 11}


class Strict(type):
    """A class that remembers who asks for what it has not."""

    complain: Callable[[str], str]

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(cls.complain("no {}.{} in the fake".format(cls.__name__, name)))


class _Strict:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(type(self), name)


def build(host: MayaHost) -> types.ModuleType:
    """Return ``maya.api.OpenMaya`` of one host."""
    scene = host.scene
    made: List[type] = []

    def strict(cls: Any) -> Any:
        for name, value in list(vars(cls).items()):
            function = value.__func__ if isinstance(value, staticmethod) else value
            if isinstance(function, types.FunctionType) and not name.startswith("_"):
                guarded = _guarded(host, cls.__name__, function)
                setattr(
                    cls, name, staticmethod(guarded) if isinstance(value, staticmethod) else guarded
                )
        body = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
        bases = cls.__bases__ if cls.__bases__ != (object,) else (_Strict,)
        kind = Strict(cls.__name__, bases, body)
        kind.complain = host.complaints.add
        made.append(kind)
        return kind

    @strict
    class MMessage:
        @staticmethod
        def removeCallback(ident: Any) -> None:
            host.messages.remove(ident)

        @staticmethod
        def removeCallbacks(idents: Any) -> None:
            for one in idents:
                host.messages.remove(one)

    @strict
    class MSceneMessage(MMessage):  # type: ignore[misc, valid-type]
        @staticmethod
        def addCallback(message: int, function: Any, clientData: Any = None) -> int:
            names = {number: name for name, number in SCENE_MESSAGES.items()}
            if message not in names:
                raise ValueError(host.complaints.add("no scene message {!r}".format(message)))
            return host.messages.add(("scene", names[message]), function, clientData)

    for name, number in SCENE_MESSAGES.items():
        setattr(MSceneMessage, name, number)

    @strict
    class MEventMessage(MMessage):  # type: ignore[misc, valid-type]
        @staticmethod
        def addEventCallback(event: str, function: Any, clientData: Any = None) -> int:
            return host.messages.add(("event", event), function, clientData)

    @strict
    class MGlobal:
        kInteractive, kBatch, kLibraryApp, kBaseUIMode = range(4)

        @staticmethod
        def mayaState() -> int:
            # mayapy is Maya as a library.
            return 2 if host.batch else 0

        @staticmethod
        def displayInfo(text: str) -> None:
            host.shown.append(("info", text))

        @staticmethod
        def displayWarning(text: str) -> None:
            host.shown.append(("warning", text))

        @staticmethod
        def displayError(text: str) -> None:
            host.shown.append(("error", text))

    @strict
    class MUuid:
        def __init__(self, text: str) -> None:
            self._text = text

        def asString(self) -> str:
            return self._text

        def valid(self) -> bool:
            return bool(self._text)

        def __str__(self) -> str:
            return self._text

    @strict
    class MObject:
        def __init__(self, ident: str = "") -> None:
            self._ident = ident

        def isNull(self) -> bool:
            return not self._ident

        def __eq__(self, other: object) -> bool:
            return getattr(other, "_ident", None) == self._ident

        def __ne__(self, other: object) -> bool:
            return not self == other

        __hash__ = None  # type: ignore[assignment]

    @strict
    class MDagPath:
        def __init__(self, path: Path = ()) -> None:
            self._path = path

        def fullPathName(self) -> str:
            return scene.long(self._path)

        def partialPathName(self) -> str:
            return scene.short(self._path)

        def node(self) -> Any:
            return MObject(self._path[-1])

        def isValid(self) -> bool:
            return bool(self._path) and all(one in scene.nodes for one in self._path)

        def instanceNumber(self) -> int:
            return scene.paths(self._path[-1]).index(self._path)

        def isInstanced(self) -> bool:
            return len(scene.paths(self._path[-1])) > 1

        def isVisible(self) -> bool:
            """Autodesk: whether the node and all above it are visible."""
            return all(_shown(scene.nodes[one]["attrs"]) for one in self._path)

        def childCount(self) -> int:
            return len(scene.children(self._path))

        def length(self) -> int:
            return len(self._path)

    @strict
    class MSelectionList:
        def __init__(self) -> None:
            self._paths: List[Path] = []

        def add(self, item: Any) -> Any:
            if isinstance(item, str):
                try:
                    found = scene.matching(item)
                    if not found:
                        raise RuntimeError("(kInvalidParameter): Object does not exist")
                    self._paths += found
                    return self
                except ValueError as error:
                    raise RuntimeError(str(error)) from None
            self._paths.append(item._path)
            return self

        def length(self) -> int:
            return len(self._paths)

        def isEmpty(self) -> bool:
            return not self._paths

        def getDagPath(self, index: int) -> Any:
            path = self._at(index)
            if not scene.node(path)["dag"]:
                raise TypeError("item is not a DAG path")
            return MDagPath(path)

        def getDependNode(self, index: int) -> Any:
            return MObject(self._at(index)[-1])

        def _at(self, index: int) -> Path:
            if not 0 <= index < len(self._paths):
                raise IndexError("index out of range")
            return self._paths[index]

    @strict
    class MFnDependencyNode:
        def __init__(self, item: Any = None) -> None:
            self._ident = item._ident if hasattr(item, "_ident") else ""
            if self._ident not in scene.nodes:
                raise ValueError(host.complaints.add("MFnDependencyNode of a node that is gone"))

        def name(self) -> str:
            return str(scene.nodes[self._ident]["name"])

        def uuid(self) -> Any:
            return MUuid(self._ident)

        @property
        def typeName(self) -> str:
            return str(scene.nodes[self._ident]["type"])

        @property
        def isDefaultNode(self) -> bool:
            # The start-up cameras are none.
            return bool(scene.nodes[self._ident]["default"]) and not scene.nodes[self._ident]["dag"]

        @property
        def isLocked(self) -> bool:
            return bool(scene.nodes[self._ident].get("locked"))

        @property
        def isFromReferencedFile(self) -> bool:
            return bool(scene.nodes[self._ident].get("referenced"))

    @strict
    class MDistance:
        kInches, kFeet, kYards, kMiles, kMillimeters, kCentimeters, kKilometers, kMeters = range(
            1, 9
        )

        def __init__(self, value: float = 0.0, unit: int = 6) -> None:
            self._centimetres = value * _centimetres(unit)

        @staticmethod
        def uiUnit() -> int:
            return _UNITS[scene.state["linear"]]

        @staticmethod
        def internalUnit() -> int:
            return 6

        @staticmethod
        def internalToUI(value: float) -> float:
            return value / plugs.CENTIMETRES[scene.state["linear"]]

        @staticmethod
        def uiToInternal(value: float) -> float:
            return value * plugs.CENTIMETRES[scene.state["linear"]]

        def asCentimeters(self) -> float:
            return self._centimetres

        def asUnits(self, unit: int) -> float:
            return self._centimetres / _centimetres(unit)

    @strict
    class MTime:
        kInvalid, kHours, kMinutes, kSeconds, kMilliseconds = range(5)

        def __init__(self, value: float = 0.0, unit: int = 6) -> None:
            self._seconds = value / _rate(unit)

        @staticmethod
        def uiUnit() -> int:
            return _TIMES[scene.state["fps"]]

        def asUnits(self, unit: int) -> float:
            return self._seconds * _rate(unit)

    module = _module(host, "maya.api.OpenMaya")
    for cls in made:
        setattr(module, cls.__name__, cls)
    return module


def _guarded(host: MayaHost, owner: str, function: Any) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        host.require_main("OpenMaya.{}.{}()".format(owner, function.__name__))
        return function(*arguments, **named)

    call.__name__ = function.__name__
    return call


def _shown(attrs: Dict[str, Any]) -> bool:
    overridden = attrs["overrideEnabled"] and not attrs["overrideVisibility"]
    return (
        bool(attrs["visibility"] and attrs["lodVisibility"] and not overridden)
        and not attrs["intermediateObject"]
    )


def _centimetres(unit: int) -> float:
    return plugs.CENTIMETRES[next(name for name, number in _UNITS.items() if number == unit)]


def _rate(unit: int) -> float:
    seconds = {1: 1 / 3600.0, 2: 1 / 60.0, 3: 1.0, 4: 1000.0}
    if unit in seconds:
        return seconds[unit]
    return plugs.FPS[next(name for name, number in _TIMES.items() if number == unit)]


def _module(host: MayaHost, name: str) -> types.ModuleType:
    class Module(types.ModuleType):
        def __getattr__(self, attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            text = "there is no {}.{} in the fake".format(name, attribute)
            raise AttributeError(host.complaints.add(text))

    return Module(name)


def build_ui(host: MayaHost, window: Callable[[], int]) -> types.ModuleType:
    """Return ``maya.OpenMayaUI``; ``window()`` is the address of the main window, 0 without."""
    module = _module(host, "maya.OpenMayaUI")

    class MQtUtil:
        """Autodesk: "MQtUtil.mainWindow() returns a pointer to Maya's main window, if any"."""

        @staticmethod
        def mainWindow() -> Any:
            host.require_main("MQtUtil.mainWindow()")
            return window() or None

    module.MQtUtil = MQtUtil  # type: ignore[attr-defined]
    return module
