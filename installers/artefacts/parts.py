"""What artefacts are made of: the payload, its archive, and the front that each host gets."""

from __future__ import annotations

import hashlib
import io
import os
import re
from typing import Dict, Mapping, NamedTuple

from .. import archive, manifest

__all__ = ["Files", "Parts", "front", "parts_of", "stem", "text", "zipped"]

#: Path in an artefact -> content.
Files = Dict[str, bytes]


class Parts(NamedTuple):
    """The payload: path -> file, its manifest, and the bytes of its archive."""

    files: Mapping[str, str]
    listed: manifest.Payload
    archive: bytes

    @property
    def version(self) -> str:
        return self.listed.version

    @property
    def archive_name(self) -> str:
        return "dcc_mcp_embed-{}.payload".format(self.version)

    def folder(self, host: str) -> str:
        """Return the folder in an artefact that a user unpacks, with a stroke at its end."""
        return "dcc_mcp_embed-{}-{}/".format(self.version, host)


def parts_of(files: Mapping[str, str], version: str) -> Parts:
    """Return the parts of a payload of these files. Raises OSError, PayloadError."""
    stream = io.BytesIO()
    listed = archive.pack(files, stream, version)
    return Parts(files, listed, stream.getvalue())


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of ``files``; the same bytes for the same files."""
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for path in sorted(files):
            archive.add(opened, path, files[path])
    return stream.getvalue()


def text(content: str) -> bytes:
    """Return a text file's bytes: UTF-8, no mark of byte order, plain line ends."""
    return content.encode("utf-8")


def front(host: str, parts: Parts) -> bytes:
    """Return ``front.py``, filled in for a host and this archive."""
    above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.join(above, "front.py"), encoding="utf-8") as stream:
        filled = stream.read()
    for name, value in (
        ("HOST", host),
        ("ARCHIVE", parts.archive_name),
        ("SHA256", hashlib.sha256(parts.archive).hexdigest()),
        ("DIGEST", parts.listed.digest),
    ):
        line = re.compile(r'(?m)^{} = ""$'.format(name))
        filled, count = line.subn('{} = "{}"'.format(name, value), filled)
        assert count == 1, name
    return text(filled)


def stem(version: str) -> str:
    """Return a version as part of a module's name: Maya imports what is dropped by its stem."""
    return re.sub(r"\W", "_", version)
