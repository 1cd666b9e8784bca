"""A program that runs an installed version until it is told to end: ``running.py ROOT WHAT``.

``serve`` starts the real server, as a host does; ``load`` only loads the package, as a bridge does
before it has said anything to anybody. Each line on its standard input is a module of ours to be
imported now, or ``boot`` (what a start of a host does); it answers with a line.
"""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
from importlib import import_module


def main(root, what):
    boot = runpy.run_path(os.path.join(root, "boot.py"))
    package = boot["load"](root)
    if what == "serve":
        server = package.start("standalone", port=0)
        assert server.wait_registered(20.0), "it is in no registry"
    print("ready " + os.path.dirname(os.path.dirname(package.__file__)), flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "boot":
            with contextlib.redirect_stdout(io.StringIO()) as said:
                boot["boot"]("maya", root)
            answer = said.getvalue().strip().replace("\n", " | ")
        else:
            answer = str(import_module("dcc_mcp_embed." + word).__file__)
        print(answer, flush=True)
    if what == "serve":
        package.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
