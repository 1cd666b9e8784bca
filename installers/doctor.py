"""What can be wrong with an installation, looked for one by one; each finding says what to do.

Changes nothing. What a running server or its port may lack is told by ``python3 -m dcc_mcp_embed
doctor``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from .. import install_lifecycle as lifecycle
from . import hosts, payload
from .bootstraps import MARK
from .standing import Standing

__all__ = ["Finding", "examine"]

#: Windows refuses paths of 260 characters and more to programs that do not ask for longer ones;
#: the longest path below a version is shorter than the difference.
_LONGEST_ROOT = 130
_BOM = b"\xef\xbb\xbf"


class Finding(NamedTuple):
    """One thing that was looked at. ``level``: ok, note (nothing is broken by it) or problem."""

    level: str
    text: str
    advice: str = ""

    def public(self) -> Dict[str, str]:
        return {"level": self.level, "text": self.text, "advice": self.advice}


def examine(ours: Standing, environ: Mapping[str, str]) -> List[Finding]:
    """Return what was found, in the order in which a person would look. Raises nothing of the disk.

    Reads every file of every version.
    """
    try:
        installed = ours.root.installed()
    except OSError as error:
        text = "{} cannot be looked at: {}".format(ours.root.versions, error)
        return [Finding("problem", text, "Have it be readable for you.")]
    if not installed:
        text = "Nothing of ours is installed in {}.".format(ours.user)
        return [Finding("note", text, "python3 -m dcc_mcp_embed.installers install")]
    found: List[Finding] = []
    for look in _LOOKS:
        try:
            found += look(ours, environ)
        except OSError as error:
            found.append(Finding("problem", "It cannot be looked at: {}".format(error)))
    return found


def _versions(ours: Standing, _: Mapping[str, str]) -> Iterator[Finding]:
    current = ours.root.current()
    if current is None:
        text = "{} names no version that is there.".format(ours.root.current_file)
        yield Finding("problem", text, "Run repair.")
    for name in ours.root.installed():
        problems = payload.verify(ours.root.folder_of(name))
        mark = " (current)" if name == current else ""
        if problems:
            text = "{}{}: {}".format(name, mark, problems[0])
            yield Finding("problem", text, "Run repair.")
        else:
            yield Finding("ok", "{}{}: every file is as it was made.".format(name, mark))


def _files(ours: Standing, _: Mapping[str, str]) -> Iterator[Finding]:
    inside, outside = ours.texts()
    for path, wanted in (*inside.items(), *outside.items()):
        there = _content(path)
        if there == wanted:
            continue
        if there is None:
            yield Finding("problem", "{} is missing.".format(path), "Run repair.")
        elif there.startswith(_BOM):
            text = "{} begins with a mark of byte order; hosts ignore such a file.".format(path)
            yield Finding("problem", text, "Run repair.")
        elif MARK.encode("ascii") in there:
            yield Finding("problem", "{} was changed.".format(path), "Run repair.")
        else:
            text = "{} is somebody else's.".format(path)
            yield Finding("problem", text, "Move it away, then run repair.")
    if all(_content(path) == data for path, data in outside.items()):
        yield Finding("ok", "{} finds it when it starts.".format(ours.host.title))


def _leaving(ours: Standing, _: Mapping[str, str]) -> Iterator[Finding]:
    if os.path.lexists(ours.leaving):
        text = "It is being uninstalled; the next start of the host finishes that."
        yield Finding("note", text, "Install it again to keep it.")


def _hindered(ours: Standing, environ: Mapping[str, str]) -> Iterator[Finding]:
    for variable, consequence in _HINDRANCES.get(ours.host.key, ()):
        if environ.get(variable):
            text = "{} is set: {}".format(variable, consequence)
            yield Finding("problem", text, "Unset it, or start the server from your own script.")
    given = environ.get(ours.host.variable)
    if given and ours.host.token and ours.host.token not in given:
        text = "{} lacks {}: {} takes no notice of it.".format(
            ours.host.variable, ours.host.token, ours.host.title
        )
        yield Finding("problem", text, "Write it as the vendor's documentation has it.")


#: Host -> variables that keep it from running what we have installed.
_HINDRANCES: Mapping[str, Tuple[Tuple[str, str], ...]] = {
    "maya": (("MAYA_SKIP_USERSETUP_PY", "Maya runs no userSetup.py, ours neither."),),
    "houdini": (("HOUDINI_DISABLE_PACKAGES", "Houdini reads no packages."),),
}


def _elsewhere(ours: Standing, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what has Blender look for start-up files in another folder than the user's."""
    if ours.host.key != "blender":
        return
    given, own = environ.get("BLENDER_USER_SCRIPTS", ""), os.path.join(ours.user, "scripts")
    # Blender takes no notice of one that is not there.
    if os.path.isdir(given) and _real(given) != _real(own):
        text = "BLENDER_USER_SCRIPTS is set: Blender runs the start-up files of {}, not of {}."
        advice = "Unset it, or install the extension or the add-on in the preferences instead."
        yield Finding("problem", text.format(given, own), advice)


