"""Houdini: a folder with a script for hython or the Python shell; an archive for its browser."""

from __future__ import annotations

from .. import bootstraps, hosts, manifest
from .parts import Files, Parts, front, text

__all__ = ["make", "make_package"]

#: The folder with the content, beside the package's file, and that file.
ROOT = "dcc_mcp_embed"
PACKAGE = ROOT + ".json"


def make(parts: Parts) -> Files:
    folder = parts.folder("houdini")
    return {
        folder + "install.py": front("houdini", parts),
        folder + parts.archive_name: parts.archive,
        folder + "README.txt": text(_README),
    }


def make_package(parts: Parts) -> Files:
    """Return a package archive: a package's file, and beside it the folder with its content.

    The folder is laid out as an installation's root is: what it has in it works as there, and an
    archive of a newer version that is unpacked over it is an upgrade.
    """
    folder = "{}/versions/{}/".format(ROOT, parts.listed.name)
    files: Files = {folder + path: _read(source) for path, source in parts.files.items()}
    files[folder + manifest.MANIFEST] = manifest.render(parts.listed)
    files[ROOT + "/current.txt"] = text(parts.listed.name + "\n")
    files[ROOT + "/README.txt"] = text(_PACKAGE_README)
    for name, data in bootstraps.in_root("houdini").items():
        files["{}/{}".format(ROOT, name)] = data
    for file in hosts.HOSTS["houdini"].files:
        if file.path.startswith(ROOT + "/"):
            files[file.path] = bootstraps.text(file.text)
    files[PACKAGE] = bootstraps.text("houdini_archive")
    return files


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


_README = """\
Unpack this folder. Then either run, in a terminal,

    hython install.py

or, in Houdini's Python shell (Windows > Python Shell), the one line

    import runpy; runpy.run_path(r"PATH OF THIS FOLDER/install.py")["install"]()

after which the server runs at once. Run it again with a newer one to upgrade: the Houdini that is
open goes on with the version it has, the next start takes the new one.

Houdini cannot be made to install something by a drop alone: of a file that it does not know it
tries to make a scene. Once it is installed, and Houdini was started again, a newer install.py that
is dropped on the window upgrades it, unless a tool has an externaldragdrop.py that comes before
ours on Houdini's path; one that comes after ours goes on getting whatever else is dropped. Nothing
of your own files is changed.

Windows: a terminal of Git Bash sets HOME, and a Houdini started there has its user folder below it
and not in your documents. The script installs into both if both are there.
"""

_PACKAGE_README = """\
This is a Houdini package of dcc_mcp_embed, an MCP server inside Houdini. Install the archive as it
is, not unpacked, in the Package Browser (a pane tab under Inspectors): Install Package Archive. Or
in the Python shell:

    import hou; hou.ui.loadPackageArchive("PATH OF THE ARCHIVE")

Keep the user folder as the place. Then restart Houdini once: what runs when Houdini's interface is
ready has run by then. To upgrade, install the archive of a newer version in the same place.

That such an archive is a package's file with a folder beside it, and that it is unpacked into the
user folder unless another is named, is what SideFX documents. It was proven on a stand-in that does
that; on a Houdini itself it has not been tried. If the menu "MCP" does not come up after the
restart, the package's file is where Houdini does not look at start: put dcc_mcp_embed.json and this
folder into the folder "packages" of your user folder, side by side.

To remove it: choose Uninstall in the menu, then remove what is left of the package in the Package
Browser. Python 3.7 and later, which is Houdini 19.0 and later.
"""
