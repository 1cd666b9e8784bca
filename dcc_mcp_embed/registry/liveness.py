"""Whether whoever registered a row is still there: by its sentinel, else by its process.

Age proves nothing (a suspended laptop, a clock that was set), so it is not asked.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import Any, Mapping, Optional

from . import rows
from .locking import open_plain, try_lock, unlock

__all__ = ["LOCKS", "is_dead", "process_lives", "sentinel_name"]

#: Folder of the sentinels, inside the registry's directory.
LOCKS = "locks"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def sentinel_name(key: rows.Key) -> str:
    """Return the file name of a row's sentinel; nothing in a row can lead out of the folder."""
    dcc_type, instance_id = key
    return "{}-{}.lock".format(_UNSAFE.sub("_", dcc_type)[:64], instance_id)


def is_dead(row: Mapping[str, Any], directory: str) -> bool:
    """Return whether the row's owner is provably gone. A row that gives no proof is not dead.

    A sentinel is looked for in this registry's own folder, by its file name, and nowhere else: a
    row may name any path, which may be a device, or be spelled as another machine sees it. A row
    whose sentinel is elsewhere is judged by its process.
    """
    path = row.get("sentinel_path")
    if isinstance(path, str) and path:
        held = _sentinel_held(path, directory)
        if held is not None:
            return not held
    pid = row.get("pid")
    if isinstance(pid, int) and not isinstance(pid, bool) and pid > 0:
        return not process_lives(pid)
    return False


def _sentinel_held(path: str, directory: str) -> Optional[bool]:
    """Return whether somebody holds the sentinel; None when that cannot be told."""
    locks = os.path.join(directory, LOCKS)
    # Both kinds of separator: the row may come from another system, through a shared folder.
    name = re.split(r"[/\\]", path)[-1]
    if name in ("", ".", ".."):
        return None
    ours = os.path.join(locks, name)
    try:
        if not stat.S_ISREG(os.lstat(ours).st_mode):
            return None
        handle = open_plain(ours, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except FileNotFoundError:
        # A program with another spelling of our folder, or another folder: its process tells.
        # (Resolving the row's path would already be a look at wherever it leads.)
        given = os.path.normpath(os.path.dirname(path))
        belongs = given in (os.path.normpath(locks), os.path.realpath(locks))
        return False if belongs or not os.path.isabs(path) else None
    except (OSError, ValueError):
        # A text with a NUL or with half a character names no file.
        return None
    try:
        if not try_lock(handle, shared=True):
            return True
        unlock(handle)
    except OSError:
        return None
    finally:
        os.close(handle)
    return False


def process_lives(pid: int) -> bool:
    """Return whether a process runs. One that has ended and was not waited for does not."""
    if sys.platform == "win32":
        return _windows_process_lives(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        with open("/proc/{}/stat".format(pid), "rb") as file:
            # The name stands in brackets and may hold anything, brackets too.
            state = file.read().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False  # no such file system: the signal's answer stands
    return state in (b"Z", b"X")


def _windows_process_lives(pid: int) -> bool:
    import ctypes

    synchronize, timeout, invalid_parameter = 0x00100000, 0x102, 87
    kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(synchronize, False, pid)
    if not handle:
        # Access denied means that there is one.
        return bool(ctypes.get_last_error() != invalid_parameter)  # type: ignore[attr-defined]
    try:
        return bool(kernel.WaitForSingleObject(ctypes.c_void_p(handle), 0) == timeout)
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))
