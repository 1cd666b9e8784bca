"""A payload as a folder: the package's files and their manifest; made, proven, put right.

It is never changed in place, but to be what its manifest says again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
from typing import IO, Callable, Dict, List, Mapping, Optional

from .. import __version__
from ..install_lifecycle.results import is_link
from .manifest import (
    MANIFEST,
    MOST_OF_ONE,
    NAME,
    PACKAGE,
    File,
    Payload,
    PayloadError,
    checked,
    parse,
    render,
)

__all__ = [
    "copy",
    "describe",
    "mend",
    "own_files",
    "read",
    "verify",
    "write",
    "write_manifest",
]

_LEFT_OUT = ("__pycache__",)
_CHUNK = 1 << 16


def own_files() -> Dict[str, str]:
    """Return path in a payload -> file, of the package that this module belongs to.

    That may be a checkout, where some folders stand beside the package (``_layout``), a wheel that
    is installed, or a payload.
    """
    package = sys.modules[__package__.rpartition(".")[0]]
    found: Dict[str, str] = {}
    for folder in package.__path__:
        _collect(folder, PACKAGE, found)
    for name in ("adapters", "installers", "_vendor"):
        module = sys.modules.get("{}.{}".format(package.__name__, name))
        if module is not None:
            for folder in module.__path__:
                _collect(folder, "{}/{}".format(PACKAGE, name), found)
    return found


def _collect(folder: str, prefix: str, found: Dict[str, str], links: bool = True) -> None:
    """Add path -> file of what is below ``folder``; without ``links`` one to a folder is a file."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name in _LEFT_OUT or name.startswith(".") or name.endswith((".pyc", ".pyo")):
            continue
        if os.path.isdir(path) and (links or not is_link(os.lstat(path))):
            _collect(path, "{}/{}".format(prefix, name), found, links)
        else:
            found.setdefault("{}/{}".format(prefix, name), path)


def describe(files: Mapping[str, str], version: str = __version__) -> Payload:
    """Return the manifest of ``files`` (path in the payload -> file). Raises OSError."""
    listed = {}
    for path, source in files.items():
        with open(source, "rb") as stream:
            listed[path] = _measure(stream)
    return checked(Payload(version, listed))


def _measure(stream: IO[bytes]) -> File:
    hashed, size = hashlib.sha256(), 0
    for chunk in iter(lambda: stream.read(_CHUNK), b""):
        hashed.update(chunk)
        size += len(chunk)
    return File(size, hashed.hexdigest())


def write(files: Mapping[str, str], folder: str, version: str = __version__) -> Payload:
    """Copy ``files`` into the new ``folder`` and put the manifest there last; return it.

    Raises OSError, FileExistsError also if the folder is there; PayloadError if a file was changed
    meanwhile.
    """
    payload = describe(files, version)
    os.makedirs(folder)
    for path, source in sorted(files.items()):
        with open(source, "rb") as stream:
            if copy(stream, folder, path) != payload.files[path]:
                raise PayloadError("{} was changed while it was copied".format(source))
    write_manifest(payload, folder)
    return payload


def read(folder: str) -> Payload:
    """Return the manifest of the payload in ``folder``. Raises PayloadError."""
    try:
        if is_link(os.lstat(folder)):
            raise PayloadError("{} is a link; what that leads to is not ours".format(folder))
        with open(os.path.join(folder, MANIFEST), "rb") as stream:
            return parse(stream.read(MOST_OF_ONE))
    except OSError as error:
        raise PayloadError("There is no payload in {}: {}".format(folder, error)) from error


def verify(folder: str, digest: Optional[str] = None) -> List[str]:
    """Return what is wrong with the payload in ``folder``, a line each; none if all is as it was.

    ``digest``: the one it must have. What Python has compiled there does not count.
    """
    try:
        payload = read(folder)
    except PayloadError as error:
        return [str(error)]
    problems = []
    if digest is not None and payload.digest != digest:
        problems.append("it is another payload: {}".format(payload.name))
    if NAME.match(os.path.basename(folder)) and os.path.basename(folder) != payload.name:
        problems.append("its manifest is that of {}".format(payload.name))
    try:
        wrong = _wrong(payload, folder)
    except OSError as error:
        return [*problems, "it cannot be read: {}".format(error)]
    return problems + ["{}: {}".format(path, wrong[path]) for path in wrong]


_STRANGE = "not ours"


def _wrong(payload: Payload, folder: str) -> Dict[str, str]:
    """Return path -> what is wrong with it, in the payload's folder. Raises OSError."""
    there: Dict[str, str] = {}
    # What a link leads to may be another tomorrow.
    _collect(folder, "", there, links=False)
    known = {path.lstrip("/"): source for path, source in there.items()}
    known.pop(MANIFEST, None)
    found = {}
    for path in sorted(set(payload.files) | set(known)):
        if path not in known:
            found[path] = "missing"
        elif path not in payload.files:
            found[path] = _STRANGE
        else:
            found[path] = _differs(known[path], payload.files[path])
    return {path: found[path] for path in found if found[path]}


def _differs(source: str, wanted: File) -> str:
    try:
        if not stat.S_ISREG(os.lstat(source).st_mode):
            return "not a file"
        with open(source, "rb") as stream:
            found = _measure(stream)
    except OSError as error:
        return error.strerror or str(error)
    return "" if found == wanted else "changed"


def mend(folder: str, whole: str, move: Callable[[str, str], None]) -> None:
    """Put right what is wrong in ``folder``, a file at a time, with those of ``whole``.

    The manifest stays as the file that it is: whoever runs the payload holds it. ``move`` replaces
    a file by another. Raises PayloadError where it is the manifest that is wrong, OSError.
    """
    payload = read(folder)
    if payload != read(whole):
        raise PayloadError("its manifest is that of {}".format(payload.name))
    wrong = _wrong(payload, folder)
    # First what is in the way.
    for path in sorted(wrong, key=lambda one: wrong[one] != _STRANGE):
        target = os.path.join(folder, *path.split("/"))
        # What was compiled of it may look as if it were of what it is now.
        shutil.rmtree(os.path.join(os.path.dirname(target), "__pycache__"), ignore_errors=True)
        if wrong[path] == _STRANGE:
            os.unlink(target)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            move(os.path.join(whole, *path.split("/")), target)


def copy(stream: IO[bytes], folder: str, path: str) -> File:
    """Write a new file below ``folder``; return what was written."""
    target = os.path.join(folder, *path.split("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    hashed, size = hashlib.sha256(), 0
    with open(target, "xb") as out:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            out.write(chunk)
            hashed.update(chunk)
            size += len(chunk)
            if size > MOST_OF_ONE:
                raise PayloadError("{} is longer than any file of ours".format(path))
    return File(size, hashed.hexdigest())


def write_manifest(payload: Payload, folder: str) -> None:
    with open(os.path.join(folder, MANIFEST), "xb") as out:
        out.write(render(payload))
        out.flush()
        os.fsync(out.fileno())
