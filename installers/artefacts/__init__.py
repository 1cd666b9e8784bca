"""What is handed out: for each host the one file or folder that its gesture takes.

:func:`bundle` makes the same bytes of the same files, wherever and whenever, with one version of
zlib.
"""

from __future__ import annotations

import hashlib
import os
from typing import Callable, List, NamedTuple, Tuple

from ... import __version__
from .. import payload
from . import blender, houdini, max, maya, studio
from .parts import Files, Parts, parts_of, zipped

__all__ = ["ARTEFACTS", "Artefact", "bundle"]

#: Beside the artefacts: their checksums, as sha256sum reads them.
SUMS = "SHA256SUMS"


class Artefact(NamedTuple):
    """One of them. ``name`` has ``{version}``; ``make`` returns path in the zip -> content."""

    name: str
    make: Callable[[Parts], Files]


ARTEFACTS: Tuple[Artefact, ...] = (
    Artefact("dcc_mcp_embed-{version}-maya.zip", maya.make),
    Artefact("dcc_mcp_embed-{version}-houdini.zip", houdini.make),
    Artefact("dcc_mcp_embed-{version}-houdini-package.zip", houdini.make_package),
    Artefact("dcc_mcp_embed-{version}-3dsmax.mzp", max.make),
    Artefact("dcc_mcp_embed-{version}-blender-extension.zip", blender.make_extension),
    Artefact("dcc_mcp_embed-{version}-blender-addon.zip", blender.make_addon),
    Artefact("dcc_mcp_embed-{version}-studio.zip", studio.make),
)


def bundle(out: str, version: str = __version__) -> List[Tuple[str, str]]:
    """Write every artefact and ``SHA256SUMS`` into the folder ``out``; return (path, SHA-256) each.

    Raises OSError; ConfigError, with nothing written, for a version that a host does not take.
    """
    parts = parts_of(payload.own_files(), version)
    zips = [(artefact, zipped(artefact.make(parts))) for artefact in ARTEFACTS]
    os.makedirs(out, exist_ok=True)
    made = []
    for artefact, data in zips:
        path = os.path.join(out, artefact.name.format(version=version))
        with open(path, "wb") as target:
            target.write(data)
        made.append((path, hashlib.sha256(data).hexdigest()))
    lines = ["{}  {}\n".format(digest, os.path.basename(path)) for path, digest in made]
    with open(os.path.join(out, SUMS), "w", encoding="ascii", newline="\n") as sums:
        sums.writelines(lines)
    return made
