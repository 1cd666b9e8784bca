"""What is installed: the package's files, each with its checksum, in one folder or one archive.

A payload is never changed in place. Its name has its version and the beginning of its digest, which
is that of all its files' names, sizes and checksums; ``payload.json`` lists them. Whoever has the
digest from elsewhere (a dropped file holds that of the archive beside it) can tell that nothing of
the payload is another's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
from contextlib import contextmanager
from typing import (
    IO,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

from .. import __version__
from ..errors import ConfigError
from ..install_lifecycle.results import is_link

__all__ = [
    "MANIFEST",
    "NAME",
    "PACKAGE",
    "Payload",
    "PayloadError",
    "add",
    "describe",
    "inspect",
    "mend",
    "own_files",
    "pack",
    "read",
    "render",
    "unpack",
    "verify",
    "write",
]

PACKAGE = "dcc_mcp_embed"
MANIFEST = "payload.json"
#: Of the manifest. One of a later format is refused.
FORMAT = 1
#: What a payload's folder is called: version, plus, the digest's first twelve.
NAME = re.compile(r"[0-9][0-9A-Za-z.]{0,31}\+[0-9a-f]{12}\Z")
_SHORT = 12

#: Bytes of one file and of all, far above what there is: an archive must not fill a disk.
_MOST_OF_ONE = 8 << 20
_MOST = 64 << 20
_MOST_FILES = 4096

#: One part of a path, as every system takes it.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*\Z")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)")
_LEFT_OUT = ("__pycache__",)
#: In archives: what zip has for the moment before which it knows none.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 16


class PayloadError(ConfigError):
    """A payload that is damaged, cut short, or somebody else's. Nothing of it was installed."""


class File(NamedTuple):
    """What the manifest says of one file."""

    size: int
    sha256: str


class Payload(NamedTuple):
    """A payload's manifest. ``files``: path below its folder, with slashes -> File."""

    version: str
    files: Mapping[str, File]

    @property
    def digest(self) -> str:
        """Return the digest of all files, hexadecimal."""
        lines = ["{} {} {}\n".format(path, *self.files[path]) for path in sorted(self.files)]
        return hashlib.sha256(("".join([self.version, "\n", *lines])).encode("utf-8")).hexdigest()

    @property
    def name(self) -> str:
        """Return what its folder is called."""
        return "{}+{}".format(self.version, self.digest[:_SHORT])

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(one.size for one in self.files.values())


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
    return _checked(Payload(version, listed))


def _measure(stream: IO[bytes]) -> File:
    hashed, size = hashlib.sha256(), 0
    for chunk in iter(lambda: stream.read(_CHUNK), b""):
        hashed.update(chunk)
        size += len(chunk)
    return File(size, hashed.hexdigest())


# A folder.


def write(files: Mapping[str, str], folder: str, version: str = __version__) -> Payload:
    """Copy ``files`` into the new ``folder`` and put the manifest there last; return it.

    Raises OSError, FileExistsError also if the folder is there; PayloadError if a file was changed
    meanwhile.
    """
    payload = describe(files, version)
    os.makedirs(folder)
    for path, source in sorted(files.items()):
        with open(source, "rb") as stream:
            if _copy(stream, folder, path) != payload.files[path]:
                raise PayloadError("{} was changed while it was copied".format(source))
    _write_manifest(payload, folder)
    return payload


def read(folder: str) -> Payload:
    """Return the manifest of the payload in ``folder``. Raises PayloadError."""
    try:
        if is_link(os.lstat(folder)):
            raise PayloadError("{} is a link; what that leads to is not ours".format(folder))
        with open(os.path.join(folder, MANIFEST), "rb") as stream:
            return _parse(stream.read(_MOST_OF_ONE))
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


