"""What each host looks at when it starts, and where: data, read by the rest of this package.

Folders are those that the vendors document (Autodesk's page on Maya's variables and its 3ds Max
developer help on start-up scripts, SideFX's page on packages, Blender's manual on its directory
layout). ``{...}`` in a path is filled in: ``{home}``, ``{documents}``, ``{roaming}``, ``{local}``,
``{config}``, ``{shell}`` (HOME, where it is set on Windows), ``{language}`` and ``{version}`` (the
host's, as the user folder is called).
"""

from __future__ import annotations

import os
import re
import sys
from typing import Callable, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import ConfigError

__all__ = ["HOSTS", "File", "Host", "Places", "find", "others", "places", "user_folders"]


class Places(NamedTuple):
    """A template of a folder for each platform; ``""``: the host does not exist there."""

    linux: str
    darwin: str
    win32: str

    def on(self, platform: str) -> str:
        return {"win32": self.win32, "darwin": self.darwin}.get(platform, self.linux)


class File(NamedTuple):
    """One file that the host finds: ``path`` below the user folder, ``text`` in bootstraps."""

    path: str
    text: str


class Host(NamedTuple):
    """One kind of host.

    ``pattern`` matches a version, which is part of a user folder's name unless all versions share
    one. ``variable`` names an environment variable that has the user folder.
    ``pythons``: version -> Python, as far as known. ``files``: in the order in which they are
    written; the host starts nothing of ours before the last one is there.
    """

    key: str
    title: str
    places: Places
    variable: str
    pattern: str
    pythons: Mapping[str, str]
    files: Tuple[File, ...]
    #: What the user does, one line; "{artefact}" is the file to do it with.
    gesture: str
    token: str = ""
    #: Where else a version has its user folder, as whatever started it has set the variables.
    also: Places = Places("", "", "")
    #: Names of the folders of the languages that it speaks; of each the user folder is another one.
    languages: Tuple[str, ...] = ("",)


_PYTHONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")

HOSTS: Mapping[str, Host] = {
    "maya": Host(
        "maya",
        "Maya",
        Places("{home}/maya", "{home}/Library/Preferences/Autodesk/maya", "{documents}/maya"),
        "MAYA_APP_DIR",
        r"20[0-9][0-9]",
        {
            "2022": "3.7",
            "2023": "3.9",
            "2024": "3.10",
            "2025": "3.11",
            "2026": "3.11",
            "2027": "3.13",
        },
        (
            File("dcc_mcp_embed/module/scripts/userSetup.py", "maya_user_setup"),
            File("modules/dcc_mcp_embed.mod", "maya_module"),
        ),
        "Drop {artefact} on the viewport.",
    ),
    "houdini": Host(
        "houdini",
        "Houdini",
        Places(
            "{home}/houdini{version}",
            "{home}/Library/Preferences/houdini/{version}",
            "{documents}/houdini{version}",
        ),
        "HOUDINI_USER_PREF_DIR",
        r"[0-9]+\.[0-9]+",
        {
            "19.0": "3.7",
            "19.5": "3.9",
            "20.0": "3.10",
            "20.5": "3.11",
            "21.0": "3.11",
            "22.0": "3.13",
        },
        (
            *(
                File("dcc_mcp_embed/houdini/python{}libs/{}.py".format(minor, hook), text)
                for minor in _PYTHONS
                for hook, text in (("pythonrc", "houdini_import"), ("uiready", "houdini_start"))
            ),
            File("dcc_mcp_embed/houdini/MainMenuCommon.xml", "houdini_menu"),
            # All lower case; from our own folder, so that nobody's in the user folder is replaced.
            File("dcc_mcp_embed/houdini/scripts/externaldragdrop.py", "houdini_drop"),
            File("packages/dcc_mcp_embed.json", "houdini_package"),
        ),
        "Run {artefact} with hython, or paste its line into the Python shell.",
        "__HVER__",
        # A HOME counts for more than the documents, and a terminal of Git Bash sets one: what is
        # installed from there by hython must be found by what the desktop starts, and vice versa.
        Places("", "", "{shell}/houdini{version}"),
    ),
    "3dsmax": Host(
        "3dsmax",
        "3ds Max",
        Places("", "", "{local}/Autodesk/3dsMax/{version} - 64bit/{language}"),
        "ADSK_3DSMAX_APPDATA_DIR",
        r"20[0-9][0-9]",
        {
            "2022": "3.7",
            "2023": "3.9",
            "2024": "3.10",
            "2025": "3.11",
            "2026": "3.11",
            "2027": "3.13",
        },
        (File("scripts/startup/dcc_mcp_embed.ms", "max_startup"),),
        "Drop {artefact} on the viewport.",
        languages=("ENU", "CHS", "DEU", "FRA", "JPN", "KOR", "PTB"),
    ),
    "blender": Host(
        "blender",
        "Blender",
        Places(
            "{config}/blender/{version}",
            "{home}/Library/Application Support/Blender/{version}",
            "{roaming}/Blender Foundation/Blender/{version}",
        ),
        "BLENDER_USER_RESOURCES",
        r"[0-9]+\.[0-9]+",
        {
            "3.6": "3.10",
            "4.1": "3.11",
            "4.2": "3.11",
            "4.5": "3.11",
            "5.0": "3.11",
            "5.1": "3.13",
            "5.2": "3.13",
        },
        (File("scripts/startup/dcc_mcp_embed_startup.py", "blender_startup"),),
        "Drop {artefact} on the window, or install it in the preferences.",
    ),
}


