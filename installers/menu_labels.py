"""What our menu in a host is called, and its entries."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

__all__ = ["ENTRIES", "TITLE"]

TITLE = "MCP"
#: Key -> label, in the order of the menu.
ENTRIES: Mapping[str, str] = {
    "switch": "Start or Stop the Server",
    "status": "Status",
    "copy": "Copy Client Configuration",
    "log": "Log",
    "uninstall": "Uninstall...",
}
