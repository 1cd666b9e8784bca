"""Put 3ds Max's modules into this interpreter, and take them out again."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Dict, Iterator

from . import allowed, contexts
from .host import MaxHost
from .runtime import Runtime
from .values import MXSWrapperBase

__all__ = ["install"]

#: What ``sys.executable`` is there: starting it would start 3ds Max.
PROGRAM = "C:\\Program Files\\Autodesk\\3ds Max {}\\{}.exe"


class _Module(ModuleType):
    """A module with nothing but what is in a list."""

    _host: Any = None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and self._host is not None:
            text = "{}.{} is not in the list of what there is".format(self.__name__, name)
            raise AttributeError(str(self._host.faults.wrong(text)))
        raise AttributeError(name)


def _pymxs(host: MaxHost) -> ModuleType:
    module = _Module("pymxs")

    def context(name: str) -> Any:
        return lambda *arguments: contexts.CONTEXTS[name](host, *arguments)

    def run_undo() -> None:
        host.faults.on_main_thread("pymxs.run_undo")
        host.undo()

    def run_redo() -> None:
        host.faults.on_main_thread("pymxs.run_redo")
        host.redo()

    def print_(text: Any, *_: Any) -> None:
        host.faults.on_main_thread("pymxs.print_")
        print(text, end="")

    module.__dict__.update({name: context(name) for name in contexts.CONTEXTS})
    module.__dict__.update(
        run_undo=run_undo,
        run_redo=run_redo,
        print_=print_,
        runtime=Runtime(host),
        MXSWrapperBase=MXSWrapperBase,
    )
    public = {name for name in module.__dict__ if not name.startswith("_")}
    assert public <= set(allowed.CONTEXTS), public - set(allowed.CONTEXTS)
    module._host = host
    return module


def _qtmax(host: MaxHost) -> ModuleType:
    module = _Module("qtmax")

    def main_window() -> Any:
        host.faults.on_main_thread("qtmax.GetQMaxMainWindow")
        return host.main_window

    # Autodesk's documentation of the module qtmax.
    module.__dict__["GetQMaxMainWindow"] = main_window
    module._host = host
    return module


@contextmanager
def install(batch: bool = False, year: int = 2025) -> Iterator[MaxHost]:
    """Have 3ds Max in this interpreter; this thread is its main one. Yield the host.

    At the end whatever was called wrongly, or left behind, fails.
    """
    host = MaxHost(batch, year)
    modules: Dict[str, ModuleType] = {"pymxs": _pymxs(host)}
    if not batch:
        modules["qtmax"] = _qtmax(host)
    assert not set(modules) & set(sys.modules), "there is a 3ds Max already"
    program = sys.executable
    sys.modules.update(modules)
    sys.executable = PROGRAM.format(year, "3dsmaxbatch" if batch else "3dsmax")
    try:
        yield host
    finally:
        sys.executable = program
        for name in modules:
            sys.modules.pop(name, None)
    host.check()
