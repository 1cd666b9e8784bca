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
#: The path goes to Python as a value: no folder's name can break a line of code. ``runpy`` does not
#: run it as ``__main__``, which would end in ``sys.exit``, and with it 3ds Max.
_INSTALL = """\
-- Installs dcc_mcp_embed. It may be run twice: the second time there is nothing to do.
(
    global dccMcpEmbedHere = getFilenamePath (getSourceFileName())
    if isProperty python "execute" then
        python.execute "__import__('runpy').run_path(__import__('pymxs').runtime.dccMcpEmbedHere + \
'install.py')['install']()"
    else
        messageBox "dcc_mcp_embed needs the Python of 3ds Max 2021 or later."
)
"""
