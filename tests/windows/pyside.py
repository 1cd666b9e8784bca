"""PySide for Windows' own Python, made once: what of it a host with a window needs. Linux only."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile

import helpers
from windows.wine import Missing

__all__ = ["site"]

#: The Qt of 3ds Max 2025 and 2026, as it is published for Windows.
WHEELS = {
    "PySide6-Essentials==6.5.3": "f928b98ec349c87f9ccc63a482917779f59fa646893722c53c2fe2a1e4f335e0",
    "shiboken6==6.5.3": "a013367e38a12b3f69ba02e79f133df4fba8d21b55a78c6999cdb31c25609524",
}
#: What of the wheels is needed: 40 of 200 MB.
NEEDED = re.compile(
    r"shiboken6/.*\.(pyd?|dll)"
    r"|PySide6/(__init__|_config|_git_pyside_version)\.py"
    r"|PySide6/(Qt(Core|Gui|Widgets)\.pyd|Qt6(Core|Gui|Widgets)\.dll|pyside6\.abi3\.dll)"
    r"|PySide6/(concrt|msvcp|vc)\w*\.dll"
    r"|PySide6/plugins/platforms/qoffscreen\.dll"
)


def site() -> str:
    """Return the folder to import it from, downloaded below .cache-tests/ once. Raises Missing."""
    wanted = "\n".join(["{} {}".format(*pair) for pair in WHEELS.items()] + [NEEDED.pattern])
    key = hashlib.sha256(wanted.encode("utf-8")).hexdigest()[:12]
    folder = os.path.join(helpers.CACHE, "peers", "windows-pyside-" + key)
    # Written last: what was cut off does not count.
    complete = os.path.join(folder, "complete.txt")
    if not os.path.isfile(complete):
        shutil.rmtree(folder, ignore_errors=True)
        wheels = os.path.join(folder, "wheels")
        os.makedirs(wheels)
        _download(wheels)
        for name in os.listdir(wheels):
            if name.endswith(".whl"):
                with zipfile.ZipFile(os.path.join(wheels, name)) as archive:
                    members = [one for one in archive.namelist() if NEEDED.fullmatch(one)]
                    archive.extractall(os.path.join(folder, "site"), members)
        shutil.rmtree(wheels)
        with open(complete, "w", encoding="utf-8") as marker:
            marker.write(wanted)
    return os.path.join(folder, "site")


def _download(folder: str) -> None:
    requirements = os.path.join(folder, "requirements.txt")
    with open(requirements, "w", encoding="utf-8") as file:
        for name, digest in WHEELS.items():
            file.write("{} --hash=sha256:{}\n".format(name, digest))
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--platform", "win_amd64"]
    command += ["--python-version", "3.11", "--require-hashes", "-r", requirements, "-d", folder]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        output = done.stdout.decode("utf-8", "replace")
        raise Missing("{} from the package index ({})".format(", ".join(WHEELS), output[-2000:]))
