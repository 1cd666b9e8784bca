"""What a dropped file does with the payload's own code: install, say it, start the server."""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any, Callable, Mapping, Optional

from ..errors import ConfigError
from . import api, hosts
from .root import FOLDER, Root

__all__ = ["install"]


def install(
    host: str,
    archive: str,
    digest: str,
    target: Optional[str],
    say: Callable[[str], None],
) -> bool:
    """Install ``archive`` into the running host's user folders; start it if none of ours runs.

    ``target``: the user folder, None: what the running host has, or, in no host, every one that is
    there. Host's main thread. Return whether all of it was done.
    """
    try:
        user = target or _ASK.get(host, _nothing)()
    except ConfigError as error:
        say("was not installed: {}".format(error))
        return False
    user = None if user is None else os.path.normpath(user)
    done = _into(host, user, archive, digest, say)
    if user is None or target is not None:
        return done
    root = os.path.join(user, FOLDER)
    loaded = sys.modules.get("dcc_mcp_embed")
    if loaded is not None:
        _tell_of(loaded, root, say)
    elif done:
        runpy.run_path(os.path.join(root, "boot.py"))["boot"](host)
    for other in hosts.others(hosts.find(host), user, os.environ):
        done = _into(host, other, archive, digest, say) and done
    return done


def _into(
    host: str, user: Optional[str], archive: str, digest: str, say: Callable[[str], None]
) -> bool:
    try:
        report = api.install(host, target=user, archive=archive, digest=digest)
    except ConfigError as error:
        say("was not installed: {}".format(error))
        return False
    for folder in report["folders"]:
        _tell(folder, say)
    return bool(report["success"])


def _tell_of(loaded: Any, root: str, say: Callable[[str], None]) -> None:
    place: Any = sys.modules.get("dcc_mcp_embed.embed.place")
    server = None if place is None else place.PLACE.server
    from_where = "{}, from {}".format(_version(loaded), os.path.dirname(str(loaded.__file__)))
    if server is None and _is_current(loaded, root):
        # It is about to start: 3ds Max may do what a package says twice.
        return
    if server is None:
        say("{}, is loaded here until this host is closed".format(from_where))
    else:
        say(
            "{}, goes on serving at {} until this host is closed".format(
                from_where, server.plain_url
            )
        )


def _is_current(loaded: Any, root: str) -> bool:
    """Return whether a module is of the version that the next start has as well."""
    ours = Root(root)
    where = os.path.dirname(os.path.dirname(os.path.abspath(str(loaded.__file__))))
    current = ours.folder_of(ours.current() or "")
    return os.path.normcase(where) == os.path.normcase(os.path.abspath(current))


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
