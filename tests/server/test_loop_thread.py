"""What the loop thread must never do: import, or let the garbage collector run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import helpers

SCRIPT = r"""
import builtins, collections, gc, json, os, sys, tempfile, threading
sys.path.insert(0, os.path.join(sys.argv[1], "tests"))
sys.path.insert(0, os.path.join(sys.argv[1], "tests", "server"))
if sys.argv[2]:
    sys.path.insert(0, sys.argv[2])
OURS = "dcc-mcp-embed"
imported, collected = [], []

def is_loop():
    # The registry's threads wait for files anyway, and nobody waits for them.
    name = threading.current_thread().name
    return name.startswith(OURS) and not name.startswith(OURS + "-registry")

real_import = builtins.__import__
def watched_import(name, *rest, **named):
    if is_loop():
        imported.append(name)
    return real_import(name, *rest, **named)

import pytest
import test_probes
from fakes.live import Live

starts = []
frozen = gc.get_freeze_count()
def on_collection(phase, info):
    name = threading.current_thread().name
    if name.startswith(OURS):
        starts.append(name)
        if phase == "stop" and info["collected"]:
            collected.append(info)

live = Live(tempfile.mkdtemp(), pytest.MonkeyPatch())
builtins.__import__ = watched_import
if hasattr(sys, "addaudithook"):
    # Statements are not all: importlib.import_module and C code import too.
    def audit(event, arguments):
        if event == "import" and is_loop():
            imported.append(arguments[0])
    sys.addaudithook(audit)
gc.callbacks.append(on_collection)
gc.set_threshold(20, 2, 2)

# The host allocates too, and on some versions one thread's allocations make a collection due that
# another thread would run.
over = threading.Event()
finalised = collections.Counter()
class Node:
    def __del__(self):
        finalised[threading.current_thread().name] += 1
def litter():
    while not over.is_set():
        for _ in range(50):
            node = Node()
            node.itself = node
        over.wait(0.0005)
host = threading.Thread(target=litter, name="host")
host.start()
for name, send, status, wanted in test_probes.PROBES * 3:
    with live.connect() as wire:
        assert send(wire).status == status, name
for _ in range(1000):
    # On a busy machine the host may hardly have run yet.
    if finalised["host"]:
        break
    over.wait(0.005)
over.set()
host.join()
builtins.__import__ = real_import
live.close()
gc.callbacks.remove(on_collection)
enabled = gc.isenabled()
ours = sum(count for name, count in finalised.items() if name.startswith(OURS))
print(json.dumps({
    "imported": imported,
    "collected": collected,
    "enabled": enabled,
    "finalised": ours,
    "all": sorted(finalised),
    "callbacks": len(gc.callbacks),
    "starts": len(starts),
    "frozen": gc.get_freeze_count() > frozen,
}))
"""


def test_it_imports_nothing_and_no_collection_runs_on_it(tmp_path):
    import dcc_mcp_embed

    package = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, helpers.ROOT, package],
        cwd=str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout.decode().strip().splitlines()[-1])
    assert seen["imported"] == []
    # The host litters thousands of objects at a threshold of 20.
    assert seen["collected"] == []
    assert seen["finalised"] == 0
    assert "host" in seen["all"], "the host's own collections must go on"
    assert seen["starts"] < 60, "the pause keeps nearly all collections away to begin with"
    assert (seen["callbacks"], seen["frozen"]) == (0, False), "nothing of ours may stay"
    assert seen["enabled"], "the host's own setting must be back"
