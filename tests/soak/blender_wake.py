"""Two ways onto the main thread of a Blender with a window, side by side.

    python3 tests/soak/blender_wake.py [seconds per part, default 60]

``register``: another thread registers a timer for each call, as most plug-ins do. ``flag``: our
ticker, a timer registered once on the main thread that looks at a flag. Each part hammers from two
threads, with pauses now and then, while Blender redraws; then it measures single calls after two
seconds of silence, and what the idle Blender costs. Needs Blender and Xvfb.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

INSIDE = r"""
import json, sys, threading, time
sys.path.insert(0, {root!r})
import bpy
from dcc_mcp_embed.adapters.blender.ticker import Ticker

HOW, SECONDS = {how!r}, {seconds!r}
ticker = Ticker(time.monotonic) if HOW == "flag" else None
waiting, lock = [], threading.Lock()

def pump():
    with lock:
        ready, waiting[:] = waiting[:], []
    for asked, event in ready:
        event.latency = time.perf_counter() - asked
        event.set()

def wake():
    if ticker is not None:
        ticker.wake(pump)
    else:
        bpy.app.timers.register(pump, first_interval=0)

def call(timeout):
    event = threading.Event()
    with lock:
        waiting.append((time.perf_counter(), event))
    wake()
    return event.latency if event.wait(timeout) else None

def hammer(latencies, lost, until):
    number = 0
    while time.perf_counter() < until:
        latency = call(5.0)
        (lost if latency is None else latencies).append(latency)
        number += 1
        if number % 200 == 0:
            time.sleep(0.3)

def quantiles(values):
    values = sorted(values)
    if not values:
        return None
    return [round(values[int(len(values) * q)] * 1000, 1) for q in (0.5, 0.9, 0.99)]

def story():
    time.sleep(3)
    result = {{"how": HOW}}
    latencies, lost, until = [], [], time.perf_counter() + SECONDS
    threads = [threading.Thread(target=hammer, args=(latencies, lost, until)) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    result["calls"], result["lost"] = len(latencies), len(lost)
    result["burst p50 p90 p99 ms"] = quantiles(latencies)
    single = []
    for _ in range(10):
        time.sleep(2)
        single.append(call(5.0))
    result["after silence p50 p90 p99 ms"] = quantiles([s for s in single if s is not None])
    result["lost after silence"] = single.count(None)
    quiet.append(True)
    time.sleep(3)
    before, start = time.process_time(), time.perf_counter()
    time.sleep(10)
    share = 100 * (time.process_time() - before) / (time.perf_counter() - start)
    result["idle cpu %"] = round(share, 2)
    print("RESULT " + json.dumps(result), flush=True)
    over.append(True)

over, quiet = [], []
def leave():
    if not over:
        return 0.5
    if ticker is not None:
        ticker.close()
    bpy.ops.wm.quit_blender()
bpy.app.timers.register(leave, first_interval=1.0)

def redraw():
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
    return None if quiet else 0.5
bpy.app.timers.register(redraw, first_interval=1.0)
threading.Thread(target=story, daemon=True).start()
"""


def main() -> int:
    """Run each part in a Blender of its own and print what it found; 1 if one of ours was lost."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    failed = 0
    for how in ("register", "flag", "nothing"):
        text = IDLE if how == "nothing" else INSIDE.format(root=ROOT, how=how, seconds=seconds)
        command = ["xvfb-run", "-a", "-s", "-screen 0 1280x720x24"]
        command += ["blender", "--factory-startup", "--python-expr", text]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + 120
        )
        said = done.stdout.decode("utf-8", "replace")
        lines = [line[7:] for line in said.splitlines() if line.startswith("RESULT ")]
        print(how, "exit", done.returncode, lines[0] if lines else said[-500:], flush=True)
        if how == "flag" and (not lines or json.loads(lines[0])["lost"]):
            failed = 1
    return failed


# The cost of an idle Blender without anything of ours, to compare with.
IDLE = r"""
import json, threading, time
import bpy
over = []
def story():
    time.sleep(5)
    before, start = time.process_time(), time.perf_counter()
    time.sleep(10)
    share = 100 * (time.process_time() - before) / (time.perf_counter() - start)
    print("RESULT " + json.dumps({"idle cpu %": round(share, 2)}), flush=True)
    over.append(True)
def leave():
    return bpy.ops.wm.quit_blender() and None if over else 0.5
bpy.app.timers.register(leave, first_interval=1.0)
threading.Thread(target=story, daemon=True).start()
"""

if __name__ == "__main__":
    sys.exit(main())
