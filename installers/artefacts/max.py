"""3ds Max: an .mzp to drop on the viewport."""

from __future__ import annotations

from .parts import Files, Parts, front, text

__all__ = ["make"]


def make(parts: Parts) -> Files:
    return {
        "mzp.run": text(_MZP),
        "install.ms": text(_INSTALL),
        "install.py": front("3dsmax", parts),
        parts.archive_name: parts.archive,
    }


#: ``drop`` is what a drop on the viewport runs, ``run`` what opening it does: the same, once.
_MZP = """\
name "dcc_mcp_embed"
description "An MCP server inside 3ds Max"
version 1
run "install.ms"
drop "install.ms"
clear temp on MAX exit
"""
_INSTALL = """\
(
    local here = getFilenamePath (getSourceFileName())
    if isProperty python "executeFile" then (
        python.execute ("import sys; sys._dcc_mcp_embed_install = True")
        python.executeFile (here + "install.py")
    ) else messageBox "dcc_mcp_embed needs the Python of 3ds Max 2022 or later."
)
"""