def _copy(stream: IO[bytes], folder: str, path: str) -> File:
    """Write a new file below ``folder``; return what was written."""
    target = os.path.join(folder, *path.split("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    hashed, size = hashlib.sha256(), 0
    with open(target, "xb") as out:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            out.write(chunk)
            hashed.update(chunk)
            size += len(chunk)
            if size > _MOST_OF_ONE:
                raise PayloadError("{} is longer than any file of ours".format(path))
    return File(size, hashed.hexdigest())


def _write_manifest(payload: Payload, folder: str) -> None:
    with open(os.path.join(folder, MANIFEST), "xb") as out:
        out.write(render(payload))
        out.flush()
        os.fsync(out.fileno())


# The manifest.


def render(payload: Payload) -> bytes:
    """Return the manifest's file."""
    content = {
        "format": FORMAT,
        "version": payload.version,
        "digest": payload.digest,
        "files": {path: list(payload.files[path]) for path in sorted(payload.files)},
    }
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode("ascii")


def _parse(data: bytes) -> Payload:
    try:
        content = json.loads(data.decode("utf-8"))
        if content["format"] != FORMAT:
            raise PayloadError(
                "its format is {!r}; this one knows {}".format(content["format"], FORMAT)
            )
        listed = {
            str(path): File(int(size), str(sha256))
            for path, (size, sha256) in content["files"].items()
        }
        payload = _checked(Payload(str(content["version"]), listed))
        digest = content["digest"]
    except PayloadError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PayloadError("Its {} cannot be read: {!r}".format(MANIFEST, error)) from error
    if digest != payload.digest:
        raise PayloadError("Its {} was changed: the digest is another".format(MANIFEST))
    return payload


def _checked(payload: Payload) -> Payload:
    """Return it if every path in it can be a file of ours on every system. Raises PayloadError."""
    if not NAME.match(payload.name):
        raise PayloadError("{!r} is no version of ours".format(payload.version))
    seen: Dict[str, str] = {}
    for path in payload.files:
        _check_path(path)
        other = seen.setdefault(path.lower(), path)
        if other != path:
            raise PayloadError("{} and {} are one file on some systems".format(other, path))
    if len(payload.files) > _MOST_FILES or payload.size > _MOST:
        raise PayloadError("It is larger than any payload of ours")
    return payload


def _check_path(path: str) -> None:
    parts = path.split("/")
    if parts[0] != PACKAGE or len(parts) < 2 or len(parts) > 16:
        raise PayloadError("{!r} is no file of ours".format(path[:200]))
    for part in parts:
        if not _PART.match(part) or _DEVICES.match(part) or part.endswith(".") or len(part) > 100:
            raise PayloadError("{!r} is no path that every system takes".format(path[:200]))


# An archive.


def pack(files: Mapping[str, str], target: Any, version: str = __version__) -> Payload:
    """Write a zip of ``files`` with their manifest to the path or stream ``target``; return it.

    The same files make the same bytes, wherever and whenever, with one version of zlib.
    """
    import zipfile

    payload = describe(files, version)
    with zipfile.ZipFile(target, "w") as archive:
        add(archive, MANIFEST, render(payload))
        for path in sorted(payload.files):
            with open(files[path], "rb") as stream:
                data = stream.read()
            if File(len(data), hashlib.sha256(data).hexdigest()) != payload.files[path]:
                raise PayloadError("{} was changed while it was packed".format(files[path]))
            add(archive, path, data)
    return payload


def add(archive: Any, path: str, data: bytes) -> None:
    import zipfile

    info = zipfile.ZipInfo(path, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    # As made on Unix, for everybody to read: else it would depend on where it is made.
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    archive.writestr(info, data)


def inspect(source: Any, digest: Optional[str] = None) -> Payload:
    """Return the manifest of the archive ``source`` (path or stream); nothing is unpacked.

    Raises PayloadError as :func:`unpack` does, but for damage that only unpacking shows; OSError.
    """
    import zipfile

    with _refusing():
        with zipfile.ZipFile(source) as archive:
            return _expected(_listed_in(archive), digest)


def unpack(source: Any, folder: str, digest: Optional[str] = None) -> Payload:
    """Unpack the archive ``source`` (path or stream) into the new ``folder``; return its manifest.

    ``digest``: the one that its payload must have. Raises PayloadError for whatever is no payload,
    is damaged, or has a member that its manifest does not list; OSError. The folder is the
    caller's to delete then: nothing was written outside it.
    """
    import zipfile

    with _refusing():
        with zipfile.ZipFile(source) as archive:
            payload = _expected(_listed_in(archive), digest)
            os.makedirs(folder)
            for path in sorted(payload.files):
                with archive.open(path) as stream:
                    if _copy(stream, folder, path) != payload.files[path]:
                        raise PayloadError("{} is not what the manifest lists".format(path))
    _write_manifest(payload, folder)
    return payload


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what reading a zip raises into PayloadError.

    RuntimeError: a member with a password; ValueError: a place before its beginning.
    """
    import zipfile
    import zlib

    try:
        yield
    except PayloadError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise PayloadError("It is no archive of ours, or damaged: {}".format(error)) from error


def _expected(payload: Payload, digest: Optional[str]) -> Payload:
    if digest is not None and payload.digest != digest:
        raise PayloadError("It is another payload than was expected: {}".format(payload.name))
    return payload


def _listed_in(archive: Any) -> Payload:
    import zipfile

    members = archive.infolist()
    names = [info.filename for info in members]
    if len(names) > _MOST_FILES + 1:
        raise PayloadError("It has more members than any payload of ours")
    if names.count(MANIFEST) != 1:
        raise PayloadError("It is no payload: there is no {} in it".format(MANIFEST))
    for info in members:
        kind = stat.S_IFMT(info.external_attr >> 16)
        packed = info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if info.file_size > _MOST_OF_ONE or kind not in (0, stat.S_IFREG) or packed:
            raise PayloadError("{!r} is no file of ours".format(info.filename[:200]))
    with archive.open(MANIFEST) as stream:
        payload = _parse(stream.read(_MOST_OF_ONE))
    _same_names(payload.files, [name for name in names if name != MANIFEST])
    return payload


def _same_names(listed: Iterable[str], there: List[str]) -> None:
    wanted: Tuple[str, ...] = tuple(sorted(listed))
    if tuple(sorted(there)) != wanted:
        odd = sorted(set(there).symmetric_difference(wanted)) or ["one of them twice"]
        raise PayloadError("Its members are not those that it lists: {!r}".format(odd[0][:200]))
