"""The example of how the client is used: where it lies, the server that it wants, what it says."""

from __future__ import annotations

import os

import helpers

__all__ = ["FOLDER", "SAID", "TOOLS", "URL"]

FOLDER = os.path.join(helpers.TESTS, "mcp", "examples")
#: Where the examples look for their server.
URL = "http://localhost:8000/mcp"
TOOLS = '''
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker", read_only=True)
def web_search(query: str) -> str:
    """Search.

    Args:
        query: What for.
    """
    return "found " + query
'''
SAID = [
    "plugin exa-search: inactive -> active",
    "True",
    "found ...",
    "plugin exa-search: active -> inactive",
]
