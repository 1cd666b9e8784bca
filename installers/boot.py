"""The stable part in a host's user folder: find the current version, have it clean up and start.

Copied as it stands to ``<root>/boot.py``, and run from there by the one file that the host finds
(``bootstraps``). It knows nothing of any version but where it lies, imports nothing of ours by
itself, touches no ``sys.path`` and never raises into the host: what happened is one line.

Parsed by Python 2 too, where a host may still run it, so that it can say so.
"""

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType  # noqa: F401
    from typing import Any, Callable, List, Mapping, Optional, Tuple  # noqa: F401

__all__ = ["boot", "is_within", "load", "strangers"]

PACKAGE = "dcc_mcp_embed"
#: While it is there, this root is to go: a path a line of what is outside it and ours, as seen
#: from the folder that the root is in: files, then folders that were made for them.
LEAVING = "leaving.txt"
#: While it is there, nobody cleans up here: a studio's folder, for many machines.
SHARED = "shared.txt"
_MOST = 65536
#: What may lie in a root; with anything else in it, it is not removed as a whole.
NAMES = [
    "__pycache__",
    # Of an archive that was unpacked by the host.
    "README.txt",
    "boot.py",
    "bridge.py",
    "current.txt",
    "houdini",
    LEAVING,
    "made.txt",
    "max_start.py",
    "module",
    SHARED,
    "versions",
    # What file managers leave.
    ".DS_Store",
    "desktop.ini",
    "Thumbs.db",
]
#: What flock says where nothing can be locked.
_NO_LOCKS = [
    getattr(errno, name, 0) for name in ("ENOLCK", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS")
]


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
    """Write one line where the host shows what scripts write, with escapes for what it cannot."""
    line = "dcc_mcp_embed {}\n".format(text)
    try:
        try:
            sys.stdout.write(line)
        except UnicodeError:
            sys.stdout.write(line.encode("ascii", "backslashreplace").decode("ascii"))
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
    folder, lease = _choose(root)
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
    # Held until this process ends: whoever cleans up sees by it that the version is in use.
    module.__dict__["_lease"] = (lease, folder)
    sys.modules[PACKAGE] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Else what is put right meanwhile would find pieces of what was damaged.
        for name in [one for one in list(sys.modules) if one.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        if lease is not None:
            os.close(lease)
        raise
    return module


def _choose(root):
    # type: (str) -> Tuple[Optional[str], Optional[int]]
    """Return the folder of the current version, and the open file that shows it to be in use."""
    import time

    folder = None
    for _ in range(20):
        folder = _current(root)
        if folder is None or os.path.exists(os.path.join(root, SHARED)):
            return folder, None
        lease = _hold(folder)
        if lease is not None:
            return folder, lease
        # Somebody looks at it, or removes it: then another one is current by now.
        time.sleep(0.01)
    return folder, None


def _hold(folder):
    # type: (str) -> Optional[int]
    """Return the open file that shows a version to be in use; None if somebody has it alone."""
    path = os.path.join(folder, "payload.json")
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        import fcntl
    except ImportError:
        # Windows: a folder with an open file below is not moved, which is how it is removed.
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # What was removed before it was locked keeps nobody out.
        there = os.path.samestat(os.fstat(handle), os.stat(path))
    except (IOError, OSError) as error:  # noqa: UP024
        there = error.errno in _NO_LOCKS
    if there:
        return handle
    os.close(handle)
    return None


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
    whole = [one for one in names if one[:1].isdigit() and _is_whole(os.path.join(versions, one))]
    return os.path.join(versions, max(whole, key=_age)) if whole else None


def _age(name):
    # type: (str) -> List[int]
    return [int(one) if one.isdigit() else 0 for one in name.partition("+")[0].split(".")]


def _is_whole(folder):
    # type: (str) -> bool
    # Written last when a version is put together, and the folder has its name only then.
    try:
        return os.path.isfile(os.path.join(folder, "payload.json"))
    except ValueError:
        # Python 3.7 takes no zero byte, of which a file may be full after a power cut.
        return False


def leave(root):
    # type: (str) -> None
    """Delete what is left of a root that was uninstalled, and what leads to it.

    The list may be damaged: whatever is not below the root's folder, or has not our name in its
    own and in its text, stays.
    """
    import shutil

    above = os.path.dirname(os.path.abspath(root))
    with open(os.path.join(root, LEAVING), "rb") as stream:
        lines = stream.read(_MOST).decode("utf-8", "replace").splitlines()
    paths = [os.path.join(above, *one.split("/")) for one in lines if one and is_within(one)]
    for path in paths:
        if _is_ours(path):
            os.unlink(path)
    others = strangers(root)
    if others:
        say("leaves {} alone: {} is not of it".format(root, others[0]))
        return
    shutil.rmtree(root)
    for path in [os.path.normpath(one) for one in paths]:
        if os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path):
            os.rmdir(path)
    say("was uninstalled; nothing is left of it in {}".format(root))


def strangers(root):
    # type: (str) -> List[str]
    """Return what lies in a root and is not ours; our own scratch files begin with a full stop."""
    names = sorted(os.listdir(root))
    return [one for one in names if one not in NAMES and not one.startswith((".new-", ".dcc-mcp"))]


def is_within(path):
    # type: (str) -> bool
    """Return whether a line names what is below the user folder, or one of those that it is in."""
    parts = path.split("/")
    if set(parts) <= set([os.curdir, os.pardir]):  # noqa: C405
        return True
    odd = ("", os.curdir, os.pardir)
    if any(one in odd or "\\" in one or ":" in one for one in parts):
        return False
    return min(path) >= " "


def _is_ours(path):
    # type: (str) -> bool
    if PACKAGE not in os.path.basename(path) or os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        return PACKAGE.encode("ascii") in stream.read(_MOST)
