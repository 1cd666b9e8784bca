"""What of a tree is in use: by this process, and by others where the system tells.

In this process Python modules and every native library that is mapped, whoever loaded it; in other
processes of this user the programs that run from the tree and, on Linux, their libraries. Reading
fails silently: what cannot be seen is not reported, and a rename is the test that counts.
"""

from __future__ import annotations

import os
import sys

from .disk import plain, real
from .guards import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

    #: (process id, path, "executable" or "library").
    Use = Tuple[int, str, str]

__all__ = ["Loaded", "is_native", "look", "once", "parse_maps"]

_NATIVE = (".pyd", ".dll", ".dylib", ".so")
_DELETED = " (deleted)"


class Loaded:
    """What is in use below ``root``; the paths are real ones (no links)."""

    def __init__(
        self,
        modules: List[Tuple[str, str]],
        natives: List[Tuple[Optional[str], str]],
        uses: List[Use],
    ) -> None:
        #: (module, file) of everything Python has imported from there.
        self.modules = modules
        #: (module or None, file) of every native library of this process from there.
        self.natives = natives
        #: Other processes.
        self.uses = uses

    @property
    def locked_path(self) -> Optional[str]:
        """The first file that keeps the tree from being changed, None if there is none."""
        for _, path in self.natives:
            return path
        for _, path, _ in self.uses:
            return path
        return None


def is_native(path: str) -> bool:
    """Say whether a file's name is that of a library which a process holds while it runs."""
    from importlib.machinery import EXTENSION_SUFFIXES

    # A number may follow in Linux: libx.so.1.2
    return path.rstrip(".0123456789").lower().endswith(_NATIVE) or path.endswith(
        tuple(EXTENSION_SUFFIXES)
    )


def look(root: str) -> Loaded:
    """Return what is in use below ``root`` right now."""
    return select(root, sys.modules, mapped_libraries(), other_uses())


def once() -> Callable[[str], Loaded]:
    """Return a ``look`` for several trees, which asks the system the first time only."""
    seen: List[Any] = []

    def look_again(root: str) -> Loaded:
        if not seen:
            seen.extend((mapped_libraries(), other_uses()))
        return select(root, sys.modules, *seen)

    return look_again


def select(
    root: str,
    modules: Mapping[str, Any],
    mapped: Iterable[str],
    uses: Iterable[Use],
) -> Loaded:
    """Return what of all this is below ``root``."""
    resolve = _Resolver()
    root = real(root)
    ours = [
        (name, path)
        for name, path in ((n, resolve(f)) for n, f in _files_of(modules))
        if inside(path, root)
    ]
    natives = [(name, path) for name, path in ours if is_native(path)]  # type: List[Any]
    known = {os.path.normcase(path) for _, path in natives}
    for path in mapped:
        path = resolve(path)
        if inside(path, root) and os.path.normcase(path) not in known:
            known.add(os.path.normcase(path))
            natives.append((None, path))
    below = [(pid, resolve(path), kind) for pid, path, kind in uses]
    return Loaded(ours, natives, [use for use in below if inside(use[1], root)])


