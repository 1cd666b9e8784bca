"""Runs inside Blender for test_blender_doctor.py, which says in its environment what is wanted."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import threading
import traceback
import types

PLACE = os.environ["DCC_MCP_EMBED_TEST_PLACE"]
sys.path.insert(0, os.environ["DCC_MCP_EMBED_TEST_PATH"])

import bpy


def put(name: str, text: str) -> None:
    """Write a file of the test's, so that it is there whole or not at all."""
    path = os.path.join(PLACE, name)
    with open(path + ".part", "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(path + ".part", path)


def state() -> str:
    return json.dumps(
        {
            "file": bpy.data.filepath,
            "objects": sorted(item.name for item in bpy.data.objects),
        }
    )


def prepare() -> None:
    """Have the scene be as the test wants it: in a file, or changed and in none."""
    kind = os.environ["DCC_MCP_EMBED_TEST_SCENE"]
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "mine"
    if kind == "saved":
        bpy.ops.wm.save_as_mainfile(filepath=os.path.join(PLACE, "mine.blend"))
    elif not bpy.app.background:
        # As after each of the user's own operators; those of a script leave no mark.
        bpy.ops.ed.undo_push(message="mine")


def headless() -> None:
    from dcc_mcp_embed.adapters.blender import create

    from dcc_mcp_embed.__main__ import main
    from dcc_mcp_embed.cli import doctor

    # What was changed before there was an adapter it cannot know of.
    adapter = create()
    doctor.load_adapter = lambda name: adapter
    prepare()
    before = state()
    with open(os.path.join(PLACE, "report"), "w", encoding="utf-8") as stream:
        with contextlib.redirect_stdout(stream):
            status = main(["doctor", "--in-host", "--json"])
    after = state()
    put("exit", leaving())
    put("states", json.dumps([before, after, status]))
    os._exit(0)


def leaving() -> str:
    """Run the check that ends the host: here the end of serving. Return its report."""
    import dcc_mcp_embed

    server = dcc_mcp_embed.start(port=0)
    thread, reports = beside(server, server.adapter.close)
    server.serve_forever()
    thread.join()
    return reports[0].to_json()


def beside(server, leave):
    """Begin the check that ends the host, by ``leave()``; return its thread, and its reports."""
    from dcc_mcp_embed.host.selftest import CHECKS, run

    stage = types.SimpleNamespace(can={"quit"}, quit=leave)
    reports: list = []

    def work() -> None:
        reports.append(run(server.selftest_world(stage), [CHECKS[-1]]))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, reports


def windowed() -> None:
    import dcc_mcp_embed

    under_way: list = []
    quitting = threading.Event()

    def ended() -> None:
        """Called after the server's own, as it is registered before."""
        thread, reports = under_way
        thread.join(10.0)
        put("exit", reports[0].to_json() if reports else "null")

    atexit.register(ended)
    prepare()
    before = state()
    server = dcc_mcp_embed.start(port=0)

    def wait():
        if quitting.is_set():
            bpy.ops.wm.quit_blender()
        elif not under_way and os.path.exists(os.path.join(PLACE, "leave")):
            put("states", json.dumps([before, state(), 0]))
            under_way.extend(beside(server, quitting.set))
        return 0.1

    bpy.app.timers.register(wait, first_interval=0.1, persistent=True)


def guarded() -> None:
    try:
        headless() if bpy.app.background else windowed()
    except BaseException:
        put("states", json.dumps([traceback.format_exc()]))
        os._exit(1)


if bpy.app.background:
    guarded()
else:
    bpy.app.timers.register(guarded, first_interval=1.0)
