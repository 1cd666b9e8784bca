"""Environments for peers, without pytest; the folders are those of ``helpers.peer_venv``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from typing import Sequence

from pythons import find_pythons

__all__ = ["ROOT", "SetupError", "peer_python", "preferred_python"]

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PEERS = os.path.join(ROOT, ".cache-tests", "peers")


class SetupError(Exception):
    """Something the benchmark needs cannot be had; the text says what."""


def preferred_python() -> str:
    """Return the interpreter that ours and the peers run on unless another is asked for."""
    found = find_pythons()
    for version in ((3, 11), (3, 12), (3, 13), (3, 10)):
        if version in found:
            return found[version]
    return getattr(sys, "_base_executable", None) or sys.executable


def peer_python(name: str, requirements: Sequence[str], base: str) -> str:
    """Return the Python of an environment with ``requirements``; made once, below .cache-tests/.

    Raises SetupError with the end of pip's output.
    """
    wanted = "\n".join([base, *requirements])
    key = hashlib.sha256(wanted.encode("utf-8")).hexdigest()[:12]
    folder = os.path.join(_PEERS, "{}-{}".format(name, key))
    executable = os.path.join(folder, "bin", "python")
    complete = os.path.join(folder, "complete.txt")
    if os.path.isfile(complete):
        return executable
    print("installing {}".format(", ".join(requirements)), file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [base, "-m", "venv", folder],
        [executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements],
    ):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode:
            output = done.stdout.decode("utf-8", "replace")[-1500:]
            raise SetupError("no environment with {}:\n{}".format(", ".join(requirements), output))
    with open(complete, "w", encoding="utf-8") as marker:
        marker.write(wanted)
    return executable
