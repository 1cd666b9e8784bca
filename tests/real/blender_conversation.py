"""Runs inside Blender: starts the server, once or several times, and tells what is left after it.

    blender [-b] --python blender_conversation.py -- '{"root": …, "cycles": 1, "stops": true}'

Prints JSON lines: ``{"before": facts}`` once; then for each cycle ``{"ready": …}`` and, after the
test has called the tool ``end_of_test``, ``{"stopped": facts}``. Facts are what a server could
leave behind in the process. With ``stops`` false Blender quits in place of the first stop, as if
the user had closed it.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import threading
import traceback
import weakref
from typing import Any, Dict, List

import bpy

OPTIONS = json.loads(sys.argv[sys.argv.index("--") + 1])
#: Seconds from a tool's answer to the stop, and from the start to a window that is drawn.
SOON = 0.2
#: Seconds until a thread that could not be waited for has ended.
DEADLINE = 20.0

# The checkout is run where it lies, and tests leave nothing there.
sys.dont_write_bytecode = True
sys.path[:0] = [OPTIONS["root"], os.path.join(OPTIONS["root"], "tests", "real")]

import blender_conversation_tools

import dcc_mcp_embed

server: Any = None
cycles = OPTIONS["cycles"]

# Blender cannot list its timers, so whoever registers one is noted.
seen_timers: List[Any] = []
register = bpy.app.timers.register


def noting(function: Any, *args: Any, **options: Any) -> Any:
    seen_timers.append(function)
    return register(function, *args, **options)


def facts() -> Dict[str, Any]:
    gc.collect()
    descriptors = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:")):
            descriptors.append(target.partition(":")[0])
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    bases = ("Operator", "Panel", "Menu", "Header", "PropertyGroup", "AddonPreferences")
    classes = {base: _below(getattr(bpy.types, base)) for base in bases}
    drawers = [
        len(getattr(getattr(one, "draw", None), "_draw_funcs", ()))
        for base in (bpy.types.Menu, bpy.types.Header, bpy.types.Panel)
        for one in _subclasses(base)
    ]
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": sorted(descriptors),
        "timers": [repr(one) for one in seen_timers if bpy.app.timers.is_registered(one)],
        "handlers": {
            name: len(getattr(bpy.app.handlers, name))
            for name in dir(bpy.app.handlers)
            if isinstance(getattr(bpy.app.handlers, name), list)
        },
        "classes": classes,
        "draw functions": sum(drawers),
        "path": list(sys.path),
        "excepthook": repr(sys.excepthook),
        "modules": sorted(sys.modules),
        "python objects": len(gc.get_objects()),
        "rss": pages * os.sysconf("SC_PAGE_SIZE"),
    }


def _subclasses(base: Any) -> List[Any]:
    found = []
    for one in base.__subclasses__():
        found += [one, *_subclasses(one)]
    return found


def _below(base: Any) -> int:
    return len(_subclasses(base))


def say(**what: Any) -> None:
    # One write: other parts of Blender print too.
    sys.stdout.write("\n" + json.dumps(what) + "\n")
    sys.stdout.flush()


def begin() -> None:
    global server
    server = dcc_mcp_embed.start(
        "blender", port=0, exec_mode="on", tools=[blender_conversation_tools]
    )
    say(
        ready={
            "url": server.url,
            "plain_url": server.plain_url,
            "port": server.port,
            "pid": server.pid,
            "instance_id": server.instance_id,
            "token": server.token,
        }
    )


def finish() -> None:
    """Stop and report. Main thread."""
    global server, cycles
    port = server.port
    server.stop()
    kept = {"server": weakref.ref(server), "adapter": weakref.ref(server.adapter)}
    server = None
    # stop() waits 300 ms for each of ours at the most; one that got no processor ends by itself.
    for thread in threading.enumerate():
        if thread.name.startswith("dcc-mcp-embed"):
            thread.join(DEADLINE)
    cycles -= 1
    with socket.socket() as sock:
        refused = sock.connect_ex(("127.0.0.1", port)) != 0
    changes = list(blender_conversation_tools.changes)
    # Nothing of the test's own may look like growth.
    blender_conversation_tools.changes.clear()
    seen_timers[:] = [one for one in seen_timers if bpy.app.timers.is_registered(one)]
    say(
        stopped=facts(),
        port_refuses=refused,
        # An exit handler, a callback or a table that still holds one keeps all the rest alive.
        still_alive=[name for name, reference in kept.items() if reference() is not None],
        changes={
            "count": len(changes),
            "off_main_thread": [names for on_main, names in changes if not on_main],
            "names": sorted({name for _, names in changes for name in names}),
        },
    )


def start_here() -> None:
    bpy.app.timers.register = noting
    bpy.app.handlers.depsgraph_update_post.append(
        bpy.app.handlers.persistent(blender_conversation_tools.note_change)
    )
    say(before=facts())
    begin()


def run_in_background() -> None:
    blender_conversation_tools.end = lambda: server.adapter.close()
    start_here()
    while True:
        server.serve_forever()
        if not OPTIONS["stops"]:
            return
        finish()
        if not cycles:
            return
        begin()


def run_in_window() -> None:
    def soon(function: Any) -> None:
        def guarded() -> None:
            try:
                function()
            except BaseException:
                # Blender would drop the timer and go on, with the test waiting for a line.
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(3)

        register(guarded, first_interval=SOON)

    def after_the_end() -> None:
        if OPTIONS["stops"]:
            finish()
        if cycles and OPTIONS["stops"]:
            begin()
        else:
            bpy.ops.wm.quit_blender()

    blender_conversation_tools.end = lambda: soon(after_the_end)
    soon(start_here)


if bpy.app.background:
    run_in_background()
else:
    run_in_window()
