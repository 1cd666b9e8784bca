"""The structures and interfaces of the runtime."""

from __future__ import annotations

import math
import os
from typing import Any, Optional

from .allowed import MEMBERS
from .named import Named
from .nodes import Class, Thing, name_of, wrap
from .values import MXSWrapperBase, Name

__all__ = ["STRUCTS", "XRef"]


class TheHold(Named):
    _kind = "thehold"
    _names = MEMBERS["thehold"]

    def _fn_begin(self) -> None:
        self._host.hold.begin()

    def _fn_accept(self, label: Any = "") -> None:
        self._host.hold.accept(label if isinstance(label, str) else "")

    def _fn_cancel(self) -> None:
        self._host.hold.cancel()

    def _fn_holding(self) -> bool:
        return bool(self._host.hold.depth)

    def _fn_getbegindepth(self) -> int:
        return int(self._host.hold.depth)

    def _fn_getglobalputcount(self) -> int:
        return int(self._host.hold.puts)


class Callbacks(Named):
    _kind = "callbacks"
    _names = MEMBERS["callbacks"]

    def _fn_addscript(self, event: Any, function: Any, id: Any = None) -> None:
        self._host.events.add(name_of(event), function, None if id is None else name_of(id))

    def _fn_removescripts(self, event: Any = None, id: Any = None) -> None:
        self._host.events.remove(
            None if event is None else name_of(event), None if id is None else name_of(id)
        )

    def _fn_notificationparam(self) -> Any:
        return self._host.events.param


class MaxOps(Named):
    _kind = "maxops"
    _names = MEMBERS["maxops"]

    def _fn_getnodebyhandle(self, handle: Any) -> Optional[Thing]:
        return wrap(self._host, handle) if self._host.scene.is_node(handle) else None

    def _fn_isinnoninteractivemode(self) -> bool:
        return bool(self._host.batch)


class Units(Named):
    _kind = "units"
    _names = MEMBERS["units"]

    def _get_systemtype(self) -> Name:
        return Name(self._host, self._host.scene.settings["unit"])

    def _set_systemtype(self, value: Any) -> None:
        self._host.scene.settings["unit"] = name_of(value)

    def _get_systemscale(self) -> float:
        return float(self._host.scene.settings["scale"])

    def _set_systemscale(self, value: Any) -> None:
        self._host.scene.settings["scale"] = float(value)


class Renderers(Named):
    _kind = "renderers"
    _names = MEMBERS["renderers"]

    def _get_current(self) -> Value:
        return Value(self._host, "Default_Scanline_Renderer", "renderer")


class Value(MXSWrapperBase):
    """Something of a class that a scene has besides its nodes."""

    _kind = "name"

    def __init__(self, host: Any, class_name: str, superclass: str) -> None:
        super().__init__(host)
        self._classes = Class(host, class_name), Class(host, superclass)

    def __str__(self) -> str:
        return "{}:{}".format(self._classes[0], self._classes[0])


class CameraFov(Named):
    _kind = "camerafov"
    _names = MEMBERS["camerafov"]

    def _fn_mmtofov(self, focal_length: Any) -> float:
        # Half of the 36 mm that a film of 35 mm is wide.
        return math.degrees(2 * math.atan(18.0 / float(focal_length)))

    def _fn_fovtomm(self, degrees: Any) -> float:
        return 18.0 / math.tan(math.radians(float(degrees)) / 2)


class MapPaths(Named):
    _kind = "mappaths"
    _names = MEMBERS["mappaths"]

    def _fn_getfullfilepath(self, path: Any) -> str:
        return path if os.path.isfile(path) else ""


class XRef(MXSWrapperBase):
    """A scene that is referred to."""

    _kind = "xref"

    def __init__(self, host: Any, path: str) -> None:
        super().__init__(host)
        self._path = path

    def _get_filename(self) -> str:
        return self._path

    def _get_disabled(self) -> bool:
        return self._path in self._host.scene.xrefs_off


class XRefs(Named):
    _kind = "xrefs"
    _names = MEMBERS["xrefs"]

    def _fn_getxreffilecount(self) -> int:
        return len(self._host.scene.xrefs)

    def _fn_getxreffile(self, index: Any) -> XRef:
        if not 1 <= index <= len(self._host.scene.xrefs):
            raise self._host.faults.wrong("there is no scene {} that is referred to".format(index))
        return XRef(self._host, self._host.scene.xrefs[index - 1])


class Windows(Named):
    _kind = "windows"
    _names = MEMBERS["windows"]

    def _fn_getmaxhwnd(self) -> int:
        return int(self._host.window_id)


STRUCTS = {
    one._kind: one
    for one in (TheHold, Callbacks, MaxOps, Units, Renderers, CameraFov, MapPaths, XRefs, Windows)
}
