"""The system calls of the tree operations, and nothing else: tests let each of them fail.

Paths are absolute. Everything raises OSError.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

__all__ = ["Disk", "extended", "plain", "real"]

_CHUNK = 1024 * 1024
_FLAGS = (
    getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOINHERIT", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)
_CAN_GO_DOWN = (
    hasattr(os, "O_DIRECTORY")
    and hasattr(os, "O_NOFOLLOW")
    and {os.open, os.unlink, os.rmdir} <= os.supports_dir_fd
)
#: A file system that cannot do such a thing at all.
_UNSUPPORTED = {
    errno.EINVAL,
    errno.ENOSYS,
    errno.EXDEV,
    getattr(errno, "ENOTSUP", errno.ENOSYS),
    getattr(errno, "EOPNOTSUPP", errno.ENOSYS),
}
#: Linux: number of renameat2 by machine, for a C library that does not have it (before 2.28).
_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}
_AT_FDCWD = {"linux": -100, "darwin": -2}
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS alike


def extended(path: str, windows: bool = os.name == "nt") -> str:
    """Return ``path`` in the form for which Windows has no limit of 260 characters."""
    if not windows or path.startswith("\\\\?\\"):
        return path
    path = path.replace("/", "\\")
    if path.startswith("\\\\"):
        return "\\\\?\\UNC\\" + path[2:]
    return "\\\\?\\" + path


def plain(path: str) -> str:
    """Return a path of Windows without the mark of its extended form."""
    if path.startswith("\\\\?\\UNC\\"):
        return "\\" + path[7:]
    return path[4:] if path.startswith("\\\\?\\") else path


def real(path: str) -> str:
    """Return ``path``, an absolute one, with all links resolved, however long it is.

    Raises nothing: what cannot be resolved stands as it is.
    """
    try:
        return plain(os.path.realpath(extended(path)))
    except OSError:
        return plain(path)  # Windows: a share whose server is gone


def _go_down(path: str, top: str, how: int = os.O_RDONLY) -> int:
    """Open the folder ``path``, which is ``top`` or below it, through nothing but folders."""
    flags = how | os.O_DIRECTORY | _FLAGS
    handle = os.open(top, flags)
    for name in path[len(top) :].split(os.sep):
        if name:
            try:
                deeper = os.open(name, flags, dir_fd=handle)
            finally:
                os.close(handle)
            handle = deeper
    return handle


class Disk:
    """The file system of this machine."""

    def lstat(self, path: str) -> os.stat_result:
        return os.lstat(extended(path))

    def listdir(self, path: str, top: Optional[str] = None) -> List[str]:
        """Return the names in a folder; with ``top`` no link is followed from there on down."""
        if top is None or not _CAN_GO_DOWN:
            return os.listdir(extended(path))
        handle = _go_down(path, top)
        try:
            return os.listdir(handle)
        finally:
            os.close(handle)

    def mkdir(self, path: str) -> None:
        os.mkdir(extended(path))

    def rename(self, source: str, target: str) -> None:
        os.rename(extended(source), extended(target))

    def remove(self, path: str, top: str) -> None:
        """Delete a file or a link, also one to a folder and a junction.

        From ``top``, which is above it or is it, no link is followed on the way down: whoever puts
        one in the place of a folder meanwhile gains nothing.
        """
        if path == top or not _CAN_GO_DOWN:
            os.remove(extended(path))
            return
        handle = _go_down(os.path.dirname(path), top)
        try:
            os.unlink(os.path.basename(path), dir_fd=handle)
        finally:
            os.close(handle)

    def rmdir(self, path: str, top: Optional[str] = None) -> None:
        """Delete an empty folder; ``top`` as in ``remove``."""
        if top is None or path == top or not _CAN_GO_DOWN:
            os.rmdir(extended(path))
            return
        handle = _go_down(os.path.dirname(path), top)
        try:
            os.rmdir(os.path.basename(path), dir_fd=handle)
        finally:
            os.close(handle)

    def chmod(self, path: str, mode: int, top: str) -> None:
        """Change the mode of a folder, on Windows of a file too; ``top`` as in ``remove``."""
        if not _CAN_GO_DOWN:
            os.chmod(extended(path), mode)
            return
        try:
            handle = _go_down(path, top)
        except PermissionError:
            _chmod_unreadable(path, mode, top)
            return
        try:
            os.fchmod(handle, mode)
        finally:
            os.close(handle)

    def copy_link(self, source: str, target: str) -> None:
        source = extended(source)
        os.symlink(os.readlink(source), extended(target), os.path.isdir(source))

    def copy_file(self, source: str, target: str) -> None:
        """Copy a file that is not there yet, with its mode and times."""
        source, target = extended(source), extended(target)
        reader = os.open(source, os.O_RDONLY | _FLAGS | getattr(os, "O_NONBLOCK", 0))
        try:
            facts = os.fstat(reader)
            if not stat.S_ISREG(facts.st_mode):
                raise OSError(errno.EINVAL, "is no file", source)
            writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
            try:
                while True:
                    data = os.read(reader, _CHUNK)
                    if not data:
                        break
                    view = memoryview(data)
                    while view:
                        view = view[os.write(writer, view) :]
                if os.name == "nt":
                    os.fsync(writer)  # later it may be read-only, and then it cannot be
            finally:
                os.close(writer)
        finally:
            os.close(reader)
        self._copy_facts(facts, target)

    def fsync_file(self, path: str) -> None:
        """Have a file on disk that ``copy_file`` has made; on Windows it is already."""
        if os.name != "nt":
            _fsync(path)

    def copy_folder_facts(self, source: str, target: str) -> None:
        """Give a folder the mode and times of another."""
        self._copy_facts(os.stat(extended(source)), extended(target))

    def _copy_facts(self, facts: os.stat_result, target: str) -> None:
        os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        os.chmod(target, stat.S_IMODE(facts.st_mode))

    def fsync_folder(self, path: str) -> None:
        """Have what was made, renamed and removed in a folder on disk; nothing on Windows."""
        if os.name == "nt":
            return
        try:
            _fsync(path)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise

    def exchange(self, one: str, other: str) -> bool:
        """Let two paths change places in one step; False where the system cannot."""
        for platform, directory in _AT_FDCWD.items():
            if sys.platform == platform:
                return _exchange(directory, os.fsencode(one), os.fsencode(other))
        return False


def _fsync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _chmod_unreadable(path: str, mode: int, top: str) -> None:
    """Change the mode of a folder that cannot be opened to be read, and of nothing a link names."""
    if hasattr(os, "O_PATH"):
        handle = _go_down(path, top, os.O_PATH)
        try:
            os.chmod("/proc/self/fd/{}".format(handle), mode)
        finally:
            os.close(handle)
        return
    handle = _go_down(os.path.dirname(path), os.path.dirname(top) if path == top else top)
    try:
        os.chmod(os.path.basename(path), mode, dir_fd=handle, follow_symlinks=False)
    finally:
        os.close(handle)


def _exchange(directory: int, one: bytes, other: bytes) -> bool:
    import ctypes

    try:
        library = ctypes.CDLL(None, use_errno=True)
    except OSError:
        return False
    start, paths = ctypes.c_int(directory), (ctypes.c_char_p(one), ctypes.c_char_p(other))
    arguments = (start, paths[0], start, paths[1], ctypes.c_uint(_EXCHANGE))
    name = "renameatx_np" if sys.platform == "darwin" else "renameat2"
    if hasattr(library, name):
        failed = getattr(library, name)(*arguments)
    else:
        number = _RENAMEAT2.get(os.uname().machine) if sys.platform == "linux" else None
        if number is None or sys.maxsize < 2**32:
            return False
        failed = library.syscall(ctypes.c_long(number), *arguments)
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), os.fsdecode(one), None, os.fsdecode(other))
