#!/usr/bin/env python3
"""Measure what a start costs a host: ``python3 tests/bench/startup.py [--python PATH ...]``.

Each number is the best of several fresh processes: what delays a start is mostly the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Dict, List

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _TESTS

from bench.venvs import ROOT, SetupError, preferred_python  # noqa: E402

#: What the serving path must not load: each costs a host memory and time (DESIGN.md §12).
FORBIDDEN = (
    "asyncio",
    "dataclasses",
    "email",
    "http",
    "inspect",
    "logging.config",
    "ssl",
    "urllib.request",
)

# Run in a fresh interpreter on the copy. Modules that the second argument names are a host's own:
# they are imported before anything is measured.
_PROBE = r"""
import json, os, sys, time
def rss():
    with open("/proc/self/status") as file:
        return [int(line.split()[1]) for line in file if line.startswith("VmRSS")][0] / 1024.0
sys.path.insert(0, sys.argv[1])
host = [name for name in sys.argv[2].split(",") if name]
for name in host:
    __import__(name)
loaded, memory = set(sys.modules), rss()
begin = time.perf_counter()
import dcc_mcp_embed
imported = time.perf_counter()
start = dcc_mcp_embed.start
ready = time.perf_counter()
server = start("standalone", port=0)
started = time.perf_counter()
new = sorted(set(sys.modules) - loaded)
after = rss()
server.stop()
stopped = time.perf_counter()
print(json.dumps({
    "import_ms": (imported - begin) * 1000, "start_ms": (started - imported) * 1000,
    "warm_ms": (started - ready) * 1000, "stop_ms": (stopped - started) * 1000,
    "rss_mb": after - memory, "modules": new,
}))
"""

#: Standard modules that every DCC's own start-up has imported before ours runs.
_IN_A_HOST = "json,logging,threading,socket,selectors,tempfile,typing,re,uuid,hashlib,random"

_ROWS = (
    ("import_ms", "bare import, ms", 5.0),
    ("start_ms", "first start(), ms", 30.0),
    ("warm_ms", "  of it without imports, ms", None),
    ("stop_ms", "stop(), ms", 300.0),
    ("rss_mb", "memory after start(), MB", 15.0),
)


#: Folder of the checkout -> where a wheel puts it; the first one first.
_PARTS = {
    "dcc_mcp_embed": "dcc_mcp_embed",
    "adapters": "dcc_mcp_embed/adapters",
    "installers": "dcc_mcp_embed/installers",
    "vendor": "dcc_mcp_embed/_vendor",
}


def copy(place: str) -> None:
    """Copy the package to ``place`` in its installed form; byte code is written there."""
    for folder, target in _PARTS.items():
        source = os.path.join(ROOT, folder)
        if os.path.isdir(source):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, os.path.join(place, target), ignore=ignored)


def probe(python: str, host: str, place: str) -> Dict[str, Any]:
    """Return what one fresh process measured with the copy in ``place``."""
    environ = {
        **os.environ,
        "DCC_MCP_EMBED_HOME": os.path.join(place, "home"),
        "DCC_MCP_REGISTRY_DIR": os.path.join(place, "registry"),
    }
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    output = subprocess.check_output(
        [python, "-c", _PROBE, place, host], env=environ, cwd=place, stdin=subprocess.DEVNULL
    )
    found: Dict[str, Any] = json.loads(output.decode("utf-8"))
    return found


def best(runs: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Return the smallest of each number; the modules are the same in all."""
    joined = dict(runs[0])
    for name, _, _ in _ROWS:
        joined[name] = min(run[name] for run in runs)
    return joined


def forbidden(modules: List[str]) -> List[str]:
    """Return those of the loaded modules that the serving path must not load."""
    return [
        name
        for name in modules
        if any(name == one or name.startswith(one + ".") for one in FORBIDDEN)
    ]


def installed_bytes() -> int:
    """Return the size of what a wheel holds, uncompressed and without byte code."""
    total = 0
    for folder in _PARTS:
        for path, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            total += sum(os.path.getsize(os.path.join(path, name)) for name in names)
    return total


def main() -> int:
    """Measure and print; the exit status is 1 when a forbidden module is loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="+", metavar="PATH", help="interpreters to measure")
    parser.add_argument("--runs", type=int, default=7, help="fresh processes per number (7)")
    options = parser.parse_args()
    try:
        pythons = options.python or [preferred_python()]
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    bad = False
    with tempfile.TemporaryDirectory() as place:
        copy(place)
        for python in pythons:
            # The first one writes byte code and the secret, which happens once in a lifetime.
            probe(python, "", place)
            bare = best([probe(python, "", place) for _ in range(options.runs)])
            host = best([probe(python, _IN_A_HOST, place) for _ in range(options.runs)])
            print(python)
            print("  {:28} {:>12} {:>12}  budget".format("", "bare python", "as in a host"))
            for name, title, budget in _ROWS:
                verdict = ""
                if budget is not None:
                    verdict = "{:g} {}".format(budget, "ok" if host[name] <= budget else "OVER")
                row = "  {:28} {:12.2f} {:12.2f}  {}"
                print(row.format(title, bare[name], host[name], verdict))
            ours = [name for name in bare["modules"] if name.startswith("dcc_mcp_embed")]
            others = [name for name in bare["modules"] if not name.startswith("dcc_mcp_embed")]
            print("  modules: {} of ours, {} others".format(len(ours), len(others)))
            wrong = forbidden(bare["modules"])
            bad = bad or bool(wrong)
            print("  forbidden and loaded: {}".format(", ".join(wrong) or "none"))
    size = installed_bytes()
    print("installed: {:.2f} MB of 3 MB, without byte code".format(size / 1e6))
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main())
