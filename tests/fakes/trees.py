"""A file system that fails when a test says so, and pictures of trees."""

from __future__ import annotations

import errno
import os
import stat

from dcc_mcp_embed.install_lifecycle.disk import Disk

CHANGES = (
    "mkdir rename remove rmdir chmod copy_link copy_file copy_folder_facts fsync_file fsync_folder"
    " exchange"
).split()


class Crash(BaseException):
    """The process is gone: nobody catches this, and nothing happens after it."""


def windows_error(code, path="?"):
    """Return what Windows raises for an error number of its own."""
    if code in (5, 32, 33):
        error = PermissionError(errno.EACCES, "refused", path)
    else:
        error = OSError(errno.EINVAL, "refused", path)
    error.winerror = code
    return error


def posix_error(code, path="?"):
    return OSError(code, os.strerror(code), path)


class FaultyDisk(Disk):
    """Counts the calls that change something; ``fault(number, name, arguments)`` may raise.

    ``exchanges``: whether two folders can change places, which Windows has no call for.
    """

    def __init__(self, fault=None, exchanges=True):
        self.calls = []
        self._fault = fault
        self._exchanges = exchanges

    def _before(self, name, arguments):
        self.calls.append((name, *arguments))
        if self._fault is not None:
            self._fault(len(self.calls), name, arguments)

    def exchange(self, one, other):
        self._before("exchange", (one, other))
        return self._exchanges and super().exchange(one, other)

    def copy_file(self, source, target):
        try:
            self._before("copy_file", (source, target))
        except BaseException:
            with open(target, "wb") as torn:
                torn.write(b"to")
            raise
        super().copy_file(source, target)


def _counted(name):
    def call(self, *arguments):
        self._before(name, arguments)
        return getattr(Disk, name)(self, *arguments)

    return call


for _name in CHANGES:
    if _name not in vars(FaultyDisk):
        setattr(FaultyDisk, _name, _counted(_name))


def nth(number, error):
    """Return a fault: the call with that number fails, and no other."""

    def fault(count, _name, arguments):
        if count == number:
            raise error(arguments[0])

    return fault


def crash_at(number):
    """Return a fault: from the call with that number on, nothing happens any more."""

    def fault(count, _name, _arguments):
        if count >= number:
            raise Crash

    return fault


def picture(root):
    """Return everything in a tree, None if there is none: path -> content, link or folder."""
    root = str(root)
    if not os.path.lexists(root):
        return None
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            below = os.path.relpath(path, root)
            if stat.S_ISLNK(mode):
                found[below] = "-> " + os.readlink(path)
            elif stat.S_ISDIR(mode):
                found[below] = "folder"
            else:
                with open(path, "rb") as stream:
                    found[below] = stream.read()
    return found


def plant(root, files):
    """Make a tree; ``files``: path -> content (None: an empty folder)."""
    for name, content in files.items():
        path = os.path.join(str(root), *name.split("/"))
        if content is None:
            os.makedirs(path)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
    return str(root)
