"""A payload's manifest: its files, each with its size and checksum, and a digest of them all.

A payload's name has its version and the beginning of its digest; ``payload.json`` lists the files.
Whoever has the digest from elsewhere (a dropped file holds that of the archive beside it) can tell
that nothing of the payload is another's.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Dict, Mapping, NamedTuple

from ..errors import ConfigError

__all__ = [
    "MANIFEST",
    "MOST_FILES",
    "MOST_OF_ONE",
    "NAME",
    "PACKAGE",
    "File",
    "Payload",
    "PayloadError",
    "checked",
    "parse",
    "render",
]

PACKAGE = "dcc_mcp_embed"
MANIFEST = "payload.json"
#: Of the manifest. One of a later format is refused.
FORMAT = 1
#: What a payload's folder is called: version, plus, the digest's first twelve.
NAME = re.compile(r"[0-9][0-9A-Za-z.]{0,31}\+[0-9a-f]{12}\Z")
_SHORT = 12

#: Bytes of one file and of all, far above what there is: an archive must not fill a disk.
MOST_OF_ONE = 8 << 20
_MOST = 64 << 20
MOST_FILES = 4096

#: One part of a path, as every system takes it.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*\Z")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)")


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


def render(payload: Payload) -> bytes:
    """Return the manifest's file."""
    content = {
        "format": FORMAT,
        "version": payload.version,
        "digest": payload.digest,
        "files": {path: list(payload.files[path]) for path in sorted(payload.files)},
    }
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode("ascii")


def parse(data: bytes) -> Payload:
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
        payload = checked(Payload(str(content["version"]), listed))
        digest = content["digest"]
    except PayloadError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise PayloadError("Its {} cannot be read: {!r}".format(MANIFEST, error)) from error
    if digest != payload.digest:
        raise PayloadError("Its {} was changed: the digest is another".format(MANIFEST))
    return payload


def checked(payload: Payload) -> Payload:
    """Return it if every path in it can be a file of ours on every system. Raises PayloadError."""
    if not NAME.match(payload.name):
        raise PayloadError("{!r} is no version of ours".format(payload.version))
    seen: Dict[str, str] = {}
    for path in payload.files:
        _check_path(path)
        other = seen.setdefault(path.lower(), path)
        if other != path:
            raise PayloadError("{} and {} are one file on some systems".format(other, path))
    if len(payload.files) > MOST_FILES or payload.size > _MOST:
        raise PayloadError("It is larger than any payload of ours")
    return payload


def _check_path(path: str) -> None:
    parts = path.split("/")
    if parts[0] != PACKAGE or len(parts) < 2 or len(parts) > 16:
        raise PayloadError("{!r} is no file of ours".format(path[:200]))
    for part in parts:
        if not _PART.match(part) or _DEVICES.match(part) or part.endswith(".") or len(part) > 100:
            raise PayloadError("{!r} is no path that every system takes".format(path[:200]))
