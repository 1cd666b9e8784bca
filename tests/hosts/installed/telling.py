"""What the tests of installed hosts share: a start of one in a process of its own, a download."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

from dcc_mcp_embed.installers import api

import helpers

__all__ = ["FOLDERS", "FOLDER_IDS", "download", "tell"]

DEADLINE = 120
INSIDE = os.path.join(helpers.TESTS, "hosts", "installed", "inside.py")

#: Names of user folders that hosts have to take.
FOLDERS = ["user", "a folder with spaces", "\u65e5\u672c\u8a9e", "deep/" + "long" * 40]
FOLDER_IDS = ["plain", "spaces", "CJK", "long"]


def tell(player, story, **given):
    """Return what a start of a host found, which see ``inside``."""
    command = [sys.executable, "-B", INSIDE, player, story, json.dumps(given)]
    folder = os.path.dirname(os.path.dirname(os.path.abspath(api.__file__)))
    package = helpers.ROOT if folder == helpers.ROOT else os.path.dirname(folder)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=package),
        timeout=DEADLINE,
    )
    said = done.stdout.decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said + done.stderr.decode("utf-8", "replace")
    found = json.loads(lines[-1][7:])
    assert "error" not in found, found["error"] + said
    found["said"], found["errors"] = said, done.stderr.decode("utf-8", "replace")
    return found


def download(made, host, place):
    """Unpack the artefact of ``host`` into ``place``; return the script in it that installs."""
    (path,) = [one for one in made if "-{}.".format(host) in os.path.basename(one)]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(str(place))
    for folder, _, names in os.walk(str(place)):
        for name in names:
            if name.startswith("install") and name.endswith(".py"):
                return os.path.join(folder, name)
    raise AssertionError("there is no script that installs")
