"""Which tools a server has: its own, those of its host, of its caller and of the user's folder."""

from __future__ import annotations

import os
from typing import Any, Callable, Sequence

from ..errors import ConfigError
from ..host.adapter import HostAdapter
from ..tools import code, control, loader, scene
from ..tools.table import ToolTable

__all__ = ["add", "add_folder", "add_module", "add_own"]

#: Below the user's data directory: every Python file in it is loaded at start.
TOOLS_FOLDER = "tools"


def add_own(table: ToolTable, adapter: HostAdapter) -> None:
    """Add the tools that every host has, and those that only this one has. Host's main thread."""
    for module in [control, scene, code, *adapter.tool_modules()]:
        table.add_module(module)


def add(table: ToolTable, wanted: Sequence[Any]) -> None:
    """Add the tools of modules, module names or files. Raises ConfigError, what a file raises."""
    for one in wanted:
        add_module(table, loader.load(one) if isinstance(one, str) else one)


def add_module(table: ToolTable, module: Any) -> int:
    """Add the tools declared in ``module``; return how many. Any thread. Raises ConfigError."""
    count = table.add_module(module)
    if not count:
        raise ConfigError(
            "{} declares no tool; mark its functions with @dcc_mcp_embed.tool".format(
                getattr(module, "__name__", module)
            )
        )
    return count


def add_folder(table: ToolTable, data_dir: str, problem: Callable[[str], None]) -> None:
    """Add what is in the user's folder; what cannot be used goes to ``problem(text)``.

    Somebody's broken file must not keep the host from starting. Reads files on the calling thread.
    """
    folder = os.path.join(data_dir, TOOLS_FOLDER)
    if not os.path.isdir(folder):
        return
    found, skipped = loader.load_folder(folder)
    for one in skipped:
        problem(str(one))
    for module in found:
        try:
            add_module(table, module)
        except ConfigError as error:
            # No tool in it, or one whose name is taken.
            problem("{}: {}".format(module.__file__, error))
