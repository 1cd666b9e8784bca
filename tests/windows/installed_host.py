"""A 3ds Max without a window that has our files in its user folder: ``installed_host.py USER``.

The first line on stdout is what its start-up scripts have said and loaded; then each line on stdin
is a call, JSON ``[name, *arguments]``, of one of the functions below, and its result is the JSON
line that answers. It ends when its stdin does.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from importlib import import_module

from fakes.max_host import starting
from fakes.max_host.install import install
from windows.ntfs import enforce

PACKAGE = "dcc_mcp_embed"
in_use = []


def begin(user):
    """Start; return what there is to tell."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        with install(batch=True) as host:
            ran = starting.start(host, user)
    package = sys.modules.get(PACKAGE)
    return {
        "ran": ran,
        "said": said.getvalue(),
        "file": None if package is None else package.__file__,
    }


def opened(path):
    in_use.append(open(path, "rb"))  # noqa: SIM115


def read():
    """Return how many bytes what is opened still has."""
    return len(in_use[-1].read())


def entered(path):
    os.chdir(path)


def uninstall(user):
    api = import_module(PACKAGE + ".installers.api")
    return api.uninstall("3dsmax", target=user)


def main(user):
    functions = {one.__name__: one for one in (opened, read, entered, uninstall)}
    enforce()
    print(json.dumps(begin(user)), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(functions[name](*arguments)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
