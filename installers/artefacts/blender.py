"""Blender: an extension (4.2 and later) and an add-on (before), installed by Blender itself.

Blender keeps, upgrades and removes it. So the payload lies in the add-on's own folder, and nothing
of ours is anywhere else.
"""

from __future__ import annotations

import re
from typing import Tuple

from ...errors import ConfigError
from .. import manifest
from .parts import Files, Parts, text

__all__ = ["make_addon", "make_extension"]

FOLDER = "dcc_mcp_embed_blender"
#: Of PEP 440 what a semantic version can say in the same order.
_VERSION = re.compile(r"([0-9]+(?:\.[0-9]+){0,2})(?:(a|b|rc|\.dev)([0-9]+))?\Z")


def make_extension(parts: Parts) -> Files:
    """Return the files. Raises ConfigError for a version that Blender takes in no form."""
    files = _inside(parts)
    numbers, before = _semantic(parts.version)
    version = ".".join(str(number) for number in numbers) + before
    files["blender_manifest.toml"] = text(_MANIFEST.format(version=version))
    return files


def make_addon(parts: Parts) -> Files:
    return {"{}/{}".format(FOLDER, path): data for path, data in _inside(parts).items()}


def _inside(parts: Parts) -> Files:
    files: Files = {}
    for path, source in parts.files.items():
        with open(source, "rb") as stream:
            files[path] = stream.read()
    files[manifest.MANIFEST] = manifest.render(parts.listed)
    version = "{}, {}, {}".format(*_semantic(parts.version)[0])
    files["__init__.py"] = text(_ADDON.replace("VERSION", version))
    return files


def _semantic(version: str) -> Tuple[Tuple[int, ...], str]:
    """Return a version's three numbers, and what follows them in a semantic version."""
    match = _VERSION.match(version)
    if match is None:
        raise ConfigError(
            "Blender takes semantic versions only, and {!r} is none, nor like 1.2.3, 1.2.3rc1 or "
            "1.2.3.dev1".format(version)
        )
    numbers = [int(number) for number in match.group(1).split(".")]
    kind, number = match.group(2), match.group(3)
    # A number sorts before every word: what is developed comes before its first release.
    before = "-{}.{}".format(kind.replace(".dev", "0.dev"), int(number)) if kind else ""
    return tuple((numbers + [0, 0])[:3]), before


_MANIFEST = """\
schema_version = "1.0.0"
id = "dcc_mcp_embed"
version = "{version}"
name = "dcc_mcp_embed"
tagline = "An MCP server inside Blender, for AI agents"
maintainer = "dcc_mcp_embed contributors"
type = "add-on"
blender_version_min = "4.2.0"
license = ["SPDX:MIT"]

[permissions]
network = "Serve AI clients on this machine (127.0.0.1)"
files = "Keep the user's secret, and the list of running hosts"
"""

_ADDON = '''\
"""An MCP server inside Blender: enable it, and it serves."""

import importlib
import importlib.util
import os
import sys

import bpy

bl_info = {
    "name": "dcc_mcp_embed",
    "author": "dcc_mcp_embed contributors",
    "version": (VERSION),
    "blender": (2, 93, 0),
    "location": "Runs by itself",
    "description": "An MCP server inside Blender, for AI agents",
    "category": "System",
}

PACKAGE = "dcc_mcp_embed"


def register():
    """Load the package; start its server as soon as Blender lets add-ons at its data.

    Without a window nothing starts by itself: a script of the user's calls start() there, and
    serve_forever() on what it returns.
    """
    try:
        _package()
    except Exception as error:
        print("dcc_mcp_embed could not be loaded: {}".format(error))
        return
    if not bpy.app.background:
        # Opening a file, also the one that Blender is started with, drops all other timers.
        bpy.app.timers.register(_start, first_interval=0.0, persistent=True)


def _start():
    try:
        server = _package().start()
    except Exception as error:
        print("dcc_mcp_embed did not start: {}".format(error))
    else:
        print("dcc_mcp_embed serves at {}".format(server.plain_url))
    _menu("put_up", PACKAGE + ".adapters.blender.menu")


def _menu(act, *arguments):
    """Show our menu, or take it away. Without it all else works."""
    try:
        entries = importlib.import_module(PACKAGE + ".installers.menu_entries")
        getattr(entries, act)("blender", *arguments)
    except Exception as error:
        print("dcc_mcp_embed: its menu: {}".format(error))


def unregister():
    """Stop the server, and leave nothing of it loaded."""
    if bpy.app.timers.is_registered(_start):
        bpy.app.timers.unregister(_start)
    package = sys.modules.get(PACKAGE)
    if package is None or not _is_ours(package):
        return
    _menu("take_down")
    package.stop()
    for name in [one for one in list(sys.modules) if one.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def _here():
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), PACKAGE)


def _is_ours(package):
    return os.path.normcase(os.path.dirname(package.__file__)) == os.path.normcase(_here())


def _package():
    """Return the package, under its own name, so that tools of the user can import it too."""
    if PACKAGE in sys.modules:
        return sys.modules[PACKAGE]
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(_here(), "__init__.py"), submodule_search_locations=[_here()]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[PACKAGE]
        raise
    return module
'''
