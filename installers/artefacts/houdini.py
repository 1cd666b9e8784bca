"""Houdini: a folder with a script for hython or the Python shell."""

from __future__ import annotations

from .parts import Files, Parts, front, text

__all__ = ["make"]


def make(parts: Parts) -> Files:
    folder = parts.folder("houdini")
    return {
        folder + "install.py": front("houdini", parts),
        folder + parts.archive_name: parts.archive,
        folder + "README.txt": text(_README),
    }


_README = """\
Unpack this folder. Then either run, in a terminal,

    hython install.py

or, in Houdini's Python shell (Windows > Python Shell), the one line

    import runpy; runpy.run_path(r"PATH OF THIS FOLDER/install.py")["install"]()

Houdini cannot be made to install something by a drop alone: of a file that it does not know it
tries to make a scene. Nothing of your own files is changed.
"""
