#!/usr/bin/env python3
"""An idle host with our server in it: nothing of ours runs on its main thread.

    python3 tests/soak/idle_hosts.py [STAGE ...] [--seconds 60]

STAGE: names of tests/hosts/stages.py (default: all that are there), each in a process of its own,
all at a time. Those with Qt need PySide. Each serves some calls first, so that whatever is started
then runs; from then on every call of a Python function on the main thread is counted by a profile
function, those in our files and all others, and how often the system had that thread woken. A
second process of each does the same without a server, to tell what the host does by itself.
Exit status 1 if anything of ours ran, or if the host that serves does more than the one alone: what
needs no Python to run (a timer of Qt's, say) shows by that only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Dict, List, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:1] = [os.path.dirname(HERE), ROOT]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from dcc_mcp_embed import embed  # noqa: E402
from hosts import stages  # noqa: E402

#: Between the last call and the first look.
SETTLE = 2.0
#: By how much two runs of the same host may differ: in all, and as a share of what it does alone.
APART, SHARE = 5, 0.03


class Calls:
    """Counts calls of Python functions on the thread that makes this, while it is ``on``."""

    def __init__(self) -> None:
        self.ours: List[str] = []
        self.others: List[str] = []
        self.on = False
        package = os.path.dirname(os.path.abspath(embed.__file__))
        self._ours = (os.path.dirname(package) + os.sep, os.path.join(ROOT, "adapters") + os.sep)
        sys.setprofile(self._called)

    def _called(self, frame: Any, event: str, argument: Any) -> None:
        if self.on and event == "call":
            code = frame.f_code
            found = self.ours if code.co_filename.startswith(self._ours) else self.others
            found.append("{}:{}".format(os.path.basename(code.co_filename), code.co_name))


def woken(thread: int) -> int:
    """Return how often a thread of this process went to sleep by itself; -1 where nobody tells."""
    try:
        with open("/proc/self/task/{}/status".format(thread), encoding="ascii") as stream:
            (line,) = [text for text in stream if text.startswith("voluntary")]
    except OSError:
        return -1
    return int(line.split()[1])


def idle(name: str, seconds: float, served: bool) -> Dict[str, Any]:
    """Have one stage idle, and return what ran on its main thread."""
    main = getattr(threading, "get_native_id", os.getpid)()
    with tempfile.TemporaryDirectory() as home:
        os.environ["DCC_MCP_EMBED_HOME"] = home
        os.environ["DCC_MCP_REGISTRY_DIR"] = os.path.join(home, "registry")
        with stages.stage(name) as stage:
            server = embed.start(adapter=stage.adapter, port=0) if served else None
            calls = Calls()

            def body() -> Tuple[int, float]:
                if "gate" in stage.can:
                    stage.open_gate()
                if server is not None:
                    assert server.wait_registered(20.0)
                    for _ in range(10):
                        server.call("list_objects", {}, 10.0)
                time.sleep(SETTLE)
                before = woken(main)
                calls.on = True
                time.sleep(seconds)
                calls.on = False
                return woken(main) - before, seconds

            try:
                switches, lasted = stage.run(body, seconds + 60.0)
            finally:
                sys.setprofile(None)
                if server is not None:
                    server.stop()
    return {
        "stage": name,
        "served": served,
        "seconds": lasted,
        "ours": calls.ours,
        "others": len(calls.others),
        "woken": switches,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("stage", nargs="*", metavar="STAGE")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--one", choices=["served", "alone"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(idle(options.stage[0], options.seconds, options.one == "served")))
        return 0
    running = []
    for name in options.stage or stages.available():
        for how in ("served", "alone"):
            command = [sys.executable, __file__, name, "--one", how]
            command += ["--seconds", str(options.seconds)]
            running.append((name, how, subprocess.Popen(command, stdout=subprocess.PIPE)))
    good = True
    rows: Dict[str, Dict[str, Any]] = {}
    for name, how, process in running:
        output = process.communicate()[0]
        if process.returncode:
            print("{:12} {:6} FAILED, exit status {}".format(name, how, process.returncode))
            good = False
            continue
        found = json.loads(output.decode("utf-8").splitlines()[-1])
        print(
            "{:12} {:6} {:.0f} s: {} calls of ours on the main thread, {} others, woken {} times"
            "{}".format(
                name,
                how,
                found["seconds"],
                len(found["ours"]),
                found["others"],
                found["woken"],
                ": {}".format(sorted(set(found["ours"]))) if found["ours"] else "",
            )
        )
        rows.setdefault(name, {})[how] = found
    for name, row in rows.items():
        for what in more(row):
            print("{:12} BROKEN: {}".format(name, what))
            good = False
    return int(not good)


def more(row: Dict[str, Any]) -> List[str]:
    """Return what a host does, while it serves, that it does not do alone."""
    if set(row) != {"served", "alone"}:
        return []
    served, alone = row["served"], row["alone"]
    found = ["calls of ours"] if served["ours"] else []
    for what in ("others", "woken"):
        allowed = alone[what] + APART + SHARE * alone[what]
        if served[what] > allowed:
            found.append("{} {}, {} alone".format(what, served[what], alone[what]))
    return found


if __name__ == "__main__":
    sys.exit(main())
