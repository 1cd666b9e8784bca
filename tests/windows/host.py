"""A host that has something of a tree in use: ``python host.py``; each line on stdin is a call.

A line is JSON, ``[name, *arguments]``: a way to use a file (``imported``, ``library``, ``opened``,
``program``, each with its path) or a public function of install_lifecycle. Its result is the JSON
line that answers. It keeps what it uses until its stdin ends.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

from dcc_mcp_embed import install_lifecycle
from windows.ntfs import enforce

in_use = []


def imported(path):
    name = os.path.basename(path).partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, path)
    # Under another name than the library's own, which stays what it was.
    name = "tool{}.{}".format(len(in_use), name)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    in_use.append(sys.modules[name])
    return name


def library(path):
    import ctypes

    in_use.append(ctypes.WinDLL(path))


def opened(path):
    in_use.append(open(path, encoding="utf-8"))  # noqa: SIM115


def program(path):
    child = subprocess.Popen(
        [path, "-c", "import sys; print(1, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # The standard library is where it was copied from.
        env=dict(os.environ, PYTHONHOME=os.path.dirname(sys.executable)),
    )
    in_use.append(child)
    assert child.stdout.readline().strip() == b"1"
    return child.pid


WAYS = {way.__name__: way for way in (imported, library, opened, program)}


def main():
    enforce()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        function = WAYS.get(name) or getattr(install_lifecycle, name)
        print(json.dumps(function(*arguments)), flush=True)
    for one in in_use:
        if isinstance(one, subprocess.Popen):
            one.kill()
            one.wait()


if __name__ == "__main__":
    main()
