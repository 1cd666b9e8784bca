"""Run mypy over the package in its installed layout: ``python tests/typecheck.py [mypy options]``.

In a checkout the adapters stand beside the package, where their relative imports lead nowhere for
a static checker. So the tree is copied (with its times, which keeps mypy's cache useful) to where
setup.cfg's map puts it, and checked there; paths in the messages are those of the installed tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import List

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = os.path.join(ROOT, ".cache-tests", "types")

#: Folder of the checkout -> place below the tree.
PLACES = (
    ("dcc_mcp_embed", "dcc_mcp_embed"),
    ("adapters", "dcc_mcp_embed/adapters"),
    ("installers", "dcc_mcp_embed/installers"),
)


def main(arguments: List[str]) -> int:
    """Copy the tree, check it, return mypy's exit code."""
    shutil.rmtree(os.path.join(TREE, "dcc_mcp_embed"), ignore_errors=True)
    for folder, place in PLACES:
        source = os.path.join(ROOT, folder)
        if os.path.isdir(source):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, os.path.join(TREE, *place.split("/")), ignore=ignore)
    command = [sys.executable, "-m", "mypy", "--config-file", os.path.join(ROOT, "setup.cfg")]
    command += ["--cache-dir", os.path.join(TREE, "cache"), "--explicit-package-bases"]
    command += ["--namespace-packages", *arguments, "dcc_mcp_embed"]
    return subprocess.call(command, cwd=TREE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
