"""A client for any MCP server: ``from dcc_mcp_embed.mcp import mcp_client, MCPPluginConfig``.

Names are loaded when they are asked for: the command line uses a part of this only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .facade import MCPClientFacade
    from .metrics import ToolMetrics
    from .records import (
        MCPError,
        MCPPluginConfig,
        PluginStatus,
        SessionInfo,
        StatusCallback,
        ToolCacheEntry,
    )
    from .settings import MCPSettings

    mcp_client: MCPClientFacade

__all__ = [
    "MCPClientFacade",
    "MCPError",
    "MCPPluginConfig",
    "MCPSettings",
    "PluginStatus",
    "SessionInfo",
    "StatusCallback",
    "ToolCacheEntry",
    "ToolMetrics",
    "mcp_client",
]

_WHERE = {
    "MCPClientFacade": "facade",
    "MCPSettings": "settings",
    "ToolMetrics": "metrics",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    if name == "mcp_client":
        # The one that a program shares; whoever wants another makes it.
        value = import_module(".facade", __name__).MCPClientFacade()
    else:
        value = getattr(import_module("." + _WHERE.get(name, "records"), __name__), name)
    # Two threads may ask at once: both get the first one's.
    return globals().setdefault(name, value)


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
