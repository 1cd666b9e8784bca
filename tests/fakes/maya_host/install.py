"""Put Maya's modules where they are imported from, and take them out again."""

from __future__ import annotations

import re
import sys
import types
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator

from . import cmds_attrs, cmds_interface, cmds_nodes, cmds_scene, cmds_shapes, openmaya
from .commands import Cmds
from .host import MAIN_WINDOW, MayaHost
from .threads import Utils

__all__ = ["PLAYED_BY", "install", "modules"]

#: The modules that register the commands.
PLAYED_BY = (cmds_attrs, cmds_interface, cmds_nodes, cmds_scene, cmds_shapes)

#: A global variable of MEL that Maya's own scripts set, assigned to one of ours to have its value.
_ASSIGNED = re.compile(r"\$\w+ *= *\$gMainWindow;?")


class _Mel(types.ModuleType):
    """``maya.mel``: takes what a test has given an answer for."""

    def __init__(self, host: MayaHost) -> None:
        super().__init__("maya.mel")
        self.__dict__["_host"] = host
        self.__dict__["evaluated"] = []

    def eval(self, code: str) -> Any:
        self._host.require_main("mel.eval()")
        self.evaluated.append(code)
        if _ASSIGNED.fullmatch(code):
            return "" if self._host.batch else MAIN_WINDOW
        answer = self._host.mel_answers.get(code)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


def modules(host: MayaHost, window: Callable[[], int]) -> Dict[str, types.ModuleType]:
    """Return the modules of one Maya by their names."""
    package = openmaya._module(host, "maya")
    package.__path__ = []  # type: ignore[attr-defined]
    api = openmaya._module(host, "maya.api")
    api.__path__ = []  # type: ignore[attr-defined]
    found: Dict[str, types.ModuleType] = {
        "maya": package,
        "maya.cmds": Cmds(host),
        "maya.utils": Utils(host),
        "maya.mel": _Mel(host),
        "maya.api": api,
        "maya.api.OpenMaya": openmaya.build(host),
    }
    if not host.batch:
        found["maya.OpenMayaUI"] = openmaya.build_ui(host, window)
    for name, module in found.items():
        above, _, last = name.rpartition(".")
        if above:
            setattr(found[above], last, module)
    return found


@contextmanager
def install(host: MayaHost, window: Callable[[], int] = lambda: 0) -> Iterator[MayaHost]:
    """Have ``import maya.cmds`` give this Maya."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _ours(name)}
    sys.modules.update(modules(host, window))
    try:
        yield host
    finally:
        host.ended.set()
        for name in [one for one in sys.modules if _ours(one)]:
            del sys.modules[name]
        sys.modules.update(before)


def _ours(name: str) -> bool:
    return name == "maya" or name.startswith("maya.")
