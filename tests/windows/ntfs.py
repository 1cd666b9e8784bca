"""The rule of NTFS that Wine does not have: no folder is renamed while something below is open.

Wine asks for the very locks that Windows has, file by file, but lets a folder be renamed whatever
is open below it. ``enforce`` has ``os.rename`` ask first, of every file and folder below, whether
it could be had alone; if one could not, it is refused as NTFS does.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Iterator, Optional

__all__ = ["enforce", "held_below"]

_READ, _WRITE = 0x80000000, 0x40000000
_OPEN_EXISTING, _BACKUP_SEMANTICS = 3, 0x02000000
_ACCESS_DENIED, _SHARING_VIOLATION = 5, 32


def enforce(patch: Callable[[Any, str, Any], None] = setattr) -> None:
    """Have this process keep the rule. ``patch`` as ``setattr``."""
    before = os.rename

    def rename(source: str, target: str) -> None:
        held = held_below(source)
        if held is not None:
            raise PermissionError(13, "Access is denied", source, _ACCESS_DENIED, target)
        before(source, target)

    patch(os, "rename", rename)


def held_below(path: str) -> Optional[str]:
    """Return something below the folder ``path``, or it itself, that is open; None for a file."""
    if os.path.islink(path) or not os.path.isdir(path):
        return None
    return next((one for one in _everything(path) if not _is_free(one)), None)


def _everything(path: str) -> Iterator[str]:
    yield path
    for folder, folders, files in os.walk(path):
        yield from (os.path.join(folder, name) for name in folders + files)


def _is_free(path: str) -> bool:
    """Return whether nobody has it open, nor mapped as a program or library."""
    if sys.platform != "win32":
        return True
    import ctypes
    from ctypes import wintypes

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    opener = kernel32.CreateFileW
    opener.restype = wintypes.HANDLE
    opener.argtypes = [wintypes.LPCWSTR, *[wintypes.DWORD] * 2, wintypes.LPVOID]
    opener.argtypes = [*opener.argtypes, *[wintypes.DWORD] * 2, wintypes.HANDLE]
    kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
    # A library that is loaded can be read by others, not written.
    accesses = (_READ,) if os.path.isdir(path) else (_READ, _READ | _WRITE)
    for access in accesses:
        handle = opener(path, access, 0, None, _OPEN_EXISTING, _BACKUP_SEMANTICS, None)
        if handle != wintypes.HANDLE(-1).value:
            kernel32.CloseHandle(handle)
        elif ctypes.get_last_error() == _SHARING_VIOLATION:
            return False
    return True
