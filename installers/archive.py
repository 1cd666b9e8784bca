"""A payload as an archive: the same bytes for the same files; nothing of another is taken out."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Tuple

from .. import __version__
from .manifest import MANIFEST, MOST_FILES, MOST_OF_ONE, File, Payload, PayloadError, parse, render
from .payload import copy, describe, write_manifest

__all__ = ["add", "inspect", "pack", "unpack"]

#: What zip has for the moment before which it knows none.
_EPOCH = (1980, 1, 1, 0, 0, 0)


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
                    if copy(stream, folder, path) != payload.files[path]:
                        raise PayloadError("{} is not what the manifest lists".format(path))
    write_manifest(payload, folder)
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
    if len(names) > MOST_FILES + 1:
        raise PayloadError("It has more members than any payload of ours")
    if names.count(MANIFEST) != 1:
        raise PayloadError("It is no payload: there is no {} in it".format(MANIFEST))
    for info in members:
        kind = stat.S_IFMT(info.external_attr >> 16)
        packed = info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if info.file_size > MOST_OF_ONE or kind not in (0, stat.S_IFREG) or packed:
            raise PayloadError("{!r} is no file of ours".format(info.filename[:200]))
    with archive.open(MANIFEST) as stream:
        payload = parse(stream.read(MOST_OF_ONE))
    _same_names(payload.files, [name for name in names if name != MANIFEST])
    return payload


def _same_names(listed: Iterable[str], there: List[str]) -> None:
    wanted: Tuple[str, ...] = tuple(sorted(listed))
    if tuple(sorted(there)) != wanted:
        odd = sorted(set(there).symmetric_difference(wanted)) or ["one of them twice"]
        raise PayloadError("Its members are not those that it lists: {!r}".format(odd[0][:200]))