def _files_of(modules: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    for name, module in list(modules.items()):
        try:
            path = getattr(module, "__file__", None)
        except Exception:  # a module may be any object, and compute its attributes
            continue
        if isinstance(path, str) and path:
            yield str(name), path


class _Resolver:
    """Resolves links; many files are in few folders, and only those cost system calls."""

    def __init__(self) -> None:
        self._folders: Dict[str, str] = {}

    def __call__(self, path: str) -> str:
        try:
            folder, name = os.path.split(os.path.abspath(path))
        except OSError:
            return path  # relative to a directory that is no more
        if folder not in self._folders:
            self._folders[folder] = real(folder)
        return os.path.join(self._folders[folder], name)


def mapped_libraries() -> List[str]:
    """Return the native libraries that this process has mapped; [] where nothing tells."""
    try:
        if sys.platform == "win32":
            return _windows_libraries()
        if sys.platform == "darwin":
            return _darwin_libraries()
        return parse_maps(_read("/proc/self/maps"))
    except Exception:  # ctypes raises what it likes; a rename is the test that counts
        return []


def other_uses() -> List[Use]:
    """Return the programs, and on Linux the libraries, that other processes of this user use."""
    try:
        if sys.platform == "win32":
            return [(pid, path, "executable") for pid, path in _windows_programs()]
        if sys.platform == "darwin":
            return [(pid, path, "executable") for pid, path in _darwin_programs()]
        return list(linux_uses("/proc", os.getpid()))
    except Exception:  # as above
        return []


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def parse_maps(content: bytes) -> List[str]:
    """Return the libraries in the text of a Linux ``maps`` file, each once, in its order.

    What is mapped to be executed is one whatever its name. A deleted file is in no tree.
    """
    found: Dict[str, None] = {}
    for line in content.splitlines():
        parts = line.split(None, 5)
        if len(parts) < 6 or not parts[5].startswith(b"/"):
            continue
        # The kernel writes a line feed in a name as \012, and nothing else in another form.
        path = os.fsdecode(parts[5].replace(b"\\012", b"\n"))
        if not path.endswith(_DELETED) and (b"x" in parts[1] or is_native(path)):
            found[path] = None
    return list(found)


def linux_uses(proc: str, own: int) -> Iterator[Use]:
    """Yield what the processes in ``proc`` use, except the process ``own``."""
    for name in os.listdir(proc):
        if not name.isdecimal() or int(name) == own:
            continue
        place = os.path.join(proc, name)
        program = ""
        try:
            program = os.readlink(os.path.join(place, "exe"))
            if not program.endswith(_DELETED):
                yield int(name), program, "executable"
            for path in parse_maps(_read(os.path.join(place, "maps"))):
                if path != program:
                    yield int(name), path, "library"
        except OSError:
            continue  # it has ended, or is not ours


def _windows_libraries() -> List[str]:
    if sys.platform != "win32":
        return []
    import ctypes
    from ctypes import wintypes

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    current = kernel32.GetCurrentProcess
    current.restype = wintypes.HANDLE
    # In kernel32 since Windows 7; in psapi.dll before that.
    enumerate_modules = kernel32.K32EnumProcessModules
    enumerate_modules.argtypes = [
        wintypes.HANDLE,
        ctypes.POINTER(wintypes.HMODULE),
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    ]
    name_of = kernel32.GetModuleFileNameW
    name_of.argtypes = [wintypes.HMODULE, wintypes.LPWSTR, wintypes.DWORD]
    room = 1024
    while True:
        handles = (wintypes.HMODULE * room)()
        needed = wintypes.DWORD()
        size = ctypes.sizeof(handles)
        if not enumerate_modules(current(), handles, size, ctypes.byref(needed)):
            return []
        count = needed.value // ctypes.sizeof(wintypes.HMODULE)
        if count <= room:
            break
        room = count + 64
    found = []
    for handle in handles[:count]:
        text = ctypes.create_unicode_buffer(32768)
        if name_of(handle, text, len(text)):
            found.append(plain(text.value))
    return found


def _windows_programs() -> Iterator[Tuple[int, str]]:
    if sys.platform != "win32":
        return
    import ctypes
    from ctypes import wintypes

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.OpenProcess.restype = wintypes.HANDLE
    kernel32.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
    kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
    query = kernel32.QueryFullProcessImageNameW
    query.argtypes = [
        wintypes.HANDLE,
        wintypes.DWORD,
        wintypes.LPWSTR,
        ctypes.POINTER(wintypes.DWORD),
    ]
    pids = (wintypes.DWORD * 16384)()
    needed = wintypes.DWORD()
    if not kernel32.K32EnumProcesses(pids, ctypes.sizeof(pids), ctypes.byref(needed)):
        return
    for pid in pids[: needed.value // ctypes.sizeof(wintypes.DWORD)]:
        if pid in (0, os.getpid()):
            continue
        handle = kernel32.OpenProcess(0x1000, False, pid)  # query limited information
        if not handle:
            continue
        try:
            text = ctypes.create_unicode_buffer(32768)
            length = wintypes.DWORD(len(text))
            if query(handle, 0, text, ctypes.byref(length)):
                yield pid, plain(text.value)
        finally:
            kernel32.CloseHandle(handle)


def _darwin_libraries() -> List[str]:
    import ctypes

    library = ctypes.CDLL(None)
    library._dyld_get_image_name.restype = ctypes.c_char_p
    library._dyld_get_image_name.argtypes = [ctypes.c_uint32]
    names = (library._dyld_get_image_name(i) for i in range(library._dyld_image_count()))
    return [os.fsdecode(name) for name in names if name]


def _darwin_programs() -> Iterator[Tuple[int, str]]:
    import ctypes

    library = ctypes.CDLL(None)
    pids = (ctypes.c_int * 16384)()
    count = library.proc_listallpids(pids, ctypes.sizeof(pids))
    for pid in pids[: max(0, count)]:
        text = ctypes.create_string_buffer(4096)
        if pid != os.getpid() and library.proc_pidpath(pid, text, len(text)) > 0:
            yield pid, os.fsdecode(text.value)
