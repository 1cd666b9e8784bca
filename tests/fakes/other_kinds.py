"""A resource, a template, a prompt and a tool that points: for a host in any process."""

from __future__ import annotations

import os

import dcc_mcp_embed


@dcc_mcp_embed.prompt(complete={"who": ["anna", "anton", "berta"]})
def greet(who: str) -> str:
    """Greet somebody."""
    return "Hello " + who


@dcc_mcp_embed.resource_template("test://greeting/{who}", complete={"who": ["anna", "berta"]})
def greeting(who: str) -> str:
    """A greeting."""
    return "Hello " + who


@dcc_mcp_embed.resource("test://slow", thread="worker")
def slow():
    """Say how far it is."""
    yield dcc_mcp_embed.Progress(1, 2, "half")
    return "slow"


@dcc_mcp_embed.resource("test://pid")
def pid() -> str:
    """Who it is."""
    return str(os.getpid())


@dcc_mcp_embed.tool()
def points():
    """Point to a resource."""
    return dcc_mcp_embed.Link("test://pid", "pid")
