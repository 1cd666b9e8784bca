"""The tools that are measured: one echo on each of the three threads a tool can run on."""

from __future__ import annotations

import dcc_mcp_embed


@dcc_mcp_embed.tool(thread="loop", read_only=True)
def echo_loop(text: str) -> str:
    """Return the text, on the loop thread.

    Args:
        text: What to return.
    """
    return text


@dcc_mcp_embed.tool(thread="worker", read_only=True)
def echo_worker(text: str) -> str:
    """Return the text, on the worker thread.

    Args:
        text: What to return.
    """
    return text


@dcc_mcp_embed.tool(thread="main", read_only=True)
def echo_main(text: str) -> str:
    """Return the text, on the main thread.

    Args:
        text: What to return.
    """
    return text
