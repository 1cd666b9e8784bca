"""Which tools a server has: its own, its host's, its caller's, the user's and installed ones."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any, Callable, Sequence

from ..errors import ConfigError
from ..host.adapter import HostAdapter
from ..tools import code, control, loader, scene
from ..tools.backend import SceneBackend
from ..tools.scene_write import creating
from ..tools.table import ToolTable

__all__ = ["add", "add_found", "add_module", "add_own"]

#: Below the user's data directory: every Python file in it is loaded at start.
TOOLS_FOLDER = "tools"

#: Of what a name of a module or file is.
_NAMES = (str, os.PathLike)


def add_own(table: ToolTable, adapter: HostAdapter, backend: SceneBackend) -> None:
    """Add the tools that every host has, and those that only this one has. Host's main thread."""
    shared = SimpleNamespace(**vars(scene))
    kinds = getattr(backend, "kinds", ())
    if kinds:
        shared.create_object = creating(kinds)
    for module in [control, shared, code, *adapter.tool_modules()]:
        table.add_module(module)


def add(table: ToolTable, wanted: Sequence[Any]) -> None:
    """Add the tools of modules, module names or files. Raises ConfigError, what a file raises."""
    if isinstance(wanted, _NAMES):
        raise ConfigError("tools is {0!r}; it takes a list, such as [{0!r}]".format(str(wanted)))
    for one in wanted:
        add_module(table, loader.load(os.fspath(one)) if isinstance(one, _NAMES) else one)


def add_module(table: ToolTable, module: Any) -> int:
    """Add the tools declared in ``module``; return how many. Any thread. Raises ConfigError."""
    if not hasattr(module, "__dict__"):
        raise ConfigError("{!r} is no module, and can hold no tools".format(module))
    count = table.add_module(module)
    if not count:
        raise ConfigError(
            "{} declares no tool; mark its functions with @dcc_mcp_embed.tool".format(
                getattr(module, "__name__", module)
            )
        )
    return count


def add_found(table: ToolTable, data_dir: str, problem: Callable[[str], None]) -> None:
    """Add what is in the user's folder, and what installed distributions offer.

    What cannot be used goes to ``problem(text)``: somebody's broken file must not keep the host
    from starting. Reads files on the calling thread.
    """
    folder = os.path.join(data_dir, TOOLS_FOLDER)
    for modules, skipped in (loader.load_folder(folder), loader.load_entry_points(sys.path)):
        for one in skipped:
            problem(str(one))
        for module in modules:
            try:
                add_module(table, module)
            except ConfigError as error:
                # No tool in it, or one whose name is taken.
                file = getattr(module, "__file__", None) or module.__name__
                problem("{}: {}".format(file, error))
