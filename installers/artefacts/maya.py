"""Maya: a folder with a script to drop on the viewport."""

from __future__ import annotations

from .parts import Files, Parts, front, stem, text

__all__ = ["make"]


def make(parts: Parts) -> Files:
    folder = parts.folder("maya")
    script = "install_dcc_mcp_embed_{}.py".format(stem(parts.version))
    return {
        folder + script: front("maya", parts),
        folder + parts.archive_name: parts.archive,
        folder + "README.txt": text(_README.format(script=script)),
    }


_README = """\
Unpack this folder, then drop {script} on Maya's viewport.

The file beside it must stay beside it. What was installed, and the address for your AI client, is
written to the Script Editor. Nothing of your own files is changed; drop a newer one to upgrade.
If nothing happens when you drop it, Maya may be running as administrator: Windows forbids the drop.
"""
