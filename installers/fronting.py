"""What a dropped file does with the payload's own code: install, say it, start the server."""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any, Callable, Mapping, Optional

from ..errors import ConfigError
from . import api

__all__ = ["install"]


def install(
    host: str,
    archive: str,
    digest: str,
    target: Optional[str],
    say: Callable[[str], None],
) -> bool:
    """Install ``archive`` into the running host's user folder; start it if none of ours runs.

    ``target``: the user folder, None: that of the running host, or, in no host, every one that is
    there. Host's main thread. Return whether all of it was done.
    """
    user = target or _ASK.get(host, _nothing)()
    try:
        report = api.install(host, target=user, archive=archive, digest=digest)
    except ConfigError as error:
        say("was not installed: {}".format(error))
        return False
    for folder in report["folders"]:
        _tell(folder, say)
        running = sys.modules.get("dcc_mcp_embed")
        if running is None and user is not None and target is None:
            runpy.run_path(os.path.join(folder["root"], "boot.py"))["boot"](host)
        elif running is not None:
            say("{} runs here until this host is closed".format(_version(running)))
    return bool(report["success"])


def _tell(folder: Mapping[str, Any], say: Callable[[str], None]) -> None:
    changed = [one for one in folder["operations"] if one["status"] != "kept"]
    if not changed:
        say("{} is installed in {} already".format(folder["current"], folder["root"]))
        return
    say("{} was installed in {}".format(folder["current"], folder["root"]))
    for one in folder["operations"]:
        if one["status"] != "done":
            say("still to go: {} {}".format(one["text"], one.get("detail", "")).rstrip())


def _version(module: Any) -> str:
    return str(getattr(module, "__version__", "another version"))


def _maya() -> Optional[str]:
    if "maya.cmds" not in sys.modules:
        return None
    import maya.cmds as cmds

    return os.path.normpath(str(cmds.internalVar(userAppDir=True)))


def _houdini() -> Optional[str]:
    if "hou" not in sys.modules:
        return None
    import hou

    return os.path.normpath(str(hou.homeHoudiniDirectory()))


def _max() -> Optional[str]:
    if "pymxs" not in sys.modules:
        return None
    import pymxs

    runtime = pymxs.runtime
    return os.path.dirname(os.path.normpath(str(runtime.getDir(runtime.Name("userScripts")))))


def _blender() -> Optional[str]:
    if "bpy" not in sys.modules:
        return None
    import bpy

    return os.path.normpath(str(bpy.utils.resource_path("USER")))


def _nothing() -> Optional[str]:
    return None


#: Host -> what asks it for its user folder, from inside.
_ASK: Mapping[str, Callable[[], Optional[str]]] = {
    "maya": _maya,
    "houdini": _houdini,
    "3dsmax": _max,
    "blender": _blender,
}
