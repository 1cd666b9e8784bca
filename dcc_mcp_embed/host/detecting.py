"""Which host this interpreter runs in, and the adapter for it."""

from __future__ import annotations

import importlib
import ntpath
import sys
from importlib.util import resolve_name
from typing import Any, Optional, Tuple

from ..errors import ConfigError, StartError
from ..records import NamedTuple
from .adapter import HostAdapter

__all__ = ["load_adapter"]


class Known(NamedTuple):
    """An adapter: its folder, and the module by which its host shows in an interpreter.

    Where ``sign`` is None it is only used when it is asked for by name.
    """

    folder: str
    sign: Optional[str]
    #: Beginnings of the names of programs that are the host, whose module scripts have to import
    #: themselves: the first script of such a process shows nothing else.
    programs: Tuple[str, ...] = ()


#: The adapters by the name of their kind of host; a process that shows more than one sign is that
#: of the first whose adapter says so.
ADAPTERS = {
    "maya": Known("maya", "maya", ("maya",)),
    "houdini": Known("houdini", "hou"),
    "3dsmax": Known("max", "pymxs", ("3dsmax",)),
    "blender": Known("blender", "bpy"),
    "qt": Known("qt", None),
    "standalone": Known("standalone", None),
}
#: What an interpreter is that shows none of them.
OTHERWISE = "standalone"


def load_adapter(name: Optional[str]) -> HostAdapter:
    """Return the adapter called ``name``, or of the host that this interpreter runs in."""
    if name is None:
        name = _detect()
    elif name not in ADAPTERS:
        raise ConfigError(
            "There is no adapter {!r}; there are {}".format(name, ", ".join(ADAPTERS))
        )
    module = _module(name)
    if module is None:
        raise StartError("The adapter for {} is missing in this installation".format(name))
    host: HostAdapter = module.create()
    return host


def _detect() -> str:
    for name, known in ADAPTERS.items():
        if known.sign is not None and _shows(known.sign, known.programs):
            module = _module(name)
            if module is not None and module.detect():
                return name
    return OTHERWISE


def _shows(sign: str, programs: Tuple[str, ...]) -> bool:
    """Return whether the module is loaded; in one of its programs it is loaded then."""
    if sign in sys.modules:
        return True
    if not ntpath.basename(sys.executable or "").lower().startswith(programs or ("/",)):
        return False
    try:
        importlib.import_module(sign)
    except ImportError:
        return False
    return True


def _module(name: str) -> Any:
    """Return an adapter's package, None where its folder is not there."""
    folder = "...adapters." + ADAPTERS[name].folder
    full = resolve_name(folder, __name__)
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as missing:
        if missing.name != full:
            raise
        return None