def find(key: str) -> Host:
    """Return the host called ``key``. Raises ConfigError."""
    try:
        return HOSTS[key]
    except KeyError:
        raise ConfigError(
            "There is no host {!r}; there are {}".format(key, ", ".join(HOSTS))
        ) from None


def places(
    environ: Mapping[str, str], platform: str, documents: Callable[[], str]
) -> Mapping[str, str]:
    """Return what the words in templates stand for; ``documents`` is asked on Windows only."""
    home = os.path.expanduser("~")
    local = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    roaming = environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    return {
        "home": home,
        "documents": documents() if platform == "win32" else os.path.join(home, "Documents"),
        "local": local,
        "roaming": roaming,
        "config": environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"),
        "shell": environ.get("HOME", ""),
    }


def user_folders(
    host: Host, version: Optional[str], environ: Mapping[str, str], platform: str = sys.platform
) -> List[str]:
    """Return the user folders of ``host`` that an install is for; nothing is made.

    With a ``version``, or where all versions share a folder, that one, whether it is there or not
    (and what else that version has, if it is there); else every one that is there. Raises
    ConfigError for a version that cannot be one, and where the host does not run on this platform.
    """
    template = host.places.on(platform)
    if not template:
        raise ConfigError("{} does not run on {}".format(host.title, platform))
    if version is not None and not re.fullmatch(host.pattern, version):
        raise ConfigError(
            "{!r} is no version of {} as --version takes it; they are like {}".format(
                version, host.title, " and ".join(sorted(host.pythons)[-2:])
            )
        )
    words = places(environ, platform, documents_folder)
    given = environ.get(host.variable)
    if given and host.token and host.token in given:
        escaped = given.replace("{", "{{").replace("}", "}}")
        template = escaped.replace(host.token, "{version}")
    elif given and not host.token:
        return [os.path.abspath(os.path.expanduser(given))]
    if "{version}" not in template:
        return [os.path.normpath(template.format(**words))]
    ways = [dict(words, language=one) for one in host.languages]
    also = host.also.on(platform) if words["shell"] else ""
    if version is not None:
        every = [os.path.normpath(template.format(version=version, **one)) for one in ways]
        # One that was never started has none: then it is that of the first language.
        folders = [one for one in every if os.path.isdir(one)] or every[:1]
        second = os.path.normpath(also.format(version=version, **words)) if also else folders[0]
        return list(dict.fromkeys([*folders, second] if os.path.isdir(second) else folders))
    found = []
    for one in ways:
        found += _there(template.format(version="\0", **one), host.pattern)
    if also:
        found += _there(also.format(version="\0", **words), host.pattern)
    return list(dict.fromkeys(found))


def others(
    host: Host, user: str, environ: Mapping[str, str], platform: str = sys.platform
) -> List[str]:
    """Return the other user folders, of those that are there, of the version that has ``user``."""
    version = re.search(host.pattern + r"\Z", os.path.basename(user))
    if version is None or not host.also.on(platform):
        return []
    every = user_folders(host, version.group(), environ, platform)
    own = os.path.normcase(os.path.abspath(user))
    return [one for one in every if os.path.normcase(one) != own and os.path.isdir(one)]


def _there(template: str, pattern: str) -> List[str]:
    """Return the folders that are there, newest version first; NUL stands for the version."""
    before, after = template.split("\0")
    above, start = os.path.split(os.path.normpath(before + "\0").rstrip("\0"))
    tail = re.split(r"[/\\]", after, maxsplit=1)
    expected = re.compile(re.escape(start) + "(" + pattern + ")" + re.escape(tail[0]) + r"\Z")
    try:
        names = os.listdir(above)
    except OSError:
        return []
    found = []
    for name in names:
        match = expected.match(name)
        folder = os.path.join(above, name, *tail[1:])
        if match and os.path.isdir(folder):
            found.append(
                ([int(part) for part in match.group(1).split(".")], os.path.normpath(folder))
            )
    return [folder for _, folder in sorted(found, reverse=True)]


def documents_folder() -> str:
    """Return the user's folder for documents on Windows, wherever it was moved to (OneDrive)."""
    import ctypes

    buffer = ctypes.create_unicode_buffer(1024)
    # 5: CSIDL_PERSONAL; 0: where it is now (Microsoft's SHGetFolderPath).
    shell = ctypes.WinDLL("shell32")  # type: ignore[attr-defined]
    if shell.SHGetFolderPathW(None, 5, None, 0, buffer) == 0 and buffer.value:
        return buffer.value
    return os.path.join(os.path.expanduser("~"), "Documents")
