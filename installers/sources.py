"""Where a version that is to be installed comes from: this very code, or an archive."""

from __future__ import annotations

import os
from typing import Any, Callable, NamedTuple, Optional

from . import archive, payload
from .manifest import NAME, Payload, PayloadError

__all__ = ["Source", "archive_source", "own_source"]


class Source(NamedTuple):
    """A version that can be installed: its manifest, and what puts it into a new folder."""

    payload: Payload
    put: Callable[[str], Any]


def own_source() -> Source:
    """Return the version that this code belongs to. Raises PayloadError if that is damaged."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    problems = payload.verify(folder) if NAME.match(os.path.basename(folder)) else []
    if problems:
        # Else what was done to it would be listed as if it were so made.
        raise PayloadError(
            "{}, which this runs from, is damaged ({}): take the archive that it came from, or "
            "another version".format(folder, problems[0])
        )
    files = payload.own_files()
    return Source(payload.describe(files), lambda folder: payload.write(files, folder))


def archive_source(path: str, digest: Optional[str] = None) -> Source:
    """Return the version in an archive. Raises PayloadError."""
    try:
        listed = archive.inspect(path, digest)
    except (PayloadError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise PayloadError("Nothing is installed from {}: {}".format(path, why)) from error
    return Source(listed, lambda folder: archive.unpack(path, folder, listed.digest))
