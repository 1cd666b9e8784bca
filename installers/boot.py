"""The stable part in a host's user folder: find the current version, have it clean up and start.

Copied as it stands to ``<root>/boot.py``, and run from there by the one file that the host finds
(``bootstraps``). It knows nothing of any version but where it lies, imports nothing of ours by
itself, touches no ``sys.path`` and never raises into the host: what happened is one line.

Parsed by Python 2 too, where a host may still run it, so that it can say so.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType  # noqa: F401
    from typing import Any, Callable, Mapping, Optional  # noqa: F401

__all__ = ["boot", "load"]

PACKAGE = "dcc_mcp_embed"
#: While it is there, this root is to go: a path a line of what is outside it and ours:
#: files, then folders that were made for them.
LEAVING = "leaving.txt"


def boot(host, root=None):
    # type: (str, Optional[str]) -> bool
    """Start ``host``'s server from ``root`` (None: where this file is); return whether it did.

    Host's main thread, while it starts. Raises nothing.
    """
    try:
        if sys.version_info < (3, 7):  # noqa: UP036
            say("needs Python 3.7 or later; this host runs {}.{}".format(*sys.version_info[:2]))
            return False
        root = os.path.dirname(os.path.abspath(__file__)) if root is None else root
        package = load(root)
        if package is not None and _NO_WINDOW.get(host, bool)():
            # A farm's, or that of a script, which can import us now. Nothing begins by itself.
            return False
        if package is None:
            if os.path.exists(os.path.join(root, LEAVING)):
                leave(root)
            else:
                say("is not installed in {} any more".format(root))
            return False
        from importlib import import_module

        startup = import_module(package.__name__ + ".installers.startup")
        return bool(startup.begin(host, root, package, say))
    except (Exception, SystemExit) as error:
        say("did not start: {}: {}".format(type(error).__name__, error))
        return False


#: Host -> whether it runs without a window. It has loaded its own modules long before.
_NO_WINDOW = {
    "maya": lambda: "maya.cmds" in sys.modules and sys.modules["maya.cmds"].about(batch=True),
    "blender": lambda: "bpy" in sys.modules and sys.modules["bpy"].app.background,
}  # type: Mapping[str, Callable[[], Any]]


def say(text):
    # type: (str) -> None
    """Write one line where the host shows what scripts write."""
    try:
        sys.stdout.write("dcc_mcp_embed {}\n".format(text))
    except Exception:
        # A host without a console may have no stream, or a closed one: there is nobody to tell.
        return


def load(root):
    # type: (str) -> Optional[ModuleType]
    """Return the package of the current version of ``root``; None if there is no version.

    One that is loaded already stays: there is one in a process.
    """
    if PACKAGE in sys.modules:
        return sys.modules[PACKAGE]
    folder = _current(root)
    if folder is None:
        return None
    from importlib.util import module_from_spec, spec_from_file_location

    where = os.path.join(folder, PACKAGE)
    spec = spec_from_file_location(
        PACKAGE, os.path.join(where, "__init__.py"), submodule_search_locations=[where]
    )
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    sys.modules[PACKAGE] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[PACKAGE]
        raise
    return module


def _current(root):
    # type: (str) -> Optional[str]
    versions = os.path.join(root, "versions")
    try:
        with open(os.path.join(root, "current.txt")) as stream:
            name = stream.read(200).strip()
    except (OSError, ValueError):
        name = ""
    folder = os.path.join(versions, name)
    if name and os.path.basename(name) == name and _is_whole(folder):
        return folder
    try:
        names = sorted(os.listdir(versions))
    except OSError:
        names = []
    whole = [os.path.join(versions, one) for one in names if one[:1].isdigit()]
    whole = [one for one in whole if _is_whole(one)]
    return whole[-1] if whole else None


def _is_whole(folder):
    # type: (str) -> bool
    # Written last when a version is put together, and the folder has its name only then.
    return os.path.isfile(os.path.join(folder, "payload.json"))


def leave(root):
    # type: (str) -> None
    """Delete what is left of a root that was uninstalled, and what leads to it."""
    import shutil

    with open(os.path.join(root, LEAVING), "rb") as stream:
        lines = stream.read().decode("utf-8").splitlines()
    for path in lines:
        if os.path.isfile(path) and PACKAGE in os.path.basename(path):
            os.unlink(path)
    shutil.rmtree(root)
    for path in lines:
        if os.path.isdir(path) and not os.listdir(path):
            os.rmdir(path)
    say("was uninstalled; nothing is left of it in {}".format(root))