def _doubles(ours: Standing, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield copies of ours that the same host finds somewhere else, or under another name."""
    (name, folders) = _PLACES.get(ours.host.key, ("", ()))
    if not name:
        return
    own = os.path.dirname(os.path.join(ours.user, *ours.host.files[-1].path.split("/")))
    others = [part for one in folders for part in environ.get(one, "").split(os.pathsep) if part]
    for folder in (own, *others):
        for one in _listed(folder):
            path = os.path.join(folder, one)
            same = os.path.normcase(folder) == os.path.normcase(own) and one == name
            if one.startswith(MARK) and not same:
                text = "{} is found too; what is started is whichever comes first.".format(path)
                yield Finding("problem", text, "Keep one of them.")


#: Host -> (the name of the file that it finds, variables with more folders of the kind).
_PLACES: Mapping[str, Tuple[str, Tuple[str, ...]]] = {
    "maya": ("dcc_mcp_embed.mod", ("MAYA_MODULE_PATH",)),
    "houdini": ("dcc_mcp_embed.json", ("HOUDINI_PACKAGE_DIR",)),
    "3dsmax": ("dcc_mcp_embed.ms", ("ADSK_3DSMAX_STARTUPSCRIPTS_ADDON_DIR",)),
}


def _package(ours: Standing, _: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is wrong with what Houdini reads as JSON."""
    if ours.host.key != "houdini":
        return
    path = os.path.join(ours.user, *ours.host.files[-1].path.split("/"))
    content = _content(path)
    if content is None:
        return
    try:
        package = json.loads(content.decode("utf-8"))
        given = package["hpath"]
        folders = [
            one.replace("$HOUDINI_PACKAGE_PATH", os.path.dirname(path))
            for one in ([given] if isinstance(given, str) else given)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield Finding("problem", "{} is no package: {!r}".format(path, error), "Run repair.")
        return
    if not any(os.path.isdir(one) for one in folders):
        there = " and ".join(os.path.normpath(one) for one in folders)
        yield Finding("problem", "{} is not there.".format(there), "Run repair.")


def _length(ours: Standing, _: Mapping[str, str]) -> Iterator[Finding]:
    if os.name == "nt" and len(ours.root.path) > _LONGEST_ROOT:
        text = "{} is so long that files below it are beyond what some programs take.".format(
            ours.root.path
        )
        yield Finding("note", text, "If files are missing for a host, use a shorter user folder.")


def _documents(ours: Standing, _: Mapping[str, str]) -> Iterator[Finding]:
    if sys.platform != "win32" or "{documents}" not in ours.host.places.win32:
        return
    there, usual = hosts.documents_folder(), os.path.join(os.path.expanduser("~"), "Documents")
    if os.path.normcase(there) != os.path.normcase(usual):
        text = "Your documents are in {}, not in {}.".format(there, usual)
        yield Finding("note", text, "Hosts use the former, and so does the installer.")


def _owed(ours: Standing, _: Mapping[str, str]) -> Iterator[Finding]:
    for entry in lifecycle.list_deferred().get("entries", ()):
        path = str(entry["operation"].get("path"))
        if os.path.normcase(path).startswith(os.path.normcase(ours.root.path)):
            text = "Still to be removed: {} ({})".format(path, entry.get("last_error") or "owed")
            yield Finding("note", text, "The next start of a host tries again.")


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def _content(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _listed(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


_LOOKS: Tuple[Callable[[Standing, Mapping[str, str]], Any], ...] = (
    _versions,
    _files,
    _package,
    _leaving,
    _hindered,
    _elsewhere,
    _doubles,
    _documents,
    _length,
    _owed,
)
