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
    try:
        user = target or _ASK.get(host, _nothing)()
        user = None if user is None else os.path.normpath(user)
        report = api.install(host, target=user, archive=archive, digest=digest)
    except ConfigError as error:
        say("was not installed: {}".format(error))
        return False
    for folder in report["folders"]:
        _tell(folder, say)
        running = sys.modules.get("dcc_mcp_embed")
        if running is None and user is not None and target is None:
            runpy.run_path(os.path.join(folder["root"], "boot.py"))["boot"](host)
        elif running is not None and not _is_current(running, folder):
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


def _is_current(module: Any, folder: Mapping[str, Any]) -> bool:
    """Return whether a module is of the version that the next start has as well."""
    current = os.path.join(folder["root"], "versions", folder["current"] or "")
    where = os.path.dirname(os.path.dirname(os.path.abspath(module.__file__ or "")))
    return os.path.normcase(where) == os.path.normcase(os.path.abspath(current))


def _version(module: Any) -> str:
    return str(getattr(module, "__version__", "another version"))


def _maya() -> Optional[str]:
    commands: Any = sys.modules.get("maya.cmds")
    return None if commands is None else str(commands.internalVar(userAppDir=True))


def _houdini() -> Optional[str]:
    hou: Any = sys.modules.get("hou")
    return None if hou is None else str(hou.homeHoudiniDirectory())


def _max() -> Optional[str]:
    module: Any = sys.modules.get("pymxs")
    if module is None:
        return None
    scripts, startup = (
        os.path.normpath(str(module.runtime.getDir(module.runtime.Name(name))))
        for name in ("userScripts", "userStartupScripts")
    )
    user = os.path.dirname(scripts)
    # Both can be put elsewhere in its settings: then what we write there would never be run.
    if os.path.normcase(startup) != os.path.normcase(os.path.join(user, "scripts", "startup")):
        raise ConfigError(
            "3ds Max runs the start-up scripts of {}, and not of {}. Use the studio's folder and "
            "ADSK_3DSMAX_STARTUPSCRIPTS_ADDON_DIR".format(startup, os.path.join(user, "scripts"))
        )
    return user


def _blender() -> Optional[str]:
    module: Any = sys.modules.get("bpy")
    return None if module is None else str(module.utils.resource_path("USER"))


def _nothing() -> Optional[str]:
    return None


#: Host -> what asks it for its user folder, from inside: it has loaded its own module long before.
_ASK: Mapping[str, Callable[[], Optional[str]]] = {
    "maya": _maya,
    "houdini": _houdini,
    "3dsmax": _max,
    "blender": _blender,
}
