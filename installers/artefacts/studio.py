"""A studio: one folder for a share or a Rez repository, read-only, with no user folder touched.

It is laid out as a user folder is, so the same texts work in it: each finds the rest from where it
stands. Only nothing is swept in it: which versions are there is the studio's.
"""

from __future__ import annotations

from typing import Dict

from .. import bootstraps, hosts, manifest
from ..boot import SHARED
from .parts import Files, Parts, text

__all__ = ["make"]


def make(parts: Parts) -> Files:
    top = parts.folder("studio")
    root = top + "dcc_mcp_embed/"
    folder = "{}versions/{}/".format(root, parts.listed.name)
    files: Files = {folder + path: _read(source) for path, source in parts.files.items()}
    files[folder + manifest.MANIFEST] = manifest.render(parts.listed)
    files[root + "current.txt"] = text(parts.listed.name + "\n")
    files[root + SHARED] = text(_SHARED)
    files.update({root + path: data for path, data in _in_root().items()})
    for host in hosts.HOSTS.values():
        for file in host.files:
            files[top + file.path] = bootstraps.text(file.text)
    files[top + "package.py"] = text(_REZ.format(version=parts.version))
    files[top + "README.txt"] = text(_README.format(version=parts.version))
    return files


def _in_root() -> Dict[str, bytes]:
    found: Dict[str, bytes] = {}
    for key in hosts.HOSTS:
        found.update(bootstraps.in_root(key))
    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


_SHARED = "The versions in this folder are a studio's: no start of a host removes one.\n"
_REZ = """\
name = "dcc_mcp_embed"
version = "{version}"
description = "An MCP server inside Maya, Houdini, 3ds Max and Blender"


def commands():
    env.MAYA_MODULE_PATH.append("{{root}}/modules")
    env.HOUDINI_PACKAGE_DIR.append("{{root}}/packages")
    env.ADSK_3DSMAX_STARTUPSCRIPTS_ADDON_DIR.append("{{root}}/scripts/startup")
"""
_README = """\
Put this folder where every machine can read it, and add to a variable of each host:

    Maya       MAYA_MODULE_PATH                       <this folder>/modules
    Houdini    HOUDINI_PACKAGE_DIR                    <this folder>/packages
    3ds Max    ADSK_3DSMAX_STARTUPSCRIPTS_ADDON_DIR   <this folder>/scripts/startup

Blender has no such variable in all versions; whatever starts it adds the arguments

    --python <this folder>/scripts/startup/dcc_mcp_embed_startup.py

or, for Blender 4.2 and later, sets BLENDER_SYSTEM_SCRIPTS to <this folder>/scripts. (With
BLENDER_USER_SCRIPTS it would start as well, but without the add-ons and presets of each user.)

Rez: rename this folder to {version}, put it into a folder "dcc_mcp_embed" of your repository of
packages, and request dcc_mcp_embed; package.py adds to the three variables.

Nothing is written here by any host. An upgrade is another folder, or another version beside this
one and another name in dcc_mcp_embed/current.txt.

Start each kind of host once while the folder can be written: Python keeps there what it compiles.
Without that each start takes a third of a second longer.
"""
